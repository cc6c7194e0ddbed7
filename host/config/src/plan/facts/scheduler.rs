//! Schedulers as lists of fields.

use serde_json::{Map, Value, json};
use toolpost_core::filter::{ChangeFilter, Conditions, Pattern};
use toolpost_core::model::SourceStampSpec;

use super::{FactList, Facts, duration, fact};
use crate::config::{
    ForceCodebase, ForceConfig, ForceField, ForceParameter, ForcePatch, ParameterKind,
    PluginSchedulerConfig, SchedulerConfig, SchedulerKind, SingleBranchConfig,
};

impl Facts for SchedulerConfig {
    fn facts(&self) -> FactList {
        let Self {
            name: _,
            builders,
            properties,
            kind,
        } = self;
        let mut facts = vec![
            fact("builders", builders.clone()),
            fact("properties", json!(properties)),
        ];
        match kind {
            SchedulerKind::SingleBranch(single) => {
                facts.push(fact("use", "single-branch"));
                facts.extend(single_branch(single));
            }
            SchedulerKind::Force(force) => {
                facts.push(fact("use", "force"));
                facts.extend(self::force(force));
            }
            SchedulerKind::Plugin(plugin) => facts.extend(self::plugin(plugin)),
        }
        facts
    }
}

fn plugin(config: &PluginSchedulerConfig) -> FactList {
    let PluginSchedulerConfig {
        scheduler_type,
        priority,
        parameters,
    } = config;
    let mut facts = vec![
        fact("use", scheduler_type.as_str()),
        fact("priority", *priority),
    ];
    facts.extend(
        parameters
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    facts
}

fn single_branch(config: &SingleBranchConfig) -> FactList {
    let SingleBranchConfig {
        change_filter,
        tree_stable_timer,
        files,
        only_important,
        codebases,
        create_absolute_source_stamps,
        reason,
        priority,
    } = config;
    vec![
        fact("change_filter", filter(change_filter)),
        fact("tree_stable_timer", tree_stable_timer.map(duration)),
        fact("important_files", files.important()),
        fact("unimportant_files", files.unimportant()),
        fact("only_important", *only_important),
        fact("codebases", codebases.iter().map(stamp).collect::<Vec<_>>()),
        fact(
            "create_absolute_source_stamps",
            *create_absolute_source_stamps,
        ),
        fact("reason", reason.as_str()),
        fact("priority", *priority),
    ]
}

fn stamp(spec: &SourceStampSpec) -> Value {
    let SourceStampSpec {
        codebase,
        repository,
        branch,
        revision,
        project,
        // A configuration has none.
        patch: _,
    } = spec;
    json!({
        "codebase": codebase, "repository": repository, "branch": branch, "revision": revision,
        "project": project,
    })
}

/// Only what is asked, so that a line is short.
fn filter(filter: &ChangeFilter) -> Value {
    let ChangeFilter {
        branch,
        repository,
        project,
        category,
        codebase,
        files,
        properties,
    } = filter;
    let attributes = [
        ("branch", branch),
        ("repository", repository),
        ("project", project),
        ("category", category),
        ("codebase", codebase),
        ("files", files),
    ];
    let mut asked: Map<String, Value> = attributes
        .into_iter()
        .filter(|(_, conditions)| !conditions.is_empty())
        .map(|(name, asked)| (name.to_owned(), conditions(asked)))
        .collect();
    if !properties.is_empty() {
        let properties: Map<String, Value> = properties
            .iter()
            .map(|(name, asked)| (name.clone(), conditions(asked)))
            .collect();
        asked.insert("properties".into(), Value::Object(properties));
    }
    Value::Object(asked)
}

fn conditions(asked: &Conditions) -> Value {
    let Conditions {
        eq,
        not_eq,
        re,
        not_re,
    } = asked;
    let patterns = |list: &Option<Vec<_>>| {
        list.as_ref().map(|list| {
            let texts = list.iter().map(Pattern::as_str);
            json!(texts.collect::<Vec<_>>())
        })
    };
    let lists = [
        ("is", eq.as_ref().map(|list| json!(list))),
        ("not", not_eq.as_ref().map(|list| json!(list))),
        ("regex", patterns(re)),
        ("not_regex", patterns(not_re)),
    ];
    lists
        .into_iter()
        .filter_map(|(name, list)| Some((name.to_owned(), list?)))
        .collect::<Map<_, _>>()
        .into()
}

fn force(config: &ForceConfig) -> FactList {
    let ForceConfig {
        label,
        button,
        reason,
        username,
        codebases,
        parameters,
    } = config;
    vec![
        fact("label", label.as_str()),
        fact("button", button.as_str()),
        fact("reason", force_field(reason)),
        fact("username", force_field(username)),
        fact(
            "codebases",
            codebases.iter().map(force_codebase).collect::<Vec<_>>(),
        ),
        fact(
            "parameters",
            parameters.iter().map(parameter).collect::<Vec<_>>(),
        ),
    ]
}

fn force_field(field: &ForceField) -> Value {
    let ForceField {
        label,
        default,
        choices,
        required,
        hidden,
    } = field;
    json!({
        "label": label, "default": default, "choices": choices, "required": required,
        "hidden": hidden,
    })
}

fn force_codebase(of: &ForceCodebase) -> Value {
    let ForceCodebase {
        codebase,
        branch,
        revision,
        repository,
        project,
        patch,
    } = of;
    json!({
        "codebase": codebase,
        "branch": force_field(branch),
        "revision": force_field(revision),
        "repository": force_field(repository),
        "project": force_field(project),
        "patch": patch.as_ref().map(force_patch),
    })
}

fn force_patch(of: &ForcePatch) -> Value {
    let ForcePatch {
        label,
        required,
        bytes_max,
        level,
        author,
        comment,
        subdir,
    } = of;
    json!({
        "label": label, "required": required, "max_size": bytes_max, "level": level,
        "author": force_field(author),
        "comment": force_field(comment),
        "subdir": force_field(subdir),
    })
}

fn parameter(of: &ForceParameter) -> Value {
    let ForceParameter {
        name,
        label,
        tab_label,
        tooltip,
        required,
        hidden,
        default,
        kind,
    } = of;
    let own = match kind {
        ParameterKind::String {
            regex,
            size,
            chars_max,
        } => json!({ "regex": regex, "size": size, "max_length": chars_max }),
        ParameterKind::Text {
            regex,
            columns,
            rows,
            chars_max,
        } => json!({ "regex": regex, "columns": columns, "rows": rows, "max_length": chars_max }),
        ParameterKind::Int { min, max } => json!({ "min": min, "max": max }),
        ParameterKind::Bool | ParameterKind::Fixed | ParameterKind::Any | ParameterKind::Worker => {
            json!({})
        }
        ParameterKind::File { bytes_max } => json!({ "max_size": bytes_max }),
        ParameterKind::Inherit { builders } => json!({ "builders": builders }),
        ParameterKind::Choice {
            choices,
            multiple,
            strict,
        } => json!({ "choices": choices, "multiple": multiple, "strict": strict }),
        ParameterKind::Username { need_email } => json!({ "need_email": need_email }),
        ParameterKind::Nested {
            fields,
            layout,
            columns,
        } => json!({
            "layout": layout.name(),
            "columns": columns,
            "fields": fields.iter().map(parameter).collect::<Vec<_>>(),
        }),
    };
    let mut all = json!({
        "type": kind.name(), "name": name, "label": label, "tab_label": tab_label, "tooltip": tooltip,
        "required": required, "hidden": hidden, "default": default,
    });
    if let (Some(all), Value::Object(own)) = (all.as_object_mut(), own) {
        all.extend(own);
    }
    all
}
