//! A farm for tests and for looking at pages: a real store in a directory of its own, filled by a few words, behind the
//! real router.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::allow_attributes,
    reason = "each of the programs that include this file uses a part of it"
)]

mod ask;
mod control;
pub mod samples;
mod specs;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;

use serde_json::json;
use tempfile::TempDir;
use toolpost_bus::Bus;
use toolpost_core::model::{Build, SourceStampSpec};
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, ChangeId, LogId, MasterId, Properties, RequestId, StepId,
    Timestamp, WorkerId,
};
use toolpost_store::{
    ConfiguredBuilder, ConfiguredIds, ConfiguredNames, ConfiguredProject, ConfiguredWorker,
    NewBuildset, NewChange, NewStep, StartBuild, Store, StoreOptions,
};
use toolpost_web::{WebOptions, WebState, router};

pub use ask::{Answer, Asker};
pub use control::Scripted;
use specs::LogSpec;
pub use specs::{BuildSpec, StepSpec, build, step};

/// When the tests take place: 2025-11-23 20:17:16 UTC.
pub const NOW: Timestamp = Timestamp(1_763_929_036_000);

/// Why a test's own preparation failed.
const PREPARED: &str = "the farm could be prepared";

/// A farm with two builders and two workers.
pub struct TestFarm {
    pub store: Store,
    pub bus: Bus,
    pub master: Arc<Scripted>,
    pub router: Router,
    pub master_id: MasterId,
    pub ids: ConfiguredIds,
    names: ConfiguredNames,
    clock: Arc<AtomicI64>,
    dir: TempDir,
}

/// A configuration in which each builder may use each worker.
pub fn names(builders: &[(&str, &[&str])], workers: &[&str]) -> ConfiguredNames {
    let builder = |(name, tags): &(&str, &[&str])| ConfiguredBuilder {
        name: (*name).into(),
        description: (*name == "unit").then(|| "Compiles and tests the crate.".into()),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        project: None,
    };
    let all: Vec<String> = builders
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let worker = |name: &&str| ConfiguredWorker {
        name: (*name).into(),
        builders: all.clone(),
    };
    ConfiguredNames {
        projects: Vec::new(),
        builders: builders.iter().map(builder).collect(),
        workers: workers.iter().map(worker).collect(),
        schedulers: vec!["on-push".into(), "force".into()],
        change_sources: vec!["hello".into()],
    }
}

impl TestFarm {
    /// A farm with builders `unit` and `docs` and workers `local` and `spare`, of which the first is connected.
    pub async fn new() -> Self {
        Self::with(&[("unit", &["fast"]), ("docs", &[])]).await
    }

    /// The URL of its database.
    pub fn database(&self) -> String {
        format!("sqlite:{}", self.dir.path().join("farm.db").display())
    }

    /// A farm with these builders and their tags.
    pub async fn with(builders: &[(&str, &[&str])]) -> Self {
        let options = WebOptions {
            event_clients_max: 8,
            ..WebOptions::default()
        };
        Self::with_options(builders, options).await
    }

    /// The same, with a web server of these options; its clock is the farm's.
    pub async fn with_options(builders: &[(&str, &[&str])], web: WebOptions) -> Self {
        Self::of(builders, &["local", "spare"], web).await
    }

    /// A farm with these builders and workers, of which `local` is connected.
    pub async fn of(builders: &[(&str, &[&str])], workers: &[&str], web: WebOptions) -> Self {
        let dir = TempDir::new().expect(PREPARED);
        let bus = Bus::default();
        let publisher = bus.clone();
        let url = format!("sqlite:{}", dir.path().join("farm.db").display());
        let options = StoreOptions::new(url, dir.path().join("objects"))
            .on_commit(move |events| publisher.publish(events));
        let store = Store::open(options).await.expect(PREPARED);
        let master_id = store.register_master("alpha", NOW).await.expect(PREPARED);
        let names = names(builders, workers);
        let ids = store
            .sync_configuration(master_id, names.clone(), NOW)
            .await
            .expect(PREPARED);
        let info = [("system", json!("linux")), ("version", json!("0.1.0"))]
            .map(|(name, value)| (name.to_owned(), value));
        store
            .set_worker_connected(
                ids.workers["local"],
                master_id,
                true,
                Some(info.into()),
                NOW,
            )
            .await
            .expect(PREPARED);
        let master = Arc::new(Scripted::new(NOW));
        let clock = Arc::new(AtomicI64::new(NOW.0));
        let time = clock.clone();
        let router = router(WebState {
            store: store.clone(),
            bus: bus.clone(),
            master: master.clone(),
            options: WebOptions {
                clock: Arc::new(move || Timestamp(time.load(Ordering::Relaxed))),
                ..web
            },
        });
        Self {
            store,
            bus,
            master,
            router,
            master_id,
            ids,
            names,
            clock,
            dir,
        }
    }

    /// Puts a builder into a project.
    pub async fn in_project(&self, builder: &str, project: &str) {
        let mut names = self.names.clone();
        names.projects.push(ConfiguredProject {
            name: project.into(),
            ..ConfiguredProject::default()
        });
        let mut builders = names.builders.iter_mut();
        let found = builders.find(|known| known.name == builder);
        found.expect(PREPARED).project = Some(project.into());
        let synced = self.store.sync_configuration(self.master_id, names, NOW);
        synced.await.expect(PREPARED);
    }

    pub fn builder(&self, name: &str) -> BuilderId {
        self.ids.builders[name]
    }

    pub fn worker(&self, name: &str) -> WorkerId {
        self.ids.workers[name]
    }

    /// A change on `main`.
    pub async fn change(&self, comments: &str, revision: &str) -> ChangeId {
        let mut properties = Properties::new();
        properties.set("event", "push", "Change");
        let change = NewChange {
            author: "Ada Lovelace <ada@example.org>".into(),
            committer: None,
            comments: comments.into(),
            files: vec!["src/lib.rs".into(), "README.md".into()],
            branch: Some("main".into()),
            revision: Some(revision.into()),
            revlink: Some(format!("https://example.org/hello/commit/{revision}")),
            repository: "https://example.org/hello.git".into(),
            project: "hello".into(),
            when: Timestamp(NOW.0 - 7_200_000),
            properties,
            ..NewChange::default()
        };
        let added = self
            .store
            .add_changes("hello", vec![change], None, NOW)
            .await;
        added.expect(PREPARED)[0]
    }

    /// A request that waits.
    pub async fn request(&self, spec: &BuildSpec) -> (BuildsetId, RequestId) {
        let builder = self.builder(spec.builder);
        let at = Timestamp(NOW.0 - spec.ago_ms);
        let mut properties = Properties::new();
        properties.set("scheduler", "on-push", "Scheduler");
        let sourcestamps = if spec.changes.is_empty() {
            vec![SourceStampSpec {
                repository: "https://example.org/hello.git".into(),
                branch: Some("main".into()),
                project: "hello".into(),
                ..SourceStampSpec::default()
            }]
        } else {
            Vec::new()
        };
        let new = NewBuildset {
            reason: spec.reason.clone(),
            scheduler: self.ids.schedulers.get("on-push").copied(),
            sourcestamps,
            patches: spec
                .patch
                .iter()
                .map(|patch| (String::new(), patch.clone()))
                .collect(),
            changes: spec.changes.clone(),
            properties,
            builders: vec![builder],
            ..NewBuildset::default()
        };
        let added = self.store.add_buildset(new, at).await.expect(PREPARED);
        (added.id, added.requests[&builder])
    }

    /// A build with its steps and logs.
    pub async fn build(&self, spec: BuildSpec) -> Build {
        let (_, request) = self.request(&spec).await;
        let mut at = Timestamp(NOW.0 - spec.ago_ms);
        let start = StartBuild {
            master: self.master_id,
            builder: self.builder(spec.builder),
            worker: self.worker(spec.worker),
            requests: vec![request],
            properties: spec.properties,
        };
        let build = self
            .store
            .start_build(start, at)
            .await
            .expect(PREPARED)
            .expect(PREPARED);
        for step in spec.steps {
            at = self.step(build.id, step, at).await.1;
        }
        match spec.results {
            Some(results) => {
                self.store
                    .finish_build(build.id, results, spec.state, at)
                    .await
                    .expect(PREPARED);
                self.master.said().ended.push(build.id);
            }
            None => {
                self.store
                    .set_build_state(build.id, spec.state)
                    .await
                    .expect(PREPARED);
                self.master.said().running.push(build.id);
            }
        }
        self.store.get::<Build>(build.id).await.expect(PREPARED)
    }

    /// A step; gives when it ended.
    pub async fn step(&self, build: BuildId, spec: StepSpec, at: Timestamp) -> (StepId, Timestamp) {
        let new = NewStep {
            name: spec.name.into(),
            plugin_digest: spec.plugin,
        };
        let step = self.store.add_step(build, new).await.expect(PREPARED);
        self.store
            .start_step(step, at, Some(at))
            .await
            .expect(PREPARED);
        if let Some((name, url)) = spec.url {
            self.store
                .add_step_url(step, name, url)
                .await
                .expect(PREPARED);
        }
        for log in spec.logs {
            self.log(step, log, spec.results.is_some()).await;
        }
        let end = Timestamp(at.0 + spec.takes_ms);
        match spec.results {
            Some(results) => {
                let finished =
                    self.store
                        .finish_step(step, results, spec.state, spec.hidden, None, end);
                finished.await.expect(PREPARED);
            }
            None => self
                .store
                .set_step_state(step, spec.state)
                .await
                .expect(PREPARED),
        }
        (step, end)
    }

    /// A log; an unfinished one stays open.
    async fn log(&self, step: StepId, spec: LogSpec, finished: bool) -> LogId {
        let log_type = spec.log_type;
        let log = self
            .store
            .add_log(step, spec.name, log_type)
            .await
            .expect(PREPARED);
        let mut writer = self.store.log_writer(log, log_type);
        for (stream, text) in spec.lines {
            writer.append(stream, text.as_bytes()).await;
        }
        writer.flush().await;
        if finished {
            writer.finish(NOW).await.expect(PREPARED);
        }
        log
    }

    /// The web server of another master over the same database.
    pub fn other_master(&self) -> Router {
        let time = self.clock.clone();
        router(WebState {
            store: self.store.clone(),
            bus: Bus::default(),
            master: self.master.clone(),
            options: WebOptions {
                clock: Arc::new(move || Timestamp(time.load(Ordering::Relaxed))),
                database_is_shared: true,
                ..WebOptions::default()
            },
        })
    }

    /// Lets time pass on the pages.
    pub fn later(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    /// The time on the pages.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::Relaxed))
    }
}

impl Asker for Router {
    fn router(&self) -> &Router {
        self
    }
}

impl Asker for TestFarm {
    fn router(&self) -> &Router {
        &self.router
    }
}
