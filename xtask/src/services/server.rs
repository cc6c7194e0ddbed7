//! One server: started as an unprivileged user, ready when it says so, stopped by its own id.

use crate::children::{self, Running};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take until it answers; on a loaded machine PostgreSQL needs seconds.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How many of its last lines the error shows when a server does not start.
const ERROR_LINES_MAX: usize = 12;
/// Where util-linux has it on every distribution.
const SETPRIV: &str = "setpriv";

/// An account without rights.
pub(super) struct User {
    name: &'static str,
    uid: u32,
}

/// A server that answers.
pub(super) struct Server {
    _running: Running,
    port: u16,
}

impl Server {
    /// Where it listens on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Starts `command` and waits until one of its lines contains `ready`.
    pub(super) fn start(
        mut command: Command,
        port: u16,
        stop: Signal,
        ready: &str,
    ) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = children::spawn(&mut command, stop)?;
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = running.child().stdout.take() {
            forward_lines(stdout, sender.clone());
        }
        if let Some(stderr) = running.child().stderr.take() {
            forward_lines(stderr, sender);
        }
        let mut last_lines = VecDeque::new();
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            let line = match receiver.recv_timeout(deadline - Instant::now().min(deadline)) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => bail!("no answer within {READY_TIMEOUT:?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    let said: Vec<String> = last_lines.into();
                    bail!("the server ended at once; it said:\n{}", said.join("\n"));
                }
            };
            if line.contains(ready) {
                return Ok(Self {
                    _running: running,
                    port,
                });
            }
            if last_lines.len() == ERROR_LINES_MAX {
                last_lines.pop_front();
            }
            last_lines.push_back(line);
        }
    }
}

/// A command that runs as `user` and ends with `death_signal` when this process is killed, in which
/// case nothing here can end it.
pub(super) fn command(program: &Path, user: Option<&User>, death_signal: &str) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    let mut command = Command::new(SETPRIV);
    if let Some(user) = user {
        command.args([
            &format!("--reuid={}", user.name),
            &format!("--regid={}", user.name),
        ]);
        command.arg("--init-groups");
    }
    command
        .arg(format!("--pdeathsig={death_signal}"))
        .arg("--")
        .arg(program);
    command
}

/// PostgreSQL refuses to run as root, so root gives it another account; others use their own.
pub(super) fn unprivileged_user() -> Result<Option<User>> {
    const ACCOUNT: &str = "postgres";
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let output = Command::new("id")
        .args(["-u", ACCOUNT])
        .output()
        .context("could not run `id`")?;
    let uid = String::from_utf8_lossy(&output.stdout).trim().parse();
    let uid = uid.with_context(|| format!("there is no account `{ACCOUNT}` to run servers as"))?;
    Ok(Some(User { name: ACCOUNT, uid }))
}

/// Gives `directory` to the account that the servers run as.
pub(super) fn hand_over(directory: &Path, user: Option<&User>) -> Result<()> {
    let context = || format!("could not hand {} to the servers", directory.display());
    if let Some(user) = user {
        std::os::unix::fs::chown(directory, Some(user.uid), None).with_context(context)?;
    }
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
        .with_context(context)
}

/// A port that nobody listens on. Another process may take it before the server does; then the
/// server says so and the chore fails with its words.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("could not find a free port")?;
    Ok(listener
        .local_addr()
        .context("could not find a free port")?
        .port())
}

/// Reads to the end even when nobody listens any more: a server must not block on a full pipe.
fn forward_lines(pipe: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let _ = lines.send(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    });
}
