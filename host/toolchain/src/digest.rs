//! Digests of files and folders, which change with what somebody has written there.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::ToolchainError;

/// Folders that come of using a package and are no part of it.
const MADE: [&str; 4] = ["__pycache__", "build", "dist", "node_modules"];

/// The files at a path, with their names and contents, without what comes of using them. Whether these are all: folders behind
/// links are left out, because they could lead in a circle.
pub(crate) fn add_path(hash: &mut Sha256, path: &Path) -> Result<bool, ToolchainError> {
    if !path.is_dir() {
        let bytes = fs::read(path).map_err(ToolchainError::file("read", path))?;
        add(hash, &bytes);
        return Ok(true);
    }
    let mut all = true;
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(ToolchainError::file("list", path))? {
        entries.push(entry.map_err(ToolchainError::file("list", path))?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        let is_made =
            MADE.contains(&&*shown) || shown.starts_with('.') || shown.ends_with(".egg-info");
        let kind = entry
            .file_type()
            .map_err(ToolchainError::file("read", path))?;
        if is_made {
            continue;
        }
        if kind.is_symlink() && !entry.path().is_file() {
            all = false;
            continue;
        }
        add(hash, shown.as_bytes());
        all &= add_path(hash, &entry.path())?;
    }
    Ok(all)
}

/// With its length, so that two things never look like two others.
pub(crate) fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// In hexadecimal digits.
pub(crate) fn finish(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
