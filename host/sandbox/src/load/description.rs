//! What `describe` told, checked.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::LoadError;
use crate::bindings::exports::toolpost::plugin::plugin::{
    Capability, PluginInfo, ReporterType, SchedulerType, StepType,
};
use crate::plugin::{PluginKind, TypeInfo, Want};

/// Bytes of a plugin's or step type's name.
const NAME_BYTES_MAX: usize = 64;
/// Bytes of a version.
const VERSION_BYTES_MAX: usize = 64;
/// Bytes of a description or summary.
const TEXT_BYTES_MAX: usize = 1 << 10;
/// Types of a plugin, of all kinds.
const TYPES_MAX: usize = 64;
/// Things that it wants to be granted, and bytes of the name of one.
const WANTS_MAX: usize = 64;
const WANT_BYTES_MAX: usize = 256;
/// Bytes of a schema.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// A checked description.
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) types: Vec<Arc<TypeInfo>>,
    pub(crate) wants: Vec<Want>,
    /// The same for the record.
    pub(crate) json: Value,
}

/// Checks everything that a plugin says about itself.
pub(super) fn check(mut info: PluginInfo) -> Result<Description, LoadError> {
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
    let all: Vec<Told> = told(&mut info);
    if all.is_empty() || all.len() > TYPES_MAX {
        return wrong(format!("it must have 1 to {TYPES_MAX} types"));
    }
    if info.wants.len() > WANTS_MAX {
        return wrong(format!(
            "it wants {} things, the limit is {WANTS_MAX}",
            info.wants.len()
        ));
    }
    let wants = info
        .wants
        .into_iter()
        .map(want)
        .collect::<Result<Vec<_>, _>>()?;
    let mut names = BTreeSet::new();
    let mut types = Vec::new();
    for told in all {
        let twice = !names.insert((told.kind, told.name.clone()));
        if twice {
            return wrong(format!(
                "it has two {} types `{}`",
                told.kind,
                told.name.escape_debug()
            ));
        }
        types.push(Arc::new(told.check()?));
    }
    let json = json!({
        "name": info.name,
        "version": info.version,
        "description": info.description,
        "types": types.iter().map(|info| type_json(info)).collect::<Vec<_>>(),
        "wants": wants.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    Ok(Description {
        name: info.name,
        version: info.version,
        description: info.description,
        types,
        wants,
        json,
    })
}

/// What `describe` says of one type, of whichever kind.
struct Told {
    kind: PluginKind,
    name: String,
    summary: String,
    schema: String,
    force_schema: Option<String>,
}

fn told(info: &mut PluginInfo) -> Vec<Told> {
    let step = |told: StepType| Told {
        kind: PluginKind::Step,
        name: told.name,
        summary: told.summary,
        schema: told.parameters_schema,
        force_schema: None,
    };
    let scheduler = |told: SchedulerType| Told {
        kind: PluginKind::Scheduler,
        name: told.name,
        summary: told.summary,
        schema: told.parameters_schema,
        force_schema: told.force_schema,
    };
    let reporter = |told: ReporterType| Told {
        kind: PluginKind::Reporter,
        name: told.name,
        summary: told.summary,
        schema: told.parameters_schema,
        force_schema: None,
    };
    let mut all = Vec::new();
    all.extend(info.steps.drain(..).map(step));
    all.extend(info.schedulers.drain(..).map(scheduler));
    all.extend(info.reporters.drain(..).map(reporter));
    all
}

impl Told {
    fn check(self) -> Result<TypeInfo, LoadError> {
        let (kind, name) = (self.kind, self.name);
        if let Some(objection) = name_objection(&name) {
            return Err(LoadError::Description(format!(
                "the name of {kind} type `{}` {objection}",
                name.escape_debug()
            )));
        }
        if self.summary.len() > TEXT_BYTES_MAX {
            return Err(LoadError::Description(format!(
                "the summary of {kind} type `{name}` may have {TEXT_BYTES_MAX} bytes"
            )));
        }
        let unusable = |reason| LoadError::Schema {
            kind,
            name: name.clone(),
            reason,
        };
        let parameters = schema(&self.schema).map_err(unusable)?;
        let info = TypeInfo::new(kind, name.clone(), self.summary, parameters).map_err(unusable)?;
        match self.force_schema {
            None => Ok(info),
            Some(text) => schema(&text)
                .and_then(|form| info.with_force(form))
                .map_err(unusable),
        }
    }
}

fn type_json(info: &TypeInfo) -> Value {
    let mut json = json!({
        "kind": info.kind().as_str(),
        "name": info.name(),
        "summary": info.summary(),
        "parameters_schema": **info.schema(),
    });
    if let Some(schema) = info.force_schema() {
        json["force_schema"] = (**schema).clone();
    }
    json
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

fn want(capability: Capability) -> Result<Want, LoadError> {
    let named = |text: String| {
        if text.is_empty() || text.len() > WANT_BYTES_MAX || text.contains(char::is_control) {
            return Err(LoadError::Description(format!(
                "what it wants must have names of 1 to {WANT_BYTES_MAX} printable bytes"
            )));
        }
        Ok(text)
    };
    Ok(match capability {
        Capability::HttpHost(host) => Want::Http(named(host)?),
        Capability::Secret(name) => Want::Secret(named(name)?),
        Capability::Environment(name) => Want::Environment(named(name)?),
        Capability::Storage => Want::Storage,
        Capability::Mail => Want::Mail,
        Capability::Trigger(builder) => Want::Trigger(named(builder)?),
        Capability::Artifacts(builder) => Want::Artifacts(named(builder)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            schedulers: Vec::new(),
            reporters: Vec::new(),
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
            (|i| i.steps.clear(), "it must have 1 to 64 types"),
            (
                |i| i.steps.push(i.steps[0].clone()),
                "it has two step types `test-summary`",
            ),
            (
                |i| i.steps[0].name = "-x".into(),
                "the name of step type `-x`",
            ),
            (
                |i| i.wants = vec![Capability::Secret(String::new())],
                "what it wants must have names of 1 to 256 printable bytes",
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
