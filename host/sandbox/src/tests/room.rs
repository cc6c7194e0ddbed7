//! Calls that want more memory than there is.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::tests::component::Plugin;
use crate::tests::scripted_host::{ScriptedHost, no_parameters};
use crate::tests::support::{hostile, limits, options, run, until};
use crate::{CallLimits, PluginVersion, Sandbox, SandboxError, SandboxOptions, StepOutcome};

const PAGE: usize = 64 << 10;

type Ended = Result<StepOutcome, SandboxError>;

/// A sandbox whose steps have 20 pages, and another two that are kept from them.
fn narrow(growth_wait_max: Duration) -> Sandbox {
    Sandbox::new(SandboxOptions {
        memory_bytes_max: 22 * PAGE + PAGE / 2,
        growth_wait_max,
        ..options()
    })
    .unwrap()
}

/// A step that grows by this many pages.
fn growing(pages: usize) -> bytes::Bytes {
    let body = format!("(drop (memory.grow (i32.const {pages})))");
    Plugin::new("grow", "1").body(&body).build()
}

/// Sleepers that have 18 pages of the 20 together.
async fn sleepers(
    sandbox: &Sandbox,
    cancel: &CancellationToken,
) -> Vec<tokio::task::JoinHandle<Ended>> {
    let sleeper = sandbox.load(hostile("sleeper")).await.unwrap();
    let mut sleeping = Vec::new();
    for count in 1..=9 {
        sleeping.push(spawn(&sleeper, limits(), cancel));
        until("it sleeps", || sandbox.pool().calls == count).await;
    }
    assert_eq!(sandbox.pool().memory_bytes, 18 * PAGE);
    sleeping
}

fn spawn(
    plugin: &Arc<PluginVersion>,
    limits: CallLimits,
    cancel: &CancellationToken,
) -> tokio::task::JoinHandle<Ended> {
    let (step, cancel) = (plugin.step_types().remove(0), cancel.clone());
    tokio::spawn(async move {
        let host = ScriptedHost::new();
        step.run(&no_parameters(), host, limits, cancel).await
    })
}

#[tokio::test]
async fn waiting_for_memory_is_not_the_plugins_own_time() {
    const WALL: Duration = Duration::from_millis(100);
    let sandbox = narrow(Duration::from_secs(60));
    let grow = sandbox.load(growing(10)).await.unwrap();
    let cancel = CancellationToken::new();
    let sleeping = sleepers(&sandbox, &cancel).await;
    let limits = CallLimits {
        wall: WALL,
        ..limits()
    };
    let waiting = spawn(&grow, limits, &CancellationToken::new());
    until("it waits for longer than it may take", || {
        let waits = sandbox.waits();
        waits.first().is_some_and(|wait| wait.longest > 3 * WALL)
    })
    .await;
    cancel.cancel();
    let usage = waiting.await.unwrap().unwrap().usage;
    assert!(usage.queued > 3 * WALL && usage.wall < WALL, "{usage:?}");
    for sleeper in sleeping {
        assert_eq!(sleeper.await.unwrap().unwrap_err(), SandboxError::Cancelled);
    }
    assert_eq!(sandbox.pool().memory_bytes, 0);
}

#[tokio::test]
async fn memory_that_nobody_gives_back_is_not_waited_for_for_ever() {
    let sandbox = narrow(Duration::from_millis(100));
    let grow = sandbox.load(growing(10)).await.unwrap();
    let cancel = CancellationToken::new();
    let _sleeping = sleepers(&sandbox, &cancel).await;
    let error = run(&grow).await.unwrap_err();
    assert!(!error.is_fault());
    assert_eq!(
        error.to_string(),
        "the plugin waited 0.10 s for 640 KiB more memory, which all plugins that run have together: raise `memory_mib` in [master.plugins], or let fewer builds run at a time"
    );
    // What is kept from steps is there for a new version.
    let small = Plugin::new("small", "1").build();
    assert!(sandbox.load(small).await.is_ok());
    cancel.cancel();
}
