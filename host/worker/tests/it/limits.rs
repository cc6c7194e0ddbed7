//! What protects the machine and the base directory.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use toolpost_worker::{LocalWorker, LocalWorkerOptions, OpenError, StartError};

use crate::support::{alive, bench, bench_with, end, eventually, gone, read_until, sh};

#[tokio::test]
async fn more_commands_than_allowed_wait_for_their_turn() {
    let bench = bench_with(|options| options.limits.commands_max = 1).await;
    let mut first = bench
        .start(sh("echo ready; while [ ! -e go ]; do sleep 0.02; done"))
        .await;
    read_until(&mut first, "ready").await;
    let worker = bench.worker.clone();
    let second = tokio::spawn(async move {
        let mut running = worker.start(sh("touch second")).await.expect("it starts");
        running.exit().await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!bench.path("second").exists());
    std::fs::write(bench.path("go"), "").expect("the file");
    assert!(second.await.expect("no panic").success());
    assert!(bench.path("second").exists());
    assert!(first.exit().await.success());
}

#[tokio::test]
async fn waiting_for_a_turn_ends_with_an_error() {
    let bench = bench_with(|options| {
        options.limits.commands_max = 1;
        options.limits.start_wait_max = Duration::from_millis(50);
    })
    .await;
    let _first = bench.start(sh("sleep 600")).await;
    let error = bench.refused(sh("true")).await;
    assert!(
        matches!(
            error,
            StartError::NoSlot {
                commands_max: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_base_directory_has_one_worker() {
    let bench = bench().await;
    let again = LocalWorkerOptions::new(bench.worker.base_dir());
    let error = LocalWorker::open(again.clone()).await.expect_err("in use");
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");

    // A command that still runs holds it as well.
    let mut running = bench.start(sh("echo ready; sleep 600")).await;
    read_until(&mut running, "ready").await;
    let temp = bench.leave();
    assert!(LocalWorker::open(again.clone()).await.is_err());
    running.interrupt();
    running.exit().await;
    drop(running);
    let mut reopened = LocalWorker::open(again.clone()).await.ok();
    for _ in 0..1_000 {
        if reopened.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        reopened = LocalWorker::open(again.clone()).await.ok();
    }
    assert!(reopened.is_some());
    drop(temp);
}

#[tokio::test]
async fn a_base_directory_that_cannot_be_made_is_named() {
    let bench = bench().await;
    let file = bench.outside("file");
    std::fs::write(&file, "").expect("a file");
    let options = LocalWorkerOptions::new(file.join("base"));
    let error = LocalWorker::open(options).await.expect_err("no directory");
    assert!(
        error.to_string().contains("file/base cannot be used"),
        "{error}"
    );
}

/// A process as an earlier worker on this directory, which was killed, would have left it.
#[cfg(target_os = "linux")]
fn leftover(base: &std::path::Path, line: &str) -> std::process::Child {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this process");
    let after_name = stat.rsplit(')').next().expect("a name in parentheses");
    // State, parent, group, session. 0 if it began outside of this process id namespace.
    let session = after_name.split_whitespace().nth(3).expect("a session");
    let mark = format!("{session}:{}", base.display());
    Command::new("/bin/sh")
        .args(["-c", line])
        .env("TOOLPOST_WORKER", mark)
        .current_dir(base)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a process")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_killed_worker_left_running_is_ended() {
    let temp = tempfile::tempdir().expect("a directory");
    let base = temp.path().canonicalize().expect("it exists");
    let other = tempfile::tempdir().expect("a directory");
    let mut group = leftover(
        &base,
        "sleep 600 & echo $! > child.new; mv child.new child; wait",
    );
    let mut foreign = leftover(other.path(), "exec sleep 600");
    let mut daemon = leftover(
        &base,
        "exec setsid sh -c 'echo $$ > daemon.new; mv daemon.new daemon; exec sleep 600'",
    );
    let number = |name: &str| {
        let path = base.join(name);
        move || {
            std::fs::read_to_string(&path)
                .ok()?
                .trim()
                .parse::<i32>()
                .ok()
        }
    };
    let child = eventually("the child", number("child")).await;
    let daemon_pid = eventually("the daemon", number("daemon")).await;

    let worker = LocalWorker::open(LocalWorkerOptions::new(&base))
        .await
        .expect("a worker");
    gone(child).await;
    assert!(!group.wait().expect("it ended").success());
    assert!(
        alive(i32::try_from(foreign.id()).expect("a number")),
        "another worker's"
    );
    assert!(alive(daemon_pid), "a daemon left the session on purpose");

    end(daemon_pid);
    foreign.kill().expect("ours");
    foreign.wait().expect("it ended");
    daemon.wait().expect("it ended");
    drop(worker);
}

#[tokio::test]
async fn a_worker_tells_about_its_machine() {
    let bench = bench().await;
    let info = bench.worker.info();
    for name in [
        "system",
        "architecture",
        "host",
        "numcpus",
        "version",
        "basedir",
    ] {
        assert!(
            info.get(name).is_some_and(|value| !value.is_empty()),
            "{name}"
        );
    }
    assert!(info["numcpus"].parse::<u32>().is_ok());
}
