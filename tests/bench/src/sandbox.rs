//! What the sandbox itself takes, without a master around it: a call, and very many calls that wait.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use toolpost_core::model::LogType;
use toolpost_core::{Properties, Property};
use toolpost_sandbox::host::{
    BuildInfo, CommandSpec, FileError, FileStat, HostError, LogLevel, StartedCommand, WriteMode,
};
use toolpost_sandbox::{CallLimits, Sandbox, SandboxOptions, StepHost, StepLog, StepType};

use crate::Bench;
use crate::table::Row;

/// Calls, one after the other, that are timed.
const CALLS: usize = 5_000;
/// Steps that wait at one time.
const WAITING: usize = 10_000;
/// What one of them may take, KB.
const WAITING_TARGET_KB: f64 = 150.0;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = call(bench).await?;
    rows.extend(waiting(bench).await?);
    Ok(rows)
}

async fn call(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let component = toolpost_hostile::empty_plugin("empty0", "1.0.0");
    let plugin = sandbox.load(component.into()).await?;
    let step = plugin.step_types().remove(0);
    let mut taken = Vec::new();
    for _ in 0..bench.scaled(CALLS) {
        let began = Instant::now();
        run(&step, CancellationToken::new()).await;
        taken.push(began.elapsed());
    }
    taken.sort_unstable();
    let micros = |share: f64| taken[(taken.len() as f64 * share) as usize].as_secs_f64() * 1e6;
    Ok(vec![
        Row::cost("instantiate and call, p50", micros(0.5), "us"),
        Row::cost("instantiate and call, p99", micros(0.99), "us"),
    ])
}

async fn waiting(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let count = bench.scaled(WAITING);
    let sandbox = Sandbox::new(SandboxOptions {
        calls_max: count,
        ..SandboxOptions::default()
    })?;
    let component = toolpost_hostile::component("sleeper");
    let plugin = sandbox.load(component.into()).await?;
    let step = plugin.step_types().remove(0);
    let cancel = CancellationToken::new();
    let before = resident_kb()?;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (step, cancel) = (step.clone(), cancel.clone());
        calls.spawn(async move { run(&step, cancel).await });
    }
    let room = sandbox.pool().calls_max.min(count);
    while sandbox.pool().calls < room || sandbox.pool().calls + sandbox.pool().waiting < count {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let at_once = sandbox.pool().calls;
    let each = (resident_kb()? - before) / at_once as f64;
    cancel.cancel();
    calls.join_all().await;
    Ok(vec![
        Row::rate(
            "plugin steps that wait at one time",
            at_once as f64,
            "steps",
        )
        .target(count as f64),
        Row::cost("memory of one of them", each, "KB").target(WAITING_TARGET_KB),
    ])
}

async fn run(step: &StepType, cancel: CancellationToken) {
    let limits = CallLimits {
        cancel_grace: std::time::Duration::ZERO,
        ..CallLimits::default()
    };
    // A call that was cancelled has no outcome, and needs none.
    drop(step.run(&json!({}), Arc::new(Nobody), limits, cancel).await);
}

/// Resident memory of this process.
fn resident_kb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.unwrap_or_default().parse()?)
}

/// A host that is never asked.
struct Nobody;

fn nobody<T>() -> Result<T, HostError> {
    Err(HostError::Permanent("nobody is there".into()))
}

fn nowhere<T>() -> Result<T, FileError> {
    Err(FileError::NotFound)
}

#[async_trait]
impl StepHost for Nobody {
    fn build_info(&self) -> BuildInfo {
        BuildInfo::default()
    }
    fn log(&self, _: LogLevel, _: &str) {}
    async fn property(&self, _: &str) -> Result<Option<Property>, HostError> {
        nobody()
    }
    async fn set_property(&self, _: &str, _: Value) -> Result<(), HostError> {
        nobody()
    }
    async fn properties(&self) -> Result<Properties, HostError> {
        nobody()
    }
    async fn open_log(&self, _: &str, _: LogType) -> Result<Arc<dyn StepLog>, HostError> {
        nobody()
    }
    async fn start_command(&self, _: CommandSpec) -> Result<StartedCommand, HostError> {
        nobody()
    }
    async fn read_file(&self, _: &str, _: u64, _: usize) -> Result<Bytes, FileError> {
        nowhere()
    }
    async fn write_file(&self, _: &str, _: Bytes, _: WriteMode) -> Result<(), FileError> {
        nowhere()
    }
    async fn stat(&self, _: &str) -> Result<FileStat, FileError> {
        nowhere()
    }
    async fn glob(&self, _: &str, _: usize) -> Result<Vec<String>, FileError> {
        nowhere()
    }
    async fn make_dir(&self, _: &str) -> Result<(), FileError> {
        nowhere()
    }
    async fn remove(&self, _: &str, _: bool) -> Result<(), FileError> {
        nowhere()
    }
    async fn set_summary(&self, _: &str) -> Result<(), HostError> {
        nobody()
    }
    async fn set_progress(&self, _: u64, _: u64, _: &str) -> Result<(), HostError> {
        nobody()
    }
    async fn add_url(&self, _: &str, _: &str) -> Result<(), HostError> {
        nobody()
    }
}
