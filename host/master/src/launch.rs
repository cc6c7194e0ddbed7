//! From a decision to a running build: claim in the store, properties, plugin versions, task.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use toolpost_config::config::BuilderConfig;
use toolpost_core::locks::Holder;
use toolpost_core::model::{Build, Buildset};
use toolpost_core::{BuilderId, BuildsetId, Properties, RequestId, WorkerId};
use toolpost_sandbox::registry::Pins;
use toolpost_store::{StartBuild, StoreError};
use tracing::warn;

use crate::build::logs::LogRules;
use crate::build::plugin::{PinnedStep, limits};
use crate::build::{BuildContext, BuildParts, BuildRunner, StepPlan};
use crate::builds::RunningBuild;
use crate::engine::{Engine, Running};
use crate::properties::{Origin, build_properties};
use crate::steps::NativeCatalog;
use crate::worker::ConnectedWorker;

/// Requests to stop that a build takes in at one time.
const STOPS_QUEUED_MAX: usize = 4;

/// A build that is about to start. Its locks are held.
pub(crate) struct Launch {
    pub(crate) builder_id: BuilderId,
    pub(crate) builder: Arc<BuilderConfig>,
    pub(crate) worker_id: WorkerId,
    pub(crate) worker: ConnectedWorker,
    /// The main request first.
    pub(crate) requests: Vec<RequestId>,
    /// Build set of the main request.
    pub(crate) buildset: BuildsetId,
    /// The build's number among the holders of locks.
    pub(crate) holder: u64,
}

/// A claimed build with what its task needs.
struct Claimed {
    build: Build,
    buildset: Buildset,
    properties: Properties,
    problem: Option<String>,
}

/// Starts a build; `false` when somebody else has one of its requests, or the store failed.
pub(crate) async fn launch(engine: &Arc<Engine>, running: &Running, launch: Launch) -> bool {
    let holder = Holder::build(launch.holder);
    match claim(engine, &launch).await {
        Ok(Some(claimed)) => {
            spawn(engine, running, launch, claimed);
            return true;
        }
        Ok(None) => {}
        Err(error) => {
            let request = launch.requests.first().copied().unwrap_or(RequestId(0));
            warn!(request.id = %request, "request {request} was not started: {error}");
        }
    }
    engine.locks.release(holder);
    false
}

async fn claim(engine: &Engine, launch: &Launch) -> Result<Option<Claimed>, StoreError> {
    let store = &engine.store;
    let (buildset, requested, changes) = futures::try_join!(
        store.get::<Buildset>(launch.buildset.0),
        store.buildset_properties(launch.buildset),
        store.changes_of_buildset(launch.buildset),
    )?;
    let (properties, problem) = build_properties(&Origin {
        builder_id: launch.builder_id,
        builder: &launch.builder,
        worker: &launch.worker.config,
        worker_dir: &launch.worker.link.base_dir(),
        buildset: &buildset,
        requested: &requested,
        changes: &changes,
    });
    let start = StartBuild {
        master: engine.master_id,
        builder: launch.builder_id,
        worker: launch.worker_id,
        requests: launch.requests.clone(),
        properties: properties.clone(),
    };
    let started = store.start_build(start, engine.clock.now()).await?;
    Ok(started.map(|build| Claimed {
        build,
        buildset,
        properties,
        problem,
    }))
}

fn spawn(engine: &Arc<Engine>, running: &Running, launch: Launch, claimed: Claimed) {
    let Claimed {
        build,
        buildset,
        mut properties,
        problem,
    } = claimed;
    properties.set("buildnumber", build.number, "Build");
    let id = build.id;
    let url = format!("{}builds/{id}", running.config.master.url);
    let (steps, pins) = plan(engine, running, &launch.builder);
    let (stops, stopped) = mpsc::channel(STOPS_QUEUED_MAX);
    let running_build = RunningBuild {
        builder: launch.builder_id,
        worker: launch.worker_id,
        request: build.request_id,
        stops,
    };
    engine.builds.started(id, running_build, engine.clock.now());
    let parts = BuildParts {
        store: engine.store.clone(),
        clock: Arc::clone(&engine.clock),
        build,
        builder: launch.builder,
        worker_name: launch.worker.config.name.clone(),
        worker: launch.worker.link,
        reason: buildset.reason,
        sources: buildset
            .sourcestamps
            .into_iter()
            .map(|stamp| stamp.spec)
            .collect(),
        url,
        log_rules: LogRules {
            bytes_max: running.config.master.limits.log_bytes_max,
            encoding: encoding_rs::UTF_8,
        },
    };
    let runner = BuildRunner {
        build: Arc::new(BuildContext::new(parts, properties)),
        steps,
        locks: Arc::clone(&engine.locks),
        holder: launch.holder,
        problem,
        stops: stopped,
        abandon: engine.abandon.clone(),
        shown: String::new(),
    };
    let engine = Arc::clone(engine);
    engine.build_tasks.clone().spawn(async move {
        let results = runner.run().await;
        drop(pins);
        engine.builds.ended(id, results, engine.clock.now());
        engine.distribute.notify_one();
    });
}

/// The steps of a build, each with the plugin version that is live now. The pins keep these versions for as long as
/// the build runs.
fn plan(engine: &Engine, running: &Running, builder: &BuilderConfig) -> (Vec<StepPlan>, Pins) {
    let types = builder.steps.iter().map(|step| step.step_type.as_str());
    let pins = engine
        .registry
        .pin(types.filter(|name| !NativeCatalog::has(name)));
    let mut by_plugin = HashMap::new();
    let steps = builder.steps.iter().map(|step| {
        let pinned = pins.step_type(&step.step_type).map(|step_type| {
            let plugin = step_type.plugin().name().to_owned();
            let limits = by_plugin.entry(plugin).or_insert_with_key(|plugin| {
                limits(running.config.plugins.get(plugin).map(AsRef::as_ref))
            });
            PinnedStep {
                step_type: Arc::clone(step_type),
                limits: limits.clone(),
            }
        });
        StepPlan {
            config: Arc::clone(step),
            pinned,
        }
    });
    (steps.collect(), pins)
}
