//! A farm for one test: a configuration in TOML, a store, a worker, and verbs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use toolpost_bus::{BUS_CAPACITY_EVENTS, Bus};
use toolpost_config::{TypeCatalog, check, load};
use toolpost_core::model::{Build, BuildRequest, Builder, Log, Scheduler, Step};
use toolpost_core::{BuildId, Event, PluginKind, RequestId, Results, SchedulerId, Timestamp};
use toolpost_master::{
    Clock, ForceRequest, Forced, ManualClock, Master, MasterDeps, MasterHandle, NativeCatalog,
    RunningUses, SystemClock, WorkerPort,
};
use toolpost_sandbox::registry::{LastGood, RecordError, RegistryEvent, VersionRecord};
use toolpost_sandbox::{PluginRegistry, RegistryOptions, RegistryStore, Sandbox, SandboxOptions};
use toolpost_store::{Query, Store, StoreOptions};

/// What no test may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A look at the store when no event told of a change.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// When manual clocks start.
pub(crate) const START: Timestamp = Timestamp(1_800_000_000_000);

/// A farm that is being described.
pub(crate) struct FarmBuilder {
    dir: TempDir,
    config: String,
    builders: Vec<String>,
    worker: String,
    clock: Option<ManualClock>,
    database: Option<Database>,
}

/// What steps write at one time to a database with few connections, so that they need one often.
const LOG_PIECE_BYTES: usize = 4 << 10;

/// A database other than a file of the farm's own.
#[derive(Clone)]
struct Database {
    url: String,
    connections_max: u32,
}

/// Begins a farm with one worker `w` and a force scheduler `force` for all builders.
pub(crate) fn farm() -> FarmBuilder {
    FarmBuilder {
        dir: tempfile::tempdir().expect("a directory for the farm"),
        config: String::new(),
        builders: Vec::new(),
        worker: String::new(),
        clock: None,
        database: None,
    }
}

impl FarmBuilder {
    /// Adds a builder; `body` is what follows its name and worker, steps included.
    pub(crate) fn builder(mut self, name: &str, body: &str) -> Self {
        self.builders.push(name.to_owned());
        let _ = write!(
            self.config,
            "\n[[builder]]\nname = \"{name}\"\nworkers = [\"w\"]\n{body}\n"
        );
        self
    }

    /// Adds a builder of shell steps: names and lines.
    pub(crate) fn shell(self, name: &str, steps: &[(&str, &str)]) -> Self {
        self.builder(name, &shell_steps(steps))
    }

    /// Adds any part of a configuration.
    pub(crate) fn config(mut self, text: &str) -> Self {
        self.config.push('\n');
        self.config.push_str(text);
        self
    }

    /// Further settings of the worker.
    pub(crate) fn worker(mut self, settings: &str) -> Self {
        self.worker = settings.to_owned();
        self
    }

    /// Records are in this database, which is asked over so many connections.
    pub(crate) fn database(mut self, url: &str, connections_max: u32) -> Self {
        self.database = Some(Database {
            url: url.to_owned(),
            connections_max,
        });
        self
    }

    /// A plugin that is there from the start.
    pub(crate) fn plugin(self, name: &str, component: &[u8]) -> Self {
        let dir = self.dir.path().join("plugins");
        std::fs::create_dir_all(&dir).expect("a directory for plugins");
        std::fs::write(dir.join(format!("{name}.wasm")), component).expect("a plugin");
        self
    }

    /// Time stands still until the test moves it.
    pub(crate) fn manual_clock(mut self) -> Self {
        self.clock = Some(ManualClock::new(START));
        self
    }

    /// The farm's own directory, in which relative paths of the configuration start.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the farm.
    pub(crate) async fn start(self) -> Farm {
        let builders = self.builders.clone();
        let config = format!(
            "{}{}{}",
            preamble(&self.worker),
            force_scheduler(&builders),
            self.config
        );
        std::fs::write(self.dir.path().join("toolpost.toml"), config).expect("configuration");
        let mut farm = Farm {
            dir: self.dir,
            clock: self.clock,
            database: self.database,
            life: None,
        };
        farm.begin().await;
        farm
    }
}

/// Steps of a builder: names and lines for the shell.
pub(crate) fn shell_steps(steps: &[(&str, &str)]) -> String {
    let steps = steps.iter().map(|(name, line)| {
        let line = Value::from(*line);
        format!("[[builder.step]]\nuse = \"shell\"\nname = \"{name}\"\ncommand = {line}\n")
    });
    steps.collect()
}

/// The parts that every farm has.
pub(crate) fn preamble(worker: &str) -> String {
    format!("[[worker]]\nname = \"w\"\nkind = \"local\"\nbase_dir = \"work\"\n{worker}\n")
}

/// A form that starts any of these builders.
pub(crate) fn force_scheduler(builders: &[String]) -> String {
    if builders.is_empty() {
        return String::new();
    }
    let builders = Value::from(builders.to_vec());
    format!(
        "\n[[scheduler]]\nname = \"force\"\nuse = \"force\"\ncodebases = [{{ patch = {{}} }}]\nbuilders = {builders}\n"
    )
}

/// A farm that runs (or was killed and waits to be started again).
pub(crate) struct Farm {
    dir: TempDir,
    clock: Option<ManualClock>,
    database: Option<Database>,
    life: Option<Life>,
}

/// One process, so to speak.
struct Life {
    runtime: Runtime,
    store: Store,
    bus: Bus,
    master: MasterHandle,
    registry: PluginRegistry,
}

impl Farm {
    async fn begin(&mut self) {
        let runtime = Runtime::new().expect("a runtime for the master");
        let dir = self.dir.path().to_owned();
        let clock: Arc<dyn Clock> = match &self.clock {
            Some(clock) => Arc::new(clock.clone()),
            None => Arc::new(SystemClock),
        };
        let database = self.database.clone();
        let started = runtime.spawn(start(dir, clock, database)).await;
        let (store, bus, master, registry) = started.expect("the farm starts");
        self.life = Some(Life {
            runtime,
            store,
            bus,
            master,
            registry,
        });
    }

    fn life(&self) -> &Life {
        self.life.as_ref().expect("the farm runs")
    }

    pub(crate) fn master(&self) -> &MasterHandle {
        &self.life().master
    }

    pub(crate) fn store(&self) -> &Store {
        &self.life().store
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The manual clock.
    pub(crate) fn clock(&self) -> &ManualClock {
        self.clock.as_ref().expect("a farm with a manual clock")
    }

    /// The time as the farm has it.
    pub(crate) fn clock_now(&self) -> Timestamp {
        match &self.clock {
            Some(clock) => clock.now(),
            None => SystemClock.now(),
        }
    }

    pub(crate) async fn scheduler_id(&self, name: &str) -> SchedulerId {
        let query = Query::new().eq("name", name);
        let found: Vec<Scheduler> = self.store().list(&query).await.expect("schedulers");
        found.first().expect("the scheduler").id
    }

    /// Ends the process as `kill -9` does: nothing is told, nothing is waited for.
    pub(crate) async fn kill(&mut self) {
        let life = self.life.take().expect("the farm runs");
        let Life {
            runtime,
            store,
            bus,
            master,
            registry,
        } = life;
        drop((store, bus, master, registry));
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(PATIENCE))
            .await
            .expect("the runtime ends");
    }

    /// Ends the master in order.
    pub(crate) async fn stop(&mut self, limit: Duration) {
        self.master().shutdown(limit).await;
        self.store().close().await;
        self.kill().await;
    }

    /// Starts the process again, on the same files.
    pub(crate) async fn restart(&mut self) {
        self.begin().await;
    }

    /// Replaces the configuration file.
    pub(crate) fn write_config(&self, text: &str) {
        std::fs::write(self.path().join("toolpost.toml"), text).expect("configuration");
    }

    /// Puts a plugin in the place of another and waits until it was taken or refused.
    pub(crate) async fn drop_plugin(&self, name: &str, component: &[u8]) {
        let dir = self.path().join("plugins");
        let staged = dir.join("staged");
        std::fs::write(&staged, component).expect("a plugin");
        std::fs::rename(&staged, dir.join(format!("{name}.wasm"))).expect("a rename");
        self.master().rescan_plugins().await;
    }

    /// The configuration file as it is.
    pub(crate) fn read_config(&self) -> String {
        std::fs::read_to_string(self.path().join("toolpost.toml")).expect("configuration")
    }

    /// Asks for a build and waits for its end.
    pub(crate) async fn force(&self, builder: &str) -> Build {
        let request = self.submit(builder, &[]).await;
        self.end_of(request).await
    }

    /// Asks for a build with values for the form.
    pub(crate) async fn submit(&self, builder: &str, fields: &[(&str, &str)]) -> RequestId {
        let fields: Map<String, Value> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect();
        let request = ForceRequest {
            owner: Some("tester".into()),
            builders: Some(vec![builder.to_owned()]),
            fields,
        };
        let submitted = self
            .master()
            .force("force", request)
            .await
            .expect("the form is good");
        let Forced::Made(submitted) = submitted else {
            panic!("a force scheduler makes build sets itself");
        };
        submitted.requests[0].1
    }

    /// The last build of a request, once the request is complete.
    pub(crate) async fn end_of(&self, request: RequestId) -> Build {
        self.until("the request is complete", async || {
            let request = self.request(request).await;
            request.complete
        })
        .await;
        self.builds_of(request)
            .await
            .pop()
            .expect("a build of the request")
    }

    /// The running build of a request, as soon as there is one.
    pub(crate) async fn running(&self, request: RequestId) -> Build {
        self.until("the request is being built", async || {
            let builds = self.builds_of(request).await;
            builds.last().is_some_and(|build| !build.complete)
        })
        .await;
        self.builds_of(request)
            .await
            .pop()
            .expect("a build of the request")
    }

    /// Waits for a file that a step writes, below the worker's directory.
    pub(crate) async fn until_file(&self, path: &str) {
        let path = self.path().join("work").join(path);
        self.until(&format!("{} is there", path.display()), async || {
            path.exists()
        })
        .await;
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let mut events = self.life().bus.subscribe();
        let waiting = async {
            while !holds().await {
                let _ = tokio::time::timeout(LOOK_INTERVAL, events.recv()).await;
                while events.try_recv().is_some() {}
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "waited in vain until {what}");
    }

    pub(crate) async fn request(&self, request: RequestId) -> BuildRequest {
        self.store().get(request.0).await.expect("the request")
    }

    pub(crate) async fn build(&self, build: BuildId) -> Build {
        self.store().get(build.0).await.expect("the build")
    }

    pub(crate) async fn builds_of(&self, request: RequestId) -> Vec<Build> {
        let query = Query::new().eq("buildrequestid", request.0);
        self.store().list(&query).await.expect("builds")
    }

    pub(crate) async fn all_builds(&self) -> Vec<Build> {
        self.store().list(&Query::new()).await.expect("builds")
    }

    pub(crate) async fn steps(&self, build: BuildId) -> Vec<Step> {
        let query = Query::new().eq("buildid", build.0).order("number");
        self.store().list(&query).await.expect("steps")
    }

    /// A build and its steps, as text.
    pub(crate) async fn show(&self, build: &Build) -> String {
        let build = self.build(build.id).await;
        let builder: Builder = self.store().get(build.builder_id.0).await.expect("builder");
        let mut text = format!(
            "{} #{}: {} [{}]\n",
            builder.name,
            build.number,
            results(build.results),
            build.state_string
        );
        for step in self.steps(build.id).await {
            let hidden = if step.hidden { " hidden" } else { "" };
            let _ = writeln!(
                text,
                "  {}: {} [{}]{hidden}",
                step.name,
                results(step.results),
                step.state_string
            );
        }
        text
    }

    /// All builds and their results, oldest first.
    pub(crate) async fn show_all(&self) -> String {
        let mut text = String::new();
        for build in self.all_builds().await {
            let builder: Builder = self.store().get(build.builder_id.0).await.expect("builder");
            let _ = writeln!(
                text,
                "{} #{}: {}",
                builder.name,
                build.number,
                results(build.results)
            );
        }
        text
    }

    /// The output of a log, without what the master says about commands.
    pub(crate) async fn log(&self, build: &Build, step: &str, log: &str) -> String {
        self.log_lines(build, step, log, |letter| letter != 'h')
            .await
    }

    /// What the master says in a log.
    pub(crate) async fn headers(&self, build: &Build, step: &str, log: &str) -> String {
        self.log_lines(build, step, log, |letter| letter == 'h')
            .await
    }

    async fn log_lines(
        &self,
        build: &Build,
        step: &str,
        log: &str,
        wanted: impl Fn(char) -> bool,
    ) -> String {
        let steps = self.steps(build.id).await;
        let step = steps
            .iter()
            .find(|found| found.name == step)
            .expect("the step");
        let logs: Vec<Log> = self
            .store()
            .list(&Query::new().eq("stepid", step.id.0))
            .await
            .expect("logs");
        let log = logs
            .iter()
            .find(|found| found.name == log)
            .expect("the log");
        assert!(log.complete, "log {} is open", log.name);
        let lines = self
            .store()
            .log_lines(log.id, 0, 10_000)
            .await
            .expect("lines");
        let text = String::from_utf8_lossy(&lines.content).into_owned();
        if log.log_type.letter() != "s" {
            return text;
        }
        let lines = text
            .lines()
            .filter(|line| line.chars().next().is_some_and(&wanted));
        lines.fold(String::new(), |text, line| text + &line[1..] + "\n")
    }

    /// A property of a build and its source.
    pub(crate) async fn property(&self, build: &Build, name: &str) -> Option<(Value, String)> {
        let properties = self
            .store()
            .build_properties(build.id)
            .await
            .expect("properties");
        let mut found = properties.iter().filter(|(given, _)| *given == name);
        found
            .next()
            .map(|(_, property)| (property.value.clone(), property.source.clone()))
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        // A test may end with its master still at work; a runtime cannot be waited for in a drop.
        if let Some(life) = self.life.take() {
            life.runtime.shutdown_background();
        }
    }
}

fn results(results: Option<Results>) -> &'static str {
    results.map_or("unfinished", Results::name)
}

async fn start(
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    database: Option<Database>,
) -> (Store, Bus, MasterHandle, PluginRegistry) {
    let config_path = dir.join("toolpost.toml");
    let sources = load(&config_path).expect("the configuration is there");
    let bus = Bus::new(BUS_CAPACITY_EVENTS);
    let on_commit = bus.clone();
    let file = format!("sqlite:{}", dir.join("farm.db").display());
    let mut options = StoreOptions::new(file, dir.join("objects"))
        .on_commit(move |events| on_commit.publish(events));
    if let Some(database) = database {
        options.url = database.url;
        options.connections_max = database.connections_max;
        options.log_buffer_bytes = LOG_PIECE_BYTES;
    }
    let store = Store::open(options).await.expect("the store opens");
    let sandbox = Sandbox::new(SandboxOptions::default()).expect("a sandbox");
    let uses = Arc::new(RunningUses::default());
    let observer = bus.clone();
    let options = RegistryOptions {
        native_types: NativeCatalog::all(),
        observer: Arc::new(move |event| observer.publish(&[Event::Plugin(event.plugin.clone())])),
        ..RegistryOptions::new(dir.join("plugins"))
    };
    let registry = PluginRegistry::open(options, sandbox, Arc::new(Forgetful), uses.clone())
        .await
        .expect("the registry opens");
    let catalog = Arc::new(Types(registry.clone()));
    let config = match check(&sources, catalog.as_ref()) {
        Ok(config) => config,
        Err(problems) => panic!("the configuration of the test is not good:\n{problems}"),
    };
    let worker_port = WorkerPort::open(&config.worker_port)
        .await
        .expect("the port of workers is free");
    let deps = MasterDeps {
        store: store.clone(),
        bus: bus.clone(),
        registry: registry.clone(),
        uses,
        catalog,
        settings: config.master.as_ref().clone(),
        worker_port,
        config_path,
        clock,
    };
    let master = Master::start(deps, config, sources)
        .await
        .expect("the master starts");
    registry.watch();
    (store, bus, master, registry)
}

struct Types(PluginRegistry);

impl TypeCatalog for Types {
    fn names(&self, kind: PluginKind) -> Vec<String> {
        let mut names = NativeCatalog.names(kind);
        names.extend(self.0.snapshot().names(kind));
        names
    }

    fn parameters_schema(&self, kind: PluginKind, type_name: &str) -> Option<Arc<Value>> {
        NativeCatalog
            .parameters_schema(kind, type_name)
            .or_else(|| self.0.schema(kind, type_name))
    }
}

/// A memory for plugins that lasts as long as the process.
struct Forgetful;

#[async_trait]
impl RegistryStore for Forgetful {
    async fn record_version(&self, _: VersionRecord, _: Bytes) -> Result<(), RecordError> {
        Ok(())
    }

    async fn record_event(&self, _: &RegistryEvent) -> Result<(), RecordError> {
        Ok(())
    }

    async fn last_good(&self) -> Result<Vec<LastGood>, RecordError> {
        Ok(Vec::new())
    }

    async fn component(&self, _: &str) -> Result<Option<Bytes>, RecordError> {
        Ok(None)
    }

    async fn rolled_back(&self) -> Result<Vec<String>, RecordError> {
        Ok(Vec::new())
    }
}
