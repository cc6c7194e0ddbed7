//! Timeouts, interrupts, dropped handles: the whole process group ends.

use std::time::Duration;

use toolpost_worker::{InterruptSignal, Status, StopCause};

use crate::support::{ALL, alive, bench, end, gone, read_until, sh, text};

/// Enough for any machine to begin, and so long that only a signal ends it in time.
const TREE: &str = "sh -c 'echo $$ > grandchild; exec sleep 600' & \
                    echo $$ > child; echo ready; wait";

fn signal(name: InterruptSignal) -> i32 {
    match name {
        InterruptSignal::Int => 2,
        InterruptSignal::Kill => 9,
        InterruptSignal::Term => 15,
        other => panic!("{other} is not used here"),
    }
}

fn killed_by(name: InterruptSignal) -> Status {
    Status::Signal {
        number: signal(name),
        core_dumped: false,
    }
}

#[tokio::test]
async fn silence_stops_a_command() {
    let bench = bench().await;
    let limit = Duration::from_millis(300);
    let mut spec = sh("echo begin; sleep 600");
    spec.idle_timeout = Some(limit);
    let captured = bench.run(spec).await;
    assert_eq!(text(&captured.stdout), "begin\n");
    assert_eq!(captured.exit.cause, Some(StopCause::IdleTimeout(limit)));
    assert_eq!(captured.exit.status, killed_by(InterruptSignal::Term));
    assert!(captured.exit.elapsed >= limit);
    let shown = captured.exit.to_string();
    assert!(
        shown.starts_with("stopped: no output for 0.3 s; killed by SIGTERM (signal 15) after"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_command_that_talks_is_not_idle() {
    let bench = bench().await;
    let mut spec = sh("for i in 1 2 3 4 5 6; do echo $i >&2; sleep 0.2; done");
    spec.idle_timeout = Some(Duration::from_secs(60));
    assert!(bench.run(spec).await.exit.success());
}

#[tokio::test]
async fn a_command_that_talks_for_ever_meets_the_total_timeout() {
    let bench = bench().await;
    let limit = Duration::from_millis(400);
    let mut spec = sh("while :; do echo more; done");
    spec.total_timeout = Some(limit);
    spec.idle_timeout = Some(Duration::from_secs(60));
    let captured = bench.run(spec).await;
    assert_eq!(captured.exit.cause, Some(StopCause::TotalTimeout(limit)));
    assert!(captured.exit.elapsed >= limit);
    assert!(captured.stdout.starts_with(b"more\n"));
}

#[tokio::test]
async fn the_total_timeout_holds_when_nobody_reads() {
    let bench = bench().await;
    let mut spec = sh("echo $$ > child; yes");
    spec.total_timeout = Some(Duration::from_millis(400));
    let mut running = bench.start(spec).await;
    gone(bench.number("child").await).await;
    let exit = running.exit().await;
    assert!(matches!(exit.cause, Some(StopCause::TotalTimeout(_))));
}

#[tokio::test]
async fn an_interrupt_ends_grandchildren() {
    let bench = bench().await;
    let mut running = bench.start(sh(TREE)).await;
    read_until(&mut running, "ready").await;
    let (child, grandchild) = (
        bench.number("child").await,
        bench.number("grandchild").await,
    );
    assert!(alive(child) && alive(grandchild));
    running.interrupt();
    let exit = running.exit().await;
    assert_eq!(exit.cause, Some(StopCause::Interrupted));
    assert_eq!(exit.status, killed_by(InterruptSignal::Term));
    assert!(
        !alive(child) && !alive(grandchild),
        "gone when the end is reported"
    );
}

#[tokio::test]
async fn who_ignores_the_signal_is_killed_after_the_grace() {
    let bench = bench().await;
    let mut spec = sh("trap '' TERM; echo ready; while :; do sleep 600; done");
    spec.interrupt_grace = Duration::from_millis(300);
    let mut running = bench.start(spec).await;
    read_until(&mut running, "ready").await;
    running.interrupt();
    let exit = running.exit().await;
    assert_eq!(exit.status, killed_by(InterruptSignal::Kill));
    assert_eq!(exit.cause, Some(StopCause::Interrupted));
    assert!(exit.elapsed >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_grandchild_that_ignores_the_signal_is_killed_after_the_grace() {
    let bench = bench().await;
    let line = "sh -c 'trap \"\" TERM; echo $$ > grandchild; while :; do sleep 600; done' & \
                while [ ! -s grandchild ]; do sleep 0.02; done; echo ready; wait";
    let mut spec = sh(line);
    spec.interrupt_grace = Duration::from_millis(300);
    let mut running = bench.start(spec).await;
    read_until(&mut running, "ready").await;
    let grandchild = bench.number("grandchild").await;
    running.interrupt();
    let exit = running.exit().await;
    assert_eq!(exit.status, killed_by(InterruptSignal::Term));
    assert!(!alive(grandchild));
}

/// Only Linux shows who descends from whom.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_left_the_group_and_the_session_does_not_survive_either() {
    let bench = bench().await;
    // One that has its parent no more, and one that has another environment; the latter ignores the signal.
    let line = "(setsid sh -c 'echo $$ > orphan; exec sleep 600' &) ; \
                env -i setsid sh -c 'trap \"\" TERM; echo $$ > bare; while :; do sleep 600; done' & \
                while [ ! -s orphan ] || [ ! -s bare ]; do sleep 0.02; done; echo ready; wait";
    let mut spec = sh(line);
    spec.interrupt_grace = Duration::from_millis(300);
    let mut running = bench.start(spec).await;
    read_until(&mut running, "ready").await;
    let (orphan, bare) = (bench.number("orphan").await, bench.number("bare").await);
    // What another command has left behind is not its family's.
    let other = "setsid sh -c 'echo $$ > other; exec sleep 600' > /dev/null 2>&1 & while [ ! -s other ]; do sleep 0.02; done";
    bench.run(sh(other)).await;
    let other = bench.number("other").await;
    running.interrupt();
    let exit = running.exit().await;
    assert_eq!(exit.cause, Some(StopCause::Interrupted));
    assert!(
        !alive(orphan) && !alive(bare),
        "gone when the end is reported"
    );
    assert!(alive(other));
    end(other);
}

#[tokio::test]
async fn who_cleans_up_in_time_is_heard_and_not_killed() {
    let bench = bench().await;
    let line = "trap 'echo cleaning; exit 4' INT; echo ready; while :; do sleep 0.05; done";
    let mut spec = sh(line);
    spec.interrupt_signal = InterruptSignal::Int;
    spec.interrupt_grace = Duration::from_secs(120);
    let mut running = bench.start(spec).await;
    read_until(&mut running, "ready").await;
    running.interrupt();
    let captured = running.capture(ALL).await;
    assert_eq!(text(&captured.stdout).trim(), "cleaning");
    assert_eq!(captured.exit.status, Status::Code(4));
    assert_eq!(captured.exit.cause, Some(StopCause::Interrupted));
    assert!(!captured.exit.success());
}

#[tokio::test]
async fn a_command_can_be_stopped_from_elsewhere_and_in_a_hurry() {
    let bench = bench().await;
    let mut spec = sh("trap '' TERM; echo ready; while :; do sleep 600; done");
    spec.interrupt_grace = Duration::from_secs(600);
    let mut running = bench.start(spec).await;
    read_until(&mut running, "ready").await;
    let control = running.control();
    control.interrupt();
    control.interrupt_within(Duration::ZERO);
    control.interrupt();
    assert_eq!(
        running.exit().await.status,
        killed_by(InterruptSignal::Kill)
    );
    control.interrupt();
}

#[tokio::test]
async fn dropping_the_handle_kills_the_group() {
    let bench = bench().await;
    let mut running = bench.start(sh(TREE)).await;
    read_until(&mut running, "ready").await;
    let (child, grandchild) = (
        bench.number("child").await,
        bench.number("grandchild").await,
    );
    drop(running);
    gone(child).await;
    gone(grandchild).await;
}

#[tokio::test]
async fn dropping_the_handle_of_a_flooding_command_kills_it() {
    let bench = bench().await;
    let running = bench.start(sh("echo $$ > child; yes")).await;
    let child = bench.number("child").await;
    drop(running);
    gone(child).await;
}

#[test]
fn the_end_of_the_runtime_kills_the_group() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (bench, running, pids) = runtime.block_on(async {
        let bench = bench().await;
        let mut running = bench.start(sh(TREE)).await;
        read_until(&mut running, "ready").await;
        let pids = [
            bench.number("child").await,
            bench.number("grandchild").await,
        ];
        (bench, running, pids)
    });
    drop(runtime);
    let other = tokio::runtime::Runtime::new().expect("a runtime");
    other.block_on(async {
        for pid in pids {
            gone(pid).await;
        }
    });
    drop((bench, running));
}

#[tokio::test]
async fn a_shutdown_stops_everything_and_refuses_more() {
    let bench = bench().await;
    let mut stubborn = bench
        .start(sh("trap '' TERM; echo ready; while :; do sleep 600; done"))
        .await;
    let mut docile = bench.start(sh(TREE)).await;
    read_until(&mut stubborn, "ready").await;
    read_until(&mut docile, "ready").await;
    bench.worker.shutdown(Duration::from_millis(200)).await;
    assert_eq!(bench.worker.commands_running(), 0);
    for (running, signal) in [
        (&mut stubborn, InterruptSignal::Kill),
        (&mut docile, InterruptSignal::Term),
    ] {
        let exit = running.exit().await;
        assert_eq!(exit.cause, Some(StopCause::Shutdown));
        assert_eq!(exit.status, killed_by(signal));
    }
    let error = bench.refused(sh("true")).await;
    assert_eq!(error.to_string(), "the worker shuts down");
}

#[test]
fn signals_have_names() {
    for name in InterruptSignal::ALL {
        assert_eq!(name.name().parse(), Ok(name));
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    let error = "STOP".parse::<InterruptSignal>().expect_err("unknown");
    assert_eq!(
        error,
        "unknown signal `STOP`; known are TERM, INT, HUP, QUIT, USR1, USR2, KILL"
    );
}
