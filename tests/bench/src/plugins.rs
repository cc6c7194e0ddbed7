//! Plugins: what a call costs, how soon a file is live, what waiting takes, what a hostile one does to others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use toolpost_harness::{Api, Farm, eventually};
use toolpost_hostile::empty_plugin;

use crate::author::{self, READER, WAITER};
use crate::load::hammer;
use crate::table::Row;
use crate::{Bench, builds, farms, sandbox};

/// Steps of one build that call the empty plugin.
const CALLS: usize = 200;
/// A plugin of ours in Rust, larger than what the targets are for.
const LARGER: &str = "test-summary";
/// Builds that wait for a plugin at one time.
const WAITING: usize = 10_000;
/// What one of them may take beyond a build with a native step, KB.
const WAITING_TARGET_KB: f64 = 150.0;
/// A component of this many KB or fewer has targets for going live.
const TARGET_SIZE_KB: usize = 250;
/// From a file to a live plugin that needs no compilation.
const CACHED_TARGET_MS: f64 = 30.0;
/// Builds by plugins for each by native steps that do the same.
const NATIVE_SHARE_TARGET: f64 = 0.8;
/// Plugins that are loaded when the memory of an idle master is read.
const LOADED: usize = 10;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let waiter = author::waiter(&bench.toolpost)?;
    let mut rows = sandbox::measure(bench, &waiter).await?;
    rows.extend(calls(bench).await?);
    rows.extend(live(bench, WAITER, &waiter).await?);
    rows.extend(live(bench, LARGER, &first_party(LARGER)?).await?);
    rows.extend(pipelines(bench, &waiter).await?);
    rows.extend(waiting(bench, &waiter).await?);
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
async fn live(bench: &Bench, name: &str, component: &[u8]) -> anyhow::Result<Vec<Row>> {
    let farm = Farm::with(
        &bench.toolpost,
        &farms::config(&[("b", &farms::shell(r#"["true"]"#))]),
    )
    .plugin(name, component)
    .start()
    .await;
    let size = component.len() / 1000;
    let (mut unseen, mut cached) = (Vec::new(), Vec::new());
    for round in 0..9 {
        unseen.push(drop_to_live(&farm, name, &noted(component, round)).await?);
        cached.push(drop_to_live(&farm, name, component).await?);
    }
    let unseen = Row::cost(
        format!("file dropped to live, {size} KB of Rust, never seen"),
        median_ms(unseen),
        "ms",
    );
    let cached = Row::cost("the same, compiled before", median_ms(cached), "ms");
    Ok(match size <= TARGET_SIZE_KB {
        true => vec![unseen.target(300.0), cached.target(CACHED_TARGET_MS)],
        false => vec![unseen, cached],
    })
}

async fn drop_to_live(farm: &Farm, name: &str, component: &[u8]) -> anyhow::Result<Duration> {
    let before = live_digest(farm.api(), name)
        .await
        .context("the plugin is live")?;
    let started = Instant::now();
    farm.drop_plugin(name, component);
    eventually("the new version to be live", async || {
        live_digest(farm.api(), name)
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

/// Builds of a few commands, run by plugins that read their output, and by native steps that do the same: run a command alone, and
/// set a property from what it prints.
async fn pipelines(bench: &Bench, waiter: &[u8]) -> anyhow::Result<Vec<Row>> {
    const STEPS: usize = 5;
    const ROUNDS: usize = 5;
    let property = format!(
        "[[builder.step]]\nuse = \"set-property-from-command\"\ncommand = [\"sleep\", \"0\"]\nproperty = \"{WAITER}\"\n"
    );
    let plugin = |name| format!("{}word = \"0\"\n", step(name));
    let steps = [
        ("shell", farms::shell(r#"["sleep", "0"]"#)),
        ("shell-plugin", plugin(READER)),
        ("property", property),
        ("property-plugin", plugin(WAITER)),
    ];
    let builders = steps
        .each_ref()
        .map(|(name, step)| (*name, step.repeat(STEPS)));
    let farm = Farm::with(
        &bench.toolpost,
        &farms::config(&builders.each_ref().map(|(name, steps)| (*name, &**steps))),
    )
    .plugin(WAITER, waiter)
    .plugin(READER, author::reader(&bench.toolpost)?)
    .start()
    .await;
    let count = bench.scaled(300);
    let rate = async |builder: &str| {
        let started = Instant::now();
        builds::force(&farm, builder, count).await;
        builds::all_complete(&farm).await;
        count as f64 / started.elapsed().as_secs_f64()
    };
    for (builder, _) in &builders {
        rate(builder).await;
    }
    // By turns, so that all see the same machine and the same database, and each is as often before its counterpart as after it.
    let mut rates: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut order = builders.each_ref().map(|(name, _)| *name);
        if round % 2 == 1 {
            order.reverse();
        }
        for builder in order {
            rates.entry(builder).or_default().push(rate(builder).await);
        }
    }
    let shares = |native: &str| {
        let pairs = rates[native]
            .iter()
            .zip(&rates[&*format!("{native}-plugin")]);
        median(pairs.map(|(native, plugin)| plugin / native).collect())
    };
    let row = |what: &str, builder: &str| Row::rate(what, median(rates[builder].clone()), "/s");
    Ok(vec![
        row("builds of five commands, native steps", "shell"),
        row("builds of five commands, plugins", "shell-plugin"),
        Row::rate("commands, plugins to native steps", shares("shell"), "x")
            .target(NATIVE_SHARE_TARGET),
        row("builds of five properties, native steps", "property"),
        row("builds of five properties, plugins", "property-plugin"),
        Row::rate(
            "properties, plugins to native steps",
            shares("property"),
            "x",
        )
        .target(NATIVE_SHARE_TARGET),
    ])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Very many builds of a whole master that wait for a command at one time, in plugins and in native steps. A worker runs a
/// hundred commands; the others wait for their turn.
async fn waiting(bench: &Bench, waiter: &[u8]) -> anyhow::Result<Vec<Row>> {
    let count = bench.scaled(WAITING);
    let native = farms::shell(r#"["sleep", "600"]"#);
    let plugin = format!("{}word = \"600\"\n", step(WAITER));
    let mut each = Vec::new();
    let mut at_once = 0.0;
    for (builder, steps) in [("native", &native), ("plugin", &plugin)] {
        let config = farms::config(&[(builder, steps)]);
        let config = config.replace("max_builds = 4", &format!("max_builds = {}", count / 4));
        let farm = Farm::with(&bench.toolpost, &config)
            .plugin(WAITER, waiter)
            .start()
            .await;
        let before = farms::resident_mb(&farm)?;
        builds::force(&farm, builder, count).await;
        at_once = waiting_steps(&farm, builder, count).await;
        each.push((farms::resident_mb(&farm)? - before) * 1e3 / at_once);
    }
    Ok(vec![
        Row::rate(
            "builds of a master that wait in a plugin at one time",
            at_once,
            "builds",
        )
        .target(count as f64),
        Row::cost("memory of one with a native step", each[0], "KB"),
        Row::cost("memory of one with a plugin", each[1], "KB"),
        Row::cost("what the plugin takes of that", each[1] - each[0], "KB")
            .target(WAITING_TARGET_KB),
    ])
}

/// Waits until so many steps run, in plugins where they are some; how many do.
async fn waiting_steps(farm: &Farm, builder: &str, count: usize) -> f64 {
    let api = farm.api();
    eventually("all builds to wait", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let running = match builder {
            "plugin" => {
                let plugin = api.plugin(WAITER).await?;
                plugin["versions"][0]["calls_running"].as_u64()?
            }
            _ => {
                let open = api.get("builds?complete=false&limit=1").await;
                open["meta"]["total"].as_u64()?
            }
        };
        let pool = api.get("plugins").await;
        (running >= count as u64 && pool["plugins"][0]["waiting"].is_null())
            .then_some(running as f64)
    })
    .await
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
