//! A JSON Schema of the configuration, for editors: completion, hints and red lines while one writes.
//!
//! It says the same as the check about keys and types, and nothing about what names refer to.

mod types;

use schemars::generate::SchemaSettings;
use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};
use toolpost_core::PluginKind;

use crate::catalog::TypeCatalog;
use crate::raw::RawConfig;

/// The schema, with the parameters of every type of the catalog.
#[must_use]
pub fn json_schema(catalog: &dyn TypeCatalog) -> Value {
    let mut root = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<RawConfig>();
    root.insert("title".into(), json!("Toolpost configuration"));
    if let Some(definitions) = root.get_mut("$defs").and_then(Value::as_object_mut) {
        types::put(definitions, catalog, PluginKind::Step, "Step");
        types::put(
            definitions,
            catalog,
            PluginKind::Scheduler,
            "PluginScheduler",
        );
        types::put(definitions, catalog, PluginKind::Reporter, "Reporter");
    }
    root.to_value()
}

/// The schema of a table, key by key.
pub(crate) struct TableSchema {
    description: String,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

impl TableSchema {
    pub(crate) fn new(doc: &str) -> Self {
        Self {
            description: sentence(doc),
            properties: Map::new(),
            required: Vec::new(),
        }
    }

    pub(crate) fn key(&mut self, key: &'static str, doc: &str, required: bool, mut schema: Schema) {
        schema.insert("description".into(), Value::from(sentence(doc)));
        self.properties.insert(key.into(), schema.to_value());
        if required {
            self.required.push(key);
        }
    }

    /// `open` tables take other keys too.
    pub(crate) fn finish(self, open: bool) -> Schema {
        json_schema!({
            "description": self.description,
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": open,
        })
    }
}

/// The schema of a table whose kind is said by its key `tag`.
pub(crate) fn choice(doc: &str, tag: &str, variants: Vec<(&str, Schema)>) -> Schema {
    let branches: Vec<Value> = variants
        .into_iter()
        .map(|(word, schema)| tagged(schema.to_value(), tag, word))
        .collect();
    json_schema!({ "description": sentence(doc), "oneOf": branches })
}

/// Adds to the schema of a table that its key `tag` is there and is `word`.
fn tagged(mut table: Value, tag: &str, word: &str) -> Value {
    if let Some(table) = table.as_object_mut() {
        let properties = entry(table, "properties", json!({}));
        properties[tag] = json!({ "const": word });
        let required = entry(table, "required", json!([]));
        if let Some(required) = required.as_array_mut()
            && !required.iter().any(|key| key == tag)
        {
            required.push(tag.into());
        }
    }
    table
}

/// The value of a keyword, with a default.
fn entry<'v>(table: &'v mut Map<String, Value>, key: &str, default: Value) -> &'v mut Value {
    table.entry(key).or_insert(default)
}

/// A doc comment as one line.
fn sentence(doc: &str) -> String {
    let words: Vec<&str> = doc.split_whitespace().collect();
    words.join(" ")
}
