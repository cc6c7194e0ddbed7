//! A step type: what is known of it, and running it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolpost_core::Results;

use crate::call::{CallContext, Home, LineTarget, cut};
use crate::imports::convert;
use crate::plugin::PluginVersion;
use crate::{CallLimits, SandboxError, StepHost};

/// Places in the parameters that a refusal names.
const OBJECTIONS_MAX: usize = 5;

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// Its result.
    pub results: Results,
    /// Its final text; empty keeps what was last set.
    pub summary: String,
    /// What the call took.
    pub usage: CallUsage,
}

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

/// What is known of a step type without running it.
pub struct StepTypeInfo {
    name: String,
    summary: String,
    schema: Arc<Value>,
    validator: Validator,
}

impl StepTypeInfo {
    /// The error says what is wrong with the schema.
    pub(crate) fn new(name: String, summary: String, schema: Value) -> Result<Self, String> {
        if let Err(error) = jsonschema::meta::validate(&schema) {
            let place = error.instance_path().to_string();
            return Err(format!(
                "it is not a valid JSON Schema: at `{place}`: {error}"
            ));
        }
        let validator = jsonschema::options()
            // Patterns come from the plugin: only such as take linear time.
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map_err(|error| format!("it is not a valid JSON Schema: {error}"))?;
        Ok(Self {
            name,
            summary,
            schema: Arc::new(schema),
            validator,
        })
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
        let mut objections: Vec<String> = self
            .validator
            .iter_errors(parameters)
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

impl fmt::Debug for StepTypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepTypeInfo")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A step type of a certain version of a plugin, ready to run.
#[derive(Debug)]
pub struct StepType {
    plugin: Arc<PluginVersion>,
    info: Arc<StepTypeInfo>,
}

impl StepType {
    pub(super) fn new(plugin: Arc<PluginVersion>, info: Arc<StepTypeInfo>) -> Self {
        Self { plugin, info }
    }

    /// The version that it belongs to.
    #[must_use]
    pub fn plugin(&self) -> &Arc<PluginVersion> {
        &self.plugin
    }

    /// Name, summary, schema.
    #[must_use]
    pub fn info(&self) -> &Arc<StepTypeInfo> {
        &self.info
    }

    /// Runs one step to its end, on the sandbox's own threads; the caller only waits. `parameters` are rendered.
    /// Calls of `host` come on the runtime that this was called from.
    ///
    /// When `cancel` fires, the step's commands are interrupted and the plugin has
    /// [`CallLimits::cancel_grace`] to come to its end; it may still return an outcome. When the returned future is
    /// dropped, the call is ended at once.
    ///
    /// # Errors
    /// What the plugin returned as an error, or why it had to be ended.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn run(
        &self,
        parameters: &Value,
        host: Arc<dyn StepHost>,
        limits: CallLimits,
        cancel: CancellationToken,
    ) -> Result<StepOutcome, SandboxError> {
        self.info
            .check(parameters)
            .map_err(SandboxError::Parameters)?;
        let text_bytes_max = limits.text_bytes_max;
        let listener = host.clone();
        let log: LineTarget = Arc::new(move |level, line| listener.log(level, line));
        let context = CallContext {
            limits: Arc::new(limits),
            home: Some(Home {
                host,
                runtime: tokio::runtime::Handle::current(),
            }),
            log,
            cancel,
        };
        let (name, parameters) = (self.info.name.clone(), parameters.to_string());
        let called = self.plugin.call(context, move |plugin, store| {
            Box::pin(async move {
                let step = plugin.toolpost_plugin_step();
                step.call_run(store, &name, &parameters).await
            })
        });
        let (outcome, usage) = called.await?;
        let outcome = outcome.map_err(convert::plugin_error)?;
        Ok(StepOutcome {
            results: convert::results(outcome.results),
            summary: cut(&outcome.summary, text_bytes_max).to_owned(),
            usage,
        })
    }
}
