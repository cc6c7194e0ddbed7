//! Steps in the editor schema: the keys of every step, and for each type its parameters.

use serde_json::{Map, Value, json};
use toolpost_core::PluginKind;

use super::{entry, tagged};
use crate::catalog::TypeCatalog;

/// What a string that is rendered later looks like.
const TEMPLATE_PATTERN: &str = "\\{[{%#]";

/// Replaces the definition of a step by one for each step type.
pub(super) fn put_types(definitions: &mut Map<String, Value>, catalog: &dyn TypeCatalog) {
    let Some(common) = definitions.remove("Step") else {
        return;
    };
    let mut names = catalog.names(PluginKind::Step);
    names.sort_unstable();
    let mut branches = Vec::new();
    for name in names {
        let Some(parameters) = catalog.parameters_schema(PluginKind::Step, &name) else {
            continue;
        };
        let definition = format!("step {name}");
        let pointer = format!("#/$defs/{}", escape(&definition));
        definitions.insert(
            definition,
            step_of_type(&common, &name, &parameters, &pointer),
        );
        branches.push(json!({ "$ref": pointer }));
    }
    let mut step = json!({ "description": common["description"] });
    // A list of no branches is not a schema; without step types there are no steps.
    if branches.is_empty() {
        step["not"] = json!({});
    } else {
        step["oneOf"] = Value::Array(branches);
    }
    definitions.insert("Step".into(), step);
}

/// The schema of a type's parameters, with the keys of every step added to it.
fn step_of_type(common: &Value, name: &str, parameters: &Value, pointer: &str) -> Value {
    let mut schema = match parameters {
        Value::Object(_) => parameters.clone(),
        _ => json!({}),
    };
    if let Some(root) = schema.as_object_mut() {
        for keyword in ["$schema", "$id", "title"] {
            root.remove(keyword);
        }
    }
    allow_templates(&mut schema);
    move_references(&mut schema, pointer);
    if let (Some(root), Some(keys)) = (schema.as_object_mut(), common["properties"].as_object()) {
        root.insert("type".into(), json!("object"));
        let properties = entry(root, "properties", json!({}));
        for (key, of_key) in keys {
            properties[key.as_str()] = of_key.clone();
        }
    }
    tagged(schema, "use", name)
}

/// References into a schema that is now part of a larger one.
fn move_references(schema: &mut Value, pointer: &str) {
    match schema {
        Value::Object(keywords) => {
            for (keyword, value) in keywords {
                match value {
                    Value::String(target) if keyword == "$ref" && target.starts_with('#') => {
                        *target = format!("{pointer}{}", &target[1..]);
                    }
                    // What these hold is data, even if it looks like a schema.
                    _ if matches!(keyword.as_str(), "const" | "enum" | "default" | "examples") => {}
                    _ => move_references(value, pointer),
                }
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| move_references(item, pointer)),
        _ => {}
    }
}

/// Lets a template take the place of every value, except of the parameters as a whole.
fn allow_templates(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else {
        return;
    };
    for (keyword, value) in keywords.iter_mut() {
        match (keyword.as_str(), value) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions",
                Value::Object(named),
            ) => {
                named.values_mut().for_each(or_template);
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(branches)) => {
                branches.iter_mut().for_each(allow_templates);
            }
            ("items" | "additionalProperties" | "contains", value) => or_template(value),
            ("if" | "then" | "else", value) => allow_templates(value),
            _ => {}
        }
    }
}

fn or_template(schema: &mut Value) {
    allow_templates(schema);
    let Value::Object(keywords) = schema else {
        return;
    };
    let plain_string = keywords.get("type") == Some(&json!("string"))
        && keywords.keys().all(|keyword| {
            matches!(
                keyword.as_str(),
                "type" | "description" | "title" | "default"
            )
        });
    if keywords.is_empty() || plain_string {
        return;
    }
    let mut wrapped = Map::new();
    for keyword in ["title", "description", "default"] {
        wrapped.extend(keywords.remove_entry(keyword));
    }
    let template = json!({ "type": "string", "pattern": TEMPLATE_PATTERN });
    wrapped.insert("anyOf".into(), json!([schema.take(), template]));
    *schema = Value::Object(wrapped);
}

/// A key in a JSON pointer in a URI fragment.
fn escape(key: &str) -> String {
    let mut escaped = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'~' => escaped.push_str("~0"),
            b'/' => escaped.push_str("~1"),
            b'-' | b'_' | b'.' => escaped.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => escaped.push(byte.into()),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
