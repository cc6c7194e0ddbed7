//! Logs: from a command to the store, and back.

use std::time::Instant;

use toolpost_harness::Farm;

use crate::load::Connection;
use crate::table::Row;
use crate::{Bench, farms};

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let lines = bench.scaled(4_000_000);
    let firehose = emit(lines);
    let short = emit(200_000);
    let farm = Farm::with(
        &bench.toolpost,
        &farms::config(&[("firehose", &firehose), ("short", &short)]),
    )
    .start()
    .await;
    let mut rows = vec![];
    rows.extend(write(&farm, lines).await?);
    rows.extend(read(&farm).await?);
    Ok(rows)
}

/// A command that prints so many lines of 60 bytes, as fast as it can.
pub(crate) fn emit(lines: usize) -> String {
    let line = "a line of sixty bytes, as compilers and their tests print it";
    farms::shell(&format!("\"yes '{}' | head -n {lines}\"", &line[..59]))
}

async fn write(farm: &Farm, lines: usize) -> anyhow::Result<Vec<Row>> {
    let cpu_before = farms::cpu_time(farm)?;
    let started = Instant::now();
    let request = farm.api().force("force", "firehose").await;
    farm.api().finished(request).await;
    let took = started.elapsed();
    let cpu = farms::cpu_time(farm)?.saturating_sub(cpu_before);
    let millions = lines as f64 / 1e6;
    Ok(vec![
        Row::rate(
            "log lines of 60 bytes to the store",
            lines as f64 / took.as_secs_f64(),
            "lines/s",
        )
        .buildbot(50_000.0)
        .target(1_000_000.0),
        Row::cost(
            "CPU of the master a million lines",
            cpu.as_secs_f64() / millions,
            "s",
        )
        .buildbot(25.0)
        .target(1.0),
        Row::cost("memory after that log", farms::resident_mb(farm)?, "MB"),
    ])
}

async fn read(farm: &Farm) -> anyhow::Result<Vec<Row>> {
    let request = farm.api().force("force", "short").await;
    let build = farm.api().finished(request).await;
    let logs = farm
        .api()
        .get(&format!("builds/{}/steps/0/logs", build["buildid"]))
        .await;
    let log = &logs["logs"][0]["logid"];
    let mut connection = Connection::open(&farms::authority(farm)).await?;
    let middle = median_ms(
        &mut connection,
        &format!("/api/v2/logs/{log}/contents"),
        200,
    )
    .await?;
    let raw = format!("/api/v2/logs/{log}/raw");
    connection.get(&raw).await?;
    let started = Instant::now();
    let mut bytes = 0;
    for _ in 0..20 {
        bytes += connection.get(&raw).await?;
    }
    let rate = bytes as f64 / 1e6 / started.elapsed().as_secs_f64();
    Ok(vec![
        Row::rate("download of a raw 12 MB log", rate, "MB/s")
            .buildbot(2.4)
            .target(200.0),
        Row::cost("100 lines amid a 200,000-line log", middle, "ms")
            .buildbot(10.0)
            .target(0.5),
    ])
}

/// The median over windows of 100 lines at different places, so that no cache answers.
async fn median_ms(connection: &mut Connection, path: &str, asks: usize) -> anyhow::Result<f64> {
    let mut taken = Vec::with_capacity(asks);
    for ask in 0..asks {
        let offset = 50_000 + ask * 499;
        let started = Instant::now();
        connection
            .get(&format!("{path}?offset={offset}&limit=100"))
            .await?;
        taken.push(started.elapsed());
    }
    taken.sort_unstable();
    Ok(taken[asks / 2].as_secs_f64() * 1000.0)
}
