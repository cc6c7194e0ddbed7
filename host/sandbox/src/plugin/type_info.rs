//! What is known of a type that a plugin brings: a step, a scheduler, a reporter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::plugin::PluginKind;

/// Places in the parameters that a refusal names.
const OBJECTIONS_MAX: usize = 5;

/// What a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallUsage {
    /// Waiting until there was room for it.
    pub queued: Duration,
    /// From start to end.
    pub wall: Duration,
    /// Computing.
    pub cpu: Duration,
    /// Linear memory, at most.
    pub memory_peak_bytes: usize,
}

/// What is known of a type without running it.
pub struct TypeInfo {
    kind: PluginKind,
    name: String,
    summary: String,
    schema: Arc<Value>,
    validator: Validator,
    force: Option<ForceSchema>,
}

/// What a person fills in who forces a scheduler.
struct ForceSchema {
    schema: Arc<Value>,
    validator: Validator,
}

impl TypeInfo {
    /// The error says what is wrong with a schema.
    pub(crate) fn new(
        kind: PluginKind,
        name: String,
        summary: String,
        schema: Value,
    ) -> Result<Self, String> {
        let validator = compile(&schema)?;
        Ok(Self {
            kind,
            name,
            summary,
            schema: Arc::new(schema),
            validator,
            force: None,
        })
    }

    /// Lets people force it with such values.
    pub(crate) fn with_force(mut self, schema: Value) -> Result<Self, String> {
        let validator = compile(&schema).map_err(|reason| format!("of its form: {reason}"))?;
        self.force = Some(ForceSchema {
            schema: Arc::new(schema),
            validator,
        });
        Ok(self)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> PluginKind {
        self.kind
    }

    /// What the configuration calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// JSON Schema of its parameters.
    #[must_use]
    pub fn schema(&self) -> &Arc<Value> {
        &self.schema
    }

    /// Whether parameters fit.
    ///
    /// # Errors
    /// The places that do not, in words.
    pub fn check(&self, parameters: &Value) -> Result<(), String> {
        objections(&self.validator, parameters)
    }

    /// JSON Schema of what a person fills in who forces it; `None` when it cannot be forced.
    #[must_use]
    pub fn force_schema(&self) -> Option<&Arc<Value>> {
        self.force.as_ref().map(|force| &force.schema)
    }

    /// Whether what a person filled in fits.
    ///
    /// # Errors
    /// The places that do not, in words.
    pub fn check_force(&self, values: &Value) -> Result<(), String> {
        match &self.force {
            Some(force) => objections(&force.validator, values),
            None => Err(format!(
                "the {} `{}` cannot be forced",
                self.kind, self.name
            )),
        }
    }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    if let Err(error) = jsonschema::meta::validate(schema) {
        let place = error.instance_path().to_string();
        return Err(format!(
            "it is not a valid JSON Schema: at `{place}`: {error}"
        ));
    }
    jsonschema::options()
        // Patterns come from the plugin: only such as take linear time.
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| format!("it is not a valid JSON Schema: {error}"))
}

fn objections(validator: &Validator, value: &Value) -> Result<(), String> {
    let mut objections: Vec<String> = validator
        .iter_errors(value)
        .take(OBJECTIONS_MAX)
        .map(|error| match error.instance_path().as_str() {
            "" => error.to_string(),
            place => format!("{place}: {error}"),
        })
        .collect();
    objections.dedup();
    match objections.is_empty() {
        true => Ok(()),
        false => Err(objections.join("; ")),
    }
}

impl fmt::Debug for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeInfo")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
