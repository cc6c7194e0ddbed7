//! `toolpost worker` processes, with the same verbs as stock ones.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::write_secret;

/// A worker of our own in a folder of its own; killed when dropped.
pub(crate) struct OwnWorker {
    dir: TempDir,
    name: String,
    master: String,
    arguments: Vec<String>,
    process: Option<std::process::Child>,
}

impl OwnWorker {
    /// One with this name and password for the master at this address; it does not run yet.
    pub(crate) fn new(name: &str, password: &str, master: &str) -> Self {
        let dir = TempDir::with_prefix("toolpost-worker-").unwrap();
        write_secret(&dir.path().join("password"), password);
        Self {
            dir,
            name: name.to_owned(),
            master: master.to_owned(),
            arguments: Vec::new(),
            process: None,
        }
    }

    /// With one more option.
    pub(crate) fn option(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.arguments.push(name.to_owned());
        self.arguments.push(value.as_ref().display().to_string());
        self
    }

    /// The same, running.
    pub(crate) fn started(mut self) -> Self {
        self.run();
        self
    }

    /// Starts it, again if it was killed.
    pub(crate) fn run(&mut self) {
        self.kill();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("out.log"))
            .unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_toolpost"))
            .args(["worker", "--color", "never", "--master", &self.master])
            .args(["--name", &self.name, "--max-delay", "1s"])
            .args(["--admin", "Ada <ada@example.org>", "--info", "rack=7"])
            .arg("--password-file")
            .arg(self.dir.path().join("password"))
            .arg("--basedir")
            .arg(self.path(""))
            .args(&self.arguments)
            .env("TOOLPOST_LOG", "info,toolpost_daemon=debug")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Asks it to end and waits until it has; its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut process = self.process.take().unwrap();
        let id = Pid::from_raw(process.id().cast_signed()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        process.wait().unwrap().code()
    }

    /// A path in its folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join("worker").join(relative)
    }

    /// What it wrote about itself.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("out.log")).unwrap_or_default()
    }
}

impl Drop for OwnWorker {
    fn drop(&mut self) {
        self.kill();
    }
}
