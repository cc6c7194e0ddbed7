//! Reads secrets from files, which nobody but the master's user and group may read.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use toolpost_core::secret::SECRET_BYTES_MAX;

/// Permissions of everybody else.
const OTHERS: u32 = 0o007;
/// Files in the directory of secrets that are taken for secrets.
const FILES_MAX: usize = 1_000;

/// What is in the file of a secret. The error says what to do.
pub(super) async fn file(path: &Path) -> Result<Vec<u8>, String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_file(&path));
    read.await.unwrap_or_else(|error| Err(error.to_string()))
}

fn read_file(path: &PathBuf) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("{shown}: {error}");
    let kind = std::fs::metadata(path).map_err(unreadable)?;
    // Opening a pipe would wait for whoever writes it.
    if !kind.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    if mode & OTHERS != 0 {
        return Err(format!(
            "everybody on this machine can open {shown}; run `chmod o= {shown}`"
        ));
    }
    let mut bytes = Vec::new();
    // One more than is allowed, and the line end, so that a file that is too long is told from a good one.
    let limit = SECRET_BYTES_MAX as u64 + 3;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

/// The names of the secrets in a directory.
pub(super) async fn names_in(dir: &Path) -> Result<Vec<String>, String> {
    let dir = dir.to_owned();
    let listed = tokio::task::spawn_blocking(move || {
        let entries = std::fs::read_dir(dir).map_err(|error| error.to_string())?;
        let names = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_file_name(name));
        Ok(names.take(FILES_MAX).collect())
    });
    listed.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// Whether a name can be that of a file in the directory of secrets; hidden files are those of editors and of
/// Kubernetes.
pub(super) fn is_file_name(name: &str) -> bool {
    let good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(good)
}
