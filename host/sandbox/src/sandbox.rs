//! The sandbox as a whole: engine, threads, compiler, doorkeeper.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::admission::{Admission, Room};
use crate::call::{CallState, Computing, Ended, HostLoad, Paces, Turns};
use crate::compile::Compiler;
use crate::engine::{self, PLUGIN_NICE, Threads, Ticker, lower_thread_priority};
use crate::http::Client;
use crate::metrics::{Metrics, TypeMetrics};
use crate::{LoadError, PluginVersion, PoolWait, SandboxError, SandboxOptions, imports, load};

/// One part of so many is kept from steps.
const RESERVED_PART: usize = 10;
/// Of places, no more than these: what they are kept for is short, and takes turns.
pub(crate) const RESERVED_CALLS_MAX: usize = 80;

/// Why the sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The engine does not work on this machine.
    #[error("cannot set up the plugin engine: {0}")]
    Engine(String),
    /// The cache directory cannot be used.
    #[error("cannot use {path} for compiled plugins: {reason}")]
    CacheDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No threads.
    #[error("cannot start threads for plugins: {0}")]
    Threads(std::io::Error),
}

/// How full the sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolStatus {
    /// Calls that run.
    pub calls: usize,
    /// How many there may be.
    pub calls_max: usize,
    /// Calls that wait until there is room, or for more memory.
    pub waiting: usize,
    /// Memory of all calls.
    pub memory_bytes: usize,
    /// How much there may be.
    pub memory_bytes_max: usize,
    /// Whether address space was reserved at the start.
    pub pooling: bool,
}

/// Runs plugins, each call in a store of its own, on threads of a lower priority. Cheap to clone; the last clone
/// (and the last loaded plugin) ends the threads.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

/// What all plugins share.
pub(crate) struct Shared {
    pub(crate) options: SandboxOptions,
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<CallState>,
    pub(crate) compiler: Compiler,
    pub(crate) admission: Admission,
    pub(crate) turns: Turns,
    pub(crate) paces: Paces,
    pub(crate) computing: Computing,
    pub(crate) load: Arc<HostLoad>,
    pub(crate) metrics: Metrics,
    pub(crate) ticker: Ticker,
    pub(crate) shutdown: CancellationToken,
    pub(crate) http: Arc<Client>,
    pooling: bool,
    /// Always there until the drop takes it.
    runtime: Option<Runtime>,
}

/// What of this room steps leave free.
fn reserve_of(room: Room) -> Room {
    let part = room.part(RESERVED_PART);
    Room {
        calls: part.calls.min(RESERVED_CALLS_MAX),
        memories: part.memories.min(RESERVED_CALLS_MAX),
        ..part
    }
}

impl Sandbox {
    /// Sets up engine, threads and cache.
    ///
    /// # Errors
    /// When the machine cannot run plugins at all, or the cache directory is not private.
    pub fn new(options: SandboxOptions) -> Result<Self, SetupError> {
        let built = engine::build(&options)?;
        let engine = built.engine;
        let linker =
            imports::linker(&engine).map_err(|error| SetupError::Engine(format!("{error:#}")))?;
        let low_priority = options.low_priority;
        let threads = Threads::default();
        let joining = threads.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("plugin")
            .on_thread_start(move || {
                joining.join();
                if low_priority {
                    lower_thread_priority(PLUGIN_NICE);
                }
            })
            .enable_all()
            .build()
            .map_err(SetupError::Threads)?;
        let room = Room {
            bytes: options.memory_bytes_max,
            ..built.pooled.unwrap_or(Room {
                calls: options.calls_max,
                memories: usize::MAX,
                tables: usize::MAX,
                bytes: usize::MAX,
            })
        };
        let own_threads = (!options.calls_on_callers_runtime).then(|| threads.clone());
        let shared = Shared {
            compiler: Compiler::new(&engine, &options)?,
            admission: Admission::new(room, reserve_of(room)),
            turns: Turns::new(options.threads),
            paces: Paces::default(),
            load: Arc::new(HostLoad::new(own_threads, options.threads)),
            computing: Computing::default(),
            metrics: Metrics::default(),
            ticker: Ticker::start(&engine, threads, options.tick).map_err(SetupError::Threads)?,
            shutdown: CancellationToken::new(),
            http: Arc::new(Client::new(options.http.clone())),
            pooling: built.pooled.is_some(),
            runtime: Some(runtime),
            options,
            engine,
            linker,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Checks, compiles and describes a component.
    ///
    /// # Errors
    /// When it is not a plugin that this host can run.
    pub async fn load(&self, component: Bytes) -> Result<Arc<PluginVersion>, LoadError> {
        load::load(&self.shared, component).await
    }

    /// The largest component that it takes.
    #[must_use]
    pub fn component_bytes_max(&self) -> u64 {
        self.shared.options.component_bytes_max
    }

    /// How full it is.
    #[must_use]
    pub fn pool(&self) -> PoolStatus {
        let now = self.shared.admission.occupancy();
        PoolStatus {
            calls: now.used.calls,
            calls_max: now.max.calls,
            waiting: now.waiting,
            memory_bytes: now.used.bytes,
            memory_bytes_max: now.max.bytes,
            pooling: self.shared.pooling,
        }
    }

    /// Calls that wait until there is room, by plugin and reason.
    #[must_use]
    pub fn waits(&self) -> Vec<PoolWait> {
        self.shared.admission.waits()
    }

    /// What the calls of each type took, since the start.
    #[must_use]
    pub fn metrics(&self) -> Vec<TypeMetrics> {
        self.shared.metrics.read()
    }

    /// The plugins that compute at this moment.
    #[must_use]
    pub fn computing(&self) -> Vec<String> {
        self.shared.computing.names()
    }

    /// Ends every running call with [`SandboxError::Shutdown`]; later calls end so at once.
    pub fn shutdown(&self) {
        self.shared.shutdown.cancel();
    }
}

impl Shared {
    /// Runs a call on the plugins' threads, unless the options say otherwise, and waits for it. When the wait is given up, so is
    /// the call.
    pub(crate) async fn on_plugin_threads<T: Send + 'static>(
        &self,
        call: impl Future<Output = Ended<T>> + Send + 'static,
    ) -> Result<Ended<T>, SandboxError> {
        let Some(runtime) = &self.runtime else {
            return Err(SandboxError::Shutdown);
        };
        let mut task = AbortOnDrop(match self.options.calls_on_callers_runtime {
            true => tokio::spawn(call),
            false => runtime.spawn(call),
        });
        match (&mut task.0).await {
            Ok(ended) => Ok(ended),
            Err(error) if error.is_cancelled() => Err(SandboxError::Shutdown),
            Err(error) => Err(SandboxError::Host(error.to_string())),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last holder may be a task of any runtime, where waiting for threads is not allowed.
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
