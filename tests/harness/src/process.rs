//! The process and its folder.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::{Api, eventually};

/// What a farm starts with.
#[derive(Debug)]
pub struct FarmBuilder {
    binary: PathBuf,
    config: String,
    plugins: Vec<(String, Vec<u8>)>,
    compiles_all: bool,
}

/// A running Toolpost in a temporary folder; killed when dropped.
#[derive(Debug)]
pub struct Farm {
    binary: PathBuf,
    dir: TempDir,
    process: Option<tokio::process::Child>,
    output: Arc<Mutex<String>>,
    api: Option<Api>,
    compiles_all: bool,
}

/// Where farms find components that others have compiled.
const PLUGIN_CACHE: &str = "TOOLPOST_PLUGIN_CACHE";

/// The process ended before it listened.
#[derive(Debug)]
pub struct StartFailure {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed, both streams.
    pub output: String,
}

impl FarmBuilder {
    /// Puts a component into the plugin folder under this name (without `.wasm`).
    #[must_use]
    pub fn plugin(mut self, name: &str, component: impl Into<Vec<u8>>) -> Self {
        self.plugins.push((name.to_owned(), component.into()));
        self
    }

    /// Compiles every plugin itself, as a new master does, instead of taking what another farm has compiled.
    #[must_use]
    pub fn compiles_all(mut self) -> Self {
        self.compiles_all = true;
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(self) -> Farm {
        match self.try_start().await {
            Ok(farm) => farm,
            Err(e) => panic!("toolpost ended with {}:\n{}", e.status, e.output),
        }
    }

    /// Starts it and waits until it listens or ends.
    ///
    /// # Errors
    /// When it ended before it listened.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub async fn try_start(self) -> Result<Farm, StartFailure> {
        let mut farm = self.prepare();
        farm.try_run().await?;
        Ok(farm)
    }

    /// Writes the folder without starting anything.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[must_use]
    pub fn prepare(self) -> Farm {
        let dir = TempDir::with_prefix("toolpost-farm-").expect("a temporary folder");
        let farm = Farm {
            binary: self.binary,
            dir,
            process: None,
            output: Arc::default(),
            api: None,
            compiles_all: self.compiles_all,
        };
        std::fs::create_dir(farm.path("plugins")).expect("a plugin folder");
        farm.write_config(&self.config);
        for (name, component) in &self.plugins {
            farm.drop_plugin(name, component);
        }
        farm
    }
}

impl Farm {
    /// A farm of this program with this `toolpost.toml`.
    #[must_use]
    pub fn with(binary: impl Into<PathBuf>, config: &str) -> FarmBuilder {
        FarmBuilder {
            binary: binary.into(),
            config: config.to_owned(),
            plugins: Vec::new(),
            compiles_all: false,
        }
    }

    /// A path in the farm's folder.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// The client of the running master.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn api(&self) -> &Api {
        self.api.as_ref().expect("the farm runs")
    }

    /// Process id of the running master.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process
            .as_ref()
            .and_then(tokio::process::Child::id)
            .expect("the farm runs")
    }

    /// What the master printed so far, both streams, over all its starts.
    ///
    /// # Panics
    /// Never, but for a poisoned lock.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.lock().expect("no reader panics").clone()
    }

    /// Replaces `toolpost.toml` at once, as editors do.
    ///
    /// # Panics
    /// When that fails.
    pub fn write_config(&self, text: &str) {
        self.replace("toolpost.toml", text.as_bytes());
    }

    /// Replaces `plugins/NAME.wasm` at once.
    ///
    /// # Panics
    /// When that fails.
    pub fn drop_plugin(&self, name: &str, component: &[u8]) {
        self.replace(&format!("plugins/{name}.wasm"), component);
    }

    fn replace(&self, relative: &str, contents: &[u8]) {
        let path = self.path(relative);
        let temporary = path.with_extension("tmp");
        std::fs::write(&temporary, contents).expect("the farm's folder can be written");
        std::fs::rename(&temporary, &path).expect("the farm's folder can be written");
    }

    /// Starts the master (again) and waits until it listens or ends.
    ///
    /// # Errors
    /// When it ended before it listened.
    ///
    /// # Panics
    /// When it cannot be started or does neither.
    pub async fn try_run(&mut self) -> Result<(), StartFailure> {
        let printed_before = self.output().len();
        self.launch();
        let base = eventually("toolpost to listen or to end", async || {
            let process = self.process.as_mut().expect("it was started");
            if let Some(status) = process.try_wait().expect("the process can be waited for") {
                return Some(Err(status));
            }
            let output = self.output();
            let line = output[printed_before..]
                .lines()
                .find_map(|l| l.split_once("listening on http://"))?
                .1;
            let address = line.split(['/', ' ']).next()?;
            Some(Ok(format!("http://{address}")))
        })
        .await;
        match base {
            Ok(base) => {
                self.api = Some(Api::new(&base));
                Ok(())
            }
            Err(status) => {
                self.process = None;
                // The readers may still hold the last lines.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                let output = self.output()[printed_before..].to_owned();
                Err(StartFailure { status, output })
            }
        }
    }

    /// Starts the process and does not wait until it listens: for those who end it before.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn launch(&mut self) {
        let mut process = tokio::process::Command::from(self.command())
            .kill_on_drop(true)
            .spawn()
            .expect("toolpost can be started");
        self.collect(process.stdout.take().expect("standard output is piped"));
        self.collect(process.stderr.take().expect("standard error is piped"));
        self.process = Some(process);
    }

    /// Starts the master again.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn run(&mut self) {
        if let Err(e) = self.try_run().await {
            panic!("toolpost ended with {}:\n{}", e.status, e.output);
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(["run", "--color", "never", "--listen", "127.0.0.1:0"])
            .arg(self.path("toolpost.toml"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.compiles_all {
            command.env_remove(PLUGIN_CACHE);
        }
        command
    }

    fn collect(&self, stream: impl AsyncRead + Send + Unpin + 'static) {
        let output = Arc::clone(&self.output);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut output = output.lock().expect("no reader panics");
                output.push_str(&line);
                output.push('\n');
            }
        });
    }

    /// Ends the master at once, as a power cut would.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        let mut process = self.process.take().expect("the farm runs");
        process.kill().await.expect("the process can be killed");
        self.api = None;
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn terminate(&mut self) -> ExitStatus {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, Signal::TERM).expect("the process can be signalled");
        let mut process = self.process.take().expect("the farm runs");
        self.api = None;
        process.wait().await.expect("the process can be waited for")
    }

    /// Runs another command of the program in the farm's folder.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn cli(&self, args: &[&str]) -> std::process::Output {
        tokio::process::Command::new(&self.binary)
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .await
            .expect("toolpost can be started")
    }
}
