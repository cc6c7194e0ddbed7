//! `cargo xtask chaos`: a long run of the test that kills masters.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{children, paths, plugins, ui};

/// The test, by the beginning of its name; it says there what has to hold.
const TEST: &str = "kills::";

/// Builds the plugins and runs the test with so many kills and changes.
pub(crate) fn run(kills: u32, changes: u32) -> Result<()> {
    let plugins = plugins::build()?;
    ui::heading("chaos");
    let mut test = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    test.current_dir(paths::root())
        .args(["test", "--package", "toolpost", "--test", "e2e", "--"])
        .args([TEST, "--nocapture"])
        .env("TOOLPOST_TEST_PLUGINS", plugins)
        .env("TOOLPOST_TEST_KILLS", kills.to_string())
        .env("TOOLPOST_TEST_CHANGES", changes.to_string());
    ensure!(children::status(&mut test)?.success(), "the run failed");
    Ok(())
}
