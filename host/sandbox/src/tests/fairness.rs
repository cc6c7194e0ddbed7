//! Hostile plugins beside others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::tests::component::Plugin;
use crate::tests::scripted_host::{ScriptedHost, no_parameters};
use crate::tests::support::{PATIENCE, hostile, limits, options, run, run_with, sandbox, until};
use crate::{CallLimits, PluginVersion, Sandbox, SandboxError, SandboxOptions, WaitReason};

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

/// Runs some endless loops until the answer is cancelled.
async fn loops(sandbox: &Sandbox, count: usize, cancel: &CancellationToken) -> Arc<PluginVersion> {
    let looping = sandbox.load(hostile("endless-loop")).await.unwrap();
    for _ in 0..count {
        let (step, cancel) = (looping.step_types().remove(0), cancel.clone());
        let limits = CallLimits {
            cpu: PATIENCE,
            wall: PATIENCE,
            ..limits()
        };
        tokio::spawn(async move {
            let ended = step
                .run(&no_parameters(), ScriptedHost::new(), limits, cancel)
                .await;
            drop(ended);
        });
    }
    until("all loops run", || sandbox.pool().calls == count).await;
    looping
}

#[tokio::test]
async fn many_loops_of_one_plugin_get_what_one_of_another_gets() {
    const WORK: Duration = Duration::from_millis(300);
    let sandbox = sandbox();
    let endless = Plugin::new("single", "1").body("(loop $again (br $again))");
    let single = sandbox.load(endless.build()).await.unwrap();
    let cancel = CancellationToken::new();
    let crowd = loops(&sandbox, 20, &cancel).await;
    let limits = CallLimits {
        cpu: WORK,
        wall: PATIENCE,
        ..limits()
    };
    let error = run_with(&single, ScriptedHost::new(), limits)
        .await
        .unwrap_err();
    assert_eq!(error.word(), "cpu");
    assert_eq!(crowd.usage().calls_running, 20);
    cancel.cancel();
    until("they end and are counted", || {
        crowd.usage().calls_running == 0
    })
    .await;
    let metrics = sandbox.metrics();
    let told: Vec<_> = metrics
        .iter()
        .map(|of| (of.plugin.as_str(), of.type_name.as_str(), of.calls.clone()))
        .collect();
    assert_eq!(
        told,
        [
            ("endless-loop", "endless-loop", [("cancelled", 20)].into()),
            ("single", "single", [("cpu", 1)].into())
        ]
    );
    assert!(metrics[1].cpu >= WORK && metrics[1].recent.len() == 1);
    // Counted in processor time, because others use the machine as well. In turns of calls it would be twenty times as much.
    let (crowd, single) = (metrics[0].cpu, metrics[1].cpu);
    assert!(crowd < single * 10, "{crowd:?} beside {single:?}");
}

#[tokio::test]
async fn who_waits_for_a_thread_does_not_come_nearer_to_its_wall_clock_limit() {
    const CALLS: usize = 40;
    let sandbox = Sandbox::new(SandboxOptions {
        threads: 1,
        ..options()
    })
    .unwrap();
    let looping = sandbox.load(hostile("endless-loop")).await.unwrap();
    let limits = CallLimits {
        cpu: Duration::from_millis(15),
        wall: PATIENCE,
        ..limits()
    };
    let call = || run_with(&looping, ScriptedHost::new(), limits.clone());
    for ended in futures::future::join_all((0..CALLS).map(|_| call())).await {
        assert_eq!(ended.unwrap_err().word(), "cpu");
    }
    let of = sandbox.metrics().remove(0);
    // Each waited between two looks for the stretches of all others.
    assert!(of.queued > 5 * of.wall, "{of:?}");
}

#[tokio::test]
async fn when_it_is_full_callers_wait_and_are_told_why() {
    let sandbox = Sandbox::new(SandboxOptions {
        calls_max: 1,
        ..options()
    })
    .unwrap();
    let greeter = sandbox
        .load(Plugin::new("greet", "1").build())
        .await
        .unwrap();
    let cancel = CancellationToken::new();
    let _looping = loops(&sandbox, 1, &cancel).await;
    let waiting = tokio::spawn(async move { run(&greeter).await });
    until("it waits", || !sandbox.waits().is_empty()).await;
    let wait = sandbox.waits().remove(0);
    assert_eq!(
        (wait.plugin.as_str(), wait.calls, wait.reason),
        ("greet", 1, WaitReason::Calls)
    );
    cancel.cancel();
    let usage = waiting.await.unwrap().unwrap().usage;
    assert!(usage.queued > Duration::ZERO);
    assert_eq!(sandbox.waits(), []);
}
