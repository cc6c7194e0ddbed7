//! A private PostgreSQL and Redis: own directory, own ports, gone afterwards.

mod postgres;
mod redis;
mod server;

use crate::setup::{self, Installed};
use crate::{children, ui};
use anyhow::{Context, Result};
use server::Server;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// Servers that end when this is dropped, when the chore is told to end, and when it is killed.
pub(crate) struct Services {
    // Before the directory: the servers stop first, then their files go.
    postgres: Server,
    redis: Server,
    _directory: TempDir,
}

impl Services {
    /// Starts both and waits until they answer.
    pub(crate) fn start(installed: &Installed) -> Result<Self> {
        ui::heading("services");
        let directory = tempfile::Builder::new()
            .prefix("toolpost-services-")
            .tempdir()
            .context("could not create a temporary directory")?;
        children::remove_on_signal(directory.path().to_owned());
        let user = server::unprivileged_user()?;
        server::hand_over(directory.path(), user.as_ref())?;
        let postgres = ui::task("PostgreSQL", |_| {
            let server = postgres::start(&installed.postgres_bin, directory.path(), user.as_ref())?;
            let port = server.port();
            Ok((server, format!("on port {port}")))
        })?;
        let redis = ui::task("Redis", |_| {
            let server = redis::start(&installed.redis_server, directory.path(), user.as_ref())?;
            let port = server.port();
            Ok((server, format!("on port {port}")))
        })?;
        Ok(Self {
            postgres,
            redis,
            _directory: directory,
        })
    }

    /// The variables that tests find the servers with.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let postgres = format!(
            "postgres://postgres@127.0.0.1:{}/postgres",
            self.postgres.port()
        );
        let redis = format!("redis://127.0.0.1:{}/", self.redis.port());
        vec![
            ("TOOLPOST_TEST_POSTGRES_URL", postgres.into()),
            ("TOOLPOST_TEST_REDIS_URL", redis.into()),
        ]
    }
}

/// Runs the services until a signal comes.
pub(crate) fn serve() -> Result<()> {
    let services = Services::start(&setup::everything()?)?;
    let mut stdout = std::io::stdout().lock();
    for (name, value) in services.environment() {
        writeln!(stdout, "export {name}={}", Path::new(&value).display())
            .context("could not print the addresses")?;
    }
    stdout.flush().context("could not print the addresses")?;
    eprintln!("\nrunning until Ctrl-C");
    loop {
        // The thread that listens for signals ends the process.
        std::thread::park();
    }
}
