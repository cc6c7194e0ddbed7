//! A plugin as an author makes one: the template of the Rust SDK, with another command, built by the program's own commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Name of the plugin, and of its step type: runs `sleep`, for as long as its parameter `word` says, and reads what that prints.
pub(crate) const WAITER: &str = "waiter";
/// What the template runs, and what is put in its place.
const COMMAND: &str = r#"["git", "grep", "-n", "-F", "-e", &word]"#;
const SLEEP: &str = r#"["sleep", &word]"#;

/// Its component.
pub(crate) fn waiter(toolpost: &Path) -> anyhow::Result<Vec<u8>> {
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
    run(&["plugin", "new", WAITER, "--lang", "rust", "--sdk", sdk])?;
    let source = folder.path().join(WAITER).join("src/lib.rs");
    let text = std::fs::read_to_string(&source)?;
    ensure!(text.contains(COMMAND), "the template runs something else");
    std::fs::write(&source, text.replace(COMMAND, SLEEP))?;
    run(&["plugin", "build", WAITER])?;
    let built =
        built(&folder.path().join(WAITER)).context("`toolpost plugin build` left no component")?;
    Ok(std::fs::read(built)?)
}

/// The component below a folder.
fn built(folder: &Path) -> Option<PathBuf> {
    let mut dirs = vec![folder.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).ok()?.flatten() {
            let path = entry.path();
            if path.ends_with(format!("{WAITER}.wasm")) {
                return Some(path);
            }
            if path.is_dir() {
                dirs.push(path);
            }
        }
    }
    None
}
