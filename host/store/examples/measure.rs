//! Measures the store: `cargo run --release -p toolpost-store --example measure -- [URL]`.
//!
//! Without a URL it uses a SQLite file in a temporary directory. Times are of this process; those of a PostgreSQL server
//! are not in its CPU seconds.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::time::Instant;

use futures::StreamExt;
use toolpost_core::model::{Build, LogType, SourceStampSpec};
use toolpost_core::{
    BuilderId, LogId, MasterId, Properties, RequestId, Results, StepId, Timestamp, WorkerId,
};
use toolpost_store::{
    ConfiguredBuilder, ConfiguredNames, ConfiguredWorker, LogStream, NewBuildset, NewStep, Query,
    StartBuild, Store, StoreOptions,
};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const NOW: Timestamp = Timestamp(1_000);
const LOG_LINES: i64 = 2_000_000;
const LINE_BYTES: usize = 60;
const BUILDS: usize = 2_000;
const BUILDS_AT_ONCE: usize = 16;
const PENDING: usize = 100_000;

#[tokio::main]
async fn main() -> Outcome {
    let dir = tempfile::tempdir()?;
    let sqlite = format!("sqlite:{}", dir.path().join("farm.db").display());
    let url = std::env::args().nth(1).unwrap_or(sqlite);
    let store = Store::open(StoreOptions::new(url, dir.path().join("objects"))).await?;
    let farm = Farm::new(store).await?;
    let log = farm.write_log().await?;
    farm.read_log(log).await?;
    farm.run_builds().await?;
    farm.list_builds().await?;
    farm.serve_queue().await?;
    farm.store.close().await;
    Ok(())
}

#[derive(Clone)]
struct Farm {
    store: Store,
    master: MasterId,
    builders: Vec<BuilderId>,
    worker: WorkerId,
}

impl Farm {
    async fn new(store: Store) -> Outcome<Self> {
        let master = store.register_master("measure", NOW).await?;
        let names: Vec<String> = (0..10).map(|n| format!("builder {n}")).collect();
        let configured = ConfiguredNames {
            builders: names
                .iter()
                .map(|name| ConfiguredBuilder {
                    name: name.clone(),
                    ..ConfiguredBuilder::default()
                })
                .collect(),
            workers: vec![ConfiguredWorker {
                name: "worker".to_owned(),
                builders: names,
            }],
            ..ConfiguredNames::default()
        };
        let ids = store.sync_configuration(master, configured, NOW).await?;
        Ok(Self {
            store,
            master,
            builders: ids.builders.values().copied().collect(),
            worker: ids.workers["worker"],
        })
    }

    async fn requests(&self, count: usize) -> Outcome<Vec<(BuilderId, RequestId)>> {
        let mut requests = Vec::with_capacity(count);
        while requests.len() < count {
            let new = NewBuildset {
                reason: "measured".to_owned(),
                sourcestamps: vec![SourceStampSpec::default()],
                builders: self.builders.clone(),
                ..NewBuildset::default()
            };
            requests.extend(self.store.add_buildset(new, NOW).await?.requests);
        }
        Ok(requests)
    }

    async fn start(&self, (builder, request): (BuilderId, RequestId)) -> Outcome<Build> {
        let mut properties = Properties::new();
        for name in [
            "branch",
            "revision",
            "buildername",
            "workername",
            "owner",
            "n",
        ] {
            properties.set(name, "value", "Build");
        }
        let start = StartBuild {
            master: self.master,
            builder,
            worker: self.worker,
            requests: vec![request],
            properties,
        };
        let build = self.store.start_build(start, NOW).await?;
        build.ok_or_else(|| "the request was claimed by somebody else".into())
    }

    async fn open_log(&self, request: (BuilderId, RequestId)) -> Outcome<(Build, StepId, LogId)> {
        let build = self.start(request).await?;
        let step = NewStep {
            name: "shell".to_owned(),
            plugin_digest: None,
        };
        let step = self.store.add_step(build.id, step).await?;
        self.store.start_step(step, NOW, None).await?;
        let log = self.store.add_log(step, "stdio", LogType::Stdio).await?;
        Ok((build, step, log))
    }

    async fn write_log(&self) -> Outcome<LogId> {
        let requests = self.requests(1).await?;
        let (_, _, log) = self.open_log(requests[0]).await?;
        let content = sample();
        let measure = Measure::start();
        let mut writer = self.store.log_writer(log, LogType::Stdio);
        for piece in content.chunks(32 * 1024) {
            writer.append(LogStream::Output, piece).await;
        }
        writer.finish(NOW).await?;
        measure.report("log lines written", LOG_LINES);
        Ok(log)
    }

    async fn read_log(&self, log: LogId) -> Outcome {
        let measure = Measure::start();
        let mut stream = self.store.raw_stream(log).await?;
        let mut bytes = 0;
        while let Some(piece) = stream.next().await {
            bytes += piece?.len();
        }
        measure.report("raw log megabytes read", i64::try_from(bytes / 1_000_000)?);
        let measure = Measure::start();
        let reads = 1_000;
        for n in 0..reads {
            let page = self.store.log_lines(log, n * 7919 % LOG_LINES, 100).await?;
            assert!(page.count > 0);
        }
        measure.report("reads of 100 lines anywhere", reads);
        Ok(())
    }

    /// What a build of one step with a short log writes.
    async fn run_build(&self, request: (BuilderId, RequestId)) -> Outcome {
        let (build, step, log) = self.open_log(request).await?;
        let mut writer = self.store.log_writer(log, LogType::Stdio);
        writer.append(LogStream::Header, b"true\n").await;
        writer.append(LogStream::Output, b"done\n").await;
        writer.finish(NOW).await?;
        self.store
            .finish_step(step, Results::Success, "done", false, None, NOW)
            .await?;
        self.store
            .finish_build(build.id, Results::Success, "build successful", NOW)
            .await?;
        Ok(())
    }

    async fn run_builds(&self) -> Outcome {
        let requests = self.requests(BUILDS).await?;
        let measure = Measure::start();
        let mut tasks = tokio::task::JoinSet::new();
        for share in requests.chunks(requests.len().div_ceil(BUILDS_AT_ONCE)) {
            let (farm, share) = (self.clone(), share.to_vec());
            tasks.spawn(async move {
                for request in share {
                    farm.run_build(request).await?;
                }
                Ok::<(), Box<dyn Error + Send + Sync>>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        measure.report("builds of 8 writes", i64::try_from(requests.len())?);
        Ok(())
    }

    async fn list_builds(&self) -> Outcome {
        let query = Query::new().order("-buildid").limit(100);
        let measure = Measure::start();
        let lists = 1_000;
        for _ in 0..lists {
            let builds: Vec<Build> = self.store.list(&query).await?;
            assert_eq!(builds.len(), 100);
        }
        measure.report("lists of the last 100 builds", lists);
        Ok(())
    }

    async fn serve_queue(&self) -> Outcome {
        let measure = Measure::start();
        let made = self.requests(PENDING).await?.len();
        measure.report("requests made", i64::try_from(made)?);
        let measure = Measure::start();
        let reads = 200;
        for _ in 0..reads {
            let heads = self.store.pending_heads(20).await?;
            assert_eq!(heads.len(), 200);
        }
        measure.report("heads of 10 builders, 100,000 pending", reads);
        Ok(())
    }
}

/// Lines that look like a compiler's.
fn sample() -> Vec<u8> {
    let mut content = Vec::new();
    for n in 0..LOG_LINES {
        let mut line = format!(
            "   Compiling crate-{:05} v0.{}.{} ({n:x})",
            n * 31 % 9973,
            n % 17,
            n % 5
        );
        line.truncate(LINE_BYTES - 1);
        while line.len() < LINE_BYTES - 1 {
            line.push('.');
        }
        content.extend_from_slice(line.as_bytes());
        content.push(b'\n');
    }
    content
}

struct Measure {
    started: Instant,
    cpu_seconds: f64,
}

impl Measure {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            cpu_seconds: cpu_seconds(),
        }
    }

    fn report(self, what: &str, count: i64) {
        let seconds = self.started.elapsed().as_secs_f64();
        let cpu = cpu_seconds() - self.cpu_seconds;
        #[expect(clippy::cast_precision_loss, reason = "a count for people")]
        let rate = count as f64 / seconds;
        println!(
            "{what:40} {count:>9} in {seconds:7.3} s = {rate:>11.0} /s, {cpu:6.2} CPU seconds"
        );
    }
}

/// User and system time of this process in hundredths, fields 14 and 15 of proc_pid_stat(5).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}
