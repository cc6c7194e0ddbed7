//! What all actors of one master share. Holds handles and the running configuration, never a truth that
//! the store should have.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolpost_bus::Bus;
use toolpost_config::config::BuilderConfig;
use toolpost_config::{Config, TypeCatalog};
use toolpost_core::{BuilderId, MasterId, Timestamp};
use toolpost_sandbox::{PluginRegistry, PluginStatus};
use toolpost_store::{ConfiguredIds, Store};

use crate::actor::Actor;
use crate::apply::Actors;
use crate::build_dirs::BuildDirs;
use crate::builds::BuildTable;
use crate::clock::Clock;
use crate::error::ControlError;
use crate::fleet::FleetBell;
use crate::force;
use crate::locks::LockManager;
use crate::poller::PollerHandle;
use crate::scheduler::PluginSchedulerActor;
use crate::services::Capabilities;
use crate::status::{
    ConfigurationStatus, Health, PollerStatus, ReporterStatus, SchedulerStatus, WaitingBuilder,
};
use crate::stop::{Ending, Phase};
use crate::uses::RunningUses;
use crate::worker::WorkerPool;

/// The parts of a running master.
pub(crate) struct Engine {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: PluginRegistry,
    /// Secrets, and what plugins may do.
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) uses: Arc<RunningUses>,
    pub(crate) catalog: Arc<dyn TypeCatalog + Send + Sync>,
    pub(crate) config_path: PathBuf,
    pub(crate) master_id: MasterId,
    pub(crate) name: String,
    pub(crate) started_at: Timestamp,
    pub(crate) workers: WorkerPool,
    pub(crate) locks: Arc<LockManager>,
    pub(crate) builds: BuildTable,
    pub(crate) build_dirs: Arc<BuildDirs>,
    /// Tasks of builds, counted so that the end waits for them.
    pub(crate) build_tasks: TaskTracker,
    /// Cancelled when workers cannot connect any more.
    pub(crate) stop_port: CancellationToken,
    /// Cancelled when builds that still run are left to the next start.
    pub(crate) abandon: CancellationToken,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) ending: watch::Sender<Ending>,
    /// Whether a configuration runs.
    pub(crate) ready: watch::Sender<bool>,
    /// Loops that run from start to end, whatever is configured.
    pub(crate) loops: tokio::sync::Mutex<Vec<Actor>>,
    /// Tells the distributor to look.
    pub(crate) distribute: Notify,
    /// Tells the keeper of the fleet to look.
    pub(crate) fleet: FleetBell,
    pub(crate) store_ok: AtomicBool,
    pub(crate) actors: tokio::sync::Mutex<Actors>,
    running: ArcSwap<Running>,
    configuration: Mutex<ConfigurationStatus>,
    boards: Mutex<Boards>,
    waiting: Mutex<Vec<WaitingBuilder>>,
}

/// The configuration that runs, with the row ids of its names.
pub(crate) struct Running {
    pub(crate) config: Arc<Config>,
    pub(crate) ids: ConfiguredIds,
    pub(crate) builders: HashMap<BuilderId, Arc<BuilderConfig>>,
    /// Properties in which forms of a builder say which worker it has to be; builders without are not here.
    pub(crate) worker_fields: HashMap<BuilderId, BTreeSet<String>>,
}

/// Where actors write down how they stand.
#[derive(Default)]
pub(crate) struct Boards {
    pub(crate) pollers: Vec<PollerHandle>,
    pub(crate) schedulers: Vec<Arc<Mutex<SchedulerStatus>>>,
    /// Those of plugins.
    pub(crate) skippers: Vec<PluginSchedulerActor>,
    pub(crate) reporters: Vec<Arc<Mutex<ReporterStatus>>>,
}

/// What an engine is made of, beside what it makes itself.
pub(crate) struct EngineParts {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: PluginRegistry,
    pub(crate) uses: Arc<RunningUses>,
    pub(crate) catalog: Arc<dyn TypeCatalog + Send + Sync>,
    pub(crate) config_path: PathBuf,
    pub(crate) master_id: MasterId,
    pub(crate) name: String,
}

impl Running {
    pub(crate) fn new(config: Arc<Config>, ids: ConfiguredIds) -> Self {
        let builders = config.builders.iter().filter_map(|(name, builder)| {
            let id = ids.builders.get(name)?;
            Some((*id, Arc::clone(builder)))
        });
        let mut worker_fields: HashMap<BuilderId, BTreeSet<String>> = HashMap::new();
        for scheduler in config.schedulers.values() {
            let fields = force::worker_fields(scheduler);
            if fields.is_empty() {
                continue;
            }
            let builders = scheduler.builders.iter();
            for id in builders.filter_map(|name| ids.builders.get(name)) {
                let known = worker_fields.entry(*id).or_default();
                known.extend(fields.iter().cloned());
            }
        }
        Self {
            builders: builders.collect(),
            worker_fields,
            config,
            ids,
        }
    }
}

impl Engine {
    /// An engine with an empty configuration, in which nothing runs yet.
    pub(crate) fn new(parts: EngineParts) -> Self {
        let started_at = parts.clock.now();
        let empty = Running::new(Arc::default(), ConfiguredIds::default());
        Self {
            capabilities: Arc::new(Capabilities::new(parts.store.clone())),
            store: parts.store,
            bus: parts.bus,
            clock: parts.clock,
            registry: parts.registry,
            uses: parts.uses,
            catalog: parts.catalog,
            config_path: parts.config_path,
            master_id: parts.master_id,
            name: parts.name,
            started_at,
            workers: WorkerPool::default(),
            locks: Arc::new(LockManager::new([])),
            builds: BuildTable::default(),
            build_dirs: Arc::default(),
            build_tasks: TaskTracker::new(),
            stop_port: CancellationToken::new(),
            abandon: CancellationToken::new(),
            phase: watch::Sender::new(Phase::Running),
            ending: watch::Sender::default(),
            ready: watch::Sender::new(false),
            loops: tokio::sync::Mutex::default(),
            distribute: Notify::new(),
            fleet: FleetBell::default(),
            store_ok: AtomicBool::new(true),
            actors: tokio::sync::Mutex::default(),
            running: ArcSwap::from_pointee(empty),
            configuration: Mutex::new(ConfigurationStatus::new(started_at)),
            boards: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// The configuration that runs, as of now.
    pub(crate) fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// From now on this configuration runs.
    pub(crate) fn set_running(&self, running: Running) {
        self.running.store(Arc::new(running));
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.running().config)
    }

    pub(crate) fn configuration(&self) -> MutexGuard<'_, ConfigurationStatus> {
        lock(&self.configuration)
    }

    pub(crate) fn boards(&self) -> MutexGuard<'_, Boards> {
        lock(&self.boards)
    }

    pub(crate) fn waiting(&self) -> MutexGuard<'_, Vec<WaitingBuilder>> {
        lock(&self.waiting)
    }

    pub(crate) fn poller_status(&self) -> Vec<PollerStatus> {
        let boards = self.boards();
        boards.pollers.iter().map(PollerHandle::status).collect()
    }

    pub(crate) fn poll_now(&self, name: &str) -> bool {
        let boards = self.boards();
        let found = boards
            .pollers
            .iter()
            .find(|poller| poller.status().name == name);
        found.map(PollerHandle::poll_now).is_some()
    }

    /// Where pollers keep copies of repositories, beside the other files of this master.
    pub(crate) fn poller_dir(&self) -> PathBuf {
        self.config().master.object_dir.with_file_name("pollers")
    }

    pub(crate) fn scheduler_status(&self) -> Vec<SchedulerStatus> {
        let boards = self.boards();
        boards
            .schedulers
            .iter()
            .map(|status| lock(status).clone())
            .collect()
    }

    pub(crate) fn reporter_status(&self) -> Vec<ReporterStatus> {
        let boards = self.boards();
        boards
            .reporters
            .iter()
            .map(|status| lock(status).clone())
            .collect()
    }

    pub(crate) fn health(&self) -> Health {
        Health {
            master_id: self.master_id,
            name: self.name.clone(),
            started_at: self.started_at,
            starting: !*self.ready.borrow(),
            draining: *self.phase.borrow() != Phase::Running,
            running_builds: self.builds.count(),
            store_ok: self.store_ok.load(Ordering::Relaxed),
        }
    }

    pub(crate) async fn rescan_plugins(&self) -> Vec<PluginStatus> {
        let registry = self.registry.clone();
        let done = to_its_end(async move { registry.rescan().await }).await;
        done.unwrap_or_else(|| self.registry.status())
    }

    pub(crate) async fn rollback_plugin(
        &self,
        name: &str,
        digest: &str,
        reason: &str,
    ) -> Result<(), ControlError> {
        let registry = self.registry.clone();
        let [name, digest, reason] = [name, digest, reason].map(str::to_owned);
        let rollback = async move { registry.rollback(&name, &digest, &reason).await };
        let done = to_its_end(rollback).await;
        let done = done.ok_or_else(|| ControlError::Plugin("the registry crashed".into()))?;
        done.map_err(|error| ControlError::Plugin(error.to_string()))
    }
}

/// Does something to its end, even when whoever asked for it goes away. `None` after a panic.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    tokio::spawn(work).await.ok()
}

/// Statuses are replaced as a whole, so that a panic elsewhere leaves them sound.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
