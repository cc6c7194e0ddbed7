//! Step types for the tests, and the verbs of the tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use toolpost_config::{Config, Sources, TypeCatalog, check};
use toolpost_core::PluginKind;

pub(crate) type Catalog = BTreeMap<PluginKind, BTreeMap<String, Arc<Value>>>;

/// A worker, a builder and a lock for texts that need some.
pub(crate) const BASE: &str = r#"
[[worker]]
name = "w"
kind = "local"

[[builder]]
name = "b"
workers = ["w"]

[[lock]]
name = "disk"
max_count = 2
"#;

/// Schemas as `schemars` makes them for native steps and for plugins.
pub(crate) fn catalog() -> Catalog {
    let shell = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Shell",
        "type": "object",
        "properties": {
            "command": {
                "description": "A command line, or a program with its arguments.",
                "anyOf": [
                    { "type": "string" },
                    { "type": "array", "items": { "type": "string" }, "minItems": 1 }
                ]
            },
            "env": { "type": "object", "additionalProperties": { "type": "string" } },
            "timeout_s": { "type": ["integer", "null"], "minimum": 1 },
            "want_stdout": { "type": "boolean", "default": true },
        },
        "required": ["command"],
        "additionalProperties": false,
    });
    let git = json!({
        "type": "object",
        "properties": {
            "repository": { "type": "string", "minLength": 1 },
            "branch": { "type": ["string", "null"] },
            "mode": { "$ref": "#/$defs/Mode" },
            "submodules": { "type": "boolean" },
            "shallow": { "anyOf": [{ "type": "boolean" }, { "type": "integer", "minimum": 1 }] },
        },
        "required": ["repository"],
        "additionalProperties": false,
        "$defs": {
            "Mode": {
                "oneOf": [
                    { "description": "From scratch.", "type": "string", "const": "full" },
                    { "description": "As it is.", "type": "string", "const": "incremental" },
                ],
            },
        },
    });
    let property = json!({
        "type": "object",
        "properties": {
            "property": { "type": "string" },
            "extract": { "type": "string" },
            "stream": { "enum": ["stdout", "stderr"] },
            "value": true,
        },
        "anyOf": [{ "required": ["property"] }, { "required": ["extract"] }],
        "additionalProperties": false,
    });
    let summary = json!({
        "type": "object",
        "properties": {
            "source": { "$ref": "#/$defs/Source" },
            "fail_below_percent": { "type": "number", "minimum": 0, "maximum": 100 },
            "name_pattern": { "type": "string", "pattern": "^[a-z]+$" },
            "labels": { "type": "array", "items": { "type": "string" }, "uniqueItems": true },
        },
        "required": ["source"],
        "additionalProperties": false,
        "$defs": {
            "Source": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {
                            "kind": { "const": "file" },
                            "path": { "type": "string" },
                        },
                        "required": ["kind", "path"],
                        "additionalProperties": false,
                    },
                    {
                        "type": "object",
                        "properties": {
                            "kind": { "const": "command" },
                            "argv": { "type": "array", "items": { "type": "string" } },
                            "max_lines": { "type": "integer" },
                        },
                        "required": ["kind", "argv"],
                        "additionalProperties": false,
                    },
                ],
            },
        },
    });
    let broken = json!({ "type": "object", "properties": { "x": { "type": "strnig" } } });
    let chat = json!({
        "type": "object",
        "properties": {
            "room": { "type": "string" },
            "message": { "type": "string" },
            "lines": { "type": "integer", "minimum": 1 },
        },
        "required": ["room"],
        "additionalProperties": false,
    });
    let steps = [
        ("shell", shell),
        ("git", git),
        ("set-property", property),
        ("test-summary", summary),
        ("broken", broken),
    ];
    let nightly = json!({
        "type": "object",
        "properties": {
            "at": { "type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$" },
            "days": { "type": "array", "items": { "enum": ["mon", "tue"] } },
        },
        "required": ["at"],
        "additionalProperties": false,
    });
    let named = |(name, schema): (&str, Value)| (name.to_owned(), Arc::new(schema));
    Catalog::from([
        (PluginKind::Step, steps.map(named).into()),
        (
            PluginKind::Scheduler,
            [("nightly", nightly)].map(named).into(),
        ),
        (PluginKind::Reporter, [("chat", chat)].map(named).into()),
    ])
}

/// Every name is a step type, and every parameter is good: for configurations whose step types are not
/// the matter of this crate.
pub(crate) struct AnyStepType;

impl TypeCatalog for AnyStepType {
    fn names(&self, _: PluginKind) -> Vec<String> {
        [
            "git",
            "set-property-from-command",
            "shell",
            "compile-warnings",
            "test-summary",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn parameters_schema(&self, _: PluginKind, _: &str) -> Option<Arc<Value>> {
        Some(Arc::new(json!({ "type": "object" })))
    }
}

/// The example configurations of the repository.
pub(crate) fn examples() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let names = ["minimal.toml", "farm.toml", "demo/toolpost.toml"];
    names.map(|name| dir.join(name)).to_vec()
}

/// What a person is told about a text, next to [`BASE`].
pub(crate) fn problems(text: &str) -> String {
    problems_in([("toolpost.toml", text), ("conf.d/base.toml", BASE)])
}

/// What a person is told about some files.
pub(crate) fn problems_in<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> String {
    let sources = Sources::from_texts("/farm", files);
    match check(&sources, &catalog()) {
        Ok(_) => "no problem".into(),
        Err(problems) => problems.to_string(),
    }
}

/// The configuration of a text, next to [`BASE`].
pub(crate) fn good(text: &str) -> Config {
    let sources = Sources::from_texts(
        "/farm",
        [("toolpost.toml", text), ("conf.d/base.toml", BASE)],
    );
    check(&sources, &catalog()).unwrap_or_else(|problems| panic!("{problems}"))
}
