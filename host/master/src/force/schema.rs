//! The form of a scheduler of a plugin: fields made from the JSON Schema that the plugin gives, and the values that were
//! filled in, in the types of the schema.

use serde_json::{Map, Value};
use toolpost_config::ForceField;

use super::form::{FieldKind, ForceForm, FormField, fixed, group, join, nested, one_line};
use super::validate::{FieldErrors, Reader};

/// The group that the plugin's fields are in, so that their names are no others' names.
pub(super) const GROUP: &str = "values";

/// Groups within groups that become fields; what is deeper is filled in as JSON.
const DEPTH_MAX: usize = 6;

/// References from one part of a schema to another that are followed.
const REFERENCES_MAX: usize = 16;

/// Size of a field for JSON.
const JSON_COLUMNS: u32 = 80;
const JSON_ROWS: u32 = 4;

/// What was filled in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filled {
    pub(super) owner: String,
    pub(super) reason: String,
    pub(super) values: Map<String, Value>,
}

/// The form for values of this schema.
pub(super) fn form(name: &str, builders: &[String], summary: &str, schema: &Value) -> ForceForm {
    let who_and_why = vec![
        FormField {
            kind: FieldKind::Username { need_email: false },
            ..fixed("username", "", &labelled("Your name"))
        },
        fixed("reason", "", &labelled("Reason")),
    ];
    let values = fields_of(schema, schema, GROUP, 0);
    let mut fields = vec![group("", "", nested(who_and_why))];
    if !values.is_empty() {
        fields.push(FormField {
            tooltip: summary.into(),
            ..group(GROUP, "", nested(values))
        });
    }
    ForceForm {
        enabled: true,
        name: name.into(),
        label: name.into(),
        button: name.into(),
        builders: builders.to_vec(),
        chooses_builders: false,
        fields,
    }
}

/// Reads what was sent for such a form. Values may be sent field by field, or as one object under the name of
/// their group, in their own types.
///
/// # Errors
/// Messages by the full name of the field.
pub(super) fn read(
    form: &ForceForm,
    owner: Option<&str>,
    sent: &Map<String, Value>,
) -> Result<Filled, FieldErrors> {
    let mut reader = Reader::new(sent);
    let mut about = Map::new();
    let whole = sent.get(GROUP).and_then(Value::as_object);
    let mut values = whole.cloned().unwrap_or_default();
    for field in &form.fields {
        if field.name.is_empty() {
            collect(&mut reader, field.kind.fields(), &mut about);
        } else if whole.is_none() {
            collect(&mut reader, field.kind.fields(), &mut values);
        }
    }
    reader.finish()?;
    let text = |name: &str| {
        let text = about.get(name).and_then(Value::as_str);
        text.unwrap_or_default().trim().to_owned()
    };
    Ok(Filled {
        owner: owner.map_or_else(|| text("username"), str::to_owned),
        reason: text("reason"),
        values,
    })
}

/// Puts in what was filled in; what was left empty and has no default stays away.
fn collect(reader: &mut Reader<'_>, fields: &[FormField], into: &mut Map<String, Value>) {
    for field in fields {
        let value = match &field.kind {
            FieldKind::Nested { fields, .. } => {
                let mut inner = Map::new();
                collect(reader, fields, &mut inner);
                Some(Value::Object(inner)).filter(|inner| {
                    field.required || inner.as_object().is_some_and(|inner| !inner.is_empty())
                })
            }
            _ => reader.read(field),
        };
        if let Some(value) = value.filter(|value| !value.is_null()) {
            into.insert(field.name.clone(), value);
        }
    }
}

fn labelled(label: &str) -> ForceField {
    ForceField {
        label: label.into(),
        ..ForceField::default()
    }
}

fn fields_of(root: &Value, object: &Value, parent: &str, depth: usize) -> Vec<FormField> {
    let required: Vec<&str> = object["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = object["properties"].as_object();
    let fields = properties.into_iter().flatten().map(|(name, schema)| {
        let is_required = required.contains(&name.as_str());
        field(root, schema, parent, name, is_required, depth)
    });
    fields.collect()
}

fn field(
    root: &Value,
    schema: &Value,
    parent: &str,
    name: &str,
    required: bool,
    depth: usize,
) -> FormField {
    let meaning = resolve(root, schema);
    // What is said where it is used counts before what is said where it is defined.
    let said = |key: &str| [schema, meaning].into_iter().find_map(|of| of.get(key));
    let text = |key: &str| said(key).and_then(Value::as_str).map(str::to_owned);
    let full_name = join(parent, name);
    let kind = kind(root, meaning, &full_name, depth);
    let label = text("title").unwrap_or_else(|| name.to_owned());
    FormField {
        tab_label: label.clone(),
        label,
        tooltip: text("description").unwrap_or_default(),
        default: said("default").cloned().unwrap_or_default(),
        // A box that is not ticked says no.
        required: required && kind != FieldKind::Bool,
        hidden: false,
        name: name.into(),
        full_name,
        kind,
    }
}

fn kind(root: &Value, schema: &Value, full_name: &str, depth: usize) -> FieldKind {
    if let Some(choices) = choices(schema) {
        return list(choices, false);
    }
    match type_of(schema) {
        Some("boolean") => FieldKind::Bool,
        Some("integer") => FieldKind::Int {
            min: schema["minimum"].as_i64(),
            max: schema["maximum"].as_i64(),
        },
        Some("number") => FieldKind::Number {
            min: schema["minimum"].as_f64(),
            max: schema["maximum"].as_f64(),
        },
        Some("string") => one_line(),
        Some("array") => match choices(resolve(root, &schema["items"])) {
            Some(choices) => list(choices, true),
            None => json(),
        },
        Some("object") if depth < DEPTH_MAX => {
            match fields_of(root, schema, full_name, depth + 1) {
                fields if fields.is_empty() => json(),
                fields => nested(fields),
            }
        }
        _ => json(),
    }
}

fn list(choices: Vec<String>, multiple: bool) -> FieldKind {
    FieldKind::List {
        choices,
        multiple,
        strict: true,
    }
}

fn json() -> FieldKind {
    FieldKind::Json {
        columns: JSON_COLUMNS,
        rows: JSON_ROWS,
    }
}

/// The schema that a reference means, or the only one that is not "nothing".
fn resolve<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    for _ in 0..REFERENCES_MAX {
        let target = schema["$ref"].as_str().and_then(|at| at.strip_prefix('#'));
        let next = match target {
            Some(pointer) => root.pointer(pointer),
            None => only_branch(schema),
        };
        match next {
            Some(next) => schema = next,
            None => return schema,
        }
    }
    schema
}

fn only_branch(schema: &Value) -> Option<&Value> {
    let keywords = ["anyOf", "oneOf", "allOf"].into_iter();
    let branches = keywords
        .filter_map(|keyword| schema[keyword].as_array())
        .next()?;
    let mut some = branches.iter().filter(|branch| branch["type"] != "null");
    let only = some.next()?;
    // A word by itself is a choice of one.
    (some.next().is_none() && only.get("const").is_none()).then_some(only)
}

/// The type of its values; an absent one beside it does not count.
fn type_of(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(name) => Some(name),
        Value::Array(names) => {
            let mut names = names.iter().filter_map(Value::as_str);
            names.find(|name| *name != "null")
        }
        _ => None,
    }
}

/// The words of which it takes one.
fn choices(schema: &Value) -> Option<Vec<String>> {
    if let Some(values) = schema["enum"].as_array() {
        let words = values.iter().filter(|value| !value.is_null());
        return words.map(|word| word.as_str().map(str::to_owned)).collect();
    }
    let branches = schema["oneOf"].as_array()?;
    let words = branches.iter().filter(|branch| branch["type"] != "null");
    words
        .map(|branch| branch["const"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["depth", "target"],
            "properties": {
                "depth": { "type": "integer", "minimum": 1, "maximum": 9, "title": "How deep" },
                "share": { "type": ["number", "null"], "minimum": 0, "description": "Of all." },
                "clean": { "type": "boolean", "default": true },
                "note": { "type": "string" },
                "target": { "$ref": "#/$defs/Target", "default": { "os": "linux" } },
                "tags": { "type": "array", "items": { "enum": ["a", "b"] } },
                "extra": { "type": "array", "items": { "type": "integer" } },
            },
            "$defs": {
                "Target": {
                    "type": "object",
                    "description": "Where.",
                    "required": ["os"],
                    "properties": {
                        "os": { "anyOf": [{ "$ref": "#/$defs/Os" }, { "type": "null" }] },
                        "bits": { "type": "integer", "default": 64 },
                    },
                },
                "Os": { "oneOf": [{ "const": "linux" }, { "const": "mac" }] },
            },
        })
    }

    fn shown(fields: &[FormField]) -> Vec<String> {
        fields
            .iter()
            .flat_map(|field| {
                let mark = if field.required { "!" } else { "" };
                let line = format!(
                    "{}{mark} {} {:?}",
                    field.full_name,
                    field.label,
                    field.kind.name()
                );
                let inner = shown(field.kind.fields());
                std::iter::once(line).chain(inner)
            })
            .collect()
    }

    fn filled(sent: &Value) -> Result<Value, FieldErrors> {
        let form = form("s", &["b".to_owned()], "does it", &schema());
        let filled = read(&form, Some("ada"), sent.as_object().unwrap())?;
        assert_eq!(filled.owner, "ada");
        Ok(Value::Object(filled.values))
    }

    #[test]
    fn a_schema_becomes_fields() {
        let form = form("s", &[], "does it", &schema());
        let expected = [
            " \"nested\"",
            "username Your name \"username\"",
            "reason Reason \"text\"",
            "values  \"nested\"",
            "values_depth! How deep \"int\"",
            "values_share share \"text\"",
            "values_clean clean \"bool\"",
            "values_note note \"text\"",
            "values_target! target \"nested\"",
            "values_target_os! os \"list\"",
            "values_target_bits bits \"int\"",
            "values_tags tags \"list\"",
            "values_extra extra \"textarea\"",
        ];
        let shown = shown(&form.fields);
        let shown: Vec<&str> = shown
            .iter()
            .map(|line| line.trim_start_matches(' '))
            .collect();
        let expected: Vec<&str> = expected.iter().map(|line| line.trim_start()).collect();
        assert_eq!(shown, expected);
        assert!(!form.chooses_builders);
        let target = &form.fields[1].kind.fields()[4];
        assert_eq!(target.tooltip, "Where.");
    }

    #[test]
    fn what_a_page_sends_gets_the_types_of_the_schema() {
        let sent = json!({
            "values_depth": "3", "values_share": "0.5", "values_clean": false, "values_note": " ",
            "values_target_os": "mac", "values_tags": ["b"], "values_extra": "[1, 2]",
        });
        let expected = json!({
            "depth": 3, "share": 0.5, "clean": false, "target": { "os": "mac", "bits": 64 },
            "tags": ["b"], "extra": [1, 2],
        });
        assert_eq!(filled(&sent), Ok(expected));
    }

    #[test]
    fn an_object_is_taken_as_it_is() {
        let values = json!({ "depth": 1, "target": { "os": "linux" } });
        assert_eq!(filled(&json!({ "values": values })), Ok(values));
    }

    #[test]
    fn every_field_says_what_is_wrong_with_it() {
        let sent = json!({
            "values_depth": "12", "values_share": "half", "values_target_os": "windows",
            "values_extra": "[1",
        });
        let errors = filled(&sent).unwrap_err();
        let names: Vec<&str> = errors.keys().map(String::as_str).collect();
        let expected = [
            "values_depth",
            "values_extra",
            "values_share",
            "values_target_os",
        ];
        assert_eq!(names, expected);
        assert_eq!(errors["values_depth"], "`How deep` is at most 9");
        assert_eq!(errors["values_share"], "`share` takes a number");
        assert!(errors["values_extra"].starts_with("`extra` takes JSON: "));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({
            "properties": { "x": { "$ref": "#/properties/x" }, "y": { "$ref": "#" } },
            "type": "object",
        });
        assert_eq!(form("s", &[], "", &schema).fields.len(), 2);
    }
}
