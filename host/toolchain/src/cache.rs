//! Tools that are installed into the cache once and used ever after.

use crate::ToolchainError;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Makes sure that `CACHE/NAME` holds what `recipe` stands for. `install` gets the directory, which is empty.
///
/// Installations know their own path, so they are made in place, and marked with their recipe when they are complete. A lock
/// beside them keeps other processes away meanwhile.
pub(crate) fn ensure(
    cache_dir: &Path,
    name: &str,
    recipe: &str,
    install: impl FnOnce(&Path) -> Result<(), ToolchainError>,
) -> Result<PathBuf, ToolchainError> {
    let directory = cache_dir.join(name);
    fs::create_dir_all(cache_dir).map_err(ToolchainError::file("create", cache_dir))?;
    let lock_path = cache_dir.join(format!("{name}.lock"));
    let lock = File::create(&lock_path).map_err(ToolchainError::file("create", &lock_path))?;
    lock.lock()
        .map_err(ToolchainError::file("lock", &lock_path))?;
    let complete = directory.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|made_by| made_by == recipe) {
        return Ok(directory);
    }
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(ToolchainError::file("remove", &directory))?;
    }
    fs::create_dir_all(&directory).map_err(ToolchainError::file("create", &directory))?;
    install(&directory)?;
    fs::write(&complete, recipe).map_err(ToolchainError::file("write", &complete))?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_installed_once_for_each_recipe() {
        let cache = tempfile::tempdir().expect("temporary directory");
        let mut installed = 0;
        let mut ensure = |recipe: &str| {
            ensure(cache.path(), "tool", recipe, |directory| {
                installed += 1;
                let file = directory.join("file");
                assert!(!file.exists(), "what another recipe made is gone");
                fs::write(&file, recipe).map_err(ToolchainError::file("write", &file))
            })
        };
        for recipe in ["1", "1", "2"] {
            let directory = ensure(recipe).expect("it is installed");
            assert_eq!(
                fs::read_to_string(directory.join("file")).expect("a file"),
                recipe
            );
        }
        assert_eq!(installed, 2);
    }

    #[test]
    fn a_failed_installation_is_tried_again() {
        let cache = tempfile::tempdir().expect("temporary directory");
        let failed = ensure(cache.path(), "tool", "1", |_| {
            Err(ToolchainError::OtherToolchain)
        });
        assert!(failed.is_err());
        ensure(cache.path(), "tool", "1", |_| Ok(())).expect("it is installed");
    }
}
