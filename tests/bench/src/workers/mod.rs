//! Workers: how many one master holds, what they cost, and what builds and logs through them cost.

mod client;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::task::JoinHandle;
use toolpost_harness::{Farm, eventually};

use crate::load::visits;
use crate::table::Row;
use crate::{Bench, builds, farms};
use client::{PASSWORD, PRINT};

pub(crate) use client::{Pulse, Shared, connect};

/// Workers, and what Buildbot 4.3.0 takes for them: seconds until all are attached, KB each, milliseconds of a request.
const CROWDS: [(usize, Option<[f64; 3]>); 3] = [
    (100, Some([2.6, 33.0, 27.0])),
    (1_000, Some([35.6, 22.0, 204.0])),
    // 94.4 s for 2,000, growing with the square.
    (10_000, None),
];
/// Seconds in which the largest crowd is attached.
const ATTACHED_TARGET_S: f64 = 10.0;
const MEMORY_TARGET_KB: f64 = 20.0;
const PAGE_TARGET_MS: f64 = 5.0;
/// Connections that are opened at one time.
const CONNECTING: usize = 64;
/// What somebody asks for meanwhile, and how often.
const PAGE: &str = "/api/v2/workers?limit=50";
const VISIT: Duration = Duration::from_millis(5);
/// How long idle workers are watched.
const IDLE: Duration = Duration::from_secs(10);
/// Of the farm whose builds are counted.
const BUILDING: usize = 1_000;
const BUILDERS: usize = 100;
/// Workers that print at one time.
const PRINTING: usize = 8;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (count, buildbot) in CROWDS {
        if bench.wants(&format!("{count} workers")) {
            rows.extend(crowd(bench, bench.scaled(count), buildbot).await?);
        }
    }
    if bench.wants("builds") {
        rows.extend(building(bench).await?);
    }
    if bench.wants("lines") {
        rows.extend(printing(bench).await?);
    }
    Ok(rows)
}

/// A farm with remote workers that are connected.
struct Crowded {
    farm: Farm,
    clients: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Drop for Crowded {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?)
}

/// The configuration of a remote worker.
pub(crate) fn remote(name: &str, max_builds: usize) -> String {
    format!(
        "[[worker]]\nname = \"{name}\"\nkind = \"remote\"\npassword = \"{PASSWORD}\"\nmax_builds = {max_builds}\n\n"
    )
}

fn name(n: usize) -> String {
    format!("w{n:05}")
}

/// So many remote workers, and builders on shares of them with this step.
fn config(port: SocketAddr, workers: usize, builders: usize, steps: &str) -> String {
    let mut text = format!("[workers]\nlisten = \"{port}\"\n\n");
    for worker in 0..workers {
        text.push_str(&remote(&name(worker), 1));
    }
    let names: Vec<String> = (0..builders).map(|n| format!("\"b{n}\"")).collect();
    text.push_str(&format!(
        "[[scheduler]]\nname = \"force\"\nuse = \"force\"\nbuilders = [{}]\n\n",
        names.join(", ")
    ));
    for builder in 0..builders {
        let of: Vec<String> = (builder..workers)
            .step_by(builders)
            .map(|worker| format!("{:?}", name(worker)))
            .collect();
        text.push_str(&format!(
            "[[builder]]\nname = \"b{builder}\"\nworkers = [{}]\ncollapse_requests = false\n\n{steps}\n",
            of.join(", ")
        ));
    }
    text
}

/// Starts a farm and has all its workers connect; how long that took.
async fn gather(
    bench: &Bench,
    workers: usize,
    builders: usize,
    steps: &str,
) -> anyhow::Result<(Crowded, f64, Duration)> {
    let port = free_port()?;
    let farm = Farm::with(&bench.toolpost, &config(port, workers, builders, steps))
        .start()
        .await;
    let before = farms::resident_mb(&farm)?;
    let shared = Arc::new(Shared::default());
    let started = Instant::now();
    let clients = stream::iter(0..workers)
        .map(|n| connect(port, name(n), Arc::clone(&shared)))
        .buffer_unordered(CONNECTING)
        .try_collect()
        .await?;
    let crowded = Crowded {
        farm,
        clients,
        shared,
    };
    attached(&crowded, workers).await?;
    Ok((crowded, before, started.elapsed()))
}

/// Waits until the master says that so many workers are connected.
async fn attached(crowded: &Crowded, workers: usize) -> anyhow::Result<()> {
    let configured = &crowded.shared.configured;
    eventually("all workers to be attached", async || {
        (configured.load(Ordering::Relaxed) >= workers).then_some(())
    })
    .await;
    let api = crowded.farm.api();
    // One question when they ought to be there, so that asking costs nothing before.
    eventually("all workers to be shown as connected", async || {
        let page = api.get("workers").await;
        let all = page["workers"].as_array()?;
        let there = |worker: &&serde_json::Value| {
            worker["connected_to"]
                .as_array()
                .is_some_and(|masters| !masters.is_empty())
        };
        (all.iter().filter(there).count() >= workers).then_some(())
    })
    .await;
    let lost = crowded.shared.lost.load(Ordering::Relaxed);
    ensure!(lost == 0, "{lost} workers were lost");
    Ok(())
}

/// So many idle workers.
async fn crowd(
    bench: &Bench,
    count: usize,
    buildbot: Option<[f64; 3]>,
) -> anyhow::Result<Vec<Row>> {
    let steps = farms::shell(r#"["true"]"#);
    let (crowded, before, took) = gather(bench, count, 1, &steps).await?;
    let farm = &crowded.farm;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let each = (farms::resident_mb(farm)? - before) * 1e3 / count as f64;
    let cpu_before = farms::cpu_time(farm)?;
    tokio::time::sleep(IDLE).await;
    let cpu = farms::cpu_time(farm)?.saturating_sub(cpu_before);
    let share = cpu.as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let span = Duration::from_secs(3);
    let after = visits(&farms::authority(farm), PAGE, VISIT, span).await?;
    drop(crowded);
    let during = coming(bench, count).await?;
    let with = |row: Row, index: usize| match buildbot {
        Some(theirs) => row.buildbot(theirs[index]),
        None => row,
    };
    let took = Row::cost(
        format!("{count} workers, all attached"),
        took.as_secs_f64(),
        "s",
    );
    let each = Row::cost(format!("{count} workers: memory of each"), each, "KB");
    let page = Row::cost(
        format!("{count} workers: {PAGE}, p99"),
        after.percentile_ms(0.99),
        "ms",
    );
    Ok(vec![
        with(took, 0).target(ATTACHED_TARGET_S),
        with(each, 1).target(MEMORY_TARGET_KB),
        with(page, 2).target(PAGE_TARGET_MS),
        Row::cost(
            format!("{count} workers: the same while they come"),
            during,
            "ms",
        )
        .target(PAGE_TARGET_MS),
        Row::cost(
            format!("{count} idle workers: processor of the master"),
            share,
            "%",
        ),
    ])
}

/// The 99th percentile of a request while workers come.
async fn coming(bench: &Bench, count: usize) -> anyhow::Result<f64> {
    let port = free_port()?;
    let steps = farms::shell(r#"["true"]"#);
    let farm = Farm::with(&bench.toolpost, &config(port, count, 1, &steps))
        .start()
        .await;
    let authority = farms::authority(&farm);
    let shared = Arc::new(Shared::default());
    let coming = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move {
            stream::iter(0..count)
                .map(|n| connect(port, name(n), Arc::clone(&shared)))
                .buffer_unordered(CONNECTING)
                .try_collect::<Vec<_>>()
                .await
        }
    });
    // Long enough for the largest crowd, and short enough for the smallest.
    let span = Duration::from_secs_f64((count as f64 / 1_500.0).max(0.3));
    let pages = visits(&authority, PAGE, VISIT, span).await?;
    let crowded = Crowded {
        farm,
        clients: coming.await.context("workers came")??,
        shared,
    };
    attached(&crowded, count).await?;
    Ok(pages.percentile_ms(0.99))
}

/// Builds on very many workers.
async fn building(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (workers, builders) = (bench.scaled(BUILDING), bench.scaled(BUILDERS));
    let steps = farms::shell(r#"["true"]"#);
    let (crowded, ..) = gather(bench, workers, builders, &steps).await?;
    let each = 50;
    let started = Instant::now();
    let names: Vec<String> = (0..builders).map(|n| format!("b{n}")).collect();
    stream::iter(&names)
        .for_each_concurrent(8, |builder| builds::force(&crowded.farm, builder, each))
        .await;
    builds::all_complete(&crowded.farm).await;
    let rate = (builders * each) as f64 / started.elapsed().as_secs_f64();
    Ok(vec![
        Row::rate(
            format!("builds of {builders} builders on {workers} workers"),
            rate,
            "/s",
        )
        .buildbot(3.7)
        .target(200.0),
    ])
}

/// Logs of several workers at one time.
async fn printing(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let lines = bench.scaled(1_000_000);
    let steps = farms::shell(&format!("[\"{PRINT}\", \"{lines}\"]"));
    let (crowded, ..) = gather(bench, PRINTING, PRINTING, &steps).await?;
    let farm = &crowded.farm;
    let cpu_before = farms::cpu_time(farm)?;
    let started = Instant::now();
    for builder in 0..PRINTING {
        farm.api().force("force", &format!("b{builder}")).await;
    }
    builds::all_complete(farm).await;
    let took = started.elapsed().as_secs_f64();
    let cpu = farms::cpu_time(farm)?.saturating_sub(cpu_before);
    let millions = (lines * PRINTING) as f64 / 1e6;
    Ok(vec![
        Row::rate(
            format!("log lines of 60 bytes from {PRINTING} workers at once"),
            millions * 1e6 / took,
            "lines/s",
        )
        .buildbot(50_000.0),
        Row::cost(
            "CPU of the master a million lines, through the wire",
            cpu.as_secs_f64() / millions,
            "s",
        )
        .buildbot(25.0)
        .target(1.0),
    ])
}
