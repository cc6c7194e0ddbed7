//! `toolpost plugin build`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toolpost_toolchain::{ToolchainError, build_plugin, default_cache_dir};

use super::Done;
use crate::output::{Failure, Printer};

/// `toolpost plugin build`
pub(crate) fn plugin_build(path: &Path, output: Option<&Path>, printer: Printer) -> Done {
    let components = build_plugin(path, &default_cache_dir(), &mut |line| printer.note(line))
        .map_err(|error| match error {
            ToolchainError::NoPlugin { .. } => Failure::Usage(error.to_string()),
            error => error.into(),
        })?;
    for component in components {
        let file = match output {
            Some(folder) => install(&component.path, folder, &component.package)?,
            None => component.path,
        };
        let size = std::fs::metadata(&file)?.len();
        printer.line(format_args!("{} ({} KB)", file.display(), size / 1000));
    }
    Ok(())
}

/// Puts a component into a folder in one move, because a master may watch it.
pub(super) fn install(component: &Path, folder: &Path, package: &str) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let file = folder.join(format!("{package}.wasm"));
    let staged = folder.join(format!(".{package}.wasm.part"));
    std::fs::copy(component, &staged)
        .and_then(|_| std::fs::rename(&staged, &file))
        .with_context(|| format!("put the component to {}", file.display()))?;
    Ok(file)
}
