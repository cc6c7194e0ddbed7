//! A plugin as an author makes one: the template of the Rust SDK, with another command, built by the program's own commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Name of a plugin, and of its step type: runs `sleep`, for as long as its parameter `word` says, reads what that prints, and sets
/// a property of its own name to the number of lines.
pub(crate) const WAITER: &str = "waiter";
/// The same without the property.
pub(crate) const READER: &str = "reader";
/// What the template runs, and what is put in its place.
const COMMAND: &str = r#"["git", "grep", "-n", "-F", "-e", &word]"#;
const SLEEP: &str = r#"["sleep", &word]"#;

/// The component of [`WAITER`].
pub(crate) fn waiter(toolpost: &Path) -> anyhow::Result<Vec<u8>> {
    built(toolpost, WAITER, &[(COMMAND, SLEEP)])
}

/// The component of [`READER`].
pub(crate) fn reader(toolpost: &Path) -> anyhow::Result<Vec<u8>> {
    let property = format!("ctx.set_property(\"{READER}\", count)?;");
    built(toolpost, READER, &[(COMMAND, SLEEP), (&property, "")])
}

/// A component of the template with these texts in the place of others.
fn built(toolpost: &Path, name: &str, edits: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let sdk = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../sdk/rust");
    let run = |args: &[&str]| {
        let mut command = Command::new(toolpost);
        command.args(args).current_dir(folder.path());
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "toolpost {args:?}: {said}");
        anyhow::Ok(())
    };
    let sdk = sdk.to_str().context("a folder with an odd name")?;
    run(&["plugin", "new", name, "--lang", "rust", "--sdk", sdk])?;
    let source = folder.path().join(name).join("src/lib.rs");
    let mut text = std::fs::read_to_string(&source)?;
    for (old, new) in edits {
        ensure!(text.contains(old), "the template has no {old}");
        text = text.replace(old, new);
    }
    std::fs::write(&source, text)?;
    run(&["plugin", "build", name, "--output", "."])?;
    Ok(std::fs::read(folder.path().join(format!("{name}.wasm")))?)
}
