//! Hostile plugins beside others.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::tests::component::Plugin;
use crate::tests::scripted_host::{ScriptedHost, no_parameters};
use crate::tests::support::{PATIENCE, hostile, limits, run, sandbox, until};
use crate::{CallLimits, SandboxError};

/// Loops that run, twice as many as there are plugin threads.
const LOOPS: usize = 4;

#[tokio::test]
async fn endless_loops_do_not_stop_other_plugins_nor_the_host() {
    let sandbox = sandbox();
    let looping = sandbox.load(hostile("endless-loop")).await.unwrap();
    let greeter = sandbox
        .load(Plugin::new("greet", "1").build())
        .await
        .unwrap();
    let cancel = CancellationToken::new();
    let loops: Vec<_> = (0..LOOPS)
        .map(|_| {
            let (step, cancel) = (looping.step_types().remove(0), cancel.clone());
            let limits = CallLimits {
                cpu: PATIENCE,
                wall: PATIENCE,
                ..limits()
            };
            tokio::spawn(async move {
                step.run(&no_parameters(), ScriptedHost::new(), limits, cancel)
                    .await
            })
        })
        .collect();
    until("all loops run", || sandbox.pool().calls == LOOPS).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        run(&greeter).await.unwrap();
        tokio::task::yield_now().await;
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert_eq!(looping.usage().calls_running, LOOPS as u64);
    cancel.cancel();
    for looping in loops {
        assert_eq!(looping.await.unwrap().unwrap_err(), SandboxError::Cancelled);
    }
}
