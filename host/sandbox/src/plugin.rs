//! A loaded version of a plugin and its step types.
use crate::{CallLimits, SandboxError, StepHost};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toolpost_core::Results;

/// Why a component is not a plugin that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not yet.
    #[error("{0}")]
    Other(String),
}

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

/// A loaded version of a plugin. Lives as long as somebody holds it.
pub struct PluginVersion {}

impl PluginVersion {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        todo!()
    }
    /// Its version as it says itself.
    #[must_use]
    pub fn version(&self) -> &str {
        todo!()
    }
    /// SHA-256 of the component, hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        todo!()
    }
}

/// What is known of a step type without running it.
pub struct StepTypeInfo {}

impl StepTypeInfo {
    /// What the configuration calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        todo!()
    }
    /// What it does.
    #[must_use]
    pub fn summary(&self) -> &str {
        todo!()
    }
    /// JSON Schema of its parameters.
    #[must_use]
    pub fn schema(&self) -> &Arc<Value> {
        todo!()
    }
    /// Whether parameters fit; the error names the places that do not.
    pub fn check(&self, _parameters: &Value) -> Result<(), String> {
        todo!()
    }
}

/// A step type of a certain version of a plugin, ready to run.
pub struct StepType {}

impl StepType {
    /// The version that it belongs to.
    #[must_use]
    pub fn plugin(&self) -> &Arc<PluginVersion> {
        todo!()
    }

    /// Name, summary, schema.
    #[must_use]
    pub fn info(&self) -> &Arc<StepTypeInfo> {
        todo!()
    }

    /// Runs one step to its end, on the sandbox's own threads; the caller only waits. `parameters` are rendered.
    /// Calls of `host` come on the runtime that this was called from.
    ///
    /// When `cancel` fires, the step's commands are interrupted and the plugin has
    /// [`CallLimits::cancel_grace`] to come to its end; it may still return an outcome. When the returned future is
    /// dropped, the call is ended at once.
    pub async fn run(
        &self,
        _parameters: &Value,
        _host: Arc<dyn StepHost>,
        _limits: CallLimits,
        _cancel: CancellationToken,
    ) -> Result<StepOutcome, SandboxError> {
        todo!()
    }
}
