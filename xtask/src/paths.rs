//! Where things are.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use toolpost_toolchain::Language;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir).to_owned()
}

/// The workspace of the plugins and their SDK.
pub(crate) fn guests() -> PathBuf {
    root().join("plugins")
}

/// The example plugins that are no crates, each in a directory of its own.
pub(crate) fn example_plugins() -> Result<Vec<PathBuf>> {
    let directory = root().join("examples/plugins");
    let entries = std::fs::read_dir(&directory)
        .with_context(|| format!("could not read {}", directory.display()))?;
    let mut examples: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            matches!(
                Language::of(path),
                Ok(Language::Python | Language::JavaScript)
            )
        })
        .collect();
    examples.sort();
    Ok(examples)
}

/// Where cargo builds the host.
pub(crate) fn target() -> PathBuf {
    caller_target().unwrap_or_else(|| root().join("target"))
}

/// Where cargo builds the plugins: apart from the host, because two compilers in one directory
/// would wait for each other's lock.
pub(crate) fn guest_target() -> PathBuf {
    caller_target().map_or_else(|| guests().join("target"), |target| target.join("guests"))
}

/// Where the finished plugins are put.
pub(crate) fn built_plugins() -> PathBuf {
    target().join("plugins")
}

/// Where the programs that are tested keep what they have compiled of plugins.
pub(crate) fn compiled_plugins() -> PathBuf {
    target().join("compiled-plugins")
}

/// The directory that the caller chose with `CARGO_TARGET_DIR`, against the current directory as
/// cargo takes it.
fn caller_target() -> Option<PathBuf> {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty())?;
    std::path::absolute(PathBuf::from(chosen)).ok()
}
