//! Builds per second through one master.

use std::time::{Duration, Instant};

use serde_json::json;
use toolpost_harness::{Farm, eventually};

use crate::table::Row;
use crate::{Bench, farms};

/// Clients that force at the same time.
const CLIENTS: usize = 8;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = throughput(bench, "SQLite", "").await?;
    if let Some(url) = std::env::var_os("TOOLPOST_TEST_POSTGRES_URL") {
        let master = format!("[master]\ndatabase_url = {url:?}\n\n");
        rows.extend(throughput(bench, "PostgreSQL", &master).await?);
    }
    Ok(rows)
}

async fn throughput(bench: &Bench, backend: &str, master: &str) -> anyhow::Result<Vec<Row>> {
    let builds = bench.scaled(3000);
    let step = farms::shell(r#"["true"]"#);
    let config = format!("{master}{}", farms::config(&[("b", &step)]));
    let farm = Farm::with(&bench.toolpost, &config).start().await;
    let cpu_before = farms::cpu_time(&farm)?;
    let started = Instant::now();
    force(&farm, "b", builds).await;
    all_complete(&farm).await;
    let took = started.elapsed();
    let cpu = farms::cpu_time(&farm)?.saturating_sub(cpu_before);
    let per_build = cpu.as_secs_f64() * 1000.0 / builds as f64;
    Ok(vec![
        Row::rate(
            format!("builds of one command, {backend}"),
            builds as f64 / took.as_secs_f64(),
            "/s",
        )
        .buildbot(3.7)
        .target(200.0),
        Row::cost(
            format!("CPU of the master a build, {backend}"),
            per_build,
            "ms",
        )
        .buildbot(240.0),
        Row::cost(
            format!("memory after {builds} builds, {backend}"),
            farms::resident_mb(&farm)?,
            "MB",
        ),
    ])
}

/// Makes so many requests for a builder.
pub(crate) async fn force(farm: &Farm, builder: &str, count: usize) {
    let api = farm.api().clone();
    let id = api.builder_id(builder).await;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let api = api.clone();
        let share = count / CLIENTS + usize::from(client < count % CLIENTS);
        clients.spawn(async move {
            let params = json!({"builderid": id.to_string(), "owner": "bench"});
            for _ in 0..share {
                let made = api
                    .control("forceschedulers/force", "force", params.clone())
                    .await;
                made.unwrap_or_else(|e| panic!("force: {} {}", e.status, e.body));
            }
        });
    }
    clients.join_all().await;
}

/// Waits until no request is left.
pub(crate) async fn all_complete(farm: &Farm) {
    eventually("all requests to complete", async || {
        let open = farm.api().get("buildrequests?complete=false&limit=1").await;
        if open["buildrequests"].as_array()?.is_empty() {
            return Some(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        None
    })
    .await;
}
