//! What failed on a farm is run again on its author's machine.

use std::process::Output;

use serde_json::Value;
use toolpost_harness::Farm;

use crate::support::{config, farm, first_party, hostile};

/// Tests of which one fails.
const STEP: &str = "[[builder.step]]\nuse = \"test-summary\"\nname = \"tests\"\n\
    command = \"printf 'ok 1 - one\\\\nnot ok 2 - two\\\\n1..2\\\\n'\"\n";

async fn replay(farm: &Farm, args: &[&str]) -> Output {
    let url = farm.api().url("");
    let mut all = vec!["plugin", "replay", "--url", url.as_str()];
    all.extend(args);
    farm.cli(&all).await
}

fn text(output: &Output) -> String {
    let told = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&told).into_owned()
}

#[tokio::test]
async fn a_failed_step_is_replayed_with_the_same_result() {
    let farm = farm(&config(&[("b", STEP)]))
        .plugin("test-summary", first_party("test-summary"))
        .start()
        .await;
    let api = farm.api();
    let request = api.force("force", "b").await;
    let build = api.finished(request).await;
    let id = build["buildid"].to_string();

    let same = replay(&farm, &[&id, "tests"]).await;
    assert!(same.status.success(), "{}", text(&same));
    let told = text(&same);
    assert!(
        told.contains("replayed: failure: 1 passed, 1 failed"),
        "{told}"
    );
    assert!(told.contains("the same as recorded"), "{told}");
    assert!(told.contains("two"), "the log of failures is shown: {told}");

    let recording = api.get(&format!("builds/{id}/steps/tests/recording")).await;
    assert_eq!(recording["version"], 1);
    assert_eq!(recording["end"]["outcome"]["results"], "failure");
    let calls: Vec<&Value> = recording["calls"].as_array().unwrap().iter().collect();
    assert!(
        calls.iter().any(|call| call["call"] == "commands.start"),
        "{calls:?}"
    );
}

/// A component in which a text is another one of the same length.
fn changed(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut changed = component.to_vec();
    let places: Vec<usize> = component
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from.as_bytes())
        .map(|(place, _)| place)
        .collect();
    assert!(!places.is_empty(), "the component has no {from:?}");
    for place in places {
        changed[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    changed
}

#[tokio::test]
async fn a_changed_plugin_leaves_the_recorded_trail() {
    let plugin = first_party("test-summary");
    let farm = farm(&config(&[("b", STEP)]))
        .plugin("test-summary", plugin.clone())
        .start()
        .await;
    let api = farm.api();
    let build = api.finished(api.force("force", "b").await).await;
    let id = build["buildid"].to_string();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("changed.wasm");
    std::fs::write(&file, changed(&plugin, "failures", "mistakes")).unwrap();
    let path = file.to_str().unwrap();
    let other = replay(&farm, &["--file", path, &id, "tests"]).await;
    let told = text(&other);
    assert!(!other.status.success(), "{told}");
    assert!(told.contains("it leaves the recorded trail:"), "{told}");
    assert!(
        told.contains("recorded: step-logs.open {\"name\":\"failures\"")
            && told.contains("now:      step-logs.open {\"name\":\"mistakes\""),
        "{told}"
    );

    std::fs::write(&file, hostile("trap")).unwrap();
    let other = replay(&farm, &["--file", path, &id, "tests"]).await;
    let told = text(&other);
    assert!(told.contains("has no step type `test-summary`"), "{told}");
}
