//! Two versions of a step are swapped as fast as anybody could want while builds run as fast as they can.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use toolpost_harness::{Api, Farm};
use toolpost_hostile::empty_plugin;

use crate::support::{config, farm};

/// How long the storm lasts.
const STORM: Duration = Duration::from_secs(8);
/// How often the file is replaced.
const SWAP: Duration = Duration::from_millis(200);
/// Builds that run at one time.
const CLIENTS: usize = 4;
/// Steps of each build that call the plugin.
const STEPS: usize = 5;

/// Forces builds one after the other until the time is up, and gives them.
async fn build_until(api: &Api, end: Instant) -> Vec<Value> {
    let mut builds = Vec::new();
    while Instant::now() < end {
        let request = api.force("force", "b").await;
        builds.push(api.finished(request).await);
    }
    builds
}

/// Swaps two versions until the time is up; how many times.
async fn swap_until(farm: &Farm, end: Instant) -> usize {
    let versions = ["1.0.0", "2.0.0"].map(|version| empty_plugin("empty0", version));
    let mut swaps = 0;
    while Instant::now() < end {
        swaps += 1;
        farm.drop_plugin("empty0", &versions[swaps % 2]);
        tokio::time::sleep(SWAP).await;
    }
    swaps
}

#[tokio::test]
async fn a_reload_storm_disturbs_no_build() {
    let steps = "[[builder.step]]\nuse = \"empty0\"\n".repeat(STEPS);
    let farm = farm(&config(&[("b", &steps)]))
        .plugin("empty0", empty_plugin("empty0", "1.0.0"))
        .compiles_all()
        .start()
        .await;
    let api = farm.api();
    let end = Instant::now() + STORM;
    let clients = join_all((0..CLIENTS).map(|_| build_until(api, end)));
    let (builds, swaps) = tokio::join!(clients, swap_until(&farm, end));
    let builds: Vec<Value> = builds.into_iter().flatten().collect();
    assert!(
        swaps >= 10 && builds.len() >= 10,
        "{swaps} swaps, {} builds",
        builds.len()
    );

    let mut seen = std::collections::BTreeSet::new();
    for build in &builds {
        assert_eq!(build["results"], 0, "{build}");
        let digests: std::collections::BTreeSet<String> = api
            .steps(build)
            .await
            .iter()
            .map(|step| {
                step["plugin_digest"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        assert_eq!(
            digests.len(),
            1,
            "one version from start to end: {digests:?}"
        );
        seen.extend(digests);
    }
    assert_eq!(seen.len(), 2, "both versions were used");
    let plugin = api.plugin("empty0").await.expect("it is there");
    assert_eq!(plugin["rollbacks"], 0, "{plugin}");
    let drained = plugin["versions"].as_array().map_or(0, Vec::len);
    assert_eq!(
        drained, 1,
        "no version is kept for a build that ended: {plugin}"
    );

    // What the command line shows and does.
    let url = api.url("");
    let listed = farm
        .cli(&["plugin", "history", "empty0", "--url", &url, "--json"])
        .await;
    let history: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let past = history["versions"].as_array().expect("versions").clone();
    let old = past.iter().find(|version| version["state"] == "past");
    let old = old
        .and_then(|version| version["digest"].as_str())
        .expect("an earlier version");
    let back = farm
        .cli(&["plugin", "rollback", "empty0", &old[..12], "--url", &url])
        .await;
    assert!(
        back.status.success(),
        "{}",
        String::from_utf8_lossy(&back.stderr)
    );
    let request = api.force("force", "b").await;
    let build = api.finished(request).await;
    assert_eq!(api.steps(&build).await[0]["plugin_digest"], json!(old));
    // The file is still the version that was left: it is not taken again by looking.
    let reloaded = farm.cli(&["plugin", "reload", "--url", &url]).await;
    let told = String::from_utf8_lossy(&reloaded.stdout);
    assert!(told.contains("held") && told.contains(&old[..16]), "{told}");
    let metrics = api.text("metrics").await.expect("metrics");
    assert!(
        metrics
            .contains("toolpost_plugin_reloads_total{plugin=\"empty0\",outcome=\"rolled-back\"} 1"),
        "{metrics}"
    );
}
