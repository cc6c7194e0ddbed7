//! The same plugin in each language: what the SDKs make of the contract, and what becomes of it in a master.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use toolpost_harness::{Api, eventually};

use crate::patches::{PATCH, forced, patch_of};
use crate::scripts::asked;
use crate::support::{config, farm, root, shell};

const NAME: &str = "hand-on";

/// Has the program do something in a folder, which has to work.
fn run(folder: &Path, args: &[&str]) {
    let (code, told) = asked(folder, args);
    assert_eq!(code, Some(0), "toolpost {args:?}: {told}");
}

/// Its component of this source, which belongs there in a project, when that has passed the scripts.
fn component(language: &str, (source, place): (&str, &str)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let new = ["plugin", "new", NAME, "--lang", language, "--kind", "step"];
    run(folder.path(), &new);
    let project = folder.path().join(NAME);
    let sources = root().join("tests/e2e/hand-on");
    fs::copy(sources.join(source), project.join(place)).unwrap();
    let script = sources.join("tests.toml");
    let output = folder.path().to_str().unwrap();
    run(&project, &["plugin", "build", "--output", output]);
    let built = folder.path().join(format!("{NAME}.wasm"));
    let file = built.to_str().unwrap();
    let script = script.to_str().unwrap();
    run(&project, &["plugin", "test", file, "--script", script]);
    fs::read(&built).unwrap()
}

/// The only build of a builder.
async fn build_of(api: &Api, builder: &str) -> Value {
    let id = api.builder_id(builder).await;
    eventually(&format!("a build of {builder}"), async || {
        let builds = api
            .get(&format!("builders/{id}/builds?complete=true"))
            .await;
        builds["builds"].get(0).cloned()
    })
    .await
}

async fn hands_on(language: &str, source: (&str, &str)) {
    let quiet = shell("true");
    let step = format!("[[builder.step]]\nuse = \"{NAME}\"\n");
    let builders = [("first", &*step), ("other", &quiet), ("second", &quiet)];
    let force = "use = \"force\"\n";
    let config = format!(
        "{}\n[plugin.{NAME}]\ngrant.trigger = [\"other\"]\n\n\
         [[scheduler]]\nname = \"follow\"\nuse = \"follow\"\nbuilders = [\"second\"]\n",
        config(&builders).replace(force, &format!("{force}codebases = [{{ patch = {{}} }}]\n"))
    );
    let farm = farm(&config)
        .plugin(NAME, component(language, source))
        .start()
        .await;
    let api = farm.api();
    let first = forced(api, "first", json!({ "patch_body": PATCH })).await;
    assert_eq!(first["results"], 0, "{:#?}", api.steps(&first).await);
    let patch = patch_of(api, &first).await;
    assert_eq!(patch["body"], PATCH);
    for builder in ["other", "second"] {
        let build = build_of(api, builder).await;
        assert_eq!(patch_of(api, &build).await, patch, "{builder}");
    }
}

#[tokio::test]
async fn rust_hands_on_what_it_is_told() {
    hands_on("rust", ("lib.rs", "src/lib.rs")).await;
}

#[tokio::test]
async fn python_hands_on_what_it_is_told() {
    hands_on("python", ("plugin.py", "plugin.py")).await;
}

#[tokio::test]
async fn javascript_hands_on_what_it_is_told() {
    hands_on("js", ("plugin.js", "plugin.js")).await;
}
