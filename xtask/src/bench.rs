//! `cargo xtask bench`: measures a release build, on SQLite and on a private PostgreSQL.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::services::Services;
use crate::{children, paths, plugins, setup, ui};

/// Builds everything optimised and runs the benchmarks with these arguments.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let installed = setup::everything()?;
    let plugins = plugins::build()?;
    ui::heading("release build");
    let mut build = cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "toolpost",
        "--package",
        "toolpost-bench",
    ]);
    ensure!(
        children::status(&mut build)?.success(),
        "Toolpost does not build"
    );
    let services = Services::start(&installed)?;
    ui::heading("measuring");
    let mut bench = Command::new(paths::target().join("release/toolpost-bench"));
    bench
        .envs(services.environment())
        .env("TOOLPOST_TEST_PLUGINS", plugins)
        .arg("--json")
        .arg(paths::target().join("bench.json"))
        .args(arguments);
    ensure!(
        children::status(&mut bench)?.success(),
        "the benchmarks failed"
    );
    Ok(())
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::root());
    command
}
