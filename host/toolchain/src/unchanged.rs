//! Whether a component is made of what is there now, so that it need not be made again: that takes its tools many seconds.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::ToolchainError;
use crate::contract;
use crate::digest::{add, add_path, finish};
use crate::guest::{Manifest, Workshop};

/// Where a workshop says what its component was made of.
const MADE_OF: &str = "made-of";
/// Where npm says which versions of packages there are. Those of Python have them in their names.
const VERSIONS: &str = ".package-lock.json";

/// What a component is made of.
pub(crate) struct Sources {
    /// Where that is written.
    note: PathBuf,
    component: PathBuf,
    digest: String,
    /// Whether all that counts was looked at.
    whole: bool,
}

impl Sources {
    /// As they are now: the plugin's files, the packages in `packages` by what they say of their versions, or by their contents
    /// where they are links, the tool by its `recipe`, and the contract.
    pub(crate) fn of(
        workshop: &Workshop,
        manifest: &Manifest,
        recipe: &str,
        packages: &Path,
    ) -> Result<Self, ToolchainError> {
        let mut hash = Sha256::new();
        add(&mut hash, recipe.as_bytes());
        for (name, text) in contract::CONTRACT.iter().chain(contract::HTTP) {
            add(&mut hash, name.as_bytes());
            add(&mut hash, text.as_bytes());
        }
        let mut whole = add_path(&mut hash, &workshop.plugin)?;
        if let Ok(versions) = fs::read(packages.join(VERSIONS)) {
            add(&mut hash, &versions);
        }
        let mut entries = Vec::new();
        let listed = fs::read_dir(packages).map_err(ToolchainError::file("list", packages))?;
        for entry in listed {
            entries.push(
                entry
                    .map_err(ToolchainError::file("list", packages))?
                    .path(),
            );
        }
        entries.sort();
        for entry in entries {
            add(&mut hash, entry.to_string_lossy().as_bytes());
            // A package that lies elsewhere, as npm links one that somebody works on.
            if entry.is_symlink() {
                let elsewhere = fs::canonicalize(&entry);
                let elsewhere = elsewhere.map_err(ToolchainError::file("find", &entry))?;
                whole &= add_path(&mut hash, &elsewhere)?;
            }
        }
        Ok(Self {
            note: workshop.build.join(MADE_OF),
            component: workshop.component(manifest),
            digest: finish(hash),
            whole,
        })
    }

    /// Whether the component that is there was made of the same.
    pub(crate) fn are_unchanged(&self) -> bool {
        self.whole
            && self.component.is_file()
            && fs::read_to_string(&self.note).is_ok_and(|noted| noted == self.digest)
    }

    /// The component is about to be made: until that is done, there is none that anybody knows of.
    pub(crate) fn forget(&self) {
        // It may not be there.
        let _ = fs::remove_file(&self.note);
    }

    /// The component was made of these.
    pub(crate) fn note(&self) -> Result<(), ToolchainError> {
        fs::write(&self.note, &self.digest).map_err(ToolchainError::file("write", &self.note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn a_component_is_made_again_when_anything_that_it_is_made_of_changes() {
        let dir = tempfile::tempdir().expect("a directory");
        let plugin = dir.path().join("plugin");
        let packages = plugin.join("node_modules");
        let sdk = dir.path().join("sdk");
        let workshop = Workshop {
            build: plugin.join("build"),
            plugin: plugin.clone(),
        };
        for folder in [&packages, &sdk, &workshop.build] {
            fs::create_dir_all(folder).expect("made");
        }
        std::os::unix::fs::symlink(&sdk, packages.join("sdk")).expect("a link");
        let manifest = Manifest {
            name: "x".to_owned(),
            kinds: vec![Kind::Step],
            http: false,
        };
        let sources = |recipe: &str| {
            Sources::of(&workshop, &manifest, recipe, &packages).expect("they can be read")
        };
        let component = workshop.component(&manifest);
        let made = || {
            fs::write(&component, "made").expect("written");
            sources("tool 1").note().expect("written");
        };
        assert!(!sources("tool 1").are_unchanged(), "there is none yet");
        made();
        assert!(sources("tool 1").are_unchanged());
        assert!(!sources("tool 2").are_unchanged(), "another tool");
        for file in [
            plugin.join("plugin.js"),
            plugin.join("lib/more.js"),
            sdk.join("index.js"),
            packages.join(VERSIONS),
        ] {
            fs::create_dir_all(file.parent().expect("a parent")).expect("made");
            fs::write(&file, "changed").expect("written");
            assert!(!sources("tool 1").are_unchanged(), "{}", file.display());
            made();
            assert!(sources("tool 1").are_unchanged());
        }
        sources("tool 1").forget();
        assert!(!sources("tool 1").are_unchanged(), "making it failed");
        made();
        fs::remove_file(&component).expect("removed");
        assert!(!sources("tool 1").are_unchanged(), "it is gone");
        made();
        std::os::unix::fs::symlink(&sdk, plugin.join("elsewhere")).expect("a link");
        made();
        assert!(
            !sources("tool 1").are_unchanged(),
            "who knows what is there"
        );
    }
}
