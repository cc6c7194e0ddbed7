//! Checks what somebody sent for a form and turns it into what a build set needs. Pure.
//!
//! Every field is checked, so that a person sees all mistakes at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toolpost_core::Properties;
use toolpost_core::model::SourceStampSpec;
use toolpost_core::patch::Patch;

use super::form::{ANY_WORKER, FieldKind, ForceForm, FormField, PATCH};
use super::value::{is_blank, label, scalar};

/// Source of properties that came from a form, as Buildbot writes it.
pub(crate) const FORM_SOURCE: &str = "Force Build Form";

/// Messages by the full name of the field.
pub(crate) type FieldErrors = BTreeMap<String, String>;

/// What a form asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forced {
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) priority: i32,
    pub(crate) sourcestamps: Vec<SourceStampSpec>,
    /// By codebase.
    pub(crate) patches: BTreeMap<String, Patch>,
    pub(crate) properties: Properties,
    /// Builds whose parameters are taken over.
    pub(crate) inherited: Vec<Inherited>,
}

/// A build whose parameters are taken over: what was filled in, of which nothing is known yet but that it looks like a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inherited {
    /// The field, for what is wrong with it.
    pub(crate) full_name: String,
    /// Builders whose builds it may be.
    pub(crate) builders: Vec<String>,
    /// Name of the builder.
    pub(crate) builder: String,
    /// Number of the build.
    pub(crate) number: i64,
}

/// Reads the fields that were sent for this form.
///
/// `owner` is who is logged in, if anybody; otherwise the field `username` says who.
pub(crate) fn validate(
    form: &ForceForm,
    owner: Option<&str>,
    sent: &Map<String, Value>,
) -> Result<Forced, FieldErrors> {
    let mut reader = Reader::new(sent);
    let mut values = Map::new();
    let mut sourcestamps = Vec::new();
    let mut patches = BTreeMap::new();
    let mut about = Map::new();
    for (index, field) in form.fields.iter().enumerate() {
        match &field.kind {
            FieldKind::Nested { fields, .. } if index == 0 => {
                let asked = fields
                    .iter()
                    .filter(|field| field.name != "username" || owner.is_none());
                reader.group(asked, &mut about);
            }
            FieldKind::Codebase { codebase, fields } => {
                let mut stamp = Map::new();
                reader.group(fields, &mut stamp);
                if let Some(patch) = reader.patch(fields, &stamp) {
                    patches.insert(codebase.clone(), patch);
                }
                sourcestamps.push(source_stamp(codebase, &stamp));
            }
            _ => reader.field(field, &mut values),
        }
    }
    let inherited = reader.finish()?;
    let owner = owner.map_or_else(|| text(&about, "username"), str::to_owned);
    let reason = text(&about, "reason");
    let mut properties: Properties = Properties::new();
    for (name, value) in values {
        properties.set(name, value, FORM_SOURCE);
    }
    properties.set("reason", reason.clone(), FORM_SOURCE);
    properties.set("owner", owner.clone(), FORM_SOURCE);
    let priority = about.get("priority").and_then(Value::as_i64).unwrap_or(0);
    Ok(Forced {
        owner,
        reason,
        priority: i32::try_from(priority).unwrap_or(0),
        sourcestamps,
        patches,
        properties,
        inherited,
    })
}

fn text(values: &Map<String, Value>, name: &str) -> String {
    values
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn source_stamp(codebase: &str, values: &Map<String, Value>) -> SourceStampSpec {
    let optional = |name| Some(text(values, name)).filter(|text| !text.is_empty());
    SourceStampSpec {
        codebase: codebase.into(),
        repository: text(values, "repository"),
        branch: optional("branch"),
        revision: optional("revision"),
        project: text(values, "project"),
        // It is stored together with the build set.
        patch: None,
    }
}

/// Reads fields, and keeps what is wrong with them.
pub(super) struct Reader<'a> {
    sent: &'a Map<String, Value>,
    errors: FieldErrors,
    inherited: Vec<Inherited>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sent: &'a Map<String, Value>) -> Self {
        Self {
            sent,
            errors: FieldErrors::new(),
            inherited: Vec::new(),
        }
    }

    /// The builds whose parameters are taken over, if nothing is wrong.
    pub(super) fn finish(self) -> Result<Vec<Inherited>, FieldErrors> {
        match self.errors.is_empty() {
            true => Ok(self.inherited),
            false => Err(self.errors),
        }
    }

    /// The value of a field that is no group; `None` when something is wrong with it.
    pub(super) fn read(&mut self, field: &FormField) -> Option<Value> {
        match self.value(field) {
            Ok(value) => Some(value),
            Err(message) => {
                self.errors.insert(field.full_name.clone(), message);
                None
            }
        }
    }

    fn group<'f>(
        &mut self,
        fields: impl IntoIterator<Item = &'f FormField>,
        into: &mut Map<String, Value>,
    ) {
        for field in fields {
            self.field(field, into);
        }
    }

    /// The patch of a codebase, if there is one and nothing is wrong with it.
    fn patch(&mut self, fields: &[FormField], stamp: &Map<String, Value>) -> Option<Patch> {
        let group = fields.iter().find(|field| field.name == PATCH)?;
        let values = stamp.get(PATCH)?.as_object()?;
        // White space at its ends is part of it.
        let body = values.get("body")?.as_str()?;
        if body.is_empty() {
            return None;
        }
        let level = values.get("level").and_then(Value::as_i64).unwrap_or(1);
        let patch = Patch {
            level: u32::try_from(level).unwrap_or_default(),
            body: body.into(),
            author: text(values, "author"),
            comment: text(values, "comment"),
            subdir: text(values, "subdir"),
        };
        let fault = match patch.check() {
            Ok(()) => return Some(patch),
            Err(fault) => fault,
        };
        let field = group
            .kind
            .fields()
            .iter()
            .find(|field| field.name == fault.part);
        let (full_name, label) =
            field.map_or((PATCH, PATCH), |field| (&field.full_name, label(field)));
        let message = format!("`{label}` {}", fault.message);
        self.errors.entry(full_name.to_owned()).or_insert(message);
        None
    }

    /// Reads one field into `into`, under its own name; the fields of a group without a name go there
    /// directly.
    fn field(&mut self, field: &FormField, into: &mut Map<String, Value>) {
        match &field.kind {
            FieldKind::Nested { fields, .. } if field.name.is_empty() => self.group(fields, into),
            FieldKind::Nested { fields, .. } => {
                let mut values = Map::new();
                self.group(fields, &mut values);
                into.insert(field.name.clone(), Value::Object(values));
            }
            FieldKind::Any { fields } => self.any(field, fields, into),
            kind => {
                let Some(value) = self.read(field) else {
                    return;
                };
                match kind {
                    // Nobody was chosen.
                    FieldKind::Worker { .. } if value == ANY_WORKER || is_blank(&value) => {}
                    FieldKind::Inherit { builders, .. } => {
                        self.inherit(field, builders, &value, into);
                    }
                    _ => {
                        into.insert(field.name.clone(), value);
                    }
                }
            }
        }
    }

    /// A property by the name that was filled in, if one was.
    fn any(&mut self, field: &FormField, fields: &[FormField], into: &mut Map<String, Value>) {
        let mut pair = Map::new();
        if !field.hidden {
            self.group(fields, &mut pair);
        }
        let part = |name: &str| text(&pair, name);
        let (name, value) = (part("name"), part("value"));
        if name.is_empty() {
            return;
        }
        for (what, given) in [("name", &name), ("value", &value)] {
            if !given.chars().all(is_of_a_property) {
                let message =
                    format!("a {what} of a property has letters, digits and `_ . - / ~ :`");
                self.errors
                    .insert(format!("{}_{what}", field.full_name), message);
            }
        }
        into.insert(name, Value::from(value));
    }

    /// The build that was chosen, to be looked up by who can.
    fn inherit(
        &mut self,
        field: &FormField,
        builders: &[String],
        value: &Value,
        into: &mut Map<String, Value>,
    ) {
        let given = value.as_str().unwrap_or_default().trim();
        if given.is_empty() {
            return;
        }
        // The name of a builder may have slashes and spaces; after the number other words may follow.
        let found = given.rsplit_once('/').and_then(|(builder, rest)| {
            let number = rest.split(' ').next()?.parse().ok()?;
            Some((builder.to_owned(), number))
        });
        let Some((builder, number)) = found else {
            let message = format!("`{given}` is not a build: write `BUILDER/NUMBER`");
            self.errors.insert(field.full_name.clone(), message);
            return;
        };
        into.insert(field.name.clone(), format!("{builder}/{number}").into());
        self.inherited.push(Inherited {
            full_name: field.full_name.clone(),
            builders: builders.to_vec(),
            builder,
            number,
        });
    }

    fn value(&self, field: &FormField) -> Result<Value, String> {
        if field.kind == FieldKind::Fixed {
            return Ok(field.default.clone());
        }
        let several = matches!(field.kind, FieldKind::List { multiple: true, .. });
        // A field may be sent as a list of one, as older clients do.
        let given: Vec<&Value> = match self.sent.get(&field.full_name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(values)) => values.iter().collect(),
            Some(value) => vec![value],
        };
        let given: Vec<&Value> = given.into_iter().filter(|value| !is_blank(value)).collect();
        if given.is_empty() || field.hidden {
            if field.required && is_blank(&field.default) {
                return Err(format!("`{}` needs a value", label(field)));
            }
            return Ok(field.default.clone());
        }
        if several {
            return given.iter().map(|value| scalar(field, value)).collect();
        }
        match given[..] {
            [value] => scalar(field, value),
            _ => Err(format!("`{}` takes one value", label(field))),
        }
    }
}

/// What Buildbot takes in names and values of properties that people make up.
fn is_of_a_property(c: char) -> bool {
    c.is_alphanumeric() || "_.-/~:".contains(c)
}

#[cfg(test)]
mod tests;
