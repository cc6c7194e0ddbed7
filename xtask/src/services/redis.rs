//! Redis, in memory only.

use super::server::{self, Server, User};
use anyhow::Result;
use rustix::process::Signal;
use std::path::Path;

/// Serves an empty database.
pub(super) fn start(program: &Path, directory: &Path, user: Option<&User>) -> Result<Server> {
    let port = server::free_port()?;
    let mut command = server::command(program, user, "TERM");
    command.current_dir(directory);
    command.args([
        "--bind",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--daemonize",
        "no",
    ]);
    command
        .args(["--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(directory);
    Server::start(command, port, Signal::TERM, "Ready to accept connections")
}
