//! What is known of a type that a plugin brings: a step, a scheduler, a reporter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use toolpost_core::schema_work;

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
    parameters: Schema,
    /// What a person fills in who forces a scheduler.
    force: Option<Schema>,
}

/// A JSON Schema that takes no long work to check with, whatever the value.
struct Schema {
    source: Arc<Value>,
    validator: Validator,
    /// How deep values may be nested.
    depth_max: usize,
}

impl TypeInfo {
    /// The error says what is wrong with a schema.
    pub(crate) fn new(
        kind: PluginKind,
        name: String,
        summary: String,
        schema: Value,
    ) -> Result<Self, String> {
        Ok(Self {
            kind,
            name,
            summary,
            parameters: Schema::compile(schema)?,
            force: None,
        })
    }

    /// Lets people force it with such values.
    pub(crate) fn with_force(mut self, schema: Value) -> Result<Self, String> {
        let schema = Schema::compile(schema).map_err(|reason| format!("of its form: {reason}"))?;
        self.force = Some(schema);
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
        &self.parameters.source
    }

    /// Whether parameters fit.
    ///
    /// # Errors
    /// The places that do not, in words.
    pub fn check(&self, parameters: &Value) -> Result<(), String> {
        self.parameters.check(parameters)
    }

    /// JSON Schema of what a person fills in who forces it; `None` when it cannot be forced.
    #[must_use]
    pub fn force_schema(&self) -> Option<&Arc<Value>> {
        self.force.as_ref().map(|force| &force.source)
    }

    /// Whether what a person filled in fits.
    ///
    /// # Errors
    /// The places that do not, in words.
    pub fn check_force(&self, values: &Value) -> Result<(), String> {
        match &self.force {
            Some(force) => force.check(values),
            None => Err(format!(
                "the {} `{}` cannot be forced",
                self.kind, self.name
            )),
        }
    }
}

impl Schema {
    fn compile(schema: Value) -> Result<Self, String> {
        let depth_max = schema_work::depth_max(&schema).map_err(|error| error.to_string())?;
        if let Err(error) = jsonschema::meta::validate(&schema) {
            let place = error.instance_path().to_string();
            return Err(format!(
                "it is not a valid JSON Schema: at `{place}`: {error}"
            ));
        }
        let validator = jsonschema::options()
            .offline()
            // Patterns come from the plugin: only such as take linear time.
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map_err(|error| format!("it is not a valid JSON Schema: {error}"))?;
        Ok(Self {
            source: Arc::new(schema),
            validator,
            depth_max,
        })
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        let depth = schema_work::depth_of(std::iter::once(value)).saturating_sub(1);
        if depth > self.depth_max {
            return Err(format!(
                "it is nested more than {} levels deep",
                self.depth_max
            ));
        }
        let mut objections: Vec<String> = self
            .validator
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
}

impl fmt::Debug for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeInfo")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
