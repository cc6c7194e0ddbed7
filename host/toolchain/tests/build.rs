//! Locates a real toolchain on this machine and builds real crates with it.

use std::path::Path;
use toolpost_toolchain::{BuildOptions, Component, LocateOptions, Toolchain, ToolchainError};

/// A component starts with the magic number and, unlike a core module, the layer 1.
const COMPONENT_HEADER: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

fn build(crate_dir: &Path, target_dir: &Path) -> Result<Vec<Component>, ToolchainError> {
    let options = LocateOptions::new(crate_dir);
    let toolchain = Toolchain::locate(&options, &mut |line| eprintln!("{line}"))?;
    eprintln!("using {}", toolchain.origin());
    let options = BuildOptions {
        release: true,
        quiet: true,
        target_dir: Some(target_dir.to_owned()),
        ..BuildOptions::default()
    };
    toolchain.build(crate_dir, &options)
}

/// A copy of the fixture, because cargo writes a lock file beside it.
fn fixture(change_manifest: impl FnOnce(String) -> String) -> tempfile::TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/component");
    let copy = tempfile::tempdir().expect("temporary directory");
    let manifest = std::fs::read_to_string(source.join("Cargo.toml")).expect("manifest");
    std::fs::write(copy.path().join("Cargo.toml"), change_manifest(manifest)).expect("write");
    std::fs::create_dir(copy.path().join("src")).expect("directory");
    std::fs::copy(source.join("src/lib.rs"), copy.path().join("src/lib.rs")).expect("copy");
    copy
}

#[test]
fn a_library_becomes_one_component() {
    let fixture = fixture(|manifest| manifest);
    let components = build(fixture.path(), &fixture.path().join("out")).expect("it builds");
    let [component] = components.as_slice() else {
        panic!("one component, not {components:?}")
    };
    assert_eq!(component.package, "smallest-component");
    assert!(
        component.path.ends_with("release/smallest_component.wasm"),
        "{component:?}"
    );
    let bytes = std::fs::read(&component.path).expect("the component is there");
    assert_eq!(bytes[..8], COMPONENT_HEADER);
}

#[test]
fn a_crate_that_is_no_plugin_is_refused_with_the_remedy() {
    let fixture = fixture(|manifest| manifest.replace("crate-type = [\"cdylib\"]", ""));
    let error = build(fixture.path(), &fixture.path().join("out")).expect_err("no component");
    assert!(
        matches!(error, ToolchainError::NoComponent { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("crate-type = [\"cdylib\"]"),
        "{error}"
    );
}

#[test]
fn a_crate_that_does_not_compile_is_a_build_error() {
    let fixture = fixture(|manifest| manifest);
    std::fs::write(fixture.path().join("src/lib.rs"), "not rust").expect("write");
    let error = build(fixture.path(), &fixture.path().join("out")).expect_err("no rust");
    assert!(matches!(error, ToolchainError::Build { .. }), "{error}");
}
