//! From a decision to a running build: claim in the store, properties, plugin versions, task.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::mpsc;
use toolpost_config::config::{BuilderConfig, StepConfig, UploadLimits};
use toolpost_core::locks::Holder;
use toolpost_core::model::{Build, Buildset};
use toolpost_core::{BuilderId, BuildsetId, Properties, RequestId, WorkerId};
use toolpost_sandbox::CallLimits;
use toolpost_sandbox::registry::Pins;
use toolpost_store::{StartBuild, StoreError};
use tracing::warn;

use crate::build::farm::EngineFarm;
use crate::build::logs::LogRules;
use crate::build::plugin::{PinnedStep, limits};
use crate::build::{BuildContext, BuildParts, BuildRunner, StepPlan};
use crate::build_dirs::BuildDir;
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
    /// Where it works on the worker.
    pub(crate) dir: BuildDir,
    /// The main request first.
    pub(crate) requests: Vec<RequestId>,
    /// Build set of the main request.
    pub(crate) buildset: BuildsetId,
    /// The build's number among the holders of locks.
    pub(crate) holder: u64,
}

/// What a build starts with, as far as it is known before it is claimed.
struct Prepared {
    buildset: Buildset,
    properties: Properties,
    /// Why the build cannot run.
    problem: Option<String>,
}

/// Starts builds; how many. Those that do not start (somebody else has one of the requests, or the store failed)
/// give their locks back.
pub(crate) async fn launch(
    engine: &Arc<Engine>,
    running: &Running,
    launches: Vec<Launch>,
) -> usize {
    let prepared = join_all(
        launches
            .iter()
            .map(|launch| prepare(engine, running, launch)),
    )
    .await;
    // The claims reach the store in this order, so that the numbers of builds follow it.
    let claims = launches
        .iter()
        .zip(&prepared)
        .map(|(launch, prepared)| claim(engine, launch, prepared));
    let claimed = join_all(claims).await;
    let mut started = 0;
    for ((launch, prepared), claimed) in launches.into_iter().zip(prepared).zip(claimed) {
        match (claimed, prepared) {
            (Ok(Some(build)), Ok(prepared)) => {
                started += 1;
                spawn(engine, running, launch, build, prepared);
            }
            (claimed, prepared) => {
                if let Some(error) = claimed.err().or(prepared.err()) {
                    warn!(builder.name = %launch.builder.name, "a build of `{}` was not started: {error}", launch.builder.name);
                }
                engine.locks.release(Holder::build(launch.holder));
            }
        }
    }
    started
}

async fn prepare(
    engine: &Engine,
    running: &Running,
    launch: &Launch,
) -> Result<Prepared, StoreError> {
    let store = &engine.store;
    let (buildset, requested, changes) = futures::try_join!(
        store.get::<Buildset>(launch.buildset.0),
        store.buildset_properties(launch.buildset),
        store.changes_of_buildset(launch.buildset),
    )?;
    let (properties, problem) = build_properties(&Origin {
        builder_id: launch.builder_id,
        builder: &launch.builder,
        project_id: launch
            .builder
            .project
            .as_ref()
            .and_then(|name| running.ids.projects.get(name).copied()),
        worker: &launch.worker.config,
        worker_dir: &launch.worker.link.base_dir(),
        build_dir: launch.dir.path(),
        worker_texts: &launch.worker.link.properties(),
        buildset: &buildset,
        requested: &requested,
        changes: &changes,
    });
    Ok(Prepared {
        buildset,
        properties,
        problem,
    })
}

/// Claims the requests; `None` when that came too late, or could not be prepared.
async fn claim(
    engine: &Engine,
    launch: &Launch,
    prepared: &Result<Prepared, StoreError>,
) -> Result<Option<Build>, StoreError> {
    let Ok(prepared) = prepared else {
        return Ok(None);
    };
    let start = StartBuild {
        master: engine.master_id,
        builder: launch.builder_id,
        worker: launch.worker_id,
        requests: launch.requests.clone(),
        properties: prepared.properties.clone(),
    };
    engine.store.start_build(start, engine.clock.now()).await
}

fn spawn(
    engine: &Arc<Engine>,
    running: &Running,
    launch: Launch,
    build: Build,
    prepared: Prepared,
) {
    let Prepared {
        buildset,
        mut properties,
        problem,
    } = prepared;
    properties.set("buildnumber", build.number, "Build");
    let id = build.id;
    let url = format!("{}builds/{id}", running.config.master.url);
    let (steps, pins) = plan(engine, running, &launch.builder);
    let (stops, stopped) = mpsc::channel(STOPS_QUEUED_MAX);
    let running_build = RunningBuild {
        builder: launch.builder_id,
        worker: launch.worker_id,
        request: build.request_id,
        holder: launch.holder,
        steps: launch
            .builder
            .steps
            .iter()
            .map(|step| name_of(step))
            .collect(),
        stops,
    };
    engine.builds.started(id, running_build, engine.clock.now());
    let parts = BuildParts {
        // The builds of a builder share their turns, as it shares workers and master with other builders.
        store: engine
            .store
            .of_party(&format!("builder {}", launch.builder_id)),
        clock: Arc::clone(&engine.clock),
        build,
        builder: launch.builder,
        build_dir: launch.dir.path().to_owned(),
        worker_name: launch.worker.config.name.clone(),
        worker: launch.worker.link,
        reason: buildset.reason,
        sources: buildset
            .sourcestamps
            .into_iter()
            .map(|stamp| stamp.spec)
            .collect(),
        url,
        buildset: launch.buildset,
        farm: Arc::new(EngineFarm(Arc::clone(engine))),
        capabilities: Arc::clone(&engine.capabilities),
        log_rules: LogRules {
            bytes_max: running.config.master.limits.log_bytes_max,
            encoding: encoding_rs::UTF_8,
        },
        uploads: running.config.master.limits.uploads,
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
    let (engine, dir) = (Arc::clone(engine), launch.dir);
    engine.build_tasks.clone().spawn(async move {
        let results = runner.run().await;
        drop((pins, dir));
        engine.builds.ended(id, results, engine.clock.now());
        engine.distribute.notify_one();
        engine.fleet.build_ended();
    });
}

/// What a step is called before its build knows more.
fn name_of(step: &StepConfig) -> String {
    let name = step.options.name.as_ref();
    name.unwrap_or(&step.step_type).clone()
}

/// The limits of a step of a plugin, before those of its plugin count.
fn with_uploads(uploads: UploadLimits) -> CallLimits {
    CallLimits {
        artifact_bytes_max: uploads.file_bytes_max,
        artifacts_max: uploads.files_max,
        artifacts_bytes_max: uploads.bytes_max,
        ..CallLimits::default()
    }
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
                limits(
                    with_uploads(running.config.master.limits.uploads),
                    running.config.plugins.get(plugin).map(AsRef::as_ref),
                )
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
