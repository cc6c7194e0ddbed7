//! A farm of 5,000 builders after 200,000 builds, with 100,000 requests that wait for workers which are not there.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use toolpost_harness::{Farm, eventually_within};

use super::fill::{self, Scratch, Sizes};
use super::lists::{CROWD, Ids, LISTS};
use super::subscribers::Subscriber;
use crate::load::{Connection, hammer_each};
use crate::table::Row;
use crate::{Bench, builds, farms, logs, workers};

/// Workers that the builders of the past belong to.
const WORKERS: usize = 200;
/// Lines of 60 bytes: of the log that each old build has, of one that is looked into, and of one that is downloaded.
const SHORT_LINES: usize = 40;
const LONG_LINES: usize = 200_000;
const DOWNLOADED_LINES: usize = 1_600_000;
const DOWNLOADS: usize = 4;
/// Who listens to events.
const SUBSCRIBERS: usize = 1_000;
/// How long a master may take to start with all that.
const START_MAX: Duration = Duration::from_secs(600);

pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = on(bench, "SQLite", None).await?;
    if let Ok(server) = std::env::var("TOOLPOST_TEST_POSTGRES_URL") {
        let scratch = Scratch::make(&server).await?;
        let measured = on(bench, "PostgreSQL", Some(&scratch.url)).await;
        scratch.remove().await?;
        rows.extend(measured?);
    }
    Ok(rows)
}

async fn on(bench: &Bench, database: &str, url: Option<&str>) -> anyhow::Result<Vec<Row>> {
    let sizes = Sizes {
        builders: bench.scaled(5_000),
        builds: bench.scaled(200_000),
        pending: bench.scaled(100_000),
    };
    let (farm, ids, mut rows) = stocked(bench, sizes, database, url).await?;
    let memory = |what: &str| -> anyhow::Result<Row> {
        let name = format!("{database}: memory {what}");
        Ok(Row::cost(name, farms::resident_mb(&farm)?, "MB"))
    };
    rows.push(memory("before anybody asks")?);
    let span = Duration::from_secs(if bench.quick { 1 } else { 3 });
    let authority = farms::authority(&farm);
    for list in LISTS.iter().filter(|list| bench.wants(list.name)) {
        rows.extend(list.measure(&authority, ids, span, database).await?);
    }
    rows.push(memory("after these lists")?);
    if bench.wants("downloads") {
        rows.extend(downloads(&farm, database).await?);
        rows.push(memory("after these downloads")?);
    }
    if bench.wants("starts") {
        rows.extend(starts(&farm, ids, database, bench.scaled(200)).await?);
    }
    if bench.wants("subscribers") {
        rows.extend(subscribed(bench, &farm, database).await?);
    }
    rows.push(memory("after all that")?);
    Ok(rows)
}

/// A farm that runs on a database of this size.
async fn stocked(
    bench: &Bench,
    sizes: Sizes,
    database: &str,
    url: Option<&str>,
) -> anyhow::Result<(Farm, Ids, Vec<Row>)> {
    let mut farm = Farm::with(&bench.toolpost, &config(sizes, url)?)
        .start()
        .await;
    let short = log_of(&farm, "short").await;
    let log = log_of(&farm, "long").await;
    log_of(&farm, "huge").await;
    let builder = farm.api().builder_id(&builder_name(0)).await;
    anyhow::ensure!(farm.terminate().await.success(), "{}", farm.output());
    let file = format!("sqlite:{}", farm.path("state/toolpost.db").display());
    let started = Instant::now();
    fill::fill(url.unwrap_or(&file), sizes, short)
        .await
        .context("fill the database")?;
    let filled = started.elapsed();
    let started = Instant::now();
    farm.run().await;
    eventually_within(START_MAX, "the master to work", async || {
        let made = farm.api().control(
            "forceschedulers/force",
            "force",
            json!({"builderid": builder.to_string()}),
        );
        made.await.ok()
    })
    .await;
    let ids = Ids {
        builder,
        builders: sizes.builders,
        builds: sizes.builds,
        log,
    };
    let rows = vec![
        Row::cost(
            format!("{database}: writing the database"),
            filled.as_secs_f64(),
            "s",
        ),
        Row::cost(
            format!("{database}: start of the master"),
            started.elapsed().as_secs_f64(),
            "s",
        ),
    ];
    Ok((farm, ids, rows))
}

fn builder_name(n: usize) -> String {
    format!("{}{n:05}", fill::BUILDERS)
}

fn config(sizes: Sizes, url: Option<&str>) -> anyhow::Result<String> {
    let (short, long, huge) = (
        logs::emit(SHORT_LINES),
        logs::emit(LONG_LINES),
        logs::emit(DOWNLOADED_LINES),
    );
    let step = farms::shell(r#"["true"]"#);
    let live = [
        ("live", &*step),
        ("short", &*short),
        ("long", &*long),
        ("huge", &*huge),
    ];
    let mut text = String::new();
    if let Some(url) = url {
        writeln!(text, "[master]\ndatabase_url = {url:?}\n")?;
    }
    writeln!(text, "[workers]\nlisten = \"{}\"\n", workers::free_port()?)?;
    let old: Vec<String> = (0..sizes.builders).map(builder_name).collect();
    let names: Vec<&str> = old.iter().map(String::as_str).collect();
    text.push_str(&farms::config_with(&live, &names));
    for worker in 0..WORKERS {
        text.push_str(&workers::remote(
            &format!("{}{worker:03}", fill::WORKERS),
            4,
        ));
    }
    for (n, name) in old.iter().enumerate() {
        let worker = format!("{}{:03}", fill::WORKERS, n % WORKERS);
        writeln!(
            text,
            "[[builder]]\nname = {name:?}\ndescription = \"builds part {n}\"\ntags = [\"part-{}\", \"linux\"]\n\
             workers = [{worker:?}]\n{step}",
            n % 50
        )?;
    }
    Ok(text)
}

/// Runs a build of a builder that prints, and gives the id of its log.
async fn log_of(farm: &Farm, builder: &str) -> i64 {
    let request = farm.api().force("force", builder).await;
    let build = farm.api().finished(request).await;
    let path = format!("builds/{}/steps/0/logs", build["buildid"]);
    farm.api().get(&path).await["logs"][0]["logid"]
        .as_i64()
        .unwrap_or_default()
}

/// A large log as text, over several connections at one time.
async fn downloads(farm: &Farm, database: &str) -> anyhow::Result<Vec<Row>> {
    let before = farms::resident_mb(farm)?;
    let builds = farm.api().get("builders/huge/builds?limit=1").await;
    let steps = format!(
        "builds/{}/steps/0/logs/stdio",
        builds["builds"][0]["buildid"]
    );
    let path = format!("/api/v2/{steps}/raw");
    let authority = farms::authority(farm);
    let mut rates = Vec::new();
    for connections in [1, DOWNLOADS] {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let mut connection = Connection::open(&authority).await?;
            let path = path.clone();
            tasks.spawn(async move { connection.get(&path).await });
        }
        let mut bytes = 0;
        while let Some(got) = tasks.join_next().await {
            bytes += got??;
        }
        rates.push(bytes as f64 / 1e6 / started.elapsed().as_secs_f64());
    }
    let megabytes = DOWNLOADED_LINES * 60 / 1_000_000;
    let name = format!("{database}: raw log of {megabytes} MB");
    Ok(vec![
        Row::rate(name.clone(), rates[0], "MB/s")
            .buildbot(2.4)
            .target(200.0),
        Row::rate(format!("{name}, {DOWNLOADS} connections"), rates[1], "MB/s"),
        Row::cost(
            format!("{name}, memory that it takes"),
            (farms::resident_mb(farm)? - before).max(0.0),
            "MB",
        ),
    ])
}

/// From a request for a build to the news that it has begun, at rest and while a crowd asks as fast as it can.
async fn starts(farm: &Farm, ids: Ids, database: &str, count: usize) -> anyhow::Result<Vec<Row>> {
    let alone = begun(farm, count).await?;
    let crowd = Crowd::begin(farms::authority(farm), ids);
    let crowded = begun(farm, count).await;
    crowd.end().await?;
    let crowded = crowded?;
    let name = format!("{database}: from a request to the start of its build");
    let at = |sorted: &[f64], share: f64| {
        let index = (sorted.len() as f64 * share) as usize;
        sorted[index.min(sorted.len() - 1)]
    };
    Ok(vec![
        Row::cost(format!("{name}, p50"), at(&alone, 0.5), "ms"),
        Row::cost(format!("{name}, p99"), at(&alone, 0.99), "ms"),
        Row::cost(
            format!("{name}, {CROWD} connections ask, p50"),
            at(&crowded, 0.5),
            "ms",
        ),
        Row::cost(
            format!("{name}, {CROWD} connections ask, p99"),
            at(&crowded, 0.99),
            "ms",
        )
        .target(100.0),
    ])
}

/// Many who ask as fast as they can, until they are told to stop. They have threads of their own, so that whoever waits for a build
/// does not wait for this process.
struct Crowd {
    stop: oneshot::Sender<()>,
    asking: JoinHandle<anyhow::Result<()>>,
}

impl Crowd {
    fn begin(authority: String, ids: Ids) -> Self {
        let path = move |n: usize| {
            let list = &LISTS[n % LISTS.len()];
            let list = if list.long { &LISTS[0] } else { list };
            format!("/api/v2/{}", (list.path)(n, &ids))
        };
        let (stop, stopped) = oneshot::channel();
        let asking = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(async {
                tokio::select! {
                    asked = hammer_each(&authority, path, CROWD, START_MAX) => asked.map(drop),
                    _ = stopped => Ok(()),
                }
            })
        });
        Self { stop, asking }
    }

    /// Ends it; the error of a request that failed.
    async fn end(self) -> anyhow::Result<()> {
        drop(self.stop);
        self.asking.await?
    }
}

/// Milliseconds, sorted.
async fn begun(farm: &Farm, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut listener = Subscriber::connect(&farms::authority(farm)).await?;
    let live = farm.api().builder_id("live").await;
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        let asked = Instant::now();
        let params = json!({"builderid": live.to_string(), "owner": "bench"});
        let made = farm.api().control("forceschedulers/force", "force", params);
        made.await
            .map_err(|e| anyhow::anyhow!("force: {} {}", e.status, e.body))?;
        listener.hear("new").await?;
        taken.push(asked.elapsed().as_secs_f64() * 1000.0);
        listener.hear("finished").await?;
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken)
}

/// Builds while many listen to all of them.
async fn subscribed(bench: &Bench, farm: &Farm, database: &str) -> anyhow::Result<Vec<Row>> {
    let (listeners, count) = (bench.scaled(SUBSCRIBERS), bench.scaled(500));
    let before = farms::resident_mb(farm)?;
    let authority = farms::authority(farm);
    let mut tasks = JoinSet::new();
    for _ in 0..listeners {
        let subscriber = Subscriber::connect(&authority).await?;
        tasks.spawn(subscriber.hear_all(count));
    }
    let connected = farms::resident_mb(farm)?;
    let started = tokio::time::Instant::now();
    builds::force(farm, "live", count).await;
    let (mut first, mut last) = (None::<tokio::time::Instant>, started);
    while let Some(heard) = tasks.join_next().await {
        let heard = heard??;
        first = Some(first.map_or(heard, |first| first.min(heard)));
        last = last.max(heard);
    }
    let spread = first.map_or(Duration::ZERO, |first| last - first);
    let name = format!("{database}: {listeners} listen on /ws");
    Ok(vec![
        Row::rate(
            format!("{name}, builds"),
            count as f64 / (last - started).as_secs_f64(),
            "/s",
        ),
        Row::cost(
            format!("{name}, from the first to the last that heard the end"),
            spread.as_secs_f64() * 1000.0,
            "ms",
        ),
        Row::cost(
            format!("{name}, memory of each"),
            (connected - before).max(0.0) * 1000.0 / listeners as f64,
            "KB",
        ),
    ])
}
