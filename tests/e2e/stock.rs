//! Stock `buildbot-worker` processes, and a line to the master that can be cut.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A stock worker in a folder of its own; killed when dropped.
pub(crate) struct StockWorker {
    dir: TempDir,
    process: Option<std::process::Child>,
}

impl StockWorker {
    /// Makes its folder, with this name and password, for a master at this port.
    pub(crate) fn new(name: &str, password: &str, port: u16) -> Self {
        let dir = TempDir::with_prefix("toolpost-stock-").unwrap();
        let worker = Self { dir, process: None };
        let made = command()
            .args([
                "create-worker",
                "--protocol",
                "msgpack_experimental_v7",
                "--maxdelay",
                "2",
            ])
            .arg(worker.path(""))
            .args([&format!("127.0.0.1:{port}"), name, password])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        std::fs::write(worker.path("info/admin"), "Ada <ada@example.org>\n").unwrap();
        std::fs::write(worker.path("info/host"), "cellar\n").unwrap();
        worker
    }

    /// The same, running.
    pub(crate) fn start(name: &str, password: &str, port: u16) -> Self {
        let mut worker = Self::new(name, password, port);
        worker.run();
        worker
    }

    /// Starts it, again if it was killed.
    pub(crate) fn run(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(self.path("twistd.pid"));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("out.log"))
            .unwrap();
        let process = command()
            .args(["start", "--nodaemon"])
            .arg(self.path(""))
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

    /// Lets it stand still, or go on.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.process.as_ref().unwrap().id();
        kill_process(Pid::from_raw(id.cast_signed()).unwrap(), signal).unwrap();
    }

    /// A path in its folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join("worker").join(relative)
    }

    /// What it wrote about itself.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("out.log")).unwrap_or_default()
    }
}

impl Drop for StockWorker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command() -> Command {
    let program = std::env::var_os("TOOLPOST_TEST_BUILDBOT_WORKER")
        .expect("TOOLPOST_TEST_BUILDBOT_WORKER is not set: run the tests with `cargo xtask test`");
    Command::new(program)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A configuration with remote workers `far` (password `open sesame`), these builders for them, and a force scheduler.
pub(crate) fn config(port: u16, workers: &[&str], builders: &[(&str, &str)]) -> String {
    let quoted = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        names.join(", ")
    };
    let mut text = format!("[workers]\nlisten = \"127.0.0.1:{port}\"\n");
    for worker in workers {
        text.push_str(&format!(
            "\n[[worker]]\nname = {worker:?}\nkind = \"remote\"\npassword = \"open sesame\"\nmax_builds = 4\n"
        ));
    }
    let names: Vec<&str> = builders.iter().map(|(name, _)| *name).collect();
    text.push_str(&format!(
        "\n[[scheduler]]\nname = \"force\"\nuse = \"force\"\nbuilders = [{}]\n",
        quoted(&names)
    ));
    for (name, steps) in builders {
        text.push_str(&format!(
            "\n[[builder]]\nname = {name:?}\nworkers = [{}]\ncollapse_requests = false\n\n{steps}\n",
            quoted(workers)
        ));
    }
    text
}

/// A line to a port that can be cut and mended. Connections over it break when it is cut; new ones are refused until it is
/// mended.
pub(crate) struct Line {
    pub(crate) port: u16,
    up: Arc<watch::Sender<bool>>,
}

impl Line {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let up = Arc::new(watch::Sender::new(true));
        let state = Arc::clone(&up);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut up = state.subscribe();
                if !*up.borrow_and_update() {
                    continue;
                }
                tokio::spawn(async move {
                    let mut near = near;
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = up.wait_for(|up| !up) => {}
                    }
                });
            }
        });
        Self { port: own, up }
    }

    pub(crate) fn cut(&self) {
        self.up.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.up.send_replace(true);
    }
}
