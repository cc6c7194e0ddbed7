//! Steps, schedulers of plugins and reporters in the editor schema: the keys that all have, and for each type its parameters.

use serde_json::{Map, Value, json};
use toolpost_core::PluginKind;

use super::{entry, tagged};
use crate::catalog::TypeCatalog;

/// What a string that is rendered later looks like.
const TEMPLATE_PATTERN: &str = "\\{[{%#]";

/// Replaces the definition `name` by one for each type of the kind.
pub(super) fn put(
    definitions: &mut Map<String, Value>,
    catalog: &dyn TypeCatalog,
    kind: PluginKind,
    name: &str,
) {
    let Some(common) = definitions.remove(name) else {
        return;
    };
    let mut types = catalog.names(kind);
    types.sort_unstable();
    let mut branches = Vec::new();
    for type_name in types {
        let Some(parameters) = catalog.parameters_schema(kind, &type_name) else {
            continue;
        };
        let definition = format!("{kind} {type_name}");
        let pointer = format!("#/$defs/{}", escape(&definition));
        let mut schema = own_schema(&parameters);
        // Only the parameters of steps are rendered.
        if kind == PluginKind::Step {
            allow_templates(&mut schema);
        }
        move_references(&mut schema, &pointer);
        definitions.insert(definition, of_type(schema, &common, &type_name));
        branches.push(json!({ "$ref": pointer }));
    }
    let mut any = json!({ "description": common["description"] });
    // A list of no branches is not a schema; without types there is nothing that could be used.
    if branches.is_empty() {
        any["not"] = json!({});
    } else {
        any["oneOf"] = Value::Array(branches);
    }
    definitions.insert(name.into(), any);
}

/// The schema of parameters, as a part of a larger one.
fn own_schema(parameters: &Value) -> Value {
    let mut schema = match parameters {
        Value::Object(_) => parameters.clone(),
        _ => json!({}),
    };
    if let Some(root) = schema.as_object_mut() {
        for keyword in ["$schema", "$id", "title"] {
            root.remove(keyword);
        }
    }
    schema
}

/// The schema of a type's parameters, with the keys added that all of the kind have.
fn of_type(mut schema: Value, common: &Value, name: &str) -> Value {
    if let (Some(root), Some(keys)) = (schema.as_object_mut(), common["properties"].as_object()) {
        root.insert("type".into(), json!("object"));
        let properties = entry(root, "properties", json!({}));
        for (key, of_key) in keys {
            properties[key.as_str()] = of_key.clone();
        }
        let required = entry(root, "required", json!([]));
        if let (Some(required), Some(of_all)) =
            (required.as_array_mut(), common["required"].as_array())
        {
            required.extend(of_all.iter().filter(|key| *key != "use").cloned());
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
