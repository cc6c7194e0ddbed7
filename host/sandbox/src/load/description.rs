//! What `describe` told, checked.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::LoadError;
use crate::bindings::exports::toolpost::plugin::plugin::{Capability, PluginInfo};
use crate::plugin::StepTypeInfo;

/// Bytes of a plugin's or step type's name.
const NAME_BYTES_MAX: usize = 64;
/// Bytes of a version.
const VERSION_BYTES_MAX: usize = 64;
/// Bytes of a description or summary.
const TEXT_BYTES_MAX: usize = 1 << 10;
/// Step types of a plugin.
const STEP_TYPES_MAX: usize = 64;
/// Bytes of a schema.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// A checked description.
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) steps: Vec<Arc<StepTypeInfo>>,
    /// The same for the record.
    pub(crate) json: Value,
}

/// Checks everything that a plugin says about itself.
pub(super) fn check(info: PluginInfo) -> Result<Description, LoadError> {
    let wrong = |text: String| Err(LoadError::Description(text));
    if let Some(objection) = name_objection(&info.name) {
        return wrong(format!("the name of the plugin {objection}"));
    }
    if info.version.is_empty() || info.version.len() > VERSION_BYTES_MAX {
        return wrong(format!(
            "its version must have 1 to {VERSION_BYTES_MAX} bytes"
        ));
    }
    if info.description.len() > TEXT_BYTES_MAX {
        return wrong(format!("its description may have {TEXT_BYTES_MAX} bytes"));
    }
    if info.steps.is_empty() || info.steps.len() > STEP_TYPES_MAX {
        return wrong(format!("it must have 1 to {STEP_TYPES_MAX} step types"));
    }
    if let Some(wish) = info.wants.first() {
        return Err(LoadError::NotGranted(wish_text(wish)));
    }
    let mut names = BTreeSet::new();
    let mut steps = Vec::new();
    for step in info.steps {
        if let Some(objection) = name_objection(&step.name) {
            return wrong(format!(
                "the name of step type `{}` {objection}",
                step.name.escape_debug()
            ));
        }
        if !names.insert(step.name.clone()) {
            return wrong(format!("it has two step types `{}`", step.name));
        }
        if step.summary.len() > TEXT_BYTES_MAX {
            return wrong(format!(
                "the summary of step type `{}` may have {TEXT_BYTES_MAX} bytes",
                step.name
            ));
        }
        let step_type = step.name.clone();
        let info = schema(&step.parameters_schema)
            .and_then(|schema| StepTypeInfo::new(step.name, step.summary, schema))
            .map_err(|reason| LoadError::Schema { step_type, reason })?;
        steps.push(Arc::new(info));
    }
    let json = json!({
        "name": info.name,
        "version": info.version,
        "description": info.description,
        "steps": steps.iter().map(|step| json!({
            "name": step.name(),
            "summary": step.summary(),
            "parameters_schema": **step.schema(),
        })).collect::<Vec<_>>(),
    });
    Ok(Description {
        name: info.name,
        version: info.version,
        description: info.description,
        steps,
        json,
    })
}

fn schema(text: &str) -> Result<Value, String> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(format!(
            "it has {} bytes, the limit is {SCHEMA_BYTES_MAX}",
            text.len()
        ));
    }
    let schema: Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    if schema.get("type") != Some(&json!("object")) {
        return Err("it must be a JSON object with `\"type\": \"object\"`".into());
    }
    Ok(schema)
}

/// What is wrong with a name: lower-case words joined by hyphens, as in `test-summary`.
fn name_objection(name: &str) -> Option<String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Some(format!("must have 1 to {NAME_BYTES_MAX} bytes"));
    }
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    (!starts_well || !name.split('-').all(is_word))
        .then(|| "must be lower-case words joined by hyphens, such as `test-summary`".into())
}

fn wish_text(wish: &Capability) -> String {
    match wish {
        Capability::HttpHost(host) => format!("HTTP requests to `{}`", host.escape_debug()),
        Capability::Secret(name) => format!("the secret `{}`", name.escape_debug()),
        Capability::Environment(name) => {
            format!("the environment variable `{}`", name.escape_debug())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::exports::toolpost::plugin::plugin::StepType;

    fn info() -> PluginInfo {
        PluginInfo {
            name: "test-summary".into(),
            version: "1.0.0".into(),
            description: "sums up tests".into(),
            steps: vec![StepType {
                name: "test-summary".into(),
                summary: "sums up tests".into(),
                parameters_schema: r#"{"type": "object"}"#.into(),
            }],
            wants: Vec::new(),
        }
    }

    #[test]
    fn descriptions_are_judged() {
        assert_eq!(check(info()).map(|told| told.name).unwrap(), "test-summary");
        type Change = fn(&mut PluginInfo);
        let table: [(Change, &str); 9] = [
            (
                |i| i.name = "Test Summary".into(),
                "the name of the plugin must be lower-case words",
            ),
            (
                |i| i.name = "a".repeat(65),
                "the name of the plugin must have 1 to 64 bytes",
            ),
            (|i| i.version.clear(), "its version must have"),
            (|i| i.steps.clear(), "it must have 1 to 64 step types"),
            (
                |i| i.steps.push(i.steps[0].clone()),
                "it has two step types `test-summary`",
            ),
            (
                |i| i.steps[0].name = "-x".into(),
                "the name of step type `-x`",
            ),
            (
                |i| i.wants = vec![Capability::HttpHost("example.org".into())],
                "asks for HTTP requests to `example.org`, which is not granted",
            ),
            (
                |i| i.steps[0].parameters_schema = "{".into(),
                "it is not JSON: EOF",
            ),
            (
                |i| i.steps[0].parameters_schema = r#"{"type": "object", "required": 3}"#.into(),
                "it is not a valid JSON Schema",
            ),
        ];
        for (change, text) in table {
            let mut told = info();
            change(&mut told);
            let error = check(told).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
