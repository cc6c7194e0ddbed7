//! The stock worker of Buildbot, in a virtual environment of its own.

use crate::{children, ui};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release that compatibility is tested with.
const RELEASE: &str = "buildbot-worker==4.3.0";

/// Makes sure that the worker is in the cache, and returns its program.
pub(super) fn ensure(python: &Path) -> Result<PathBuf> {
    ui::task("stock worker", |task| {
        let cache = toolpost_toolchain::default_cache_dir();
        let directory = cache.join(RELEASE.replace("==", "-"));
        let program = directory.join("bin/buildbot-worker");
        // A virtual environment knows its own path, so it is made in place and marked when complete.
        let complete = directory.join("complete");
        std::fs::create_dir_all(&cache)
            .with_context(|| format!("could not create {}", cache.display()))?;
        let lock_path = cache.join("buildbot-worker.lock");
        let lock = File::create(&lock_path)
            .with_context(|| format!("could not create {}", lock_path.display()))?;
        lock.lock()
            .with_context(|| format!("could not lock {}", lock_path.display()))?;
        if !complete.is_file() {
            task.note(&format!("installing {RELEASE}"));
            run(
                python,
                [
                    "-m".as_ref(),
                    "venv".as_ref(),
                    "--clear".as_ref(),
                    directory.as_os_str(),
                ],
            )?;
            run(
                &directory.join("bin/pip"),
                ["install", "--quiet", RELEASE].map(OsStr::new),
            )?;
            File::create(&complete)
                .with_context(|| format!("could not create {}", complete.display()))?;
        }
        Ok((program, RELEASE.to_owned()))
    })
}

fn run<'a>(program: &Path, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<()> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let status = children::status(&mut command)?;
    if !status.success() {
        bail!(
            "`{}` failed with {status}; it says why above",
            program.display()
        );
    }
    Ok(())
}
