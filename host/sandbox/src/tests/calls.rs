//! Calls that go well, fail, and are ended from outside.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use toolpost_core::Results;

use crate::tests::component::Plugin;
use crate::tests::scripted_host::{ScriptedHost, no_parameters};
use crate::tests::support::{PATIENCE, hostile, limits, options, run, run_with, sandbox, until};
use crate::{CallLimits, PluginErrorKind, Sandbox, SandboxError, SandboxOptions};

#[tokio::test]
async fn a_step_runs_to_its_outcome() {
    let plugin = sandbox()
        .load(Plugin::new("greet", "1.2.3").build())
        .await
        .unwrap();
    assert_eq!(
        (plugin.name(), plugin.version(), plugin.contract()),
        ("greet", "1.2.3", "1.0.0")
    );
    let outcome = run(&plugin).await.unwrap();
    assert_eq!(
        (outcome.results, outcome.summary.as_str()),
        (Results::Success, "1.2.3")
    );
    assert_eq!(outcome.usage.memory_peak_bytes, 2 * 65536);
    assert!(outcome.usage.cpu > Duration::ZERO && outcome.usage.cpu <= outcome.usage.wall);
    let usage = plugin.usage();
    assert_eq!(
        (usage.calls_total, usage.calls_running, usage.faults_total),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn a_step_is_run_without_a_pool_as_well() {
    let sandbox = Sandbox::new(SandboxOptions {
        pooling: false,
        ..options()
    })
    .unwrap();
    assert!(!sandbox.pool().pooling);
    let plugin = sandbox
        .load(Plugin::new("greet", "1").build())
        .await
        .unwrap();
    assert_eq!(run(&plugin).await.unwrap().summary, "1");
}

#[tokio::test]
async fn the_plugins_own_errors_keep_their_kind() {
    // err(kind, the name of the plugin)
    let returns = |kind: u8| {
        Plugin::new("fail", "1").body(&format!(
            "(i32.store8 (i32.const 128) (i32.const 1))
             (i32.store8 (i32.const 132) (i32.const {kind}))
             (i32.store (i32.const 136) (i32.const 4096))
             (i32.store (i32.const 140) (i32.const 4))
             (return (i32.const 128))"
        ))
    };
    let sandbox = sandbox();
    for (number, kind) in [
        (0, PluginErrorKind::Retryable),
        (1, PluginErrorKind::Permanent),
        (2, PluginErrorKind::Config),
    ] {
        let plugin = sandbox.load(returns(number).build()).await.unwrap();
        let error = run(&plugin).await.unwrap_err();
        let message = "fail".to_owned();
        assert_eq!(error, SandboxError::Plugin { kind, message });
        assert!(!error.is_fault());
    }
}

#[tokio::test]
async fn parameters_are_checked_before_the_plugin_runs() {
    let schema = r#"{"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}, "additionalProperties": false}"#;
    let plugin = sandbox()
        .load(Plugin::new("read", "1").schema(schema).build())
        .await
        .unwrap();
    let step = plugin.step_types().remove(0);
    let call = |parameters| {
        let step = step.clone();
        async move {
            let cancel = CancellationToken::new();
            step.run(&parameters, ScriptedHost::new(), limits(), cancel)
                .await
        }
    };
    assert!(call(json!({"path": "a"})).await.is_ok());
    let error = call(json!({"path": 7, "oath": 1})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "parameters do not fit the schema of the step type: /path: 7 is not of type \"string\"; Additional properties are not allowed ('oath' was unexpected)"
    );
    assert_eq!(plugin.usage().calls_total, 1);
}

#[tokio::test]
async fn a_crash_shows_where_by_name() {
    let plugin = sandbox().load(hostile("trap")).await.unwrap();
    let error = run(&plugin).await.unwrap_err();
    assert_eq!(
        error.stack().0,
        ["main!read_the_report", "main!sum_up_tests", "main!run"]
    );
    let usage = plugin.usage();
    assert_eq!((usage.calls_total, usage.faults_total), (1, 1));
    assert_eq!(plugin.faults()[0].text, error.to_string());
}

#[tokio::test]
async fn a_cancelled_call_ends_after_its_grace() {
    let sandbox = sandbox();
    for name in ["sleeper", "endless-loop"] {
        let plugin = sandbox.load(hostile(name)).await.unwrap();
        let cancel = CancellationToken::new();
        let limits = CallLimits {
            cpu: PATIENCE,
            ..limits()
        };
        let step = plugin.step_types().remove(0);
        let (parameters, host) = (no_parameters(), ScriptedHost::new());
        let call = step.run(&parameters, host, limits, cancel.clone());
        let cancelled = async {
            until("the call runs", || sandbox.pool().calls == 1).await;
            cancel.cancel();
        };
        let (result, ()) = tokio::join!(call, cancelled);
        assert_eq!(result.unwrap_err(), SandboxError::Cancelled);
    }
    assert_eq!(sandbox.pool().memory_bytes, 0);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_ends() {
    let sandbox = sandbox();
    for name in ["sleeper", "endless-loop"] {
        let plugin = sandbox.load(hostile(name)).await.unwrap();
        let call = tokio::spawn(async move { run(&plugin).await });
        until("the call runs", || sandbox.pool().calls == 1).await;
        call.abort();
        until("the call has ended", || sandbox.pool().calls == 0).await;
    }
}

#[tokio::test]
async fn a_shutdown_ends_all_calls() {
    let sandbox = sandbox();
    let plugin = sandbox.load(hostile("sleeper")).await.unwrap();
    let running = plugin.clone();
    let call = tokio::spawn(async move { run(&running).await });
    until("the call runs", || sandbox.pool().calls == 1).await;
    sandbox.shutdown();
    assert_eq!(call.await.unwrap().unwrap_err(), SandboxError::Shutdown);
    assert_eq!(run(&plugin).await.unwrap_err(), SandboxError::Shutdown);
}

#[tokio::test]
async fn a_full_sandbox_makes_callers_wait() {
    let sandbox = Sandbox::new(SandboxOptions {
        calls_max: 2,
        ..options()
    })
    .unwrap();
    let sleeper = sandbox.load(hostile("sleeper")).await.unwrap();
    let greeter = sandbox
        .load(Plugin::new("greet", "1").build())
        .await
        .unwrap();
    let cancel = CancellationToken::new();
    let sleep = || {
        let (step, cancel) = (sleeper.step_types().remove(0), cancel.clone());
        tokio::spawn(async move {
            let (parameters, host) = (no_parameters(), ScriptedHost::new());
            step.run(&parameters, host, limits(), cancel).await
        })
    };
    let sleepers = [sleep(), sleep()];
    until("both sleep", || sandbox.pool().calls == 2).await;
    let waiting = tokio::spawn(async move { run(&greeter).await });
    until("one waits", || sandbox.pool().waiting == 1).await;
    cancel.cancel();
    let outcome = waiting.await.unwrap().unwrap();
    assert!(outcome.usage.queued > Duration::ZERO);
    for sleeper in sleepers {
        assert_eq!(sleeper.await.unwrap().unwrap_err(), SandboxError::Cancelled);
    }
}

#[tokio::test]
async fn what_a_plugin_holds_is_released_when_it_ends() {
    let sandbox = sandbox();
    let plugin = sandbox.load(hostile("command-flood")).await.unwrap();
    let host = ScriptedHost::new();
    let error = run_with(&plugin, host.clone(), limits()).await.unwrap_err();
    assert!(
        matches!(error, SandboxError::Limit { limit: 16, .. }),
        "{error}"
    );
    let mut notes = Vec::new();
    until("all are interrupted", || {
        notes.extend(host.notes());
        notes
            .iter()
            .filter(|note| note.starts_with("interrupt"))
            .count()
            == 16
    })
    .await;
    until("the host is let go", || Arc::strong_count(&host) == 1).await;
}
