//! What the tests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::tests::scripted_host::{ScriptedHost, no_parameters};
use crate::{CallLimits, PluginVersion, Sandbox, SandboxError, SandboxOptions, StepOutcome};

/// Longer than anything here takes, so that a test that hangs fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn options() -> SandboxOptions {
    SandboxOptions {
        threads: 2,
        calls_max: 100,
        ..SandboxOptions::default()
    }
}

pub(super) fn sandbox() -> Sandbox {
    Sandbox::new(options()).unwrap()
}

/// A component of `tests/hostile`.
pub(super) fn hostile(name: &str) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/hostile")
        .join(format!("{name}.wat"));
    wat::parse_file(path).unwrap().into()
}

/// Short limits, so that no test waits for long.
pub(super) fn limits() -> CallLimits {
    CallLimits {
        cpu: Duration::from_millis(300),
        wall: Duration::from_secs(20),
        cancel_grace: Duration::from_millis(50),
        ..CallLimits::default()
    }
}

/// Runs the only step type of a plugin.
pub(super) async fn run(plugin: &Arc<PluginVersion>) -> Result<StepOutcome, SandboxError> {
    run_with(plugin, ScriptedHost::new(), limits()).await
}

pub(super) async fn run_with(
    plugin: &Arc<PluginVersion>,
    host: Arc<ScriptedHost>,
    limits: CallLimits,
) -> Result<StepOutcome, SandboxError> {
    let cancel = CancellationToken::new();
    let step_type = plugin.step_types().remove(0);
    let parameters = no_parameters();
    let call = step_type.run(&parameters, host, limits, cancel);
    tokio::time::timeout(PATIENCE, call)
        .await
        .expect("a call must end")
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}
