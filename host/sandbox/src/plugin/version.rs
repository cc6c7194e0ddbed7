//! A loaded version of a plugin.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::Notify;
use tracing::Instrument;

use crate::admission::Room;
use crate::call::{self, CallContext, Ended, Export, Hider};
use crate::load::Description;
use crate::plugin::{
    Linked, PluginKind, ReporterType, SchedulerType, StepType, TypeInfo, Want, Wanted,
};
use crate::sandbox::Shared;
use crate::{CallUsage, SandboxError};

/// Faults that a version remembers.
const FAULTS_KEPT: usize = 64;

/// What tells a version from others.
pub(crate) struct Identity {
    pub(crate) digest: String,
    pub(crate) contract: String,
    pub(crate) size_bytes: u64,
}

/// A loaded version of a plugin. Lives as long as somebody holds it: the registry, a build, a call.
pub struct PluginVersion {
    shared: Arc<Shared>,
    linked: Arc<Linked>,
    needs: Room,
    description: Description,
    identity: Identity,
    numbers: Numbers,
    faults: Mutex<VecDeque<Fault>>,
    /// Woken after a fault and when the version goes.
    watcher: OnceLock<Arc<Notify>>,
}

#[derive(Default)]
struct Numbers {
    pins: AtomicU64,
    calls_running: AtomicU64,
    calls: AtomicU64,
    faults: AtomicU64,
}

/// A call that ended by the plugin's own fault.
#[derive(Clone)]
pub(crate) struct Fault {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

/// What a version has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VersionUse {
    /// Builds that hold it.
    pub pins: u64,
    /// Calls that run now.
    pub calls_running: u64,
    /// Calls that ended.
    pub calls_total: u64,
    /// Calls that ended by a fault of the plugin.
    pub faults_total: u64,
}

impl PluginVersion {
    pub(crate) fn new(
        shared: Arc<Shared>,
        linked: Arc<Linked>,
        needs: Room,
        description: Description,
        identity: Identity,
    ) -> Self {
        Self {
            shared,
            linked,
            needs,
            description,
            identity,
            numbers: Numbers::default(),
            faults: Mutex::default(),
            watcher: OnceLock::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Its version as it says itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.description.version
    }

    /// What it is for.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description.description
    }

    /// SHA-256 of the component, hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.identity.digest
    }

    /// The contract version that it was built for (`1.0.0`).
    #[must_use]
    pub fn contract(&self) -> &str {
        &self.identity.contract
    }

    /// Size of the component.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.identity.size_bytes
    }

    /// All types that it brings.
    #[must_use]
    pub fn types(&self) -> &[Arc<TypeInfo>] {
        &self.description.types
    }

    /// Its types of one kind.
    pub fn types_of(&self, kind: PluginKind) -> impl Iterator<Item = &Arc<TypeInfo>> {
        let types = self.description.types.iter();
        types.filter(move |info| info.kind() == kind)
    }

    /// What it asks the operator for.
    #[must_use]
    pub fn wants(&self) -> &[Want] {
        &self.description.wants
    }

    /// The same with its name, for whoever has to hold what it does against it.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted::new(self.name(), self.wants())
    }

    /// What `describe` told, as JSON.
    #[must_use]
    pub fn describe_json(&self) -> &Value {
        &self.description.json
    }

    /// What it has done so far.
    #[must_use]
    pub fn usage(&self) -> VersionUse {
        VersionUse {
            pins: self.numbers.pins.load(Ordering::Relaxed),
            calls_running: self.numbers.calls_running.load(Ordering::Relaxed),
            calls_total: self.numbers.calls.load(Ordering::Relaxed),
            faults_total: self.numbers.faults.load(Ordering::Relaxed),
        }
    }

    /// Its step types, ready to run.
    #[must_use]
    pub fn step_types(self: &Arc<Self>) -> Vec<Arc<StepType>> {
        let ready = |info: &Arc<TypeInfo>| Arc::new(StepType::new(self.clone(), info.clone()));
        self.types_of(PluginKind::Step).map(ready).collect()
    }

    /// Its scheduler types, ready to be asked.
    #[must_use]
    pub fn scheduler_types(self: &Arc<Self>) -> Vec<Arc<SchedulerType>> {
        let ready = |info: &Arc<TypeInfo>| Arc::new(SchedulerType::new(self.clone(), info.clone()));
        self.types_of(PluginKind::Scheduler).map(ready).collect()
    }

    /// Its reporter types, ready to deliver.
    #[must_use]
    pub fn reporter_types(self: &Arc<Self>) -> Vec<Arc<ReporterType>> {
        let ready = |info: &Arc<TypeInfo>| Arc::new(ReporterType::new(self.clone(), info.clone()));
        self.types_of(PluginKind::Reporter).map(ready).collect()
    }

    /// Runs one call of a type's export to its end, and counts it. `judge` makes of the plugin's answer what the caller
    /// wants, or says why it cannot be.
    pub(super) async fn call<T: Send + 'static, U>(
        &self,
        info: &TypeInfo,
        context: CallContext,
        export: impl Export<T> + Send + 'static,
        judge: impl FnOnce(T) -> Result<U, SandboxError>,
    ) -> Result<(U, CallUsage), SandboxError> {
        let span = tracing::info_span!(
            "plugin call",
            plugin = self.name(),
            digest = self.digest(),
            kind = info.kind().as_str(),
            r#type = info.name(),
            user = &*context.party.user,
        );
        let hider = Hider::of(context.home.as_ref());
        let running = Running::start(self);
        let (shared, linked) = (self.shared.clone(), self.linked.clone());
        let call = call::run(shared, linked, self.needs, context, export);
        let Ended {
            result,
            usage,
            host_calls,
        } = self
            .shared
            .on_plugin_threads(call.instrument(span.clone()))
            .await?;
        drop(running);
        let result = result.and_then(|answer| {
            judge(answer).map_err(|error| error.map_text(|text| hider.text(&text)))
        });
        let error = result.as_ref().err();
        let metrics = &self.shared.metrics;
        metrics.record(self, info, usage, &host_calls, error);
        span.in_scope(|| {
            tracing::debug!(
                queued_ms = usage.queued.as_millis(),
                wall_ms = usage.wall.as_millis(),
                cpu_ms = usage.cpu.as_millis(),
                memory_peak_bytes = usage.memory_peak_bytes,
                outcome = error.map_or(crate::metrics::GOOD, SandboxError::word),
                "a call of plugin {} ended",
                self.name()
            );
        });
        if let Some(error) = error
            && error.is_fault()
        {
            self.record_fault(error);
        }
        Ok((result?, usage))
    }

    /// Has this woken after every fault of the version, and when it is dropped.
    pub(crate) fn watch(&self, watcher: Arc<Notify>) {
        // A version that goes live again keeps its watcher: it is the same registry's.
        let _ = self.watcher.set(watcher);
    }

    /// The faults it remembers, oldest first.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().cloned().collect()
    }

    fn record_fault(&self, error: &SandboxError) {
        self.numbers.faults.fetch_add(1, Ordering::Relaxed);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() == FAULTS_KEPT {
            faults.pop_front();
        }
        faults.push_back(Fault {
            at: Instant::now(),
            text: error.to_string(),
        });
        drop(faults);
        if let Some(watcher) = self.watcher.get() {
            watcher.notify_one();
        }
    }

    /// Keeps it until the answer is dropped, and counts that as a use.
    pub(crate) fn pin(self: &Arc<Self>) -> Pin {
        self.numbers.pins.fetch_add(1, Ordering::Relaxed);
        Pin(self.clone())
    }
}

impl fmt::Debug for PluginVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginVersion")
            .field("name", &self.name())
            .field("version", &self.version())
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}

impl Drop for PluginVersion {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.get() {
            watcher.notify_one();
        }
    }
}

/// One use of a version.
#[derive(Debug)]
pub(crate) struct Pin(Arc<PluginVersion>);

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.numbers.pins.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a call.
struct Running<'a>(&'a PluginVersion);

impl<'a> Running<'a> {
    fn start(version: &'a PluginVersion) -> Self {
        version
            .numbers
            .calls_running
            .fetch_add(1, Ordering::Relaxed);
        Self(version)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.numbers.calls_running.fetch_sub(1, Ordering::Relaxed);
        self.0.numbers.calls.fetch_add(1, Ordering::Relaxed);
    }
}
