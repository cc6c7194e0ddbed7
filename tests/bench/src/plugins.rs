//! Plugins: what a call costs, how soon a file is live, what a hostile one does to others.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use toolpost_harness::{Api, Farm, eventually};

use crate::load::hammer;
use crate::table::Row;
use crate::{Bench, builds, farms};

/// Steps of one build that call the empty plugin.
const CALLS: usize = 200;
/// Plugins that are loaded when the memory of an idle master is read.
const LOADED: usize = 10;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = calls(bench).await?;
    rows.extend(memory(bench).await?);
    rows.extend(hostile(bench).await?);
    Ok(rows)
}

/// A component that does nothing, under a name of six letters; `note` changes its digest and nothing else.
fn empty_plugin(name: &str, note: &str) -> anyhow::Result<Vec<u8>> {
    let text = include_str!("../../plugins/empty.wat");
    anyhow::ensure!(
        name.len() == "empty0".len(),
        "the text has room for six letters"
    );
    let text = text.replace("empty0", name).replace("0.0.0", note);
    wat::parse_str(&text).context("tests/plugins/empty.wat")
}

fn step(name: &str) -> String {
    format!("[[builder.step]]\nuse = \"{name}\"\n")
}

async fn live_digest(api: &Api, name: &str) -> Option<String> {
    let plugin = api.plugin(name).await?;
    let live = plugin["versions"]
        .as_array()?
        .iter()
        .find(|v| v["state"] == "live")?
        .clone();
    Some(live["digest"].as_str()?.to_owned())
}

async fn calls(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let empty = step("empty0").repeat(CALLS);
    let config = farms::config(&[("plugin", &empty)]);
    let farm = Farm::with(&bench.toolpost, &config)
        .plugin("empty0", empty_plugin("empty0", "1.0.0")?)
        .start()
        .await;
    let request = farm.api().force("force", "plugin").await;
    farm.api().finished(request).await;
    let started = Instant::now();
    let request = farm.api().force("force", "plugin").await;
    farm.api().finished(request).await;
    let per_call = started.elapsed().as_secs_f64() * 1000.0 / CALLS as f64;

    let mut taken = Vec::new();
    for round in 0..9 {
        let before = live_digest(farm.api(), "empty0")
            .await
            .context("the plugin is live")?;
        let component = empty_plugin("empty0", &format!("2.0.{round}"))?;
        let started = Instant::now();
        farm.drop_plugin("empty0", &component);
        eventually("the new version to be live", async || {
            live_digest(farm.api(), "empty0")
                .await
                .filter(|digest| *digest != before)
        })
        .await;
        taken.push(started.elapsed());
    }
    taken.sort_unstable();
    let live = taken[taken.len() / 2].as_secs_f64() * 1000.0;
    Ok(vec![
        Row::cost(
            "a step that calls an empty plugin, in a build",
            per_call,
            "ms",
        ),
        Row::cost("file dropped to plugin live", live, "ms"),
    ])
}

async fn memory(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let names: Vec<String> = (0..LOADED).map(|n| format!("empty{n}")).collect();
    let steps: String = names.iter().map(|name| step(name)).collect();
    let mut builder = Farm::with(&bench.toolpost, &farms::config(&[("b", &steps)]));
    for name in &names {
        builder = builder.plugin(name, empty_plugin(name, "1.0.0")?);
    }
    let farm = builder.start().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(vec![
        Row::cost(
            "resident memory, idle, ten plugins",
            farms::resident_mb(&farm)?,
            "MB",
        )
        .buildbot(81.0)
        .target(60.0),
    ])
}

/// A step that computes for five seconds, once quiet and once beside it: the API and a build of 20 steps.
async fn hostile(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let twenty = farms::shell(r#"["true"]"#).repeat(20);
    let config = format!(
        "{}\n[plugin.endless-loop]\ncpu_ms = 5000\n",
        farms::config(&[("loop", &step("endless-loop")), ("twenty", &twenty)])
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../hostile/endless-loop.wat");
    let farm = Farm::with(&bench.toolpost, &config)
        .plugin("endless-loop", wat::parse_file(path)?)
        .start()
        .await;
    let span = Duration::from_secs(3);
    let ask = async || hammer(&farms::authority(&farm), "/api/v2/builders", 1, span).await;
    let twenty_steps = async || {
        let started = Instant::now();
        let request = farm.api().force("force", "twenty").await;
        farm.api().finished(request).await;
        started.elapsed().as_secs_f64() * 1000.0
    };
    let quiet = ask().await?.percentile_ms(0.99);
    twenty_steps().await;
    let quiet_build = twenty_steps().await;
    let looping = farm.api().force("force", "loop").await;
    farm.api().running(looping, "endless-loop").await;
    let busy = ask().await?.percentile_ms(0.99);
    farm.api().finished(looping).await;
    let looping = farm.api().force("force", "loop").await;
    farm.api().running(looping, "endless-loop").await;
    let busy_build = twenty_steps().await;
    builds::all_complete(&farm).await;
    Ok(vec![
        Row::cost("GET builders, p99, quiet", quiet, "ms").buildbot(13.0),
        Row::cost("the same beside a step that computes for 5 s", busy, "ms")
            .buildbot(5030.0)
            .target(2.0 * quiet),
        Row::cost("a build of 20 steps, quiet", quiet_build, "ms").buildbot(3800.0),
        Row::cost(
            "the same beside a step that computes for 5 s",
            busy_build,
            "ms",
        )
        .buildbot(11_000.0)
        .target(1.2 * quiet_build),
    ])
}
