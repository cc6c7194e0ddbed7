//! Plugins: what a call costs, how soon a file is live, what waiting takes, what a hostile one does to others.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use toolpost_harness::{Api, Farm, eventually};
use toolpost_hostile::empty_plugin;

use crate::load::hammer;
use crate::table::Row;
use crate::{Bench, builds, farms, sandbox};

/// Steps of one build that call the empty plugin.
const CALLS: usize = 200;
/// A plugin of ours in Rust.
const REAL: &str = "test-summary";
/// One that runs a command and reads its output.
const READER: &str = "compile-warnings";
/// From a file to a live plugin that needs no compilation.
const CACHED_TARGET_MS: f64 = 30.0;
/// Plugins that are loaded when the memory of an idle master is read.
const LOADED: usize = 10;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = sandbox::measure(bench).await?;
    rows.extend(calls(bench).await?);
    rows.extend(live(bench).await?);
    rows.extend(pipelines(bench).await?);
    rows.extend(memory(bench).await?);
    rows.extend(hostile(bench).await?);
    Ok(rows)
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
        .plugin("empty0", empty_plugin("empty0", "1.0.0"))
        .start()
        .await;
    let request = farm.api().force("force", "plugin").await;
    farm.api().finished(request).await;
    let started = Instant::now();
    let request = farm.api().force("force", "plugin").await;
    farm.api().finished(request).await;
    let per_call = started.elapsed().as_secs_f64() * 1000.0 / CALLS as f64;

    Ok(vec![Row::cost(
        "a step that calls an empty plugin, in a build",
        per_call,
        "ms",
    )])
}

/// How long until a file is live: one that was never seen, and one that was compiled before.
async fn live(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let component = first_party(REAL)?;
    let farm = Farm::with(
        &bench.toolpost,
        &farms::config(&[("b", &farms::shell(r#"["true"]"#))]),
    )
    .plugin(REAL, component.clone())
    .start()
    .await;
    let size = component.len() / 1000;
    let (mut unseen, mut cached) = (Vec::new(), Vec::new());
    for round in 0..9 {
        unseen.push(drop_to_live(&farm, &noted(&component, round)).await?);
        cached.push(drop_to_live(&farm, &component).await?);
    }
    Ok(vec![
        Row::cost(
            format!("file dropped to live, {size} KB of Rust, never seen"),
            median_ms(unseen),
            "ms",
        )
        .target(300.0),
        Row::cost("the same, compiled before", median_ms(cached), "ms").target(CACHED_TARGET_MS),
    ])
}

async fn drop_to_live(farm: &Farm, component: &[u8]) -> anyhow::Result<Duration> {
    let before = live_digest(farm.api(), REAL)
        .await
        .context("the plugin is live")?;
    let started = Instant::now();
    farm.drop_plugin(REAL, component);
    eventually("the new version to be live", async || {
        live_digest(farm.api(), REAL)
            .await
            .filter(|digest| *digest != before)
    })
    .await;
    Ok(started.elapsed())
}

/// The component with a custom section more, which changes its digest and nothing else.
fn noted(component: &[u8], round: u8) -> Vec<u8> {
    const CUSTOM: u8 = 0;
    let note = [CUSTOM, 6, 4, b'n', b'o', b't', b'e', round];
    [component, &note].concat()
}

fn first_party(name: &str) -> anyhow::Result<Vec<u8>> {
    let folder = std::env::var_os("TOOLPOST_TEST_PLUGINS")
        .context("TOOLPOST_TEST_PLUGINS is not set: run `cargo xtask bench`")?;
    let path = std::path::Path::new(&folder).join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("read {}", path.display()))
}

fn median_ms(mut taken: Vec<Duration>) -> f64 {
    taken.sort_unstable();
    taken[taken.len() / 2].as_secs_f64() * 1000.0
}

/// Builds of a few commands, run by plugins that read their output, and by the native step.
async fn pipelines(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    const STEPS: usize = 5;
    let native = farms::shell(r#"["true"]"#).repeat(STEPS);
    let plugin = format!("{}command = [\"true\"]\n", step(READER)).repeat(STEPS);
    let config = farms::config(&[("native", &native), ("plugin", &plugin)]);
    let farm = Farm::with(&bench.toolpost, &config)
        .plugin(READER, first_party(READER)?)
        .start()
        .await;
    let count = bench.scaled(600);
    let rate = async |builder: &str| {
        let started = Instant::now();
        builds::force(&farm, builder, count).await;
        builds::all_complete(&farm).await;
        count as f64 / started.elapsed().as_secs_f64()
    };
    rate("plugin").await;
    let (native, plugin) = (rate("native").await, rate("plugin").await);
    Ok(vec![
        Row::rate("builds of five native steps", native, "/s"),
        Row::rate("builds of five plugin steps", plugin, "/s"),
        Row::rate("plugin steps to native ones", plugin / native, "x").target(0.8),
    ])
}

async fn memory(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let names: Vec<String> = (0..LOADED).map(|n| format!("empty{n}")).collect();
    let steps: String = names.iter().map(|name| step(name)).collect();
    let mut builder = Farm::with(&bench.toolpost, &farms::config(&[("b", &steps)]));
    for name in &names {
        builder = builder.plugin(name, empty_plugin(name, "1.0.0"));
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
    let farm = Farm::with(&bench.toolpost, &config)
        .plugin("endless-loop", toolpost_hostile::component("endless-loop"))
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
