//! Builds the first-party plugins and puts them where the demo and the tests load them from.

use crate::{paths, ui};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use toolpost_toolchain::{BuildOptions, LocateOptions, Toolchain};

/// Finds or fetches the compiler for plugins.
pub(crate) fn toolchain() -> Result<Toolchain> {
    ui::task("compiler for plugins", |task| {
        let options = LocateOptions::new(paths::guests());
        let toolchain = Toolchain::locate(&options, &mut |line| task.note(line))?;
        let origin = toolchain.origin().to_string();
        Ok((toolchain, origin))
    })
}

/// Builds all first-party plugins and returns the directory that then holds them, and only them.
pub(crate) fn build() -> Result<PathBuf> {
    let toolchain = toolchain()?;
    let directory = paths::built_plugins();
    ui::task("plugins", |_| {
        let options = BuildOptions {
            release: true,
            quiet: true,
            target_dir: Some(paths::guest_target()),
            cargo_args: vec!["--locked".into()],
        };
        let components = toolchain.build(&paths::guests(), &options)?;
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("could not create {}", directory.display()))?;
        let mut built = Vec::new();
        for component in &components {
            let file_name = format!("{}.wasm", component.package);
            let size = install(&component.path, &directory.join(&file_name))?;
            built.push((file_name, size));
        }
        remove_others(&directory, &built)?;
        let sizes: Vec<String> = built
            .iter()
            .map(|(name, bytes)| format!("{name} {} kB", bytes / 1000))
            .collect();
        Ok(((), sizes.join(", ")))
    })?;
    Ok(directory)
}

/// Puts the component at `to` in one move, because a running master may watch that directory.
fn install(component: &Path, to: &Path) -> Result<u64> {
    let staged = to.with_extension("wasm.part");
    let bytes = std::fs::copy(component, &staged)
        .and_then(|bytes| std::fs::rename(&staged, to).map(|()| bytes))
        .with_context(|| format!("could not copy {} to {}", component.display(), to.display()))?;
    Ok(bytes)
}

/// Takes away plugins of an earlier build that no longer exist.
fn remove_others(directory: &Path, built: &[(String, u64)]) -> Result<()> {
    let context = || format!("could not clean {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(context)? {
        let entry = entry.with_context(context)?;
        let is_plugin = entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "wasm");
        if is_plugin
            && !built
                .iter()
                .any(|(name, _)| entry.file_name() == name.as_str())
        {
            std::fs::remove_file(entry.path()).with_context(context)?;
        }
    }
    Ok(())
}
