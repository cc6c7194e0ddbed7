//! Components are tested with scripts, on their authors' machines. Those of the templates are run by the chapters of the guide.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use toolpost_harness::Farm;

use crate::support::{config, farm, first_party, guest_target, hostile, root, shell};

/// What the program says when it is asked this, and its exit code. Plugins that it makes are of our SDKs.
pub(crate) fn asked(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_toolpost"))
        .args(args)
        .current_dir(folder)
        .env("TOOLPOST_SDKS", root().join("sdk"))
        .env("CARGO_TARGET_DIR", guest_target())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (output.status.code(), told)
}

/// Runs a component against a script.
fn tested(component: &[u8], script: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plugin.wasm"), component).unwrap();
    fs::write(folder.path().join("script.toml"), script).unwrap();
    let args = ["plugin", "test", "plugin.wasm", "--script", "script.toml"];
    asked(folder.path(), &args)
}

/// The folders of plugins below this one.
fn plugins_in(folder: &Path) -> Vec<PathBuf> {
    let is_plugin = |path: &PathBuf| {
        let files = ["Cargo.toml", "plugin.py", "plugin.js"];
        files.iter().any(|file| path.join(file).is_file())
    };
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(is_plugin)
        .collect()
}

#[test]
fn every_plugin_of_ours_passes_its_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let mut plugins = plugins_in(&root().join("plugins"));
    plugins.extend(plugins_in(&root().join("examples/plugins")));
    assert!(plugins.len() >= 8, "{plugins:?}");
    for plugin in plugins {
        let name = plugin.file_name().unwrap().to_str().unwrap();
        let file = folder.path().join(format!("{name}.wasm"));
        fs::write(&file, first_party(name)).unwrap();
        let scripts = plugin.join("tests");
        let args = [
            "plugin",
            "test",
            file.to_str().unwrap(),
            "--script",
            scripts.to_str().unwrap(),
        ];
        let (code, told) = asked(folder.path(), &args);
        assert_eq!(code, Some(0), "{name}: {told}");
    }
}

#[test]
fn a_test_that_fails_says_where_and_what_was_seen() {
    let script = "parameters.command = \"make check\"\n\
        command = [{ run = \"make check\", exit = 1, stdout = \"ok 1 - a\\nnot ok 2 - b\\n1..2\\n\" }]\n\
        [expect]\nresult = \"failure\"\nsummary = \"2 passed\"\nproperties.tests_failed = 1\n";
    let (code, told) = tested(&first_party("test-summary"), script);
    assert_eq!(code, Some(1), "{told}");
    for part in [
        "summary: script.toml:5",
        "- 2 passed",
        "+ 1 passed, 1 failed",
        "1 of 1 tests failed",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(
        !told.contains("tests_failed"),
        "what fits is not told: {told}"
    );
}

#[test]
fn what_the_script_has_no_answer_to_is_told() {
    let script = "parameters.command = \"make check\"\n\
        command = [{ run = \"make all\" }, { run = \"cargo *\", times = 2 }]\n";
    let (code, told) = tested(&first_party("test-summary"), script);
    assert_eq!(code, Some(1), "{told}");
    for part in [
        "no [[command]] is for this",
        "+ make check",
        "- make all",
        "cargo *, 2 times",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_script_that_makes_no_sense_is_refused_with_its_line() {
    let plugin = first_party("test-summary");
    for (script, complaint) in [
        (
            "parameters = {}\n[[comand]]\nrun = \"x\"\n",
            "script.toml:2: unknown field `comand`",
        ),
        (
            "[expect]\n\nsumary = \"x\"\n",
            "script.toml:3: `sumary` is nothing that can be expected; did you mean `summary`?",
        ),
        (
            "use = \"test-sumary\"\n",
            "script.toml:1: the plugin has no type `test-sumary`",
        ),
        (
            "[[command]]\nrun = \"x\"\ntakes = \"long\"\n",
            "script.toml:3: `long` is no span of time",
        ),
        ("name = \n", "script.toml:1: "),
        (
            "[expect]\nsummary = { matches = \"(\" }\n",
            "script.toml:2: `(` is no regular expression",
        ),
    ] {
        let (code, told) = tested(&plugin, script);
        assert_eq!(code, Some(2), "{script}: {told}");
        assert!(told.contains(complaint), "{complaint}: {told}");
    }
}

#[test]
fn parameters_are_held_against_the_schema() {
    let (code, told) = tested(&first_party("size-limit"), "parameters.limit = []\n");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("parameters do not fit the schema"), "{told}");
}

#[test]
fn the_limits_of_the_sandbox_hold_and_a_crash_shows_its_stack() {
    let (code, told) = tested(
        &hostile("run-endless-loop"),
        "limits.cpu = \"200ms\"\nexpect.error_kind = \"cpu\"\n",
    );
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = tested(
        &hostile("handle-endless-loop"),
        "limits.cpu = \"200ms\"\nexpect.error_kind = \"cpu\"\n",
    );
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = tested(&hostile("report-trap"), "delivery = [{}]\n");
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("crashed") && told.contains("read_the_report"),
        "{told}"
    );
}

/// A failed step of an example, on a farm, and its recording.
async fn failed_example() -> (Farm, Vec<u8>) {
    let make = shell("printf '# A\\n[b](b.md)\\n' > README.md");
    let steps = [make.as_str(), "[[builder.step]]\nuse = \"link-check\"\n"].concat();
    let farm = farm(&config(&[("b", &steps)]))
        .plugin("link-check", first_party("link-check"))
        .start()
        .await;
    let api = farm.api();
    api.finished(api.force("force", "b").await).await;
    let recording: Value = api
        .get("builders/b/builds/1/steps/link-check/recording")
        .await;
    (farm, recording.to_string().into_bytes())
}

#[tokio::test]
async fn a_failed_step_of_an_example_becomes_a_test() {
    let (farm, recording) = failed_example().await;
    let url = farm.api().url("");
    let replayed = farm
        .cli(&["plugin", "replay", "--url", &url, "b/1", "link-check"])
        .await;
    let told = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert!(told.contains("the same as recorded"), "{told}");
    assert!(told.contains("1 of 1 links lead nowhere"), "{told}");

    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("tests");
    fs::create_dir(&scripts).unwrap();
    fs::write(
        folder.path().join("link-check.wasm"),
        first_party("link-check"),
    )
    .unwrap();
    fs::write(scripts.join("broken.json"), recording).unwrap();
    let script = "recording = \"broken.json\"\n[expect]\nresult = \"failure\"\n\
        summary = \"1 of 1 links lead nowhere\"\nlogs.\"broken links\" = { contains = \"b.md does not exist\" }\n";
    fs::write(scripts.join("broken.toml"), script).unwrap();
    let args = ["plugin", "test", "link-check.wasm", "--script", "tests"];
    let (code, told) = asked(folder.path(), &args);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(told.matches("ok  ").count(), 2, "{told}");
    let wanted = script.replace("\"failure\"", "\"success\"");
    fs::write(scripts.join("broken.toml"), wanted).unwrap();
    let (code, told) = asked(folder.path(), &args);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("- success") && told.contains("+ failure"),
        "{told}"
    );
}
