//! Builds plugins in languages that bring an engine of their own with them.
//!
//! The SDK of the language says what the plugin is (its manifest); then the WIT of exactly these kinds and a module that ties
//! the SDK to it are written into `build` beside the plugin, and the language's tool makes the component of them there.

use crate::{Component, Kind, ToolchainError, contract};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// What the SDK says about a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Manifest {
    /// Its name.
    pub(crate) name: String,
    /// The kinds that it brings.
    pub(crate) kinds: Vec<Kind>,
    /// Whether it wants to make HTTP requests.
    pub(crate) http: bool,
}

impl Manifest {
    pub(crate) fn parse(directory: &Path, text: &str) -> Result<Self, ToolchainError> {
        // What the plugin prints when it is imported comes before it.
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).map_err(|source| ToolchainError::Manifest {
            directory: directory.to_owned(),
            source,
        })
    }
}

/// Where a component is made.
pub(crate) struct Workshop {
    /// The directory of the plugin.
    pub(crate) plugin: PathBuf,
    /// What is made of it.
    pub(crate) build: PathBuf,
}

impl Workshop {
    fn open(plugin: &Path) -> Result<Self, ToolchainError> {
        let plugin = fs::canonicalize(plugin).map_err(ToolchainError::file("find", plugin))?;
        let build = plugin.join("build");
        fs::create_dir_all(&build).map_err(ToolchainError::file("create", &build))?;
        Ok(Self { plugin, build })
    }

    /// The WIT that the component is made for.
    pub(crate) fn wit(&self) -> PathBuf {
        self.build.join("wit")
    }

    /// The component.
    pub(crate) fn component(&self, manifest: &Manifest) -> PathBuf {
        self.build.join(format!("{}.wasm", manifest.name))
    }

    /// Writes the WIT, and the module that ties the SDK to it.
    pub(crate) fn prepare(
        &self,
        manifest: &Manifest,
        entry_name: &str,
        entry: &str,
    ) -> Result<PathBuf, ToolchainError> {
        contract::write(&self.wit(), manifest)?;
        let path = self.build.join(entry_name);
        fs::write(&path, entry).map_err(ToolchainError::file("write", &path))?;
        Ok(path)
    }
}

/// Builds the plugin in `directory` with the tool of its language.
pub(crate) fn build(
    directory: &Path,
    tool: impl FnOnce(&Workshop) -> Result<Manifest, ToolchainError>,
) -> Result<Component, ToolchainError> {
    let workshop = Workshop::open(directory)?;
    let manifest = tool(&workshop)?;
    Ok(Component {
        path: workshop.component(&manifest),
        package: manifest.name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_may_come_after_what_a_plugin_prints() {
        let directory = Path::new("x");
        let manifest = Manifest::parse(
            directory,
            "hello\n{\"name\":\"x\",\"kinds\":[\"step\"],\"http\":false}\n",
        );
        let expected = Manifest {
            name: "x".to_owned(),
            kinds: vec![Kind::Step],
            http: false,
        };
        assert_eq!(manifest.expect("it is one"), expected);
        let error = Manifest::parse(directory, "hello\n").expect_err("it is none");
        assert!(error.to_string().contains("`toolpost-sdk`"), "{error}");
    }
}
