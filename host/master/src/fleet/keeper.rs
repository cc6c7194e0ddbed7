//! Tells workers to end that are to end and are idle, and others of workers that are missing. Reads the store whenever it is
//! woken; what it remembers only spares reads.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use toolpost_bus::{Wake, Woken};
use toolpost_core::model::Worker;
use toolpost_core::{Event, Timestamp, WorkerId};
use toolpost_store::{Filter, Op, Query, ROWS_PER_LIST_MAX, StoreError};
use tracing::warn;

use super::absence::Absence;
use crate::engine::Engine;

/// The price of a lost event is this delay.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// Wait after a failure of the store.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Between two looks: when thousands of workers come, each of them is a reason to look.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// The actor.
pub(crate) struct FleetKeeper {
    engine: Arc<Engine>,
    /// Workers that are looked for.
    watched: HashMap<WorkerId, Watch>,
    /// Those whose absence was told, or will not be; forgotten from time to time, as one of them may have been here and gone
    /// again between two looks.
    settled: BTreeSet<WorkerId>,
    settled_since: Instant,
}

/// What is known of a worker without reading the store.
#[derive(Debug, Clone, Copy)]
struct Watch {
    /// Since when it is looked for.
    since: Timestamp,
    /// How long it may be away.
    timeout: Duration,
    /// It is not missing before this. With the same timeout, this can only come to be later.
    not_before: Timestamp,
}

impl Watch {
    fn new(since: Timestamp, timeout: Duration) -> Self {
        let absence = Absence {
            gone_at: None,
            watched_since: since,
            timeout,
        };
        Self {
            since,
            timeout,
            not_before: absence.earliest(),
        }
    }
}

impl FleetKeeper {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            watched: HashMap::new(),
            settled: BTreeSet::new(),
            settled_since: Instant::now(),
        }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let wanted = |event: &Event| matches!(event, Event::Worker(_) | Event::Configuration);
        let mut wake = Wake::new(self.engine.bus.subscribe(), LOOK_INTERVAL, wanted);
        loop {
            let next_look = match self.look().await {
                Ok(next_look) => next_look,
                Err(error) => {
                    warn!(
                        "workers that leave or are missing cannot be looked for, trying again: {error}"
                    );
                    tokio::time::sleep(RETRY_WAIT).await;
                    continue;
                }
            };
            tokio::time::sleep(LOOK_PAUSE).await;
            let clock = Arc::clone(&self.engine.clock);
            tokio::select! {
                woken = wake.next(None) => match woken {
                    Woken::Closed => return,
                    Woken::Timer | Woken::Signal => {}
                },
                () = self.engine.fleet.rung() => {}
                () = clock.sleep_until_some(next_look) => {}
            }
        }
    }

    /// When the next worker will be missing.
    async fn look(&mut self) -> Result<Option<Timestamp>, StoreError> {
        if self.settled_since.elapsed() >= LOOK_INTERVAL {
            self.settled.clear();
            self.settled_since = Instant::now();
        }
        self.dismiss_idle().await?;
        self.look_for_missing().await
    }

    async fn dismiss_idle(&self) -> Result<(), StoreError> {
        let engine = &self.engine;
        let leaving = engine.store.leaving_workers(engine.master_id).await?;
        engine.fleet.set_leaving(!leaving.is_empty());
        for (id, name) in leaving {
            if engine.builds.on_worker(id).is_empty() {
                engine.dismiss(&name, "it was to end when it is idle");
            }
        }
        Ok(())
    }

    async fn look_for_missing(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let engine = Arc::clone(&self.engine);
        let (running, connected, now) = (
            engine.running(),
            engine.workers.connected(),
            engine.clock.now(),
        );
        let mut away = BTreeMap::new();
        let mut next_look: Option<Timestamp> = None;
        let mut look_at = |at: Timestamp| {
            next_look = Some(next_look.map_or(at, |next| next.min(at)));
        };
        for (name, config) in &running.config.workers {
            let Some(id) = running.ids.workers.get(name) else {
                continue;
            };
            let Some(timeout) = config
                .missing_timeout
                .filter(|_| !connected.contains_key(name))
            else {
                self.settled.remove(id);
                continue;
            };
            let watch = self.watched.entry(*id);
            let watch = watch.or_insert_with(|| Watch::new(now, timeout));
            if watch.timeout != timeout {
                *watch = Watch::new(watch.since, timeout);
            }
            if self.settled.contains(id) {
                continue;
            }
            match watch.not_before > now {
                true => look_at(watch.not_before),
                false => {
                    away.insert(*id, *watch);
                }
            }
        }
        drop(connected);
        let configured: HashSet<&WorkerId> = running.ids.workers.values().collect();
        self.watched.retain(|id, _| configured.contains(id));
        for worker in self.rows(&away).await? {
            let Some(Watch { since, timeout, .. }) = away.get(&worker.id).copied() else {
                continue;
            };
            let absence = Absence {
                gone_at: worker.gone_at,
                watched_since: since,
                timeout,
            };
            let elsewhere = !worker.connected_to.is_empty();
            let at = match elsewhere {
                // Should it go this moment.
                true => now.after(timeout),
                false => absence.missing_at(),
            };
            if !elsewhere && (worker.missing_at.is_some() || worker.dismissed) {
                // Comes up again when it was here.
                self.settled.insert(worker.id);
            } else if at > now {
                if let Some(watch) = self.watched.get_mut(&worker.id) {
                    watch.not_before = at;
                }
                look_at(at);
            } else {
                self.tell_missing(&worker, now).await?;
            }
        }
        Ok(next_look)
    }

    async fn rows(&self, away: &BTreeMap<WorkerId, Watch>) -> Result<Vec<Worker>, StoreError> {
        let mut rows = Vec::with_capacity(away.len());
        let ids: Vec<String> = away.keys().map(ToString::to_string).collect();
        for ids in ids.chunks(ROWS_PER_LIST_MAX as usize) {
            let mut query = Query::new().limit(ROWS_PER_LIST_MAX);
            query.filters.push(Filter {
                field: "workerid".to_owned(),
                op: Op::Eq,
                values: ids.to_vec(),
            });
            rows.extend(self.engine.store.list::<Worker>(&query).await?);
        }
        Ok(rows)
    }

    async fn tell_missing(&mut self, worker: &Worker, now: Timestamp) -> Result<(), StoreError> {
        if self.engine.store.miss_worker(worker.id, now).await? {
            let name = &worker.name;
            let since = match worker.gone_at {
                Some(at) => format!("has been away for {} s", now.since(at).as_secs()),
                None => "has never been here".into(),
            };
            warn!(worker.name = %name, "worker `{name}` is missing: it {since}");
        }
        self.settled.insert(worker.id);
        Ok(())
    }
}
