//! Runs a step that a plugin brings, with the version that the build pinned.

use std::sync::Arc;
use std::time::Duration;

use toolpost_config::config::PluginConfig;
use toolpost_core::Results;
use toolpost_sandbox::{CallLimits, PluginErrorKind, SandboxError, StepType};

use super::context::StepContext;
use super::outcome::{Fault, StepEnd};
use super::plugin_host::PluginHost;

/// A step type of one version of a plugin, and what the operator lets it use.
#[derive(Clone)]
pub(crate) struct PinnedStep {
    pub(crate) step_type: Arc<StepType>,
    pub(crate) limits: CallLimits,
}

impl PinnedStep {
    /// Digest of the version.
    pub(crate) fn digest(&self) -> String {
        self.step_type.plugin().digest().to_owned()
    }
}

/// The limits of one call: those of the contract, unless the operator set others.
pub(crate) fn limits(config: Option<&PluginConfig>) -> CallLimits {
    const MIB: u64 = 1 << 20;
    let mut limits = CallLimits::default();
    let Some(config) = config else {
        return limits;
    };
    if let Some(memory_mib) = config.memory_mib {
        let bytes = u64::from(memory_mib) * MIB;
        limits.memory_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    if let Some(cpu_ms) = config.cpu_ms {
        limits.cpu = Duration::from_millis(cpu_ms);
    }
    if let Some(wall_s) = config.wall_s {
        limits.wall = Duration::from_secs(wall_s);
    }
    if let Some(log_mib) = config.log_mib {
        limits.step_log_bytes_max = u64::from(log_mib) * MIB;
    }
    limits
}

/// Calls the plugin and waits for its outcome.
pub(crate) async fn run(step: &Arc<StepContext>, pinned: &PinnedStep) -> Result<StepEnd, Fault> {
    let host = Arc::new(PluginHost::new(Arc::clone(step)));
    let called = pinned
        .step_type
        .run(
            &step.rendered.parameters,
            Arc::clone(&host) as Arc<dyn toolpost_sandbox::StepHost>,
            pinned.limits.clone(),
            step.cancel.clone(),
        )
        .await;
    match called {
        Ok(outcome) => Ok(StepEnd {
            results: outcome.results,
            summary: Some(outcome.summary)
                .filter(|summary| !summary.is_empty())
                .or_else(|| host.summary()),
            cut_short: None,
        }),
        Err(error) => Err(fault(&error)),
    }
}

fn fault(error: &SandboxError) -> Fault {
    let results = match error {
        SandboxError::Cancelled => return Fault::Cancelled,
        SandboxError::Shutdown => Results::Retry,
        SandboxError::Plugin {
            kind: PluginErrorKind::Retryable,
            ..
        } => Results::Retry,
        _ => Results::Exception,
    };
    Fault::Plugin {
        results,
        message: error.to_string(),
        stack: error.stack().to_string(),
    }
}
