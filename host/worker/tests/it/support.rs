//! A worker in a directory of its own, and waiting for conditions.

use std::path::PathBuf;
use std::time::Duration;

use toolpost_worker::{
    Captured, CommandSpec, Limits, LocalWorker, LocalWorkerOptions, Output, RunningCommand,
    StartError,
};

/// The build in whose directory everything happens.
pub(crate) const BUILD: &str = "build";

/// More output than any test keeps.
pub(crate) const ALL: usize = usize::MAX;

pub(crate) struct Bench {
    pub(crate) worker: LocalWorker,
    temp: tempfile::TempDir,
}

pub(crate) async fn bench() -> Bench {
    bench_with(|_| {}).await
}

pub(crate) async fn bench_with(change: impl FnOnce(&mut LocalWorkerOptions)) -> Bench {
    let temp = tempfile::tempdir().expect("a directory");
    let mut options = LocalWorkerOptions::new(temp.path().join("base"));
    // A hanging pipe has to be given up in time, and what can be closed is closed much sooner.
    options.limits = Limits {
        pipe_close_wait: Duration::from_millis(500),
        ..Limits::default()
    };
    change(&mut options);
    let worker = LocalWorker::open(options).await.expect("a worker");
    Bench { worker, temp }
}

impl Bench {
    /// The path of a file in the build's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.worker.base_dir().join(BUILD).join(name)
    }

    /// A path that is not the worker's.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// Drops the worker and keeps its directory.
    pub(crate) fn leave(self) -> tempfile::TempDir {
        self.temp
    }

    pub(crate) async fn start(&self, spec: CommandSpec) -> RunningCommand {
        self.worker.start(spec).await.expect("the command starts")
    }

    pub(crate) async fn run(&self, spec: CommandSpec) -> Captured {
        self.start(spec).await.capture(ALL).await
    }

    pub(crate) async fn refused(&self, spec: CommandSpec) -> StartError {
        match self.worker.start(spec).await {
            Ok(running) => panic!("{:?} was started", running.launch()),
            Err(error) => error,
        }
    }

    /// The number that a command writes to a file in the build's directory.
    pub(crate) async fn number(&self, name: &str) -> i32 {
        let path = self.path(name);
        let read = || std::fs::read_to_string(&path).ok()?.trim().parse().ok();
        eventually(name, read).await
    }
}

pub(crate) fn sh(line: &str) -> CommandSpec {
    CommandSpec::shell(BUILD, line)
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// Takes output until it contains this.
pub(crate) async fn read_until(running: &mut RunningCommand, wanted: &str) {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        let Output { bytes, .. } = running.next().await.expect("more output");
        seen.push_str(text(&bytes));
    }
}

/// Waits until there is something; long enough for any machine.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited for {what} in vain");
}

/// The process exists and is more than a body that nobody has buried.
pub(crate) fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    match stat {
        Ok(stat) => !stat.contains(") Z ") && !stat.contains(") X "),
        Err(_) if cfg!(target_os = "linux") => false,
        Err(_) => {
            let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
            rustix::process::test_kill_process(pid).is_ok()
        }
    }
}

pub(crate) async fn gone(pid: i32) {
    eventually("the end of a process", || (!alive(pid)).then_some(())).await;
}

/// Ends a process that a test left running on purpose.
pub(crate) fn end(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    // It may be gone already.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}
