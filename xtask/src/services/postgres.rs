//! PostgreSQL, tuned for tests: nothing has to survive a crash of the machine.

use super::server::{self, Server, User};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::path::Path;

/// Tests run in parallel, each with a pool of its own.
const CONNECTIONS_MAX: u32 = 200;

/// Makes a cluster below `directory` and serves it.
pub(super) fn start(bin: &Path, directory: &Path, user: Option<&User>) -> Result<Server> {
    let data = directory.join("postgres");
    let output = server::command(&bin.join("initdb"), user, "TERM")
        .args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ])
        .arg("--pgdata")
        .arg(&data)
        .current_dir(directory)
        .output()
        .context("could not run initdb")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "initdb failed with {}; it said:\n{}",
            output.status,
            said.trim_end()
        );
    }
    let port = server::free_port()?;
    // SIGQUIT: stop at once, without the checkpoint that a later start would want.
    let mut command = server::command(&bin.join("postgres"), user, "QUIT");
    command
        .arg("-D")
        .arg(&data)
        .current_dir(directory)
        .env("LC_ALL", "C");
    for setting in [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={}", directory.display()),
        format!("max_connections={CONNECTIONS_MAX}"),
        "fsync=off".to_owned(),
        "synchronous_commit=off".to_owned(),
        "full_page_writes=off".to_owned(),
        "logging_collector=off".to_owned(),
    ] {
        command.arg("-c").arg(setting);
    }
    Server::start(command, port, Signal::QUIT, "ready to accept connections")
}
