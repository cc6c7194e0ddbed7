//! Runs a step that a plugin brings, with the version that the build pinned.

use std::sync::Arc;
use std::time::Duration;

use toolpost_config::config::PluginConfig;
use toolpost_core::Results;
use toolpost_core::step::FailurePolicy;
use toolpost_sandbox::{CallLimits, PluginErrorKind, SandboxError, StepType, Wanted};

use super::context::StepContext;
use super::outcome::{Fault, StepEnd};
use super::plugin_host::PluginHost;
use super::recording;

/// How often a step begins whose plugin fails and that is to be tried again.
const ATTEMPTS_MAX: u32 = 3;

/// A step type of one version of a plugin, and what the operator lets it use.
#[derive(Clone)]
pub(crate) struct PinnedStep {
    pub(crate) step_type: Arc<StepType>,
    pub(crate) limits: CallLimits,
}

impl PinnedStep {
    /// Name of the plugin, and what it asks for.
    pub(crate) fn wanted(&self) -> Wanted {
        self.step_type.plugin().wanted()
    }

    /// Digest of the version.
    pub(crate) fn digest(&self) -> String {
        self.step_type.plugin().digest().to_owned()
    }
}

/// The limits of one call: those of the contract for what is called, unless the operator set others.
pub(crate) fn limits(mut limits: CallLimits, config: Option<&PluginConfig>) -> CallLimits {
    const MIB: u64 = 1 << 20;
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

/// Runs the step, as often as its use allows when the plugin itself fails.
pub(crate) async fn run(step: &Arc<StepContext>, pinned: &PinnedStep) -> Result<StepEnd, Fault> {
    let policy = step.config.options.on_failure;
    let mut attempt = 1;
    loop {
        let error = match call(step, pinned).await? {
            Ok(end) => return Ok(end),
            Err(error) => error,
        };
        let again = attempt < ATTEMPTS_MAX && !step.cancel.is_cancelled();
        match policy {
            FailurePolicy::Skip if error.is_fault() => {
                let text = format!("skipped, because {error}");
                note(step, &error, "the step is skipped").await?;
                return Ok(StepEnd::new(Results::Skipped, text));
            }
            FailurePolicy::Retry if error.is_fault() && again => {
                attempt += 1;
                let next = format!("attempt {attempt} of {ATTEMPTS_MAX} begins");
                note(step, &error, &next).await?;
                begin_attempt(step, attempt).await?;
            }
            _ => return Err(fault(&error)),
        }
    }
}

/// Says in the step's log that the plugin failed, and what is done about it.
async fn note(step: &StepContext, error: &SandboxError, next: &str) -> Result<(), Fault> {
    let text = format!("{error}\n\n{}\n{next}\n\n", error.stack());
    Ok(step.logs.explain(&text).await?)
}

/// Puts what the attempt before has left aside, so that it is not taken for what comes of this one.
async fn begin_attempt(step: &StepContext, attempt: u32) -> Result<(), Fault> {
    let build = &step.build;
    step.logs.begin_attempt(attempt, build.clock.now()).await;
    Ok(build.store.remove_test_result_sets(step.id).await?)
}

/// Calls the plugin and waits for its outcome, and for the end of all that it has begun.
async fn call(
    step: &Arc<StepContext>,
    pinned: &PinnedStep,
) -> Result<Result<StepEnd, SandboxError>, Fault> {
    let host = Arc::new(PluginHost::new(Arc::clone(step)));
    let recorded = Arc::clone(&host) as Arc<dyn toolpost_sandbox::StepHost>;
    let running = recording::run_recorded(step, pinned, recorded);
    let cancelled = async {
        step.cancel.cancelled().await;
        host.cancel_triggered().await;
        std::future::pending::<()>().await;
    };
    let called = tokio::select! {
        called = running => called,
        () = cancelled => Err(SandboxError::Cancelled),
    };
    if called.is_err() || step.cancel.is_cancelled() {
        host.cancel_triggered().await;
    }
    host.end().await?;
    Ok(called.map(|outcome| StepEnd {
        results: outcome.results,
        summary: Some(outcome.summary)
            .filter(|summary| !summary.is_empty())
            .or_else(|| host.summary()),
        cut_short: None,
    }))
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
