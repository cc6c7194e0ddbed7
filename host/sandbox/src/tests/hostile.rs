//! Each hostile component, and what it gets for it.

use std::time::Duration;

use crate::tests::scripted_host::ScriptedHost;
use crate::tests::support::{hostile, limits, run_with, sandbox};
use crate::{CallLimits, SandboxError};

/// Runs a hostile component and tells the reason that people see.
async fn fate(name: &str, limits: CallLimits) -> (SandboxError, String) {
    let sandbox = sandbox();
    let plugin = sandbox.load(hostile(name)).await.unwrap();
    let error = run_with(&plugin, ScriptedHost::new(), limits)
        .await
        .unwrap_err();
    let pool = sandbox.pool();
    assert_eq!((pool.calls, pool.memory_bytes, pool.waiting), (0, 0, 0));
    assert!(error.is_fault());
    let text = error.to_string();
    (error, text)
}

async fn assert_fate(name: &str, expected: &str) {
    let (_, text) = fate(name, limits()).await;
    assert_eq!(text, expected, "{name}");
}

#[tokio::test]
async fn loops_end_with_their_processor_time() {
    for name in ["endless-loop", "zero-timeout-polling", "bulk-copy"] {
        let (error, text) = fate(name, limits()).await;
        let SandboxError::CpuBudget { used, limit, .. } = &error else {
            panic!("{name}: {error:?}");
        };
        assert_eq!(*limit, Duration::from_millis(300));
        assert!(
            *used > *limit && *used < Duration::from_secs(2),
            "{name}: {used:?}"
        );
        assert!(text.contains("of at most 0.30 s"), "{text}");
        let stack = error.stack();
        assert!(
            stack.0.iter().any(|frame| frame.ends_with("!run")),
            "{name}: {stack}"
        );
    }
}

#[tokio::test]
async fn waiting_ends_at_the_wall_clock_limit() {
    let limits = CallLimits {
        wall: Duration::from_millis(200),
        ..limits()
    };
    let (_, text) = fate("sleeper", limits.clone()).await;
    assert_eq!(
        text,
        "the plugin did not end within its wall-clock limit of 0.20 s"
    );
    let computing = CallLimits {
        cpu: Duration::from_secs(10),
        ..limits
    };
    let (error, _) = fate("endless-loop", computing).await;
    assert!(
        matches!(error, SandboxError::WallDeadline { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn bombs_hit_their_limits() {
    assert_fate(
        "memory-bomb",
        "the plugin asked for 64.1 MiB of memory, its limit is 64 MiB",
    )
    .await;
    assert_fate(
        "table-bomb",
        "the plugin went past a limit: elements of a table (at most 65536)",
    )
    .await;
    assert_fate(
        "handle-hoard",
        "the plugin went past a limit: handles of host resources (at most 1000)",
    )
    .await;
    assert_fate(
        "command-flood",
        "the plugin went past a limit: commands running at one time (at most 16)",
    )
    .await;
}

#[tokio::test]
async fn what_is_in_tables_counts_as_memory() {
    let limits = CallLimits {
        memory_bytes_max: 256 << 10,
        ..limits()
    };
    // Two pages of memory, and a table of 10,001 elements.
    let (error, text) = fate("table-bomb", limits).await;
    let SandboxError::Memory { asked, .. } = error else {
        panic!("{text}");
    };
    assert_eq!(asked, (2 << 16) + 10_001 * 16);
}

#[tokio::test]
async fn floods_hit_their_limits() {
    // Lines are looked through for secrets and line ends, which takes a debug build a while.
    let slow = CallLimits {
        cpu: Duration::from_secs(5),
        ..limits()
    };
    let (_, text) = fate("log-flood", slow).await;
    assert_eq!(
        text,
        "the plugin went past a limit: bytes written to the operator's log (at most 1048576)"
    );
    let limits = CallLimits {
        step_log_bytes_max: 10 << 20,
        ..limits()
    };
    let (_, text) = fate("step-log-flood", limits).await;
    assert_eq!(
        text,
        "the plugin went past a limit: bytes appended to step logs (at most 10485760)"
    );
    assert_fate(
        "giant-string",
        "the plugin went past a limit: bytes in one call of a host function (at most 4194304)",
    )
    .await;
}

#[tokio::test]
async fn crashes_say_what_happened() {
    assert_fate(
        "deep-recursion",
        "the plugin's calls are nested too deeply for its stack of 512 KiB: an endless recursion",
    )
    .await;
    assert_fate(
        "trap",
        "the plugin crashed: it reached code that it considers unreachable (an abort, or a panic without a message)",
    )
    .await;
    assert_fate(
        "out-of-bounds",
        "the plugin crashed: out of bounds memory access",
    )
    .await;
    let (error, _) = fate("deep-recursion", limits()).await;
    assert!(
        error.stack().0[0].ends_with("!dig_deeper"),
        "{}",
        error.stack()
    );
}
