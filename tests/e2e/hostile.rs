//! A hostile plugin ends within its limits and delays nobody.

use std::time::{Duration, Instant};

use toolpost_harness::{Api, eventually};

use crate::support::{config, farm, hostile, shell};

/// Hostile plugins with the word that names what they did.
const HOSTILE: [(&str, &str); 3] = [
    ("endless-loop", "CPU"),
    ("memory-bomb", "memory"),
    ("deep-recursion", "stack"),
];

/// A step of the hostile plugin, whose step type has its name.
fn step(plugin: &str) -> String {
    format!("[[builder.step]]\nuse = \"{plugin}\"\n")
}

/// The 99th percentile of a few hundred quick requests.
async fn p99(api: &Api, requests: usize) -> Duration {
    let mut taken = Vec::with_capacity(requests);
    for _ in 0..requests {
        let asked = Instant::now();
        api.get("builders").await;
        taken.push(asked.elapsed());
    }
    taken.sort_unstable();
    taken[requests * 99 / 100]
}

#[tokio::test]
async fn hostile_steps_end_as_exceptions_while_others_go_on() {
    let steps = HOSTILE.map(|(name, _)| step(name));
    let mut builders: Vec<(&str, &str)> = HOSTILE
        .iter()
        .zip(&steps)
        .map(|((name, _), steps)| (*name, steps.as_str()))
        .collect();
    let good = shell("echo good");
    builders.push(("good", &good));
    let mut text = config(&builders);
    for (name, _) in HOSTILE {
        text.push_str(&format!("\n[plugin.{name}]\ncpu_ms = 3000\n"));
    }
    let mut builder = farm(&text);
    for (name, _) in HOSTILE {
        builder = builder.plugin(name, hostile(name));
    }
    let farm = builder.start().await;
    let api = farm.api();

    let quiet = p99(api, 300).await;
    let mut requests = Vec::new();
    for (name, reason) in HOSTILE {
        requests.push((name, reason, api.force("force", name).await));
    }
    let looping = requests[0].2;
    api.running(looping, "endless-loop").await;
    let good = api.force("force", "good").await;
    assert_eq!(
        api.finished(good).await["results"],
        0,
        "another builder's build goes on"
    );
    let busy = p99(api, 300).await;
    println!("p99 of GET /api/v2/builders: quiet {quiet:?}, beside hostile plugins {busy:?}");

    for (name, reason, request) in requests {
        let build = api.finished(request).await;
        assert_eq!(build["results"], 4, "{name}: {build}");
        let steps = api.steps(&build).await;
        let said = steps[0]["state_string"].as_str().unwrap();
        assert!(
            said.to_lowercase().contains(&reason.to_lowercase()),
            "{name}: {said}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_no_good_plugin_is_refused_with_the_reason() {
    let farm = farm(&config(&[("good", &shell("echo good"))]))
        .start()
        .await;
    let api = farm.api();
    let truncated = {
        let whole = hostile("endless-loop");
        whole[..whole.len() / 2].to_vec()
    };
    let core_module = b"\0asm\x01\0\0\0".to_vec();
    for (name, bytes, reason) in [
        ("truncated", truncated, "truncated"),
        ("core-module", core_module, "module"),
        ("garbage", b"this is no WebAssembly".to_vec(), "WebAssembly"),
        ("missing-export", hostile("missing-export"), "export"),
        ("other-contract", hostile("other-contract"), "contract"),
        ("bad-schema", hostile("bad-schema"), "schema"),
        ("describe-loop", hostile("describe-loop"), "describe"),
    ] {
        farm.drop_plugin(name, &bytes);
        let said = eventually(&format!("{name} to be refused"), async || {
            let plugin = api.plugin(name).await?;
            let error = plugin["last_reload"]["reason"].as_str()?.to_owned();
            Some(error)
        })
        .await;
        assert!(
            said.to_lowercase().contains(&reason.to_lowercase()),
            "{name}: {said}"
        );
    }
    let request = api.force("force", "good").await;
    assert_eq!(api.finished(request).await["results"], 0);
}
