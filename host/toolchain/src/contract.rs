//! The contract of plugins, as the makers of components for other languages need it: in files.

use crate::ToolchainError;
use crate::guest::Manifest;
use std::fs;
use std::path::Path;

/// The world that a component is made for.
pub(crate) const WORLD: &str = "guest";

// `CONTRACT`, the files of `wit/toolpost-plugin-1.0` by name, and `HTTP`, what HTTP takes beyond it.
include!(concat!(env!("OUT_DIR"), "/wit.rs"));

/// Writes the WIT of a component of these kinds into `directory`, in the place of what is there.
pub(crate) fn write(directory: &Path, manifest: &Manifest) -> Result<(), ToolchainError> {
    let contract = directory.join("deps/toolpost-plugin");
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(ToolchainError::file("remove", directory))?;
    }
    fs::create_dir_all(&contract).map_err(ToolchainError::file("create", &contract))?;
    let contract_files = CONTRACT
        .iter()
        .map(|(name, text)| (contract.join(name), *text));
    let http_files = HTTP
        .iter()
        .map(|(name, text)| (directory.join("deps").join(name), *text));
    for (path, text) in contract_files.chain(http_files) {
        fs::write(&path, text).map_err(ToolchainError::file("write", &path))?;
    }
    let path = directory.join("guest.wit");
    fs::write(&path, world(manifest)).map_err(ToolchainError::file("write", &path))
}

fn world(manifest: &Manifest) -> String {
    let mut text = format!("package toolpost:guest;\n\nworld {WORLD} {{\n");
    for kind in &manifest.kinds {
        text.push_str(&format!(
            "    include toolpost:plugin/{kind}-plugin@1.0.0;\n"
        ));
    }
    if manifest.http {
        text.push_str("    import wasi:http/outgoing-handler@0.2.12;\n");
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn the_whole_contract_is_here() {
        for (files, name) in [
            (CONTRACT, "world.wit"),
            (CONTRACT, "step.wit"),
            (HTTP, "http.wit"),
        ] {
            assert!(files.iter().any(|(known, _)| *known == name), "{name}");
        }
    }

    #[test]
    fn a_world_has_what_the_plugin_has() {
        let manifest = Manifest {
            name: "x".to_owned(),
            kinds: vec![Kind::Step, Kind::Reporter],
            http: true,
        };
        let expected = "package toolpost:guest;\n\nworld guest {\n    \
            include toolpost:plugin/step-plugin@1.0.0;\n    \
            include toolpost:plugin/reporter-plugin@1.0.0;\n    \
            import wasi:http/outgoing-handler@0.2.12;\n}\n";
        assert_eq!(world(&manifest), expected);
    }
}
