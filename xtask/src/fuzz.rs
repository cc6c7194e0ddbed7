//! `cargo xtask fuzz`: a long run of the test that says to both ends of the worker protocol what nobody thought of.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{children, paths, ui};

/// Runs it for so many seconds; it prints how many inputs it tried and the most memory that it needed.
pub(crate) fn run(seconds: u64) -> Result<()> {
    ui::heading("fuzzing the worker protocol");
    let mut test = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    test.current_dir(paths::root())
        .args(["test", "--package", "toolpost-wire", "--test", "fuzz"])
        .args(["--", "--nocapture"])
        .env("TOOLPOST_TEST_FUZZ_SECONDS", seconds.to_string());
    ensure!(
        children::status(&mut test)?.success(),
        "something was found: put its smallest form into host/wire/tests/corpus/regressions.txt or a test"
    );
    Ok(())
}
