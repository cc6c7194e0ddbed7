//! What authors of plugins get: plugins in every language and of every kind, and the examples at work.

use std::fs;

use serde_json::Value;
use toolpost_harness::Farm;

use crate::support::{config, farm, first_party, root, shell};

/// What the program prints when it is asked this, which has to work.
async fn said(farm: &Farm, args: &[&str]) -> String {
    let done = farm.cli(args).await;
    let complaints = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {complaints}");
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn every_language_has_a_template_of_every_kind() {
    let farm = farm("").prepare();
    let folder = tempfile::tempdir().unwrap();
    for (lang, file, sdk) in [
        ("rust", "src/lib.rs", "rust"),
        ("python", "plugin.py", "python"),
        ("js", "plugin.js", "js"),
    ] {
        for kind in ["step", "scheduler", "reporter"] {
            let name = format!("my-{lang}-{kind}");
            let path = folder.path().to_str().unwrap();
            let sdk = root().join("sdk").join(sdk);
            let sdk = sdk.to_str().unwrap();
            let args = [
                "plugin", "new", &name, "--lang", lang, "--kind", kind, "--path", path, "--sdk",
                sdk,
            ];
            assert!(said(&farm, &args).await.contains("plugin build"));
            let text = fs::read_to_string(folder.path().join(&name).join(file)).unwrap();
            assert!(
                text.contains(&format!("one {kind} type, `{name}`")),
                "{text}"
            );
            let again = farm.cli(&args).await;
            assert_eq!(again.status.code(), Some(2), "nothing is overwritten");
        }
    }
    let empty = farm
        .cli(&["plugin", "build", folder.path().to_str().unwrap()])
        .await;
    assert_eq!(empty.status.code(), Some(2));
    let complaints = String::from_utf8_lossy(&empty.stderr).into_owned();
    assert!(
        complaints.contains("no Cargo.toml, plugin.py or plugin.js"),
        "{complaints}"
    );
}

#[tokio::test]
async fn components_are_shown_as_a_master_sees_them() {
    let farm = farm("").prepare();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let component = toolpost_hostile::empty_plugin("alpha0", "1.2.3");
    fs::write(path("alpha0.wasm"), &component).unwrap();
    let one = said(&farm, &["plugin", "inspect", &path("alpha0.wasm")]).await;
    let size = format!("contract 1.0.0, {} bytes, sha256 ", component.len());
    assert!(
        one.starts_with("alpha0 1.2.3\n") && one.contains(&size),
        "{one}"
    );
    let args = ["plugin", "inspect", "--schema", &path("alpha0.wasm")];
    let schema = said(&farm, &args).await;
    assert!(schema.contains("\"type\": \"object\""), "{schema}");

    fs::write(path("beta00.wasm"), "no component").unwrap();
    fs::write(path(".gamma.wasm"), "is being written").unwrap();
    let all = farm.cli(&["plugin", "inspect", "--json", &path("")]).await;
    assert_eq!(all.status.code(), Some(1), "one of them is none");
    let told: Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!(told.as_array().map(Vec::len), Some(2), "{told:#}");
    let (good, bad) = (&told[0], &told[1]);
    assert_eq!(good["size_bytes"], component.len(), "{good:#}");
    assert_eq!(good["digest"].as_str().map(str::len), Some(64), "{good:#}");
    assert_eq!(good["types"][0]["kind"], "step", "{good:#}");
    assert_eq!(good["types"][0]["parameters"]["type"], "object", "{good:#}");
    let problem = bad["problem"].as_str().unwrap_or_default();
    assert!(problem.contains("is not WebAssembly"), "{bad:#}");
    let alone = farm.cli(&["plugin", "inspect", &path("beta00.wasm")]).await;
    let complaints = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(
        complaints.contains("is no plugin that a master would take"),
        "{complaints}"
    );
}

#[tokio::test]
async fn the_examples_in_python_and_javascript_work() {
    let make =
        shell("printf '# A\\n[b](b.md) [a](#a)\\n' > README.md; head -c 900 /dev/zero > out.bin");
    let check = "[[builder.step]]\nuse = \"link-check\"\nwarn_only = true\n";
    let measure = "[[builder.step]]\nuse = \"size-limit\"\n\
        limits = [{ files = \"*.bin\", at_most = \"1 kB\" }]\n";
    let steps = [make.as_str(), check, measure].concat();
    let farm = farm(&config(&[("b", &steps)]))
        .plugin("link-check", first_party("link-check"))
        .plugin("size-limit", first_party("size-limit"))
        .start()
        .await;
    let api = farm.api();
    let request = api.force("force", "b").await;
    let build = api.finished(request).await;
    let steps = api.steps(&build).await;
    let state = |name: &str| {
        let step = steps.iter().find(|step| step["name"] == name);
        step.map_or(Value::Null, |step| step["state_string"].clone())
    };
    assert_eq!(
        state("link-check"),
        "1 of 2 links lead nowhere (warnings)",
        "{steps:?}"
    );
    assert_eq!(state("size-limit"), "*.bin 900 B of 1 kB", "{steps:?}");
    assert_eq!(
        build["results"], 0,
        "warnings of a step are none of the build"
    );
}
