//! Builds the first-party plugins and puts them where the demo and the tests load them from.

use crate::{paths, ui};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use toolpost_toolchain::{
    BuildOptions, Component, LocateOptions, Toolchain, build_plugin, default_cache_dir,
};

/// Finds or fetches the compiler for plugins.
pub(crate) fn toolchain() -> Result<Toolchain> {
    ui::task("compiler for plugins", |task| {
        let options = LocateOptions::new(paths::guests());
        let toolchain = Toolchain::locate(&options, &mut |line| task.note(line))?;
        let origin = toolchain.origin().to_string();
        Ok((toolchain, origin))
    })
}

/// Builds all first-party plugins and the examples, and returns the directory that then holds them, and only them.
pub(crate) fn build() -> Result<PathBuf> {
    let toolchain = toolchain()?;
    let examples = paths::example_plugins()?
        .iter()
        .map(|example| build_example(example))
        .collect::<Result<Vec<_>>>()?;
    let directory = paths::built_plugins();
    ui::task("plugins", |_| {
        let options = BuildOptions {
            release: true,
            quiet: true,
            target_dir: Some(paths::guest_target()),
            cargo_args: vec!["--locked".into()],
        };
        let mut components = toolchain.build(&paths::guests(), &options)?;
        components.extend(examples.iter().cloned());
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

/// Builds an example in Python or JavaScript, unless its component is newer than all that it is made of: that takes
/// longer than cargo does to find out.
fn build_example(example: &Path) -> Result<Component> {
    let name = example.file_name().unwrap_or_default().to_string_lossy();
    ui::task(&format!("example {name}"), |task| {
        let component = Component {
            package: name.to_string(),
            path: example.join("build").join(format!("{name}.wasm")),
        };
        let sources = [
            example.to_owned(),
            paths::root().join("sdk"),
            paths::root().join("wit"),
        ];
        let made = modified(&component.path);
        if made > newest(&sources)? {
            return Ok((component, "as it was".to_owned()));
        }
        build_plugin(example, &default_cache_dir(), &mut |line| task.note(line))?;
        Ok((component, String::new()))
    })
}

/// When a file was written last; at the beginning of time when there is none.
fn modified(file: &Path) -> SystemTime {
    let metadata = std::fs::metadata(file);
    metadata
        .and_then(|metadata| metadata.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// When the newest of the sources below these directories was written, without what is made of them.
fn newest(directories: &[PathBuf]) -> Result<SystemTime> {
    const MADE: [&str; 5] = ["build", "node_modules", "target", ".venv", "__pycache__"];
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut waiting = directories.to_vec();
    while let Some(directory) = waiting.pop() {
        let context = || format!("could not read {}", directory.display());
        for entry in std::fs::read_dir(&directory).with_context(context)? {
            let entry = entry.with_context(context)?;
            if MADE.iter().any(|made| entry.file_name() == *made) {
                continue;
            }
            if entry.file_type().with_context(context)?.is_dir() {
                waiting.push(entry.path());
            } else {
                newest = newest.max(modified(&entry.path()));
            }
        }
    }
    Ok(newest)
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
