//! What the sandbox itself takes, without a master around it: a call, and very many calls that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toolpost_core::model::LogType;
use toolpost_core::{Properties, Property};
use toolpost_sandbox::host::{
    BuildInfo, CommandControl, CommandSpec, FileError, FileStat, HostError, LogLevel,
    StartedCommand, WriteMode,
};
use toolpost_sandbox::{CallLimits, Sandbox, SandboxOptions, StepHost, StepLog, StepType};

use crate::Bench;
use crate::author::WAITER;
use crate::table::Row;

/// Calls, one after the other, that are timed.
const CALLS: usize = 5_000;
/// Steps that wait at one time.
const WAITING: usize = 10_000;
/// What one of them may take, KB.
const WAITING_TARGET_KB: f64 = 150.0;

pub(crate) async fn measure(bench: &Bench, waiter: &[u8]) -> anyhow::Result<Vec<Row>> {
    let mut rows = call(bench).await?;
    rows.extend(waiting(bench, waiter).await?);
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
        run(&step, CancellationToken::new(), Nobody::refusing()).await;
        taken.push(began.elapsed());
    }
    taken.sort_unstable();
    let micros = |share: f64| taken[(taken.len() as f64 * share) as usize].as_secs_f64() * 1e6;
    Ok(vec![
        Row::cost("instantiate and call, p50", micros(0.5), "us"),
        Row::cost("instantiate and call, p99", micros(0.99), "us"),
    ])
}

/// Steps as authors write them, each of which waits for the output of a command, with the options that the program has.
async fn waiting(bench: &Bench, waiter: &[u8]) -> anyhow::Result<Vec<Row>> {
    let count = bench.scaled(WAITING);
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let plugin = sandbox.load(waiter.to_vec().into()).await?;
    let step = plugin.step_types().remove(0);
    run(&step, CancellationToken::new(), Nobody::refusing()).await;
    let cancel = CancellationToken::new();
    let started = Arc::new(AtomicUsize::new(0));
    let before = Memory::now()?;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (step, cancel) = (step.clone(), cancel.clone());
        let host = Nobody {
            started: Some(Arc::clone(&started)),
        };
        calls.spawn(async move { run(&step, cancel, host).await });
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while started.load(Ordering::Relaxed) < count && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let at_once = started.load(Ordering::Relaxed);
    let after = Memory::now()?;
    let each = |before: f64, after: f64| (after - before) / at_once as f64;
    let mappings = std::fs::read_to_string("/proc/self/maps")?.lines().count();
    cancel.cancel();
    calls.join_all().await;
    Ok(vec![
        Row::rate(
            "plugin steps that wait for commands at one time",
            at_once as f64,
            "steps",
        )
        .target(count as f64),
        Row::cost(
            "memory of one of them",
            each(before.resident_kb, after.resident_kb),
            "KB",
        )
        .target(WAITING_TARGET_KB),
        Row::cost(
            "page tables of one of them, beside that",
            each(before.tables_kb, after.tables_kb),
            "KB",
        ),
        Row::cost("mappings of the process then", mappings as f64, ""),
    ])
}

async fn run(step: &StepType, cancel: CancellationToken, host: Nobody) {
    let limits = CallLimits {
        cancel_grace: Duration::ZERO,
        ..CallLimits::default()
    };
    let parameters = match step.info().name() {
        WAITER => json!({"word": "600"}),
        _ => json!({}),
    };
    // A call that was cancelled has no outcome, and needs none.
    drop(step.run(&parameters, Arc::new(host), limits, cancel).await);
}

/// Memory of this process.
struct Memory {
    resident_kb: f64,
    tables_kb: f64,
}

impl Memory {
    fn now() -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let read = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.unwrap_or_default().parse()
        };
        Ok(Self {
            resident_kb: read("VmRSS:")?,
            tables_kb: read("VmPTE:")?,
        })
    }
}

/// A host that does nothing, and whose commands never end.
#[derive(Default)]
struct Nobody {
    /// Counts the commands; without it none starts.
    started: Option<Arc<AtomicUsize>>,
}

impl Nobody {
    fn refusing() -> Self {
        Self::default()
    }
}

/// A command that cannot be stopped.
struct Unstoppable;

impl CommandControl for Unstoppable {
    fn interrupt(&self) {}
}

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
    fn log(&self, _: LogLevel, _: &dyn std::fmt::Display) {}
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
    async fn start_command(&self, spec: CommandSpec) -> Result<StartedCommand, HostError> {
        let Some(started) = self.started.clone() else {
            return nobody();
        };
        started.fetch_add(1, Ordering::Relaxed);
        let (output, receiver) = mpsc::channel(1);
        Ok(StartedCommand {
            output: spec.capture.then_some(receiver),
            exit: Box::pin(async move {
                // The output stays open as long as the command runs.
                let _output = output;
                std::future::pending().await
            }),
            control: Arc::new(Unstoppable),
        })
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
