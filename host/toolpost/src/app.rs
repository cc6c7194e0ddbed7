//! The master's parts, put together: the one file that names every concrete type.
//!
//! The order of the start is the order of what can be known: the configuration says where things are, the
//! store and the plugins say which step types there are, and only then can the rest of the
//! configuration be checked and run. Plugins may take long to compile, so records and pages can be read before that.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toolpost_bus::{BUS_CAPACITY_EVENTS, Bus};
use toolpost_config::config::MasterConfig;
use toolpost_config::{
    Sources, TypeCatalog, check, check_master, check_plugins, check_web, check_worker_port, load,
};
use toolpost_core::{Event, PluginKind};
use toolpost_master::{
    Master, MasterDeps, MasterHandle, NativeCatalog, RunningUses, SystemClock, WorkerPort,
};
use toolpost_sandbox::registry::LiveTypes;
use toolpost_sandbox::{PluginRegistry, RegistryOptions, Sandbox, SandboxOptions};
use toolpost_store::{Store, StoreOptions};
use toolpost_web::{Reactor, WebOptions, WebState, names_of};
use tracing::{info, warn};

use crate::cli::RunArgs;
use crate::output::Failure;
use crate::records::PluginRecords;

/// How long answers that are under way may go on at the end.
const WEB_GRACE: Duration = Duration::from_secs(3);

/// A running master with its web server.
pub(crate) struct App {
    master: MasterHandle,
    registry: PluginRegistry,
    sandbox: Sandbox,
    store: Store,
    bus: Bus,
    address: SocketAddr,
    stop_web: CancellationToken,
    /// What the configuration was read from, until it runs.
    sources: Mutex<Option<Sources>>,
    web: Mutex<Option<JoinHandle<()>>>,
}

/// Every step type there is: native ones first, so that no plugin takes the place of `git` or `shell`.
#[derive(Clone, Default)]
pub(crate) struct StepTypes {
    plugins: Option<PluginRegistry>,
}

impl StepTypes {
    /// Those that are built in, and those of the plugins.
    pub(crate) fn of(plugins: PluginRegistry) -> Self {
        Self {
            plugins: Some(plugins),
        }
    }
}

impl TypeCatalog for StepTypes {
    fn names(&self, kind: PluginKind) -> Vec<String> {
        match &self.plugins {
            Some(plugins) => With(&plugins.snapshot()).names(kind),
            None => NativeCatalog.names(kind),
        }
    }

    fn parameters_schema(&self, kind: PluginKind, type_name: &str) -> Option<Arc<Value>> {
        match &self.plugins {
            Some(plugins) => With(&plugins.snapshot()).parameters_schema(kind, type_name),
            None => NativeCatalog.parameters_schema(kind, type_name),
        }
    }
}

/// The types that there are with these of plugins.
struct With<'a>(&'a LiveTypes);

impl TypeCatalog for With<'_> {
    fn names(&self, kind: PluginKind) -> Vec<String> {
        let mut names = NativeCatalog.names(kind);
        names.extend(self.0.names(kind));
        names
    }

    fn parameters_schema(&self, kind: PluginKind, type_name: &str) -> Option<Arc<Value>> {
        let native = NativeCatalog.parameters_schema(kind, type_name);
        native.or_else(|| Some(Arc::clone(self.0.get(kind, type_name)?.1.schema())))
    }
}

/// How much is wrong with a configuration when these are the types of plugins.
fn faults(sources: &Sources, types: &LiveTypes) -> usize {
    match check(sources, &With(types)) {
        Ok(_) => 0,
        Err(problems) => problems.list.len() + problems.left_out,
    }
}

/// Where what many wait for runs, apart from everything else.
pub(crate) struct Runtimes {
    /// Pages, the API, event streams.
    pub(crate) web: Handle,
    /// The connections of remote workers.
    pub(crate) workers: Handle,
}

impl App {
    /// Starts everything that needs no plugins: from then on pages and API answer whoever reads, and who wants something
    /// done waits until [`Self::begin`] is done. The web server and the connections of workers have runtimes, the rest runs on that
    /// which this is called from.
    ///
    /// # Errors
    /// What is wrong with the configuration, or what could not be started; nothing is left running.
    pub(crate) async fn open(args: &RunArgs, runtimes: Runtimes) -> Result<Self, Failure> {
        let Runtimes { web, workers } = runtimes;
        let config_path = &args.config.config;
        let sources = load(config_path)?;
        let settings = check_master(&sources)?;
        // All that can be said without plugins is said before anything is touched.
        let plugins = check_plugins(&sources)?;
        let worker_port = check_worker_port(&sources)?;
        let web_settings = check_web(&sources)?;
        // Taken first, so that a second master on this address fails before it touches anything.
        let address = args.listen.unwrap_or(settings.listen);
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("listen on {address} (another program may have it; see --listen)")
        })?;
        let opened = workers.spawn(async move { WorkerPort::open(&worker_port).await });
        let worker_port = opened.await.context("listen for workers")??;
        let bus = Bus::new(BUS_CAPACITY_EVENTS);
        let store = open_store(&settings, bus.clone()).await?;
        let sandbox = open_sandbox(&settings, args.plugin_cache.as_deref())?;
        let uses = Arc::new(RunningUses::with_plugins(plugins));
        let registry = open_registry(&settings, &store, &bus, &sandbox, Arc::clone(&uses)).await?;
        let options = WebOptions {
            reactors: measure_reactors(&sandbox, &[("web", &web), ("workers", &workers)]),
            web: Arc::clone(&web_settings),
            ..web_options(&settings)
        };
        let master = Master::open(MasterDeps {
            store: store.clone(),
            bus: bus.clone(),
            registry: registry.clone(),
            uses,
            catalog: Arc::new(StepTypes::of(registry.clone())),
            settings,
            worker_port,
            config_path: config_path.to_owned(),
            clock: Arc::new(SystemClock),
        })
        .await?;
        let address = listener.local_addr()?;
        if web_settings.auth.is_none() && !address.ip().is_loopback() {
            warn!(
                "whoever reaches {address} may do everything with this farm; [web.auth] says who may do what"
            );
        }
        let stop_web = CancellationToken::new();
        let state = WebState {
            store: store.clone(),
            bus: bus.clone(),
            master: Arc::new(master.clone()),
            options,
        };
        let workers = Workers {
            master: master.clone(),
            runtime: workers,
        };
        let web = web.spawn(serve(listener, state, workers, stop_web.clone()));
        info!(%address, "serving pages and API on {address}, and loading plugins");
        Ok(Self {
            master,
            registry,
            sandbox,
            store,
            bus,
            address,
            stop_web,
            sources: Mutex::new(Some(sources)),
            web: Mutex::new(Some(web)),
        })
    }

    /// Loads the plugins, checks the configuration with them, and lets the master work.
    ///
    /// # Errors
    /// What is wrong with the configuration, or what could not be started. What runs is to be stopped then.
    pub(crate) async fn begin(&self) -> Result<(), Failure> {
        let Some(sources) = self.sources.lock().await.take() else {
            return Ok(());
        };
        let loaded = self.registry.load(|types| faults(&sources, types)).await;
        loaded.map_err(anyhow::Error::from)?;
        let config = check(&sources, &StepTypes::of(self.registry.clone()))?;
        self.master.begin(config, sources).await?;
        self.registry.watch();
        if let Some(address) = self.worker_address() {
            info!(%address, "workers connect to {address}");
        }
        Ok(())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where workers connect, if that is not where pages are.
    pub(crate) fn worker_address(&self) -> Option<SocketAddr> {
        self.master.worker_address()
    }

    /// How long running builds may go on once the master is told to stop.
    pub(crate) fn drain_timeout(&self) -> Duration {
        self.master.config().master.drain_timeout
    }

    /// Takes nothing new, gives running builds this long, and ends everything in the order in which it depends.
    pub(crate) async fn stop(&self, drain: Duration) {
        self.registry.close();
        self.master.shutdown(drain).await;
        self.stop_web.cancel();
        // Ends the event streams, and with them the connections that would keep the web server.
        self.bus.close();
        if let Some(web) = self.web.lock().await.take()
            && tokio::time::timeout(WEB_GRACE, web).await.is_err()
        {
            warn!("some HTTP clients were cut off: they did not end within {WEB_GRACE:?}");
        }
        self.sandbox.shutdown();
        self.store.close().await;
    }
}

async fn open_store(settings: &MasterConfig, bus: Bus) -> anyhow::Result<Store> {
    let options = StoreOptions {
        log_line_bytes_max: usize::try_from(settings.limits.log_line_bytes_max)?,
        ..StoreOptions::new(&settings.database_url, &settings.object_dir)
    }
    .on_commit(move |events| bus.publish(events));
    Ok(Store::open(options).await?)
}

fn open_sandbox(settings: &MasterConfig, cache_dir: Option<&Path>) -> anyhow::Result<Sandbox> {
    let beside = || settings.object_dir.with_file_name("plugin-cache");
    let cache_dir = cache_dir.map_or_else(beside, Path::to_owned);
    let default = SandboxOptions::default();
    let settings = &settings.plugins;
    let or = |number: Option<u32>, default| number.map_or(Ok(default), usize::try_from);
    let memory_bytes_max = match settings.memory_mib {
        Some(mib) => usize::try_from(mib)?.saturating_mul(1 << 20),
        None => default.memory_bytes_max,
    };
    Ok(Sandbox::new(SandboxOptions {
        cache_dir: Some(cache_dir),
        memory_bytes_max,
        calls_max: or(settings.calls, default.calls_max)?,
        threads: or(settings.threads, default.threads)?,
        ..default
    })?)
}

async fn open_registry(
    settings: &MasterConfig,
    store: &Store,
    bus: &Bus,
    sandbox: &Sandbox,
    uses: Arc<RunningUses>,
) -> anyhow::Result<PluginRegistry> {
    let bus = bus.clone();
    let options = RegistryOptions {
        native_types: NativeCatalog::all(),
        observer: Arc::new(move |event| bus.publish(&[Event::Plugin(event.plugin.clone())])),
        ..RegistryOptions::new(&settings.plugin_dir)
    };
    let records = Arc::new(PluginRecords(store.clone()));
    Ok(PluginRegistry::prepare(options, sandbox.clone(), records, uses).await?)
}

/// Measures whether the runtimes keep up, for as long as they run.
fn measure_reactors(sandbox: &Sandbox, others: &[(&'static str, &Handle)]) -> Vec<Arc<Reactor>> {
    let engine = Handle::current();
    let runtimes = std::iter::once(("engine", &engine)).chain(others.iter().copied());
    let measured = runtimes.map(|(name, runtime)| {
        let reactor = Arc::new(Reactor::new(name));
        let (measuring, sandbox) = (Arc::clone(&reactor), sandbox.clone());
        runtime.spawn(async move { measuring.measure(|| sandbox.computing()).await });
        reactor
    });
    measured.collect()
}

fn web_options(settings: &MasterConfig) -> WebOptions {
    // Only one process may have a SQLite file; anything else may be written by others too.
    let database_is_shared = !settings.database_url.starts_with("sqlite:");
    WebOptions {
        database_is_shared,
        hosts: names_of(settings),
        ..WebOptions::default()
    }
}

/// Whoever is to answer workers that connect to the port of the web server, and where that runs.
#[derive(Clone)]
struct Workers {
    master: MasterHandle,
    runtime: Handle,
}

/// A worker asks for a WebSocket where people ask for the home page.
async fn worker_or_page(
    State(workers): State<Workers>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if !workers.master.is_worker(&request) {
        return next.run(request).await;
    }
    // What follows the answer belongs to the threads of workers.
    let master = workers.master.clone();
    let greeting = workers
        .runtime
        .spawn(async move { master.greet_worker(request, from).await });
    match greeting.await {
        Ok(response) => response.map(Body::from),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn serve(listener: TcpListener, state: WebState, workers: Workers, stop: CancellationToken) {
    let router = toolpost_web::router(state)
        .layer(from_fn_with_state(workers, worker_or_page))
        .into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = served.await {
        tracing::error!("the web server ended: {error}");
    }
}
