//! The hostile set: what happens to each offender, and what fifty of it at once do to everybody else.
//!
//! Each offender has a farm of its own, which is measured quiet and then beside the fifty: pages and API, builds of another
//! builder on another worker, and that worker's commands. Figures are ratios to the same farm's quiet run.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::Value;
use toolpost_harness::{Farm, eventually};
use toolpost_hostile::{Export, MISDEEDS};

use crate::load::hammer;
use crate::table::{Row, columns};
use crate::{Bench, builds, farms};

/// Copies of an offender at one time.
const COPIES: usize = 50;
/// Steps of each of these builds: an offender that ends at once comes again.
const REPEATS: usize = 20;
/// Processor time of each call: fifty of them compute for as long as is measured.
const CPU_MS: u32 = 300;
/// How long is measured.
const SPAN: Duration = Duration::from_secs(4);
/// Steps of the build that measures how fast the worker's commands are.
const COMMANDS: usize = 10;
/// What no ratio should be above.
const RATIO_MAX: f64 = 2.0;
/// Offenders that are texts of their own.
const TEXTS: [&str; 5] = [
    "zero-timeout-polling",
    "handle-hoard",
    "command-flood",
    "step-log-flood",
    "sleeper",
];

/// How a farm feels to those who use it.
struct Feel {
    /// `GET /api/v2/builders`, 99th percentile, ms.
    p99: f64,
    /// From a request to the first command of its build, median, ms.
    start: f64,
    /// From one command of a worker to the next, ms.
    command: f64,
}

/// What is done fifty times at once.
enum Offence {
    /// Builds whose steps call it.
    Builds(String),
    /// Files in the plugin directory that describe themselves.
    Files(String),
}

impl Offence {
    fn name(&self) -> &str {
        match self {
            Self::Builds(name) | Self::Files(name) => name,
        }
    }
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut lines = vec![
        [
            "offender (50 at once)",
            "what happened to it",
            "GET builders p99",
            "build start",
            "command",
        ]
        .map(String::from),
    ];
    let mut rows = Vec::new();
    for offence in offences(bench) {
        let name = offence.name().to_owned();
        eprintln!("  {name}");
        let (fate, ratios) = offend(bench, &offence)
            .await
            .with_context(|| format!("measure {name}"))?;
        let [p99, start, command] = ratios;
        lines.push([
            name.clone(),
            fate,
            format!("{p99:.2}x"),
            format!("{start:.2}x"),
            format!("{command:.2}x"),
        ]);
        for (what, ratio) in [
            ("GET builders p99", p99),
            ("build start", start),
            ("command", command),
        ] {
            rows.push(
                Row::cost(format!("{name}, 50 at once: {what}"), ratio, "x").target(RATIO_MAX),
            );
        }
    }
    crate::print(&columns(&lines, &[2, 3, 4]));
    Ok(rows)
}

fn offences(bench: &Bench) -> Vec<Offence> {
    let made = |export: Export| {
        let can =
            move |misdeed: &&toolpost_hostile::Misdeed| misdeed.exports().any(|it| it == export);
        MISDEEDS
            .iter()
            .filter(can)
            .map(move |misdeed| misdeed.plugin_name(export))
    };
    let builds = made(Export::Run)
        .chain(TEXTS.map(String::from))
        .map(Offence::Builds);
    let files = made(Export::Describe).map(Offence::Files);
    let all: Vec<Offence> = builds.chain(files).collect();
    let step = if bench.quick { all.len() / 3 } else { 1 };
    all.into_iter().step_by(step.max(1)).collect()
}

/// Two workers, one for the offender, and a builder for each of those who want something else.
fn config(offender: Option<&str>, started: &str) -> String {
    let worker = |name: &str| {
        format!("[[worker]]\nname = \"{name}\"\nkind = \"local\"\nmax_builds = {COPIES}\n\n")
    };
    let probe = farms::shell(&format!(r#"["sh", "-c", "date +%s%N > {started}"]"#));
    let commands = farms::shell(r#"["true"]"#).repeat(COMMANDS);
    let builder = |name: &str, worker: &str, steps: &str| {
        format!(
            "[[builder]]\nname = \"{name}\"\nworkers = [\"{worker}\"]\ncollapse_requests = false\n\n{steps}\n"
        )
    };
    let mut names = vec!["probe", "commands"];
    let mut text = worker("quiet")
        + &builder("probe", "quiet", &probe)
        + &builder("commands", "quiet", &commands);
    if let Some(plugin) = offender {
        let step = format!("[[builder.step]]\nuse = \"{plugin}\"\non_failure = \"skip\"\n")
            .repeat(REPEATS);
        text += &worker("loud");
        text += &builder("offender", "loud", &step);
        text += &format!(
            "[plugin.{plugin}]\ncpu_ms = {CPU_MS}\nwall_s = 5\nlog_mib = 8\ngrant.storage = true\n\n"
        );
        names.push("offender");
    }
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    text + &format!(
        "[[scheduler]]\nname = \"force\"\nuse = \"force\"\nbuilders = [{}]\n",
        names.join(", ")
    )
}

/// What became of the offender, and the ratios of busy to quiet.
async fn offend(bench: &Bench, offence: &Offence) -> anyhow::Result<(String, [f64; 3])> {
    let dir = tempfile::tempdir()?;
    let started = dir.path().join("started");
    let started = started.to_str().context("a folder with an odd name")?;
    let component = toolpost_hostile::component(offence.name());
    let plugin = match offence {
        Offence::Builds(name) => Some(name.as_str()),
        Offence::Files(_) => None,
    };
    let mut builder = Farm::with(&bench.toolpost, &config(plugin, started));
    if let Some(name) = plugin {
        builder = builder.plugin(name, component.clone());
    }
    let farm = builder.start().await;
    feel(&farm, started, SPAN / 4).await?;
    let quiet = feel(&farm, started, SPAN).await?;
    match offence {
        Offence::Builds(name) => {
            builds::force(&farm, "offender", COPIES).await;
            eventually("an offender to begin", async || {
                let steps = farm.api().get("builds?complete=false&limit=1").await;
                let build = steps["builds"].as_array()?.first()?.clone();
                farm.api()
                    .steps(&build)
                    .await
                    .iter()
                    .any(|step| step["name"] == name.as_str())
                    .then_some(())
            })
            .await;
        }
        Offence::Files(name) => {
            for copy in 0..COPIES {
                farm.drop_plugin(&format!("{name}-{copy}"), &component);
            }
        }
    }
    let busy = feel(&farm, started, SPAN).await?;
    let fate = fate(&farm, offence).await;
    let ratios = [
        busy.p99 / quiet.p99,
        busy.start / quiet.start,
        busy.command / quiet.command,
    ];
    Ok((fate, ratios))
}

/// Uses a farm for a while.
async fn feel(farm: &Farm, started: &str, span: Duration) -> anyhow::Result<Feel> {
    let authority = farms::authority(farm);
    let pages = tokio::spawn(async move { hammer(&authority, "/api/v2/builders", 1, span).await });
    let end = Instant::now() + span;
    let (mut starts, mut commands) = (Vec::new(), Vec::new());
    while Instant::now() < end || starts.is_empty() {
        starts.push(start(farm, started).await?);
        let asked = Instant::now();
        let request = farm.api().force("force", "commands").await;
        farm.api().finished(request).await;
        commands.push(asked.elapsed().as_secs_f64() * 1000.0 / COMMANDS as f64);
    }
    Ok(Feel {
        p99: pages.await??.percentile_ms(0.99),
        start: median(starts),
        command: median(commands),
    })
}

/// Milliseconds from a request to the first command of its build, which writes down the time.
async fn start(farm: &Farm, started: &str) -> anyhow::Result<f64> {
    let asked = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let request = farm.api().force("force", "probe").await;
    farm.api().finished(request).await;
    let began: u128 = std::fs::read_to_string(started)?.trim().parse()?;
    Ok(began.saturating_sub(asked.as_nanos()) as f64 / 1e6)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What people are told about the offender.
async fn fate(farm: &Farm, offence: &Offence) -> String {
    let api = farm.api();
    match offence {
        Offence::Builds(name) => {
            eventually("an offender to end", async || {
                let metrics = api.get(&format!("plugins/{name}")).await;
                let live = metrics["plugins"][0]["versions"]
                    .as_array()?
                    .first()?
                    .clone();
                Some(text(&live["last_fault"])?.to_owned())
            })
            .await
        }
        Offence::Files(name) => {
            eventually("a file to be refused", async || {
                let plugins = api.get("plugins").await;
                let refused = plugins["plugins"].as_array()?.iter().find_map(|plugin| {
                    let is_copy = text(&plugin["name"])?.starts_with(name);
                    is_copy
                        .then(|| text(&plugin["last_reload"]["reason"]))
                        .flatten()
                        .map(str::to_owned)
                });
                refused.map(|reason| format!("refused: {reason}"))
            })
            .await
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}
