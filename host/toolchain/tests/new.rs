//! What the templates make are plugins as they are: their tests pass, and they become components.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use toolpost_toolchain::{
    BuildOptions, Kind, Language, LocateOptions, NewPlugin, SdkSource, Toolchain, build_plugin,
    default_cache_dir, find_node, find_python, new_plugin,
};

const NAME: &str = "todo-count";

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

/// A new plugin in a directory of its own.
fn new(language: Language, kind: Kind, sdk: &str) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("temporary directory");
    let directory = parent.path().join(NAME);
    let plugin = NewPlugin {
        name: NAME,
        language,
        kind,
        sdk: SdkSource::Path(repository().join("sdk").join(sdk)),
    };
    new_plugin(&plugin, &directory).expect("it is made");
    (parent, directory)
}

/// Runs the tests of a plugin, which have to pass, and returns what they said on both outputs.
fn pass(command: &mut Command) -> (String, String) {
    let tests = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&tests.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&tests.stderr).into_owned();
    assert!(tests.status.success(), "{command:?}: {said}\n{complaints}");
    (said, complaints)
}

fn test_rust(kind: Kind, count: usize) -> (TempDir, PathBuf) {
    let (parent, directory) = new(Language::Rust, kind, "rust");
    // The versions that the first-party plugins are tested with.
    std::fs::copy(
        repository().join("plugins/Cargo.lock"),
        directory.join("Cargo.lock"),
    )
    .expect("the lock file is copied");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tests = Command::new(cargo);
    tests
        .args(["test", "--quiet", "--target-dir"])
        .arg(target_dir())
        .current_dir(&directory);
    let (said, complaints) = pass(&mut tests);
    assert!(said.contains(&format!("{count} passed")), "{said}");
    assert!(!complaints.contains("warning"), "{complaints}");
    (parent, directory)
}

#[test]
fn a_new_plugin_in_rust_passes_its_tests_and_becomes_a_component() {
    for (kind, count) in [(Kind::Scheduler, 2), (Kind::Reporter, 3), (Kind::Step, 3)] {
        let (_parent, directory) = test_rust(kind, count);
        let toolchain = Toolchain::locate(&LocateOptions::new(&directory), &mut |_| {});
        let options = BuildOptions {
            release: true,
            quiet: true,
            target_dir: Some(target_dir()),
            ..BuildOptions::default()
        };
        // What only the tests depend on is missing here.
        let built = toolchain.and_then(|toolchain| toolchain.build(&directory, &options));
        let [component] = built.as_deref().expect("it builds") else {
            panic!("not one: {built:?}")
        };
        assert_eq!(component.package, NAME);
        assert!(component.path.is_file(), "{component:?}");
    }
}

#[test]
fn a_new_plugin_in_python_passes_its_tests() {
    let python = find_python().expect("Python");
    for (kind, count) in [(Kind::Step, 3), (Kind::Scheduler, 2), (Kind::Reporter, 3)] {
        let (_parent, directory) = new(Language::Python, kind, "python");
        let mut tests = Command::new(&python);
        tests
            .args(["-W", "error", "-m", "unittest"])
            .env("PYTHONPATH", repository().join("sdk/python/src"))
            .current_dir(&directory);
        let (_, complaints) = pass(&mut tests);
        assert!(
            complaints.contains(&format!("Ran {count} tests")),
            "{complaints}"
        );
    }
}

#[test]
fn a_new_plugin_in_javascript_passes_its_tests() {
    let node = find_node(&default_cache_dir(), &mut |_| {}).expect("Node.js");
    for (kind, count) in [(Kind::Step, 3), (Kind::Scheduler, 2), (Kind::Reporter, 3)] {
        let (_parent, directory) = new(Language::JavaScript, kind, "js");
        let packages = directory.join("node_modules");
        std::fs::create_dir(&packages).expect("a directory");
        std::os::unix::fs::symlink(repository().join("sdk/js"), packages.join("toolpost-sdk"))
            .expect("a link, as npm makes it");
        let mut tests = Command::new(&node);
        tests
            .args(["--test", "--test-reporter=tap"])
            .current_dir(&directory);
        let (said, _) = pass(&mut tests);
        assert!(said.contains(&format!("# pass {count}\n")), "{said}");
    }
}

/// A component starts with the magic number and, unlike a core module, the layer 1.
const COMPONENT_HEADER: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/// What building says that it makes a component.
const MAKING: &str = "making the component";

/// Builds the plugin, and gives its component and whether that was made.
fn build_again(directory: &Path) -> (PathBuf, bool) {
    let mut made = false;
    let built = build_plugin(directory, &default_cache_dir(), &mut |line| {
        eprintln!("{line}");
        made |= line == MAKING;
    });
    let [component] = built.as_deref().expect("it builds") else {
        panic!("not one: {built:?}")
    };
    assert_eq!(component.package, NAME);
    let bytes = std::fs::read(&component.path).expect("the component is there");
    assert_eq!(bytes[..8], COMPONENT_HEADER);
    (component.path.clone(), made)
}

/// Builds a plugin that was just made, with all that this sets up, and once more, which finds its component.
fn build(language: Language, kind: Kind, sdk: &str) -> PathBuf {
    let (_parent, directory) = new(language, kind, sdk);
    let (path, made) = build_again(&directory);
    assert!(made);
    assert_eq!(build_again(&directory), (path.clone(), false));
    path
}

#[test]
fn a_new_plugin_in_python_becomes_a_component() {
    let path = build(Language::Python, Kind::Reporter, "python");
    assert!(
        path.ends_with("build/todo-count.wasm"),
        "{}",
        path.display()
    );
}

#[test]
fn a_new_plugin_in_javascript_becomes_a_component() {
    let path = build(Language::JavaScript, Kind::Reporter, "js");
    assert!(
        path.ends_with("build/todo-count.wasm"),
        "{}",
        path.display()
    );
}

#[test]
fn a_plugin_that_is_wrong_says_why() {
    let (_parent, directory) = new(Language::JavaScript, Kind::Step, "js");
    std::fs::write(directory.join("plugin.js"), "export default { name: 'x' };").expect("write");
    let built = build_plugin(&directory, &default_cache_dir(), &mut |_| {});
    let error = built.expect_err("it is no plugin").to_string();
    assert!(
        error.contains("plugin.js has no `export default definePlugin"),
        "{error}"
    );
}
