//! What a Python environment was made from: its requirements, and the files of those that are folders, such as an SDK beside
//! the plugin. Their version says nothing while somebody works on them.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::ToolchainError;
use crate::digest::{add, add_path, finish};

/// A digest that changes with the requirements and with each file of those that are paths.
pub(crate) fn digest(plugin: &Path, requirements: &str) -> Result<String, ToolchainError> {
    let mut hash = Sha256::new();
    add(&mut hash, requirements.as_bytes());
    for path in local_paths(plugin, requirements) {
        // What is behind links is not looked at.
        let _ = add_path(&mut hash, &path)?;
    }
    Ok(finish(hash))
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

#[cfg(test)]
mod tests {
    use std::fs;

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
