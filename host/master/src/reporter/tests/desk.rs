//! The desk that the tests sit at: a farm whose reporter delivers by a messenger.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use toolpost_bus::{BUS_CAPACITY_EVENTS, Bus};
use toolpost_config::config::ReporterConfig;
use toolpost_core::journal::JournalKind;
use toolpost_core::report::{
    Delivery, DeliveryStatus, Failure, Reporter, ResultsMode, RetryPolicy, Wants,
};
use toolpost_core::{
    BuildId, BuilderId, MasterId, Properties, ReporterId, Results, Timestamp, WorkerId,
};
use toolpost_store::{
    ConfiguredBuilder, ConfiguredNames, ConfiguredWorker, Made, NewBuildset, NewChange, Query,
    StartBuild, Store, StoreOptions,
};

use super::super::actor::ReporterActor;
use super::super::deliver::{Deliver, Told, Untold};
use crate::actor::Actor;
use crate::clock::{Clock, ManualClock};
use crate::engine::lock;
use crate::status::ReporterStatus;

/// What takes longer than this will never come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const START: Timestamp = Timestamp(1_000_000);

/// A farm of one builder and a reporter, whose actor runs when it is told to.
pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) bus: Bus,
    pub(super) clock: ManualClock,
    pub(super) master: MasterId,
    pub(super) builder: BuilderId,
    pub(super) worker: WorkerId,
    pub(super) reporter: ReporterId,
    pub(super) config: Arc<ReporterConfig>,
    pub(super) messenger: Arc<Messenger>,
    pub(super) closing: CancellationToken,
    pub(super) status: Arc<Mutex<ReporterStatus>>,
    _dir: TempDir,
}

/// Delivers as it is told, and remembers everything.
#[derive(Default)]
pub(super) struct Messenger {
    /// What the next tries come to; success when there is nothing more.
    pub(super) script: Mutex<VecDeque<Outcome>>,
    /// What is never answered, whenever it is tried.
    pub(super) hanging: Mutex<Option<(JournalKind, i64)>>,
    pub(super) tries: Mutex<Vec<Tried>>,
    pub(super) held: Mutex<Option<String>>,
    pub(super) version: Mutex<Option<String>>,
    pub(super) changed: Notify,
}

pub(super) enum Outcome {
    Fails(Failure),
    Crashes,
    NotNow,
    Panics,
    /// Never ends.
    Hangs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) key: String,
    pub(super) what: (JournalKind, i64),
    pub(super) attempt: u32,
}

#[async_trait]
impl Deliver for Messenger {
    fn held(&self) -> Option<String> {
        lock(&self.held).clone()
    }

    fn version(&self) -> Option<String> {
        lock(&self.version).clone()
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Told, Untold> {
        let fact = delivery.entry.fact;
        lock(&self.tries).push(Tried {
            key: delivery.key.clone(),
            what: (fact.kind(), fact.subject()),
            attempt: delivery.attempts + 1,
        });
        self.changed.notify_waiters();
        if *lock(&self.hanging) == Some((fact.kind(), fact.subject())) {
            std::future::pending::<()>().await;
        }
        let next = lock(&self.script).pop_front();
        match next {
            None => Ok(Told {
                made: Made::Delivered,
                text: "201 Created".to_owned(),
            }),
            Some(Outcome::Fails(failure)) => Err(Untold::Failed(failure, "no route".to_owned())),
            Some(Outcome::Crashes) => Err(Untold::Crashed("it panicked".to_owned())),
            Some(Outcome::NotNow) => Err(Untold::NotNow("the master stops".to_owned())),
            Some(Outcome::Panics) => panic!("on purpose"),
            Some(Outcome::Hangs) => std::future::pending().await,
        }
    }
}

impl Messenger {
    pub(super) fn script(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        lock(&self.script).extend(outcomes);
    }

    pub(super) fn tries(&self) -> Vec<Tried> {
        lock(&self.tries).clone()
    }

    pub(super) fn told(&self) -> Vec<(JournalKind, i64)> {
        self.tries().into_iter().map(|tried| tried.what).collect()
    }
}

pub(super) fn everything() -> Wants {
    Wants {
        events: JournalKind::ALL
            .into_iter()
            .filter(|kind| *kind != JournalKind::ChangeAdded)
            .collect(),
        builders: None,
        tags: None,
        schedulers: None,
        branches: None,
        results: [ResultsMode::All].into(),
        silent_about: BTreeSet::new(),
    }
}

pub(super) fn builds_only() -> Wants {
    Wants {
        events: [JournalKind::BuildStarted, JournalKind::BuildFinished].into(),
        ..everything()
    }
}

impl Desk {
    pub(super) async fn wanting(wants: Wants) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bus = Bus::new(BUS_CAPACITY_EVENTS);
        let url = format!("sqlite:{}", dir.path().join("farm.db").display());
        let options = StoreOptions::new(url, dir.path().join("objects")).on_commit({
            let bus = bus.clone();
            move |events| bus.publish(events)
        });
        let store = Store::open(options).await.unwrap();
        let master = store.register_master("m", START).await.unwrap();
        let names = ConfiguredNames {
            builders: vec![ConfiguredBuilder {
                name: "linux".to_owned(),
                tags: vec!["fast".to_owned()],
                ..ConfiguredBuilder::default()
            }],
            workers: vec![ConfiguredWorker {
                name: "w".to_owned(),
                builders: vec!["linux".to_owned()],
            }],
            ..ConfiguredNames::default()
        };
        let ids = store
            .sync_configuration(master, names, START)
            .await
            .unwrap();
        let names = BTreeSet::from(["room".to_owned()]);
        let reporter = store.register_reporters(master, names).await.unwrap()["room"];
        Self {
            clock: ManualClock::new(START),
            master,
            builder: ids.builders["linux"],
            worker: ids.workers["w"],
            reporter,
            config: Arc::new(ReporterConfig {
                name: "room".to_owned(),
                reporter_type: "chat".to_owned(),
                wants,
                retry: RetryPolicy {
                    attempts_max: 3,
                    first_wait: Duration::from_secs(10),
                    longest_wait: Duration::from_secs(60),
                },
                parallel: 2,
                parameters: serde_json::Map::new(),
            }),
            messenger: Arc::default(),
            closing: CancellationToken::new(),
            status: Arc::new(Mutex::new(ReporterStatus::new("room"))),
            store,
            bus,
            _dir: dir,
        }
    }

    pub(super) fn start(&self) -> Actor {
        let body = ReporterActor {
            store: self.store.clone(),
            bus: self.bus.clone(),
            clock: Arc::new(self.clock.clone()),
            master: self.master,
            id: self.reporter,
            config: Arc::clone(&self.config),
            deliver: Arc::clone(&self.messenger) as Arc<dyn Deliver>,
            status: Arc::clone(&self.status),
            closing: self.closing.clone(),
        };
        Actor::spawn("reporter `room`".into(), move || body.clone().run())
    }

    /// A build that ended like this.
    pub(super) async fn build(&self, results: Results) -> BuildId {
        let build = self.running_build().await;
        self.finish(build, results).await;
        build
    }

    pub(super) async fn running_build(&self) -> BuildId {
        let mut properties = Properties::new();
        properties.set("scheduler", "commits", "Scheduler");
        let change = NewChange {
            author: "Jo <jo@example.org>".to_owned(),
            repository: "repo".to_owned(),
            branch: Some("main".to_owned()),
            ..NewChange::default()
        };
        let now = self.clock.now();
        let changes = self
            .store
            .add_changes("poller", vec![change], None, now)
            .await
            .unwrap();
        let new = NewBuildset {
            reason: "because".to_owned(),
            builders: vec![self.builder],
            changes,
            properties,
            ..NewBuildset::default()
        };
        let set = self.store.add_buildset(new, now).await.unwrap();
        let start = StartBuild {
            master: self.master,
            builder: self.builder,
            worker: self.worker,
            requests: set.requests.values().copied().collect(),
            properties: Properties::new(),
        };
        let build = self.store.start_build(start, now).await.unwrap();
        build.expect("nobody else wants the request").id
    }

    pub(super) async fn finish(&self, build: BuildId, results: Results) {
        let now = self.clock.now();
        self.store
            .finish_build(build, results, "done", now)
            .await
            .unwrap();
    }

    /// Waits until there were so many tries.
    pub(super) async fn tries(&self, count: usize) -> Vec<Tried> {
        let enough = async {
            loop {
                let changed = self.messenger.changed.notified();
                let tries = self.messenger.tries();
                if tries.len() >= count {
                    return tries;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, enough)
            .await
            .unwrap_or_else(|_| panic!("only {:?}", self.messenger.tries()))
    }

    /// Waits until the deliveries have these statuses, by id.
    pub(super) async fn statuses(&self, wanted: &[DeliveryStatus]) -> Vec<Delivery> {
        let mut deliveries: Vec<Delivery> = Vec::new();
        let settled = async {
            loop {
                deliveries = self.store.list(&Query::new()).await.unwrap();
                let found: Vec<_> = deliveries.iter().map(|delivery| delivery.status).collect();
                if found == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, settled).await.is_ok();
        assert!(in_time, "{deliveries:#?}");
        deliveries
    }

    /// Waits until this is shown as the reason why nothing is told.
    pub(super) async fn shows(&self, reason: &str) {
        let shown = async {
            while lock(&self.status).held.as_deref() != Some(reason) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, shown).await.is_ok();
        assert!(in_time, "{:?}", lock(&self.status));
    }

    /// Waits until no try runs.
    pub(super) async fn rests(&self) {
        let rests = async {
            while lock(&self.status).running > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, rests).await.is_ok();
        assert!(in_time, "{:?}", lock(&self.status));
    }

    /// Waits until the reporter has nothing more to look at.
    pub(super) async fn caught_up(&self) -> Reporter {
        let caught_up = async {
            loop {
                let reporter: Reporter = self.store.get(self.reporter).await.unwrap();
                if reporter.entries_ahead == 0 {
                    return reporter;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let caught_up = tokio::time::timeout(PATIENCE, caught_up).await;
        caught_up.expect("it reads the journal")
    }
}
