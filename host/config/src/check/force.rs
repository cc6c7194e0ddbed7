//! The force scheduler and the fields of its form.

use std::collections::BTreeMap;

use serde_json::Value;
use toolpost_core::filter::Pattern;
use toolpost_core::patch::{PATCH_BODY_BYTES_MAX, PATCH_LEVEL_MAX};

use super::names::{Thing, identifier_fault};
use super::{Checker, list, texts, value};
use crate::config::{
    ForceCodebase, ForceConfig, ForceField, ForceParameter, ForcePatch, FormLayout, ParameterKind,
    SchedulerConfig, SchedulerKind,
};
use crate::decode::ByteSize;
use crate::raw::{
    ParameterLayout, RawAnyParameter, RawChoiceParameter, RawFileParameter, RawForce,
    RawForceCodebase, RawForceField, RawForcePatch, RawInheritParameter, RawIntParameter,
    RawNestedParameter, RawParameter, RawParameterCommon, RawStringParameter, RawTextParameter,
};
use crate::sources::Span;
use crate::suggest;
use crate::tree::At;

/// Buildbot's.
const REASON_DEFAULT: &str = "force build";

const TEXT_COLUMNS_DEFAULT: u32 = 80;
const TEXT_ROWS_DEFAULT: u32 = 6;
const STRING_SIZE_DEFAULT: u32 = 30;

/// A file becomes a property, which is kept with the build; and a request has a limit, too.
const FILE_BYTES_MAX: u32 = 512 << 10;
const _: () = assert!(
    FILE_BYTES_MAX as usize == PATCH_BODY_BYTES_MAX,
    "a form takes what can be kept"
);

/// What the web interface of Buildbot can show.
const COLUMNS_MAX: u32 = 4;

impl Checker<'_, '_> {
    pub(super) fn force(&mut self, raw: RawForce) -> Option<SchedulerConfig> {
        let properties = self.properties(raw.properties);
        let codebases = self.force_codebases(raw.codebases);
        let mut fields = FieldNames::fixed(&codebases);
        let parameters = self.parameters(list(raw.parameters), "", &mut fields);
        let builders = self.references(Thing::Builder, raw.builders);
        let name = value(raw.name)?;
        let label = value(raw.label).unwrap_or_else(|| name.clone());
        // Who says how it is asked for says also what it is at first.
        let reason_default = match raw.reason {
            Some(_) => "",
            None => REASON_DEFAULT,
        };
        let reason = self.field(raw.reason, "Reason", reason_default);
        let username = self.field(raw.username, "Your name", "");
        Some(SchedulerConfig {
            name,
            builders: builders?,
            properties,
            kind: SchedulerKind::Force(Box::new(ForceConfig {
                button: value(raw.button).unwrap_or_else(|| label.clone()),
                label,
                reason,
                username,
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
            return vec![self.codebase(RawForceCodebase::default())];
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
            .map(|item| self.codebase(item.value))
            .collect()
    }

    fn codebase(&mut self, raw: RawForceCodebase) -> ForceCodebase {
        ForceCodebase {
            codebase: value(raw.codebase).unwrap_or_default(),
            branch: self.field(raw.branch, "Branch", ""),
            revision: self.field(raw.revision, "Revision", ""),
            repository: self.field(raw.repository, "Repository", ""),
            project: self.field(raw.project, "Project", ""),
            patch: raw.patch.map(|patch| self.patch(patch.value)),
        }
    }

    fn patch(&mut self, raw: RawForcePatch) -> ForcePatch {
        if let Some(level) = raw
            .level
            .as_ref()
            .filter(|level| level.value > PATCH_LEVEL_MAX)
        {
            let message = format!("must be a number from 0 to {PATCH_LEVEL_MAX}");
            self.report.at(level.span, message);
        }
        ForcePatch {
            label: value(raw.label).unwrap_or_else(|| "patch".into()),
            required: value(raw.required).unwrap_or(false),
            bytes_max: self.file_size(raw.max_size.as_ref()),
            level: value(raw.level).unwrap_or(1),
            author: self.field(raw.author, "author", ""),
            comment: self.field(raw.comment, "comment", ""),
            subdir: self.field(raw.subdir, "subdir", "."),
        }
    }

    fn field(&mut self, raw: Option<At<RawForceField>>, label: &str, default: &str) -> ForceField {
        let raw = value(raw).unwrap_or_default().0;
        if let Some(choices) = &raw.choices {
            if choices.value.is_empty() {
                self.report
                    .at(choices.span, "at least one choice is needed");
            }
            self.no_repetition(&choices.value);
        }
        let choices = texts(list(raw.choices));
        if let Some(default) = &raw.default
            && !choices.is_empty()
            && !choices.contains(&default.value)
        {
            let help = suggest::help(
                &default.value,
                "choices",
                choices.iter().map(String::as_str),
            );
            let mut note = self
                .report
                .at(default.span, "the default is not one of the choices");
            if let Some(help) = help {
                note.help(help);
            }
        }
        let first = choices.first().map_or(default, String::as_str).to_owned();
        ForceField {
            label: value(raw.label).unwrap_or_else(|| label.into()),
            default: value(raw.default).unwrap_or(first),
            choices,
            required: value(raw.required).unwrap_or(false),
            hidden: value(raw.hidden).unwrap_or(false),
        }
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
            RawParameter::Any(raw) => return self.any_property(raw, group, fields),
            RawParameter::String(mut raw) => (raw.take_common(), self.string_kind(raw)),
            RawParameter::Fixed(mut raw) => (raw.take_common(), ParameterKind::Fixed),
            RawParameter::Worker(mut raw) => (raw.take_common(), ParameterKind::Worker),
            RawParameter::File(mut raw) => (raw.take_common(), self.file_kind(&raw)),
            RawParameter::Inherit(mut raw) => (raw.take_common(), self.inherit_kind(raw)),
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
        let label = value(common.label).unwrap_or_else(|| name.value.clone());
        let is_fixed = matches!(kind, ParameterKind::Fixed);
        Some(ForceParameter {
            tab_label: value(common.tab_label).unwrap_or_else(|| label.clone()),
            label,
            name: name.value,
            tooltip: value(common.tooltip),
            required: value(common.required).unwrap_or(false),
            hidden: value(common.hidden).unwrap_or(is_fixed),
            default,
            kind,
        })
    }

    fn any_property(
        &mut self,
        raw: RawAnyParameter,
        group: &str,
        fields: &mut FieldNames,
    ) -> Option<ForceParameter> {
        let name = raw.name?;
        self.claim_field(&name, group, fields);
        for field in ["name", "value"] {
            let field = At {
                value: join(&name.value, field),
                span: name.span,
            };
            self.claim_field(&field, group, fields);
        }
        let label = value(raw.label).unwrap_or_else(|| name.value.clone());
        Some(ForceParameter {
            tab_label: value(raw.tab_label).unwrap_or_else(|| label.clone()),
            label,
            name: name.value,
            tooltip: value(raw.tooltip),
            required: false,
            hidden: value(raw.hidden).unwrap_or(false),
            default: Value::Null,
            kind: ParameterKind::Any,
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
        if let Some(columns) = &raw.columns
            && !(1..=COLUMNS_MAX).contains(&columns.value)
        {
            self.report.at(
                columns.span,
                format!("must be a number from 1 to {COLUMNS_MAX}"),
            );
        }
        let label = value(raw.label).unwrap_or_else(|| name.clone());
        ForceParameter {
            tab_label: value(raw.tab_label).unwrap_or_else(|| label.clone()),
            label,
            name,
            tooltip: None,
            required: false,
            hidden: false,
            default: Value::Null,
            kind: ParameterKind::Nested {
                fields: inner,
                layout: match value(raw.layout) {
                    Some(ParameterLayout::Simple) => FormLayout::Simple,
                    Some(ParameterLayout::Tabs) => FormLayout::Tabs,
                    Some(ParameterLayout::Vertical) | None => FormLayout::Vertical,
                },
                columns: value(raw.columns),
            },
        }
    }

    /// A regular expression that a whole value has to match.
    fn whole_pattern(&mut self, regex: Option<At<String>>) -> Option<String> {
        let regex = regex?;
        self.pattern(&regex)?;
        Some(regex.value)
    }

    fn string_kind(&mut self, raw: RawStringParameter) -> ParameterKind {
        ParameterKind::String {
            regex: self.whole_pattern(raw.regex),
            size: self.at_least_one(raw.size).unwrap_or(STRING_SIZE_DEFAULT),
            chars_max: self.at_least_one(raw.max_length),
        }
    }

    fn file_kind(&mut self, raw: &RawFileParameter) -> ParameterKind {
        ParameterKind::File {
            bytes_max: self.file_size(raw.max_size.as_ref()),
        }
    }

    /// The largest file that a field takes, bytes.
    fn file_size(&mut self, size: Option<&At<ByteSize>>) -> u32 {
        let bytes_max = size.map_or(Some(FILE_BYTES_MAX), |size| {
            u32::try_from(size.value.0)
                .ok()
                .filter(|bytes| *bytes <= FILE_BYTES_MAX)
        });
        if let (None, Some(size)) = (bytes_max, size) {
            self.report
                .at(size.span, "must be at most 512KiB")
                .help("a larger file is for a step to fetch; the form can ask where it is");
        }
        bytes_max.unwrap_or(FILE_BYTES_MAX)
    }

    fn inherit_kind(&mut self, raw: RawInheritParameter) -> ParameterKind {
        let builders = self.references(Thing::Builder, raw.builders);
        ParameterKind::Inherit {
            builders: builders.unwrap_or_default(),
        }
    }

    fn text_kind(&mut self, raw: RawTextParameter) -> ParameterKind {
        ParameterKind::Text {
            chars_max: self.at_least_one(raw.max_length),
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
                ParameterKind::Int { .. } | ParameterKind::Nested { .. } | ParameterKind::Any => {
                    Value::Null
                }
                ParameterKind::Choice { multiple: true, .. } => Value::Array(Vec::new()),
                ParameterKind::Choice { choices, .. } => choices
                    .first()
                    .map_or(Value::Null, |first| Value::from(first.as_str())),
                ParameterKind::String { .. }
                | ParameterKind::Text { .. }
                | ParameterKind::Username { .. }
                | ParameterKind::Fixed
                | ParameterKind::File { .. }
                | ParameterKind::Worker
                | ParameterKind::Inherit { .. } => Value::from(""),
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
            let own = ["branch", "revision", "repository", "project"].as_slice();
            let patch = match codebase.patch {
                Some(_) => [
                    "patch",
                    "patch_body",
                    "patch_level",
                    "patch_author",
                    "patch_comment",
                    "patch_subdir",
                ]
                .as_slice(),
                None => &[],
            };
            let names = own.iter().chain(patch);
            names.map(|field| join(&codebase.codebase, field))
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
        ParameterKind::String { regex, .. } | ParameterKind::Text { regex, .. } => {
            fits_text(regex.as_ref(), value)
        }
        ParameterKind::Username { .. }
        | ParameterKind::File { .. }
        | ParameterKind::Worker
        | ParameterKind::Inherit { .. } => fits_text(None, value),
        ParameterKind::Choice {
            choices,
            multiple,
            strict,
        } => fits_choice(choices, *multiple, *strict, value),
        ParameterKind::Nested { .. } | ParameterKind::Any | ParameterKind::Fixed => Ok(()),
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
