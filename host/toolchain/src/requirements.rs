//! What a Python environment was made from: its requirements, and the files of those that are folders, such as an SDK beside
//! the plugin. Their version says nothing while somebody works on them.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::ToolchainError;

/// Folders that come of using a package and are no part of it.
const MADE: [&str; 4] = ["__pycache__", "build", "dist", "node_modules"];

/// A digest that changes with the requirements and with each file of those that are paths.
pub(crate) fn digest(plugin: &Path, requirements: &str) -> Result<String, ToolchainError> {
    let mut hash = Sha256::new();
    add(&mut hash, requirements.as_bytes());
    for path in local_paths(plugin, requirements) {
        add_path(&mut hash, &path)?;
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Files and folders that the requirements name.
fn local_paths(plugin: &Path, requirements: &str) -> Vec<PathBuf> {
    let lines = requirements.lines().filter_map(|line| {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let (option, rest) = line.split_once([' ', '=']).unwrap_or(("", line));
        let named = match option {
            // Editable packages, further files of requirements and of constraints.
            "-e" | "--editable" | "-r" | "--requirement" | "-c" | "--constraint" => rest,
            _ => line,
        };
        // `NAME @ file:///PATH` and `PATH[extra]`.
        let named = named.rsplit_once("file://").map_or(named, |(_, path)| path);
        let named = named.split(['[', ';']).next().unwrap_or_default().trim();
        (!named.is_empty() && !named.starts_with(['#', '-'])).then(|| plugin.join(named))
    });
    lines.filter(|path| path.exists()).collect()
}

fn add_path(hash: &mut Sha256, path: &Path) -> Result<(), ToolchainError> {
    if !path.is_dir() {
        let bytes = fs::read(path).map_err(ToolchainError::file("read", path))?;
        add(hash, &bytes);
        return Ok(());
    }
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
        // A link could lead in a circle.
        if is_made || kind.is_symlink() {
            continue;
        }
        add(hash, shown.as_bytes());
        add_path(hash, &entry.path())?;
    }
    Ok(())
}

/// With its length, so that two things never look like two others.
fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn it_changes_with_the_files_of_a_local_package_and_with_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let plugin = dir.path().join("plugin");
        let sdk = dir.path().join("sdk");
        write(&plugin.join("more.txt"), "x==1");
        write(&sdk.join("src/sdk/__init__.py"), "one = 1");
        for line in [
            "../sdk",
            "-e ../sdk",
            "--editable=../sdk",
            "../sdk[extra] ; python_version > '3'",
            "-r more.txt\n../sdk  # the one beside",
            &format!("sdk @ file://{}", sdk.display()),
        ] {
            let requirements = format!("requests==2.0\n\n# a comment\n{line}\n");
            let now = || digest(&plugin, &requirements).expect("read");
            write(&sdk.join("src/sdk/__init__.py"), "one = 1");
            let first = now();
            write(&sdk.join("src/sdk/__pycache__/x.pyc"), line);
            write(&sdk.join(".git/HEAD"), line);
            write(&plugin.join("plugin.py"), line);
            assert_eq!(now(), first, "{line}");
            write(&sdk.join("src/sdk/__init__.py"), "one = 2");
            assert_ne!(now(), first, "{line}");
        }
    }

    #[test]
    fn names_of_packages_are_no_paths() {
        let dir = tempfile::tempdir().expect("a directory");
        let requirements = "--index-url https://example.org\nrequests>=2\nsdk[a,b]==1.0 # x\n";
        assert_eq!(local_paths(dir.path(), requirements), Vec::<PathBuf>::new());
        let other = digest(dir.path(), "requests>=3\n").expect("read");
        assert_ne!(digest(dir.path(), requirements).expect("read"), other);
    }
}
