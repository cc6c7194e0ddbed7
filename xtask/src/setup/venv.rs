//! What comes from PyPI, each in a virtual environment of its own.

use crate::{children, ui};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A package.
pub(super) struct Package {
    /// What it is for.
    pub(super) title: &'static str,
    /// The release that is tested with.
    pub(super) release: &'static str,
    /// What it does not bring itself and cannot do without.
    pub(super) beside: &'static [&'static str],
    /// Further options of pip.
    pub(super) options: &'static [&'static str],
    /// The program of it that is used.
    pub(super) program: &'static str,
}

/// The worker of Buildbot, as its users have it.
pub(super) const STOCK_WORKER: Package = Package {
    title: "stock worker",
    release: "buildbot-worker==4.3.0",
    beside: &[],
    options: &[],
    program: "buildbot-worker",
};

/// The master of Buildbot, with the package that its API is in.
pub(super) const STOCK_MASTER: Package = Package {
    title: "stock master",
    release: "buildbot==4.3.0",
    beside: &["buildbot-www==4.3.0"],
    options: &[],
    program: "buildbot",
};

/// The web interface of Buildbot with its views.
pub(super) const STOCK_UI: Package = Package {
    title: "stock web interface",
    release: "buildbot-www==4.3.0",
    beside: &[
        "buildbot-waterfall-view==4.3.0",
        "buildbot-console-view==4.3.0",
        "buildbot-grid-view==4.3.0",
    ],
    // Their files are all that is wanted of them, not the master that they come from.
    options: &["--no-deps"],
    // It has none; where this one is, is known by it.
    program: "python",
};

/// A library for mail servers; the tests bring the server.
pub(super) const MAIL_SERVER: Package = Package {
    title: "mail server",
    release: "aiosmtpd==1.4.6",
    beside: &[],
    options: &[],
    program: "python",
};

/// Asks an API whatever its description allows, and more.
pub(super) const API_TESTER: Package = Package {
    title: "API tester",
    release: "schemathesis==4.32.5",
    beside: &[],
    options: &[],
    program: "schemathesis",
};

/// Makes sure that a package is in the cache, and returns its program.
pub(super) fn ensure(python: &Path, package: &Package) -> Result<PathBuf> {
    let release = package.release;
    ui::task(package.title, |task| {
        let cache = toolpost_toolchain::default_cache_dir();
        let directory = cache.join(release.replace("==", "-"));
        let program = directory.join("bin").join(package.program);
        // A virtual environment knows its own path, so it is made in place and marked when complete.
        let complete = directory.join("complete");
        std::fs::create_dir_all(&cache)
            .with_context(|| format!("could not create {}", cache.display()))?;
        let lock_path = cache.join(format!("{release}.lock"));
        let lock = File::create(&lock_path)
            .with_context(|| format!("could not create {}", lock_path.display()))?;
        lock.lock()
            .with_context(|| format!("could not lock {}", lock_path.display()))?;
        if !complete.is_file() {
            task.note(&format!("installing {release}"));
            run(
                python,
                [
                    "-m".as_ref(),
                    "venv".as_ref(),
                    "--clear".as_ref(),
                    directory.as_os_str(),
                ],
            )?;
            let install = ["install", "--quiet", release];
            let packages = [&install, package.beside, package.options].concat();
            run(&directory.join("bin/pip"), packages.iter().map(OsStr::new))?;
            File::create(&complete)
                .with_context(|| format!("could not create {}", complete.display()))?;
        }
        Ok((program, release.to_owned()))
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
