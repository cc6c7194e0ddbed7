//! Installs what the tests need: as root on Debian by itself, elsewhere it says what is missing.

mod npm;
mod programs;
mod venv;

use crate::{children, ui};
use anyhow::{Context, Result, bail};
use programs::{Missing, Programs};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs that tests and services use.
#[derive(Debug)]
pub(crate) struct Installed {
    /// The directory of PostgreSQL's server programs.
    pub(crate) postgres_bin: PathBuf,
    /// The Redis server.
    pub(crate) redis_server: PathBuf,
    /// The browser.
    pub(crate) chromium: PathBuf,
    /// What drives the browser.
    pub(crate) chromedriver: PathBuf,
    /// The stock worker of Buildbot.
    pub(crate) buildbot_worker: PathBuf,
    /// The stock master of Buildbot.
    pub(crate) buildbot: PathBuf,
    /// The virtual environment with the web interface of Buildbot.
    pub(crate) stock_ui: PathBuf,
    /// A Python with a library for mail servers.
    pub(crate) mail_python: PathBuf,
    /// What asks an API whatever its description allows.
    pub(crate) schemathesis: PathBuf,
    /// Node.js.
    pub(crate) node: PathBuf,
    /// Where there is a provider of OpenID Connect.
    pub(crate) oidc_provider: PathBuf,
}

/// Makes sure that everything is there.
pub(crate) fn everything() -> Result<Installed> {
    ui::heading("set-up");
    let programs = ui::task("programs", |task| {
        let programs = match Programs::find() {
            Ok(programs) => programs,
            Err(missing) => install(&missing, task)?,
        };
        let outcome = "git, PostgreSQL, Redis, Chromium, Python and npm are there";
        Ok((programs, outcome.to_owned()))
    })?;
    let buildbot_worker = venv::ensure(&programs.python, &venv::STOCK_WORKER)?;
    let buildbot = venv::ensure(&programs.python, &venv::STOCK_MASTER)?;
    let stock_ui = venv::ensure(&programs.python, &venv::STOCK_UI)?;
    let mail_python = venv::ensure(&programs.python, &venv::MAIL_SERVER)?;
    let schemathesis = venv::ensure(&programs.python, &venv::API_TESTER)?;
    let cache = toolpost_toolchain::default_cache_dir();
    let node = toolpost_toolchain::find_node(&cache, &mut |line| eprintln!("  · {line}"))?;
    let oidc_provider = npm::ensure("OpenID provider", npm::OIDC_PROVIDER)?;
    Ok(Installed {
        postgres_bin: programs.postgres_bin,
        redis_server: programs.redis_server,
        chromium: programs.chromium,
        chromedriver: programs.chromedriver,
        buildbot_worker,
        buildbot,
        // Above `bin/python`.
        stock_ui: stock_ui.ancestors().nth(2).unwrap_or(&stock_ui).to_owned(),
        mail_python,
        schemathesis,
        node,
        oidc_provider,
    })
}

fn install(missing: &[Missing], task: &ui::Task) -> Result<Programs> {
    let names: Vec<&str> = missing.iter().map(|missing| missing.name).collect();
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|missing| missing.debian_packages.iter().copied())
        .collect();
    let command = format!("apt-get install {}", packages.join(" "));
    if !Path::new("/etc/debian_version").is_file() {
        bail!(
            "missing: {}. Install them with the package manager of this system (on Debian: `{command}`)",
            names.join(", ")
        );
    }
    if !rustix::process::geteuid().is_root() {
        bail!(
            "missing: {}. Install them with `sudo {command}`, or run this as root",
            names.join(", ")
        );
    }
    task.note(&format!("installing {}", packages.join(", ")));
    apt_get(&["update"])?;
    apt_get(
        &[
            &["install", "--yes", "--no-install-recommends"],
            packages.as_slice(),
        ]
        .concat(),
    )?;
    Programs::find().map_err(|missing| {
        let names: Vec<&str> = missing.iter().map(|missing| missing.name).collect();
        anyhow::anyhow!(
            "`{command}` succeeded, but {} cannot be found",
            names.join(", ")
        )
    })
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .arg("-qq")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let status = children::status(&mut command).context("Debian without apt-get")?;
    if !status.success() {
        bail!(
            "`apt-get {}` failed with {status}; it says why above",
            arguments.join(" ")
        );
    }
    Ok(())
}
