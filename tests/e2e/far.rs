//! Workers that connect from elsewhere, stock `buildbot-worker` processes and `toolpost worker`, with the same verbs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use toolpost_harness::{Api, Farm, eventually};

use crate::support::write_secret;

/// The password of workers that are let in.
const PASSWORD: &str = "open sesame";
/// What both kinds say of whom they belong to.
pub(crate) const ADMIN: &str = "Ada <ada@example.org>";

/// A process that writes a log; killed when dropped.
pub(crate) struct Process {
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// One that does not run yet, and will write to this file.
    pub(crate) fn logging_to(log: PathBuf) -> Self {
        Self { log, child: None }
    }

    /// Starts it, in place of the one before.
    pub(crate) fn start(&mut self, command: &mut Command) {
        self.kill();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asserts that it has not ended.
    pub(crate) fn assert_running(&mut self) {
        let ended = self.child.as_mut().unwrap().try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}\n{}", self.log());
    }

    fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.id().cast_signed()).unwrap(), signal).unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Which worker it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `buildbot-worker`.
    Stock,
    /// `toolpost worker`.
    Own,
}

impl Kind {
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Stock => "4.3.0",
            Self::Own => env!("CARGO_PKG_VERSION"),
        }
    }
}

/// A worker in a folder of its own.
pub(crate) struct Far {
    dir: TempDir,
    /// The program and its arguments.
    words: Vec<OsString>,
    process: Process,
}

impl Far {
    /// A running one named `far` with the right password, for a master at this port.
    pub(crate) fn start(kind: Kind, port: u16) -> Self {
        Self::of(kind, port).started()
    }

    /// The same, not running yet.
    pub(crate) fn of(kind: Kind, port: u16) -> Self {
        match kind {
            Kind::Stock => Self::stock("far", PASSWORD, port),
            Kind::Own => Self::own(PASSWORD, &format!("ws://127.0.0.1:{port}")),
        }
    }

    /// A stock one for a master at this port; it does not run yet.
    pub(crate) fn stock(name: &str, password: &str, port: u16) -> Self {
        let program = std::env::var_os("TOOLPOST_TEST_BUILDBOT_WORKER").expect(
            "TOOLPOST_TEST_BUILDBOT_WORKER is not set: run the tests with `cargo xtask test`",
        );
        let mut worker = Self::empty();
        let made = Command::new(&program)
            .args(["create-worker", "--maxdelay", "2"])
            .args(["--protocol", "msgpack_experimental_v7"])
            .arg(worker.path(""))
            .args([&format!("127.0.0.1:{port}"), name, password])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        std::fs::write(worker.path("info/admin"), format!("{ADMIN}\n")).unwrap();
        std::fs::write(worker.path("info/host"), "cellar\n").unwrap();
        let basedir = worker.path("").into_os_string();
        worker.words = vec![program, "start".into(), "--nodaemon".into(), basedir];
        worker
    }

    /// One of ours named `far`, for the master at this address; it does not run yet.
    pub(crate) fn own(password: &str, master: &str) -> Self {
        let mut worker = Self::empty();
        let secret = worker.dir.path().join("password");
        write_secret(&secret, password);
        worker.words = vec![env!("CARGO_BIN_EXE_toolpost").into(), "worker".into()];
        let basedir = worker.path("");
        worker
            .option("--color", "never")
            .option("--master", master)
            .option("--name", "far")
            .option("--max-delay", "1s")
            .option("--admin", ADMIN)
            .option("--info", "rack=7")
            .option("--password-file", secret)
            .option("--basedir", basedir)
    }

    fn empty() -> Self {
        let dir = TempDir::with_prefix("toolpost-worker-").unwrap();
        let process = Process::logging_to(dir.path().join("out.log"));
        Self {
            dir,
            words: Vec::new(),
            process,
        }
    }

    /// With one more option.
    pub(crate) fn option(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.words.push(name.into());
        self.words.push(value.as_ref().into());
        self
    }

    /// One that may read and write no more than the permissions of files say, also where the tests run as root.
    pub(crate) fn without_privileges(mut self) -> Self {
        if rustix::process::geteuid().is_root() {
            let without = "-dac_override,-dac_read_search";
            let words = [
                "setpriv".to_owned(),
                format!("--bounding-set={without}"),
                format!("--inh-caps={without}"),
            ];
            let program = std::mem::take(&mut self.words);
            let words = words.into_iter().map(OsString::from);
            self.words = words.chain(program).collect();
        }
        self
    }

    /// The same, running.
    pub(crate) fn started(mut self) -> Self {
        self.run();
        self
    }

    /// Starts it, again if it was killed.
    pub(crate) fn run(&mut self) {
        // A stock one that was killed leaves it, and does not start beside it.
        let _ = std::fs::remove_file(self.path("twistd.pid"));
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .env("TOOLPOST_LOG", "info,toolpost_daemon=debug");
        self.process.start(&mut command);
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end and waits until it has; its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let mut child = self.process.child.take().unwrap();
        child.wait().unwrap().code()
    }

    /// Waits until it has ended by itself; its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let child = self.process.child.as_mut().unwrap();
        let ended = async || child.try_wait().unwrap();
        let status = eventually("the worker to end", ended).await;
        status.code()
    }

    /// Lets it stand still, go on or end.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A path in its base directory.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join("worker").join(relative)
    }

    /// What it wrote about itself.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

/// What the API says of a worker.
pub(crate) async fn worker(api: &Api, name: &str) -> Value {
    let list = api.get("workers").await;
    let mut workers = list["workers"].as_array().unwrap().iter();
    workers
        .find(|worker| worker["name"] == name)
        .unwrap()
        .clone()
}

/// Waits until the master says that a worker is connected, or that it is not.
pub(crate) async fn connected(farm: &Farm, name: &str, wanted: bool) {
    eventually(
        &format!("worker {name} to be connected: {wanted}"),
        async || {
            let worker = worker(farm.api(), name).await;
            let connected = !worker["connected_to"].as_array().unwrap().is_empty();
            (connected == wanted).then_some(())
        },
    )
    .await;
}

/// The results of all builds of a request, in their order.
pub(crate) async fn results(farm: &Farm, request: i64) -> Vec<Option<i64>> {
    let builds = farm.api().builds_of(request).await;
    builds
        .iter()
        .map(|build| build["results"].as_i64())
        .collect()
}
