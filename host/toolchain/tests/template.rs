//! The crate that the template makes is a plugin as it is: its tests pass and it becomes a component.

use std::path::{Path, PathBuf};
use std::process::Command;
use toolpost_toolchain::{BuildOptions, LocateOptions, SdkSource, Toolchain, new_plugin};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository")
}

/// Where the first-party plugins are built, so that what both need is compiled once.
fn target_dir() -> PathBuf {
    let caller =
        std::env::var_os("CARGO_TARGET_DIR").map(|target| Path::new(&target).join("guests"));
    caller.unwrap_or_else(|| repository().join("plugins/target"))
}

#[test]
fn a_new_plugin_passes_its_tests_and_becomes_a_component() {
    let parent = tempfile::tempdir().expect("temporary directory");
    let crate_dir = parent.path().join("todo-count");
    let sdk = SdkSource::Path(repository().join("sdk/rust"));
    new_plugin("todo-count", &sdk, &crate_dir).expect("it is made");
    // The versions that the first-party plugins are tested with.
    std::fs::copy(
        repository().join("plugins/Cargo.lock"),
        crate_dir.join("Cargo.lock"),
    )
    .expect("the lock file is copied");

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tests = Command::new(cargo)
        .args(["test", "--quiet", "--target-dir"])
        .arg(target_dir())
        .current_dir(&crate_dir)
        .output()
        .expect("cargo starts");
    let said = String::from_utf8_lossy(&tests.stdout);
    let complaints = String::from_utf8_lossy(&tests.stderr);
    assert!(tests.status.success(), "{said}\n{complaints}");
    assert!(said.contains("3 passed"), "{said}");
    assert!(!complaints.contains("warning"), "{complaints}");

    let toolchain = Toolchain::locate(&LocateOptions::new(&crate_dir), &mut |_| {});
    let options = BuildOptions {
        release: true,
        quiet: true,
        target_dir: Some(target_dir()),
        ..BuildOptions::default()
    };
    let built = toolchain.and_then(|toolchain| toolchain.build(&crate_dir, &options));
    let [component] = built.as_deref().expect("it builds") else {
        panic!("not one: {built:?}")
    };
    assert_eq!(component.package, "todo-count");
    assert!(component.path.is_file(), "{component:?}");
}
