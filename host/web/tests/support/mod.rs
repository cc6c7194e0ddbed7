//! A farm for tests and for looking at pages: a real store in a directory of its own, filled by a few words, behind the
//! real router.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each of the programs that include this file uses a part of it"
)]

pub mod control;
mod specs;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use toolpost_bus::Bus;
use toolpost_core::model::{Build, SourceStampSpec};
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, ChangeId, LogId, MasterId, Properties, RequestId, StepId,
    Timestamp, WorkerId,
};
use toolpost_store::{
    ConfiguredBuilder, ConfiguredIds, ConfiguredNames, ConfiguredWorker, NewBuildset, NewChange,
    NewStep, StartBuild, Store, StoreOptions,
};
use toolpost_web::{WebOptions, WebState, router};
use tower::ServiceExt as _;

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
    clock: Arc<AtomicI64>,
    _dir: TempDir,
}

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// Status and body, for a snapshot.
    pub fn shown(&self) -> String {
        format!("{}\n{}", self.status.as_u16(), self.body.trim_end())
    }

    /// Status and the body as compact JSON that is laid out in lines.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl TestFarm {
    /// A farm with builders `unit` and `docs` and workers `local` and `spare`, of which the first is connected.
    pub async fn new() -> Self {
        Self::with(&[("unit", &["fast"]), ("docs", &[])]).await
    }

    /// A farm with these builders and their tags.
    pub async fn with(builders: &[(&str, &[&str])]) -> Self {
        let dir = TempDir::new().expect(PREPARED);
        let bus = Bus::default();
        let publisher = bus.clone();
        let url = format!("sqlite:{}", dir.path().join("farm.db").display());
        let options = StoreOptions::new(url, dir.path().join("objects"))
            .on_commit(move |events| publisher.publish(events));
        let store = Store::open(options).await.expect(PREPARED);
        let master_id = store.register_master("alpha", NOW).await.expect(PREPARED);
        let names = ConfiguredNames {
            builders: builders
                .iter()
                .map(|(name, tags)| ConfiguredBuilder {
                    name: (*name).into(),
                    description: (*name == "unit").then(|| "Compiles and tests the crate.".into()),
                    tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
                })
                .collect(),
            workers: ["local", "spare"]
                .map(|name| ConfiguredWorker {
                    name: name.into(),
                    builders: builders
                        .iter()
                        .map(|(name, _)| (*name).to_owned())
                        .collect(),
                })
                .into(),
            schedulers: vec!["on-push".into(), "force".into()],
            change_sources: vec!["hello".into()],
        };
        let ids = store
            .sync_configuration(master_id, names, NOW)
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
                event_clients_max: 8,
                ..WebOptions::default()
            },
        });
        Self {
            store,
            bus,
            master,
            router,
            master_id,
            ids,
            clock,
            _dir: dir,
        }
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
                let finished = self
                    .store
                    .finish_step(step, results, spec.state, spec.hidden, end);
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

    /// Lets time pass on the pages.
    pub fn later(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    /// The time on the pages.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::Relaxed))
    }

    /// A request as a program sends it: JSON please.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[("accept", "application/json")]).await
    }

    /// A request as a browser sends it.
    pub async fn page(&self, path: &str) -> Answer {
        self.get_with(path, &[("accept", "text/html")]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, "").await
    }

    /// A call of an action.
    pub async fn call(&self, path: &str, method: &str, params: Value) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, path, &headers, &body.to_string())
            .await
    }

    /// A form as a browser posts it.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", "ci.example"),
            ("origin", "http://ci.example"),
        ];
        self.send(Method::POST, path, &headers, body).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let response = self.open(method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let bytes = body
            .collect()
            .await
            .expect("the body can be read")
            .to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// The answer before its body is read.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> axum::http::Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Body::from(body.to_owned()))
            .expect("a request");
        self.router
            .clone()
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {})
    }
}
