//! A reload storm: two versions of a step are swapped all the time while builds run as fast as they can.
//!
//! The same builds run before without a reload, for as long: they fill the caches, and show what builds alone do to the memory.

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
/// Memory may grow by this much between the second and the last quarter of the storm, MB.
const GROWTH_MAX_MB: f64 = 16.0;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let steps = "[[builder.step]]\nuse = \"empty0\"\n".repeat(STEPS);
    let farm = Farm::with(&bench.toolpost, &farms::config(&[("b", &steps)]))
        .plugin("empty0", empty_plugin("empty0", "1.0.0"))
        .start()
        .await;
    let time = if bench.quick { STORM / 10 } else { STORM };
    let calm = spell(&farm, time, false).await?;
    let storm = spell(&farm, time, true).await?;
    ensure!(storm.builds > 0 && storm.swaps > 0, "nothing happened");
    let seconds = time.as_secs_f64();
    let rate = storm.builds as f64 / seconds;
    Ok(vec![
        Row::rate("reload storm: builds of five plugin steps", rate, "/s"),
        Row::rate(
            "reload storm: versions taken",
            storm.swaps as f64 / seconds,
            "/s",
        ),
        Row::cost(
            "reload storm: builds that did not succeed",
            storm.failed as f64,
            "builds",
        )
        .target(0.0),
        Row::cost(
            "reload storm: builds with more than one digest",
            storm.mixed as f64,
            "builds",
        )
        .target(0.0),
        Row::cost(
            "the same builds before, without a reload: growth of memory",
            calm.growth_mb(),
            "MB",
        ),
        Row::cost("reload storm: growth of memory", storm.growth_mb(), "MB").target(GROWTH_MAX_MB),
    ])
}

/// What a time of many builds was like.
#[derive(Default)]
struct Spell {
    builds: usize,
    failed: usize,
    mixed: usize,
    swaps: usize,
    /// Resident memory of the master at even distances, MB.
    memory: Vec<f64>,
}

impl Spell {
    /// From the second to the last quarter, MB.
    fn growth_mb(&self) -> f64 {
        let quarter = (self.memory.len() / 4).max(1);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let last = &self.memory[self.memory.len() - quarter..];
        mean(last) - mean(&self.memory[quarter..2 * quarter])
    }
}

/// Builds as fast as it goes, beside swaps or without.
async fn spell(farm: &Farm, time: Duration, with_swaps: bool) -> anyhow::Result<Spell> {
    let end = Instant::now() + time;
    let clients = join_all((0..CLIENTS).map(|_| build_until(farm.api(), end)));
    let (of_clients, seen) = tokio::join!(clients, swap_until(farm, end, with_swaps));
    let mut seen = seen?;
    for (results, digests) in of_clients.into_iter().flatten() {
        seen.builds += 1;
        seen.failed += usize::from(results != 0);
        seen.mixed += usize::from(digests.len() != 1);
    }
    Ok(seen)
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

/// Looks at the memory of the master, and swaps two versions, until the time is up.
async fn swap_until(farm: &Farm, end: Instant, with_swaps: bool) -> anyhow::Result<Spell> {
    let versions = ["1.0.0", "2.0.0"].map(|version| empty_plugin("empty0", version));
    let mut seen = Spell::default();
    while Instant::now() < end {
        if with_swaps {
            seen.swaps += 1;
            farm.drop_plugin("empty0", &versions[seen.swaps % 2]);
        }
        seen.memory.push(farms::resident_mb(farm)?);
        tokio::time::sleep(SWAP).await;
    }
    Ok(seen)
}
