//! The force scheduler and the fields of its form.

use std::collections::BTreeMap;

use serde_json::Value;
use toolpost_core::filter::Pattern;

use super::names::{Thing, identifier_fault};
use super::{Checker, list, texts, value};
use crate::config::{
    ForceCodebase, ForceConfig, ForceField, ForceParameter, ParameterKind, SchedulerConfig,
    SchedulerKind,
};
use crate::raw::{
    RawChoiceParameter, RawForce, RawForceCodebase, RawForceField, RawIntParameter,
    RawNestedParameter, RawParameter, RawParameterCommon, RawTextParameter,
};
use crate::sources::Span;
use crate::suggest;
use crate::tree::At;

const TEXT_COLUMNS_DEFAULT: u32 = 80;
const TEXT_ROWS_DEFAULT: u32 = 6;

impl Checker<'_, '_> {
    pub(super) fn force(&mut self, raw: RawForce) -> Option<SchedulerConfig> {
        let properties = self.properties(raw.properties);
        let codebases = self.force_codebases(raw.codebases);
        let mut fields = FieldNames::fixed(&codebases);
        let parameters = self.parameters(list(raw.parameters), "", &mut fields);
        let builders = self.references(Thing::Builder, raw.builders);
        let name = value(raw.name)?;
        let label = value(raw.label).unwrap_or_else(|| name.clone());
        Some(SchedulerConfig {
            name,
            builders: builders?,
            properties,
            kind: SchedulerKind::Force(Box::new(ForceConfig {
                button: value(raw.button).unwrap_or_else(|| label.clone()),
                label,
                reason: field(raw.reason, "Reason"),
                username: field(raw.username, "Your name"),
                codebases,
                parameters,
            })),
        })
    }

    fn force_codebases(
        &mut self,
        raw: Option<At<Vec<At<RawForceCodebase>>>>,
    ) -> Vec<ForceCodebase> {
        let Some(raw) = raw else {
            return vec![codebase(RawForceCodebase::default())];
        };
        if raw.value.is_empty() {
            self.report
                .at(raw.span, "at least one codebase is needed")
                .help("leave `codebases` out for the only one");
        }
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        for item in &raw.value {
            let name = item.value.codebase.as_ref();
            let (text, span) = name.map_or(("", item.span), |name| (&name.value, name.span));
            if let Some(first) = seen.insert(text.to_owned(), span) {
                self.report
                    .at(span, format!("codebase `{text}` is asked for twice"))
                    .related(first, "asked for here first");
            }
        }
        raw.value
            .into_iter()
            .map(|item| codebase(item.value))
            .collect()
    }

    /// Checks the fields of a group; the group's name is part of theirs.
    fn parameters(
        &mut self,
        raw: Vec<At<RawParameter>>,
        group: &str,
        fields: &mut FieldNames,
    ) -> Vec<ForceParameter> {
        raw.into_iter()
            .filter_map(|parameter| self.parameter(parameter.value, group, fields))
            .collect()
    }

    fn parameter(
        &mut self,
        raw: RawParameter,
        group: &str,
        fields: &mut FieldNames,
    ) -> Option<ForceParameter> {
        let (common, kind) = match raw {
            RawParameter::Nested(raw) => return Some(self.nested(raw, group, fields)),
            RawParameter::String(mut raw) => {
                let regex = self.whole_pattern(raw.regex.take());
                (raw.take_common(), ParameterKind::String { regex })
            }
            RawParameter::Text(mut raw) => (raw.take_common(), self.text_kind(raw)),
            RawParameter::Int(mut raw) => (raw.take_common(), self.int_kind(&raw)),
            RawParameter::Bool(mut raw) => (raw.take_common(), ParameterKind::Bool),
            RawParameter::Choice(mut raw) => (raw.take_common(), self.choice_kind(raw)),
            RawParameter::Username(mut raw) => {
                let need_email = value(raw.need_email.take()).unwrap_or(true);
                (raw.take_common(), ParameterKind::Username { need_email })
            }
        };
        let default = self.parameter_default(&common, &kind);
        let name = common.name?;
        self.claim_field(&name, group, fields);
        Some(ForceParameter {
            label: value(common.label).unwrap_or_else(|| name.value.clone()),
            name: name.value,
            tooltip: value(common.tooltip),
            required: value(common.required).unwrap_or(false),
            hidden: value(common.hidden).unwrap_or(false),
            default,
            kind,
        })
    }

    /// Notes a name that cannot be one, or that another field is sent under.
    fn claim_field(&mut self, name: &At<String>, group: &str, fields: &mut FieldNames) {
        if let Some(fault) = identifier_fault(&name.value) {
            self.report
                .at(name.span, format!("the name of a parameter {fault}"));
        }
        let full_name = join(group, &name.value);
        match fields.0.insert(full_name.clone(), Some(name.span)) {
            None => {}
            Some(None) => {
                let message = format!("`{full_name}` is a field of this form already");
                self.report
                    .at(name.span, message)
                    .help("give the parameter another name");
            }
            Some(Some(first)) => {
                self.report
                    .at(
                        name.span,
                        format!("two parameters have the name `{full_name}`"),
                    )
                    .related(first, "the first is here")
                    .help("give one of them another name");
            }
        }
    }

    fn nested(
        &mut self,
        raw: RawNestedParameter,
        group: &str,
        fields: &mut FieldNames,
    ) -> ForceParameter {
        let name = match &raw.name {
            Some(name) => {
                self.claim_field(name, group, fields);
                name.value.clone()
            }
            None => String::new(),
        };
        let inner = self.parameters(list(raw.fields), &join(group, &name), fields);
        ForceParameter {
            label: value(raw.label).unwrap_or_else(|| name.clone()),
            name,
            tooltip: None,
            required: false,
            hidden: false,
            default: Value::Null,
            kind: ParameterKind::Nested { fields: inner },
        }
    }

    /// A regular expression that a whole value has to match.
    fn whole_pattern(&mut self, regex: Option<At<String>>) -> Option<String> {
        let regex = regex?;
        self.pattern(&regex)?;
        Some(regex.value)
    }

    fn text_kind(&mut self, raw: RawTextParameter) -> ParameterKind {
        ParameterKind::Text {
            regex: self.whole_pattern(raw.regex),
            columns: self
                .at_least_one(raw.columns)
                .unwrap_or(TEXT_COLUMNS_DEFAULT),
            rows: self.at_least_one(raw.rows).unwrap_or(TEXT_ROWS_DEFAULT),
        }
    }

    fn int_kind(&mut self, raw: &RawIntParameter) -> ParameterKind {
        if let (Some(min), Some(max)) = (&raw.min, &raw.max)
            && min.value > max.value
        {
            self.report
                .at(max.span, "`max` is less than `min`")
                .related(min.span, "`min` is here");
        }
        ParameterKind::Int {
            min: raw.min.map(|min| min.value),
            max: raw.max.map(|max| max.value),
        }
    }

    fn choice_kind(&mut self, raw: RawChoiceParameter) -> ParameterKind {
        if let Some(choices) = &raw.choices {
            if choices.value.is_empty() {
                self.report
                    .at(choices.span, "at least one choice is needed");
            }
            self.no_repetition(&choices.value);
        }
        ParameterKind::Choice {
            choices: texts(list(raw.choices)),
            multiple: value(raw.multiple).unwrap_or(false),
            strict: value(raw.strict).unwrap_or(true),
        }
    }

    /// The default as it is written, or that of the kind.
    fn parameter_default(&mut self, common: &RawParameterCommon, kind: &ParameterKind) -> Value {
        let Some(given) = &common.default else {
            return match kind {
                ParameterKind::Bool => Value::Bool(false),
                ParameterKind::Int { .. } | ParameterKind::Nested { .. } => Value::Null,
                ParameterKind::Choice { multiple: true, .. } => Value::Array(Vec::new()),
                ParameterKind::Choice { choices, .. } => choices
                    .first()
                    .map_or(Value::Null, |first| Value::from(first.as_str())),
                ParameterKind::String { .. }
                | ParameterKind::Text { .. }
                | ParameterKind::Username { .. } => Value::from(""),
            };
        };
        let default = given.value.0.to_json();
        if let Err(fault) = fits(kind, &default) {
            let mut note = self.report.at(
                given.span,
                format!("the default does not fit: {}", fault.message),
            );
            if let Some(help) = fault.help {
                note.help(help);
            }
        }
        default
    }
}

/// Names that the fields of a form are sent under, with their places; fixed fields have none.
struct FieldNames(BTreeMap<String, Option<Span>>);

impl FieldNames {
    /// Those that every form has, and those of its codebases.
    fn fixed(codebases: &[ForceCodebase]) -> Self {
        let about = ["username", "reason", "owner", "priority", "builderid"].map(str::to_owned);
        let stamps = codebases.iter().flat_map(|codebase| {
            ["branch", "revision", "repository", "project"]
                .map(|field| join(&codebase.codebase, field))
        });
        Self(
            about
                .into_iter()
                .chain(stamps)
                .map(|name| (name, None))
                .collect(),
        )
    }
}

/// A field's name in a group's, as Buildbot's clients send it.
fn join(group: &str, name: &str) -> String {
    match (group.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (false, true) => group.to_owned(),
        (false, false) => format!("{group}_{name}"),
    }
}

/// Why a value does not fit a field.
struct Misfit {
    message: String,
    help: Option<String>,
}

fn misfit<T>(message: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit {
        message: message.into(),
        help: None,
    })
}

fn fits(kind: &ParameterKind, value: &Value) -> Result<(), Misfit> {
    match kind {
        ParameterKind::Bool if value.is_boolean() => Ok(()),
        ParameterKind::Bool => misfit("expected `true` or `false`"),
        ParameterKind::Int { min, max } => match value.as_i64() {
            None => misfit("expected an integer"),
            Some(number) if min.is_some_and(|min| number < min) => {
                misfit(format!("{number} is less than `min`"))
            }
            Some(number) if max.is_some_and(|max| number > max) => {
                misfit(format!("{number} is more than `max`"))
            }
            Some(_) => Ok(()),
        },
        ParameterKind::String { regex } | ParameterKind::Text { regex, .. } => {
            fits_text(regex.as_ref(), value)
        }
        ParameterKind::Username { .. } => fits_text(None, value),
        ParameterKind::Choice {
            choices,
            multiple,
            strict,
        } => fits_choice(choices, *multiple, *strict, value),
        ParameterKind::Nested { .. } => Ok(()),
    }
}

fn fits_text(regex: Option<&String>, value: &Value) -> Result<(), Misfit> {
    let Some(text) = value.as_str() else {
        return misfit("expected a string");
    };
    // A field may be empty unless it is required, whatever its expression says.
    let whole = regex
        .filter(|_| !text.is_empty())
        .and_then(|regex| Pattern::new(&format!("(?:{regex})$")).ok());
    match (whole, regex) {
        (Some(whole), Some(regex)) if !whole.matches_start(text) => {
            misfit(format!("it does not match `{regex}`"))
        }
        _ => Ok(()),
    }
}

fn fits_choice(
    choices: &[String],
    multiple: bool,
    strict: bool,
    value: &Value,
) -> Result<(), Misfit> {
    let one = |value: &Value| match value.as_str() {
        None => misfit("expected a string"),
        Some(text) if strict && !choices.iter().any(|choice| choice == text) => Err(Misfit {
            message: format!("`{text}` is not one of the choices"),
            help: suggest::help(text, "choices", choices.iter().map(String::as_str)),
        }),
        Some(_) => Ok(()),
    };
    match value {
        Value::Array(items) if multiple => items.iter().try_for_each(one),
        _ if multiple => misfit("expected a list of strings"),
        value => one(value),
    }
}

fn codebase(raw: RawForceCodebase) -> ForceCodebase {
    ForceCodebase {
        codebase: value(raw.codebase).unwrap_or_default(),
        branch: field(raw.branch, "Branch"),
        revision: field(raw.revision, "Revision"),
        repository: field(raw.repository, "Repository"),
        project: field(raw.project, "Project"),
    }
}

fn field(raw: Option<At<RawForceField>>, label: &str) -> ForceField {
    let raw = value(raw).unwrap_or_default().0;
    ForceField {
        label: value(raw.label).unwrap_or_else(|| label.into()),
        default: value(raw.default).unwrap_or_default(),
        required: value(raw.required).unwrap_or(false),
        hidden: value(raw.hidden).unwrap_or(false),
    }
}
