//! What belongs to one call while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use toolpost_core::Timestamp;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::http::{CallHttp, Client};
use crate::{CallLimits, Want, Wanted};

use crate::call::{Effort, Guard, Hider, LogSink, Pace, Paying, StdStream, Stop, frozen};
use crate::host::{CommandControl, PluginServices, ReporterHost, StepHost, UploadRoom};

/// What a call is made for, and the runtime where the host does its work: not on the plugins' threads,
/// which have a low priority and hostile neighbours.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) caller: Caller,
    pub(crate) runtime: Handle,
    /// Which plugin it is, and what it asks the operator for.
    pub(crate) wanted: Wanted,
}

/// Whom the host functions ask. A scheduler has nobody: it is a function of its arguments.
#[derive(Clone)]
pub(crate) enum Caller {
    Step(Arc<dyn StepHost>),
    Reporter(Arc<dyn ReporterHost>),
}

/// What a call uses of what all calls share.
pub(crate) struct Means {
    pub(crate) http: Arc<Client>,
    pub(crate) pace: Pace,
    pub(crate) paying: Paying,
}

/// The data of a store.
pub(crate) struct CallState {
    pub(crate) guard: Guard,
    pub(crate) limits: Arc<CallLimits>,
    pub(crate) log: LogSink,
    pub(crate) cancel: CancellationToken,
    pub(crate) commands: Arc<Commands>,
    pub(crate) counts: Counts,
    pub(crate) upload_room: Arc<UploadRoom>,
    pub(crate) host_calls: HostCalls,
    pub(crate) pace: Pace,
    pub(crate) table: ResourceTable,
    pub(crate) http: CallHttp,
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
    pub(crate) triggers: u32,
    pub(crate) mails: u32,
    pub(crate) build_data: u32,
    pub(crate) build_data_bytes: u64,
    pub(crate) test_sets: u32,
    pub(crate) test_results: u64,
}

/// How often a call called which host function. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct HostCalls(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl HostCalls {
    pub(crate) fn count(&self, function: &'static str) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(function).or_default() += 1;
    }

    pub(crate) fn take(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
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
        means: Means,
        cancel: CancellationToken,
        at: Option<Timestamp>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles_max);
        let mut wasi = WasiCtx::builder();
        if let Some(at) = at {
            frozen::freeze(&mut wasi, at);
        }
        if let Some(home) = &home {
            wasi.envs(&home.environment());
            if let Some(clock) = home.services().clock() {
                frozen::follow(&mut wasi, &clock);
            }
        }
        let host_calls = HostCalls::default();
        let wasi = wasi
            .stdout(log.stream(StdStream::Out))
            .stderr(log.stream(StdStream::Err))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(limits.payload_bytes_max as u64)
            .build();
        let upload_room = Arc::new(UploadRoom::new(
            limits.artifact_bytes_max,
            limits.artifacts_max,
            limits.artifacts_bytes_max,
        ));
        Self {
            upload_room,
            guard,
            limits,
            log,
            cancel,
            commands: Arc::default(),
            counts: Counts::default(),
            http: CallHttp::new(means.http, home.clone(), means.paying, host_calls.clone()),
            host_calls,
            pace: means.pace,
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

    /// A text of the plugin, without secrets and cut.
    pub(crate) fn short(&self, text: &str, bytes_max: usize) -> String {
        self.hider().short(text, bytes_max)
    }

    pub(crate) fn hider(&self) -> Hider {
        Hider::of(self.home.as_ref())
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
        self.ask_for(Effort::Small, what, question).await
    }

    /// The same for something that takes more than a row of the database.
    pub(crate) async fn ask_for<T, F>(
        &mut self,
        effort: Effort,
        what: &'static str,
        question: impl FnOnce(Arc<dyn StepHost>) -> F,
    ) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.host_calls.count(what);
        let question = question(self.step(what)?.clone());
        let leave = self.pace.enter(effort).await;
        let answered = self.home(what)?.run(question).await;
        drop(leave);
        answered
    }

    /// Lets the host do something that may take long, and waits for it. It is dropped when the plugin is stopped
    /// meanwhile.
    pub(crate) async fn ask_until_stopped<T, F>(
        &mut self,
        what: &'static str,
        question: impl FnOnce(Arc<dyn StepHost>) -> F,
    ) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.host_calls.count(what);
        let question = question(self.step(what)?.clone());
        let leave = self.pace.enter(Effort::Large).await;
        let task = self.home(what)?.runtime.spawn(question);
        let answered = AbortOnDropHandle::new(task).await;
        drop(leave);
        answered.map_err(|error| Stop::Host(error.to_string()))
    }
}

impl Home {
    /// The services of the plugin.
    pub(crate) fn services(&self) -> Arc<dyn PluginServices> {
        match &self.caller {
            Caller::Step(host) => host.services(),
            Caller::Reporter(host) => host.services(),
        }
    }

    /// Variables that the plugin asked for and that are granted.
    fn environment(&self) -> Vec<(String, String)> {
        let mut variables = self.services().environment();
        variables.retain(|(name, _)| {
            let need = Want::Environment(name.clone());
            self.wanted.check(&need).is_ok()
        });
        variables
    }

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
