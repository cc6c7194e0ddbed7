//! What a call of an empty step costs, with and without reserved address space.
//!
//! `cargo run --release -p toolpost-sandbox --example call_cost [COMPONENT.wasm [PARAMETERS]]`: without a file, the
//! smallest component that is a plugin is called. There is no worker behind the call, so that a real step ends early, with
//! an error of its own.

#![expect(clippy::print_stdout, reason = "prints a table")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use toolpost_core::model::LogType;
use toolpost_core::{Properties, Property};
use toolpost_sandbox::host::{
    BuildInfo, CommandSpec, FileError, FileStat, HostError, LogLevel, StartedCommand, WriteMode,
};
use toolpost_sandbox::{
    CallLimits, Sandbox, SandboxError, SandboxOptions, StepHost, StepLog, StepType,
};

const WARM_UP: usize = 200;
const CALLS: usize = 5_000;
const AT_ONCE: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let component: Bytes = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path)?.into(),
        None => wat::parse_str(include_str!("empty.wat"))?.into(),
    };
    let parameters: Arc<Value> = match std::env::args().nth(2) {
        Some(text) => Arc::new(serde_json::from_str(&text)?),
        None => Arc::new(json!({})),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    println!("pooling  set-up    load      p50       p99       calls/s  {AT_ONCE} at once");
    for pooling in [true, false] {
        let options = SandboxOptions {
            pooling,
            ..SandboxOptions::default()
        };
        runtime.block_on(measure(options, component.clone(), &parameters))?;
    }
    Ok(())
}

async fn measure(
    options: SandboxOptions,
    component: Bytes,
    parameters: &Arc<Value>,
) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let sandbox = Sandbox::new(options)?;
    let set_up = began.elapsed();
    let began = Instant::now();
    let plugin = sandbox.load(component).await?;
    let load = began.elapsed();
    let step = plugin.step_types().remove(0);
    for _ in 0..WARM_UP {
        call(&step, parameters).await?;
    }
    let began = Instant::now();
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        call(&step, parameters).await?;
        times.push(began.elapsed());
    }
    let rate = CALLS as f64 / began.elapsed().as_secs_f64();
    times.sort();
    let at_once = at_once(&step, parameters).await?;
    println!(
        "{:<7}  {:<8}  {:<8}  {:<8}  {:<8}  {rate:<7.0}  {at_once:.0?}",
        if sandbox.pool().pooling { "on" } else { "off" },
        text(set_up),
        text(load),
        text(times[CALLS / 2]),
        text(times[CALLS * 99 / 100]),
    );
    Ok(())
}

async fn at_once(
    step: &Arc<StepType>,
    parameters: &Arc<Value>,
) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    let calls: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (step, parameters) = (step.clone(), parameters.clone());
            tokio::spawn(async move {
                call(&step, &parameters)
                    .await
                    .map_err(|error| error.to_string())
            })
        })
        .collect();
    for call in calls {
        call.await??;
    }
    Ok(began.elapsed())
}

async fn call(step: &StepType, parameters: &Value) -> Result<(), SandboxError> {
    let (limits, cancel) = (CallLimits::default(), CancellationToken::new());
    match step.run(parameters, Arc::new(Nobody), limits, cancel).await {
        Ok(_) | Err(SandboxError::Plugin { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn text(time: Duration) -> String {
    format!("{time:.1?}")
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
