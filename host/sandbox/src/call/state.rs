//! What belongs to one call while it runs.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::CallLimits;
use crate::call::{Guard, LogSink, StdStream, Stop};
use crate::host::{CommandControl, StepHost};

/// The step that a call is made for, and the runtime where the host does its work: not on the
/// plugins' threads, which have a low priority and hostile neighbours.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) host: Arc<dyn StepHost>,
    pub(crate) runtime: Handle,
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
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles_max);
        let wasi = WasiCtx::builder()
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

    /// The step's host, or a stop when there is no step: while the plugin describes itself.
    pub(crate) fn home(&self, what: &'static str) -> Result<&Home, Stop> {
        self.home.as_ref().ok_or(Stop::NotAllowed(what))
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
        let home = self.home(what)?;
        home.run(question(home.host.clone())).await
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
