//! A small farm to test on.

use toolpost_core::model::{Build, LogType, SourceStampSpec};
use toolpost_core::{
    BuildId, BuilderId, LogId, MasterId, Properties, RequestId, StepId, Timestamp, WorkerId,
};

use super::backend::TestDb;
use crate::{
    AddedBuildset, ConfiguredBuilder, ConfiguredIds, ConfiguredNames, ConfiguredWorker,
    NewBuildset, NewStep, StartBuild, Store,
};

/// So many seconds after the beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// Builders `a` and `b` on worker `w`, of one master.
pub(crate) struct Farm {
    pub(crate) store: Store,
    pub(crate) master: MasterId,
    pub(crate) ids: ConfiguredIds,
}

/// The names that [`Farm::on`] configures.
pub(crate) fn names() -> ConfiguredNames {
    let builder = |name: &str| ConfiguredBuilder {
        name: name.to_owned(),
        ..ConfiguredBuilder::default()
    };
    ConfiguredNames {
        projects: Vec::new(),
        builders: vec![builder("a"), builder("b")],
        workers: vec![ConfiguredWorker {
            name: "w".to_owned(),
            builders: vec!["a".to_owned(), "b".to_owned()],
        }],
        schedulers: vec!["s".to_owned()],
        change_sources: vec!["c".to_owned()],
    }
}

impl Farm {
    pub(crate) async fn on(db: &TestDb) -> Self {
        Self::with(db.open().await).await
    }

    pub(crate) async fn with(store: Store) -> Self {
        let master = store.register_master("m", at(0)).await.unwrap();
        let ids = store
            .sync_configuration(master, names(), at(0))
            .await
            .unwrap();
        Self { store, master, ids }
    }

    pub(crate) fn builder(&self, name: &str) -> BuilderId {
        self.ids.builders[name]
    }

    pub(crate) fn worker(&self) -> WorkerId {
        self.ids.workers["w"]
    }

    /// A build set for these builders, made at this second.
    pub(crate) async fn buildset(&self, builders: &[&str], second: i64) -> AddedBuildset {
        self.add(
            NewBuildset {
                builders: builders.iter().map(|name| self.builder(name)).collect(),
                ..buildset()
            },
            second,
        )
        .await
    }

    pub(crate) async fn add(&self, new: NewBuildset, second: i64) -> AddedBuildset {
        self.store.add_buildset(new, at(second)).await.unwrap()
    }

    /// A request for one builder, made at this second.
    pub(crate) async fn request(&self, builder: &str, second: i64) -> RequestId {
        self.buildset(&[builder], second).await.requests[&self.builder(builder)]
    }

    /// Starts a build of builder `a` for these requests.
    pub(crate) async fn start(&self, requests: &[RequestId], second: i64) -> Option<Build> {
        self.store
            .start_build(self.to_start(requests), at(second))
            .await
            .unwrap()
    }

    pub(crate) fn to_start(&self, requests: &[RequestId]) -> StartBuild {
        StartBuild {
            master: self.master,
            builder: self.builder("a"),
            worker: self.worker(),
            requests: requests.to_vec(),
            properties: Properties::new(),
        }
    }

    /// A running build of builder `a`.
    pub(crate) async fn running(&self) -> BuildId {
        let request = self.request("a", 1).await;
        self.start(&[request], 2).await.unwrap().id
    }

    pub(crate) async fn step(&self, build: BuildId, name: &str) -> StepId {
        let step = NewStep {
            name: name.to_owned(),
            plugin_digest: None,
        };
        self.store.add_step(build, step).await.unwrap()
    }

    /// An open log of a new step of a running build.
    pub(crate) async fn log(&self, log_type: LogType) -> LogId {
        let build = self.running().await;
        let step = self.step(build, "shell").await;
        self.store.add_log(step, "stdio", log_type).await.unwrap()
    }
}

/// A build set for nobody of one source stamp.
pub(crate) fn buildset() -> NewBuildset {
    NewBuildset {
        reason: "because".to_owned(),
        sourcestamps: vec![stamp("main", "r1")],
        ..NewBuildset::default()
    }
}

pub(crate) fn stamp(branch: &str, revision: &str) -> SourceStampSpec {
    SourceStampSpec {
        repository: "repo".to_owned(),
        branch: Some(branch.to_owned()),
        revision: Some(revision.to_owned()),
        ..SourceStampSpec::default()
    }
}
