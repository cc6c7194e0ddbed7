//! What comes from npm, each package in a directory of its own.

use crate::{children, ui};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A provider of OpenID Connect; the tests say whom it knows.
pub(super) const OIDC_PROVIDER: &str = "oidc-provider@8.8.1";

/// Makes sure that a package is in the cache, and returns the directory that has it in `node_modules`.
pub(super) fn ensure(title: &str, release: &str) -> Result<PathBuf> {
    ui::task(title, |task| {
        let cache = toolpost_toolchain::default_cache_dir();
        let directory = cache.join(release.replace('@', "-"));
        let complete = directory.join("complete");
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("could not create {}", directory.display()))?;
        let lock_path = cache.join(format!("{release}.lock"));
        let lock = File::create(&lock_path)
            .with_context(|| format!("could not create {}", lock_path.display()))?;
        lock.lock()
            .with_context(|| format!("could not lock {}", lock_path.display()))?;
        if !complete.is_file() {
            task.note(&format!("installing {release}"));
            let mut command = Command::new("npm");
            command
                .args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
                .arg(&directory)
                .arg(release)
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            let status = children::status(&mut command)?;
            if !status.success() {
                bail!("`npm install {release}` failed with {status}; it says why above");
            }
            File::create(&complete)
                .with_context(|| format!("could not create {}", complete.display()))?;
        }
        Ok((directory, release.to_owned()))
    })
}
