//! What belongs to one call while it runs.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use toolpost_core::Timestamp;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::CallLimits;

use crate::call::{Guard, LogSink, StdStream, Stop, frozen};
use crate::host::{CommandControl, ReporterHost, StepHost};

/// What a call is made for, and the runtime where the host does its work: not on the plugins' threads,
/// which have a low priority and hostile neighbours.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) caller: Caller,
    pub(crate) runtime: Handle,
}

/// Whom the host functions ask. A scheduler has nobody: it is a function of its arguments.
#[derive(Clone)]
pub(crate) enum Caller {
    Step(Arc<dyn StepHost>),
    Reporter(Arc<dyn ReporterHost>),
}

/// The data of a store.
pub(crate) struct CallState {
    pub(crate) guard: Guard,
    pub(crate) limits: Arc<CallLimits>,
    pub(crate) log: LogSink,
    pub(crate) cancel: CancellationToken,
    pub(crate) commands: Arc<Commands>,
    pub(crate) counts: Counts,
    pub(crate) table: ResourceTable,
    home: Option<Home>,
    wasi: WasiCtx,
}

/// What the call has used of its limits.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) commands: u32,
    pub(crate) step_logs: BTreeSet<String>,
    pub(crate) step_log_bytes: u64,
    pub(crate) urls: u32,
}

/// The commands of a call that run.
#[derive(Default)]
pub(crate) struct Commands {
    pub(crate) running: Arc<AtomicU32>,
    controls: Mutex<Vec<Weak<dyn CommandControl>>>,
}

impl Commands {
    pub(crate) fn add(&self, control: &Arc<dyn CommandControl>) {
        let mut controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        controls.retain(|control| control.strong_count() > 0);
        controls.push(Arc::downgrade(control));
    }

    pub(crate) fn interrupt_all(&self) {
        let controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        for control in controls.iter().filter_map(Weak::upgrade) {
            control.interrupt();
        }
    }
}

impl CallState {
    pub(crate) fn new(
        guard: Guard,
        limits: Arc<CallLimits>,
        log: LogSink,
        home: Option<Home>,
        cancel: CancellationToken,
        at: Option<Timestamp>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles_max);
        let mut wasi = WasiCtx::builder();
        if let Some(at) = at {
            frozen::freeze(&mut wasi, at);
        }
        let wasi = wasi
            .stdout(log.stream(StdStream::Out))
            .stderr(log.stream(StdStream::Err))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(limits.payload_bytes_max as u64)
            .build();
        Self {
            guard,
            limits,
            log,
            cancel,
            commands: Arc::default(),
            counts: Counts::default(),
            table,
            home,
            wasi,
        }
    }

    /// Where the host is, or a stop when there is none: while the plugin describes itself, or schedules.
    pub(crate) fn home(&self, what: &'static str) -> Result<&Home, Stop> {
        self.home.as_ref().ok_or(Stop::NotAllowed(what))
    }

    /// The host of the step, or a stop when the call is not that of a step.
    pub(crate) fn step(&self, what: &'static str) -> Result<&Arc<dyn StepHost>, Stop> {
        match &self.home(what)?.caller {
            Caller::Step(host) => Ok(host),
            Caller::Reporter(_) => Err(Stop::NotAllowed(what)),
        }
    }

    /// Lets the host do something and waits for it. What was begun is done to its end, even when the plugin
    /// is stopped meanwhile.
    pub(crate) async fn ask<T, F>(
        &mut self,
        what: &'static str,
        question: impl FnOnce(Arc<dyn StepHost>) -> F,
    ) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let question = question(self.step(what)?.clone());
        self.home(what)?.run(question).await
    }
}

impl Home {
    /// Runs something where the host lives.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stop> {
        self.runtime
            .spawn(work)
            .await
            .map_err(|error| Stop::Host(error.to_string()))
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
