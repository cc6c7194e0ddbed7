//! A loaded version of a plugin and its step types.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use toolpost_core::Results;

use crate::bindings::StepPluginPre;
use crate::call::{self, CallContext, CallState, Home, LineTarget, cut};
use crate::imports::convert;
use crate::load::Description;
use crate::sandbox::Shared;
use crate::{CallLimits, SandboxError, StepHost};

/// Places in the parameters that a refusal names.
const OBJECTIONS_MAX: usize = 5;
/// Faults that a version remembers.
const FAULTS_KEPT: usize = 64;

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// Its result.
    pub results: Results,
    /// Its final text; empty keeps what was last set.
    pub summary: String,
    /// What the call took.
    pub usage: CallUsage,
}

/// What a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallUsage {
    /// Waiting until there was room for it.
    pub queued: Duration,
    /// From start to end.
    pub wall: Duration,
    /// Computing.
    pub cpu: Duration,
    /// Linear memory, at most.
    pub memory_peak_bytes: usize,
}

/// What tells a version from others.
pub(crate) struct Identity {
    pub(crate) digest: String,
    pub(crate) contract: String,
    pub(crate) size_bytes: u64,
}

/// A loaded version of a plugin. Lives as long as somebody holds it: the registry, a build, a call.
pub struct PluginVersion {
    shared: Arc<Shared>,
    pre: StepPluginPre<CallState>,
    start_bytes: usize,
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
        pre: StepPluginPre<CallState>,
        start_bytes: usize,
        description: Description,
        identity: Identity,
    ) -> Self {
        Self {
            shared,
            pre,
            start_bytes,
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

    /// Its step types.
    #[must_use]
    pub fn steps(&self) -> &[Arc<StepTypeInfo>] {
        &self.description.steps
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
        let ready = |info: &Arc<StepTypeInfo>| {
            Arc::new(StepType {
                plugin: self.clone(),
                info: info.clone(),
            })
        };
        self.description.steps.iter().map(ready).collect()
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

/// What is known of a step type without running it.
pub struct StepTypeInfo {
    name: String,
    summary: String,
    schema: Arc<Value>,
    validator: Validator,
}

impl StepTypeInfo {
    /// The error says what is wrong with the schema.
    pub(crate) fn new(name: String, summary: String, schema: Value) -> Result<Self, String> {
        if let Err(error) = jsonschema::meta::validate(&schema) {
            let place = error.instance_path().to_string();
            return Err(format!(
                "it is not a valid JSON Schema: at `{place}`: {error}"
            ));
        }
        let validator = jsonschema::options()
            // Patterns come from the plugin: only such as take linear time.
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map_err(|error| format!("it is not a valid JSON Schema: {error}"))?;
        Ok(Self {
            name,
            summary,
            schema: Arc::new(schema),
            validator,
        })
    }

    /// What the configuration calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// JSON Schema of its parameters.
    #[must_use]
    pub fn schema(&self) -> &Arc<Value> {
        &self.schema
    }

    /// Whether parameters fit.
    ///
    /// # Errors
    /// The places that do not, in words.
    pub fn check(&self, parameters: &Value) -> Result<(), String> {
        let mut objections: Vec<String> = self
            .validator
            .iter_errors(parameters)
            .take(OBJECTIONS_MAX)
            .map(|error| match error.instance_path().as_str() {
                "" => error.to_string(),
                place => format!("{place}: {error}"),
            })
            .collect();
        objections.dedup();
        match objections.is_empty() {
            true => Ok(()),
            false => Err(objections.join("; ")),
        }
    }
}

impl fmt::Debug for StepTypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepTypeInfo")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A step type of a certain version of a plugin, ready to run.
#[derive(Debug)]
pub struct StepType {
    plugin: Arc<PluginVersion>,
    info: Arc<StepTypeInfo>,
}

impl StepType {
    /// The version that it belongs to.
    #[must_use]
    pub fn plugin(&self) -> &Arc<PluginVersion> {
        &self.plugin
    }

    /// Name, summary, schema.
    #[must_use]
    pub fn info(&self) -> &Arc<StepTypeInfo> {
        &self.info
    }

    /// Runs one step to its end, on the sandbox's own threads; the caller only waits. `parameters` are rendered.
    /// Calls of `host` come on the runtime that this was called from.
    ///
    /// When `cancel` fires, the step's commands are interrupted and the plugin has
    /// [`CallLimits::cancel_grace`] to come to its end; it may still return an outcome. When the returned future is
    /// dropped, the call is ended at once.
    ///
    /// # Errors
    /// What the plugin returned as an error, or why it had to be ended.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn run(
        &self,
        parameters: &Value,
        host: Arc<dyn StepHost>,
        limits: CallLimits,
        cancel: CancellationToken,
    ) -> Result<StepOutcome, SandboxError> {
        self.info
            .check(parameters)
            .map_err(SandboxError::Parameters)?;
        let running = Running::start(&self.plugin);
        let result = self.call(parameters, host, limits, cancel).await;
        drop(running);
        if let Err(error) = &result
            && error.is_fault()
        {
            self.plugin.record_fault(error);
        }
        result
    }

    async fn call(
        &self,
        parameters: &Value,
        host: Arc<dyn StepHost>,
        limits: CallLimits,
        cancel: CancellationToken,
    ) -> Result<StepOutcome, SandboxError> {
        let text_bytes_max = limits.text_bytes_max;
        let listener = host.clone();
        let log: LineTarget = Arc::new(move |level, line| listener.log(level, line));
        let context = CallContext {
            limits: Arc::new(limits),
            home: Some(Home {
                host,
                runtime: tokio::runtime::Handle::current(),
            }),
            log,
            cancel,
        };
        let (name, parameters) = (self.info.name.clone(), parameters.to_string());
        let plugin = &self.plugin;
        let call = call::run(
            plugin.shared.clone(),
            plugin.pre.clone(),
            plugin.start_bytes,
            context,
            move |plugin, store| {
                Box::pin(async move {
                    let step = plugin.toolpost_plugin_step();
                    step.call_run(store, &name, &parameters).await
                })
            },
        );
        let (outcome, usage) = plugin.shared.on_plugin_threads(call).await?;
        let outcome = outcome.map_err(convert::plugin_error)?;
        Ok(StepOutcome {
            results: convert::results(outcome.results),
            summary: cut(&outcome.summary, text_bytes_max).to_owned(),
            usage,
        })
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
