//! From the parts of the process to a running master.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use toolpost_bus::Bus;
use toolpost_config::config::MasterConfig;
use toolpost_config::{Config, Sources, TypeCatalog};
use toolpost_core::Timestamp;
use toolpost_sandbox::{PluginRegistry, Prospect};
use toolpost_store::Store;
use tracing::{info, warn};

use crate::actor::Actor;
use crate::applied::record_applied;
use crate::clock::Clock;
use crate::distributor::Distributor;
use crate::engine::{Engine, EngineParts};
use crate::error::StartError;
use crate::fleet::FleetKeeper;
use crate::handle::MasterHandle;
use crate::reload::Reloader;
use crate::reporter::keep_house;
use crate::uses::RunningUses;
use crate::worker::WorkerPort;

/// How often a master says that it lives.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

/// A master that was silent for this long is dead, and its work is taken over.
const MASTER_SILENCE_MAX: Duration = Duration::from_secs(60);

/// What a master needs of the process around it.
pub struct MasterDeps {
    /// The records; its events go to `bus`.
    pub store: Store,
    /// Where the master hears what happened.
    pub bus: Bus,
    /// The plugins.
    pub registry: PluginRegistry,
    /// What the registry asks about uses.
    pub uses: Arc<RunningUses>,
    /// All step types, native ones and those of plugins, for checks of the configuration.
    pub catalog: Arc<dyn TypeCatalog + Send + Sync>,
    /// Who it is.
    pub settings: MasterConfig,
    /// Where workers connect, unless they come to the web server. They wait until the master works.
    pub worker_port: Option<WorkerPort>,
    /// Where the configuration was read, to be watched.
    pub config_path: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The entry to this crate.
#[derive(Debug, Clone, Copy)]
pub struct Master;

impl Master {
    /// Starts a master that works: [`Self::open`] and [`MasterHandle::begin`].
    ///
    /// # Errors
    /// The store or a worker cannot be used; nothing is left running.
    pub async fn start(
        deps: MasterDeps,
        config: Config,
        sources: Sources,
    ) -> Result<MasterHandle, StartError> {
        let master = Self::open(deps).await?;
        master.begin(config, sources).await?;
        Ok(master)
    }

    /// Makes a master that can be looked at. It says that it lives, and does nothing else until it begins. Its tasks run on
    /// the runtime that this is called from.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn open(deps: MasterDeps) -> Result<MasterHandle, StartError> {
        let now = deps.clock.now();
        let name = master_name(&deps.settings);
        let master_id = deps.store.register_master(&name, now).await?;
        let engine = Arc::new(Engine::new(EngineParts {
            store: deps.store,
            bus: deps.bus,
            clock: deps.clock,
            registry: deps.registry,
            uses: deps.uses,
            catalog: deps.catalog,
            config_path: deps.config_path,
            master_id,
            name,
        }));
        let heart = Arc::clone(&engine);
        let heartbeat = Actor::spawn("the heartbeat".into(), move || beat(Arc::clone(&heart)));
        engine.loops.lock().await.push(heartbeat);
        let worker_address = deps.worker_port.as_ref().map(WorkerPort::address);
        if let Some(port) = deps.worker_port {
            let runtime = port.runtime().clone();
            runtime.spawn(serve(port, Arc::clone(&engine)));
        }
        Ok(MasterHandle {
            engine,
            worker_address,
        })
    }
}

/// Lets workers in once the master works: before that it does not know them, nor what they may still run for it.
async fn serve(port: WorkerPort, engine: Arc<Engine>) {
    let stop = engine.stop_port.clone();
    let mut ready = engine.ready.subscribe();
    tokio::select! {
        () = stop.cancelled() => return,
        // The sender lives as long as the engine.
        _ = ready.wait_for(|ready| *ready) => {}
    }
    port.serve(engine, stop).await;
}

/// See [`MasterHandle::begin`].
pub(crate) async fn begin(
    engine: &Arc<Engine>,
    config: Config,
    sources: Sources,
) -> Result<(), StartError> {
    let master_id = engine.master_id;
    // Opening the workers ends what a killed process left running there; only then may its requests run
    // again.
    let workers = engine.workers.open(&config).await?;
    take_back(engine, master_id).await?;
    let orders = engine.store.unfinished_orders().await?;
    engine.workers.remote.remember_orders(orders);
    let settings = Arc::clone(&config.master);
    engine.apply(config, &Prospect::default()).await?;
    record_applied(&settings, &sources);
    drop(workers);
    spawn_loops(engine, sources).await;
    engine.ready.send_replace(true);
    info!(master.id = %master_id, "master `{}` started", engine.name);
    Ok(())
}

/// Host name and directory of the configuration, unless a name is configured.
fn master_name(settings: &MasterConfig) -> String {
    if let Some(name) = &settings.name {
        return name.clone();
    }
    let dir = settings.object_dir.parent().unwrap_or(&settings.object_dir);
    format!("{}:{}", host_name(), dir.display())
}

fn host_name() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = from_kernel
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    match name.trim() {
        "" => "localhost".into(),
        name => name.into(),
    }
}

async fn take_back(engine: &Engine, master: toolpost_core::MasterId) -> Result<(), StartError> {
    let recovered = engine
        .store
        .recover_master(master, engine.clock.now())
        .await?;
    let sessions = recovered.sessions.into_iter();
    engine
        .workers
        .remote
        .remember(sessions.filter_map(|(worker, session)| {
            let session = u64::try_from(session).ok()?;
            Some((worker, session))
        }));
    if !recovered.builds.is_empty() {
        let (builds, requests) = (recovered.builds.len(), recovered.requests.len());
        warn!(
            master.id = %master,
            "master {master} ended in the middle of {builds} builds; {requests} requests are back in the queue"
        );
    }
    Ok(())
}

async fn spawn_loops(engine: &Arc<Engine>, sources: Sources) {
    let distributor = Arc::clone(engine);
    let reloader = Arc::clone(engine);
    let fleet = Arc::clone(engine);
    let (store, clock) = (engine.store.clone(), Arc::clone(&engine.clock));
    let loops = vec![
        Actor::spawn("the distributor".into(), move || {
            Distributor::new(Arc::clone(&distributor)).run()
        }),
        Actor::spawn("the keeper of workers".into(), move || {
            FleetKeeper::new(Arc::clone(&fleet)).run()
        }),
        Actor::spawn("the reloader".into(), move || {
            Reloader::new(Arc::clone(&reloader), sources.clone()).run()
        }),
        Actor::spawn("the housekeeping".into(), move || {
            keep_house(store.clone(), Arc::clone(&clock))
        }),
    ];
    engine.loops.lock().await.extend(loops);
}

/// Says that this master lives, and takes over the work of those that do not.
async fn beat(engine: Arc<Engine>) {
    loop {
        engine.clock.sleep(HEARTBEAT_INTERVAL).await;
        let now = engine.clock.now();
        let beaten = engine.store.heartbeat(engine.master_id, now).await;
        engine.store_ok.store(beaten.is_ok(), Ordering::Relaxed);
        if let Err(error) = beaten {
            warn!("the heartbeat was not stored: {error}");
            continue;
        }
        if let Err(error) = take_over(&engine, now).await {
            warn!("dead masters cannot be looked for: {error}");
        }
    }
}

async fn take_over(engine: &Engine, now: Timestamp) -> Result<(), StartError> {
    let silence_ms = i64::try_from(MASTER_SILENCE_MAX.as_millis()).unwrap_or(i64::MAX);
    let older_than = Timestamp(now.0.saturating_sub(silence_ms));
    for dead in engine.store.expire_masters(older_than).await? {
        warn!(master.id = %dead, "master {dead} has not been heard of for {} s", MASTER_SILENCE_MAX.as_secs());
        take_back(engine, dead).await?;
    }
    Ok(())
}
