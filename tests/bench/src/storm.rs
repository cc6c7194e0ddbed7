//! A reload storm: two versions of a step are swapped all the time while builds run as fast as they can.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::join_all;
use serde_json::Value;
use toolpost_harness::{Api, Farm};
use toolpost_hostile::empty_plugin;

use crate::table::Row;
use crate::{Bench, farms};

/// How long the storm lasts.
const STORM: Duration = Duration::from_secs(60);
/// How often the file is replaced.
const SWAP: Duration = Duration::from_millis(200);
/// Clients that force builds one after the other.
const CLIENTS: usize = 8;
/// Steps of each build that call the plugin.
const STEPS: usize = 5;
/// Memory may grow by this much between the first and the last quarter of the storm, MB.
const GROWTH_MAX_MB: f64 = 16.0;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let steps = "[[builder.step]]\nuse = \"empty0\"\n".repeat(STEPS);
    let farm = Farm::with(&bench.toolpost, &farms::config(&[("b", &steps)]))
        .plugin("empty0", empty_plugin("empty0", "1.0.0"))
        .start()
        .await;
    let storm = if bench.quick { STORM / 10 } else { STORM };
    let end = Instant::now() + storm;
    let clients = join_all((0..CLIENTS).map(|_| build_until(farm.api(), end)));
    let (of_clients, swapped) = tokio::join!(clients, swap_until(&farm, end));
    let (swaps, memory) = swapped?;
    let (mut builds, mut failed, mut mixed) = (0, 0, 0);
    for of_client in of_clients {
        for (results, digests) in of_client {
            builds += 1;
            failed += usize::from(results != 0);
            mixed += usize::from(digests.len() != 1);
        }
    }
    ensure!(builds > 0 && swaps > 0, "nothing happened");
    let quarter = (memory.len() / 4).max(1);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let growth = mean(&memory[memory.len() - quarter..]) - mean(&memory[quarter..2 * quarter]);
    let seconds = storm.as_secs_f64();
    Ok(vec![
        Row::rate(
            "reload storm: builds of five plugin steps",
            builds as f64 / seconds,
            "/s",
        ),
        Row::rate("reload storm: versions taken", swaps as f64 / seconds, "/s"),
        Row::cost(
            "reload storm: builds that did not succeed",
            failed as f64,
            "builds",
        )
        .target(0.0),
        Row::cost(
            "reload storm: builds with more than one digest",
            mixed as f64,
            "builds",
        )
        .target(0.0),
        Row::cost(
            "reload storm: growth of memory, second to last quarter",
            growth,
            "MB",
        )
        .target(GROWTH_MAX_MB),
    ])
}

/// Results and digests of builds that are forced one after the other until the time is up.
async fn build_until(api: &Api, end: Instant) -> Vec<(i64, BTreeSet<String>)> {
    let mut builds = Vec::new();
    while Instant::now() < end {
        let request = api.force("force", "b").await;
        let build = api.finished(request).await;
        let steps = api.steps(&build).await;
        let digest = |step: &Value| {
            step["plugin_digest"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let digests = steps.iter().map(digest).collect();
        builds.push((build["results"].as_i64().unwrap_or(-1), digests));
    }
    builds
}

/// Swaps two versions until the time is up; how many times, and the memory of the master meanwhile.
async fn swap_until(farm: &Farm, end: Instant) -> anyhow::Result<(usize, Vec<f64>)> {
    let versions = ["1.0.0", "2.0.0"].map(|version| empty_plugin("empty0", version));
    let (mut swaps, mut memory) = (0, Vec::new());
    while Instant::now() < end {
        swaps += 1;
        farm.drop_plugin("empty0", &versions[swaps % 2]);
        memory.push(farms::resident_mb(farm)?);
        tokio::time::sleep(SWAP).await;
    }
    Ok((swaps, memory))
}
