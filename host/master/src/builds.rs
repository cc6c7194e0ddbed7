//! The builds that run on this master now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use toolpost_core::backoff::Backoff;
use toolpost_core::circle::Waits;
use toolpost_core::step::Stop;
use toolpost_core::{BuildId, BuilderId, RequestId, Results, Timestamp, WorkerId};

/// Waits before a request runs again whose build asked for that: from the first to the longest.
const RETRY_WAIT_MIN: Duration = Duration::from_secs(1);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(300);

/// A build that runs.
pub(crate) struct RunningBuild {
    pub(crate) builder: BuilderId,
    pub(crate) worker: WorkerId,
    pub(crate) request: RequestId,
    /// By which its locks are known.
    pub(crate) holder: u64,
    /// Names of its steps, in their order in the configuration.
    pub(crate) steps: Vec<String>,
    pub(crate) stops: mpsc::Sender<Stop>,
}

/// What runs, what ran last, and what is to wait before it runs again. Only of this process: a new one
/// starts with nothing and loses nothing but a little fairness.
pub(crate) struct BuildTable {
    inner: Mutex<Inner>,
    running: watch::Sender<usize>,
    /// Builds that wait for ever, with the reason.
    hopeless: watch::Sender<Hopeless>,
}

/// Builds that wait for builds that wait for them, with the reason why that does not end.
pub(crate) type Hopeless = Arc<BTreeMap<BuildId, String>>;

#[derive(Default)]
struct Inner {
    builds: HashMap<BuildId, RunningBuild>,
    /// Builds that wait for others and take no place meanwhile, with the requests that each of their waits is for.
    lent: HashMap<BuildId, BTreeMap<u64, Vec<RequestId>>>,
    waits_begun: u64,
    /// When a builder last got a worker.
    served_at: HashMap<BuilderId, Timestamp>,
    /// When a worker's last build ended.
    idle_since: HashMap<WorkerId, Timestamp>,
    retries: HashMap<RequestId, Retry>,
}

struct Retry {
    backoff: Backoff,
    not_before: Timestamp,
}

impl Default for BuildTable {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            running: watch::Sender::new(0),
            hopeless: watch::Sender::default(),
        }
    }
}

impl BuildTable {
    pub(crate) fn started(&self, id: BuildId, build: RunningBuild, now: Timestamp) {
        let mut inner = self.inner();
        inner.served_at.insert(build.builder, now);
        inner.builds.insert(id, build);
        self.running.send_replace(inner.builds.len());
    }

    pub(crate) fn ended(&self, id: BuildId, results: Option<Results>, now: Timestamp) {
        let mut inner = self.inner();
        inner.lent.remove(&id);
        if let Some(build) = inner.builds.remove(&id) {
            inner.idle_since.insert(build.worker, now);
            if results == Some(Results::Retry) {
                let retry = inner.retries.entry(build.request).or_insert_with(|| Retry {
                    backoff: Backoff::new(RETRY_WAIT_MIN, RETRY_WAIT_MAX).with_jitter(0.0),
                    not_before: now,
                });
                retry.not_before = now.after(retry.backoff.next_wait(0.0));
            } else {
                inner.retries.remove(&build.request);
            }
        }
        self.running.send_replace(inner.builds.len());
    }

    /// Whether a request may run now. One whose builds keep asking to be run again waits longer each time.
    pub(crate) fn may_run(&self, request: RequestId, now: Timestamp) -> bool {
        let inner = self.inner();
        inner
            .retries
            .get(&request)
            .is_none_or(|retry| retry.not_before <= now)
    }

    /// When a request may run whose builds have asked to be run again; `None` when it need not wait for that.
    pub(crate) fn retry_at(&self, request: RequestId) -> Option<Timestamp> {
        let inner = self.inner();
        inner.retries.get(&request).map(|retry| retry.not_before)
    }

    /// When the first of the requests that wait may run.
    pub(crate) fn next_retry_at(&self, now: Timestamp) -> Option<Timestamp> {
        let inner = self.inner();
        let waiting = inner.retries.values().map(|retry| retry.not_before);
        waiting.filter(|at| *at > now).min()
    }

    /// Lets others have the place of a build that waits for these requests: neither its worker nor the master counts it.
    /// Gives what takes the place back.
    pub(crate) fn lend_place(&self, id: BuildId, requests: Vec<RequestId>) -> u64 {
        let mut inner = self.inner();
        inner.waits_begun += 1;
        let wait = inner.waits_begun;
        if inner.builds.contains_key(&id) {
            inner.lent.entry(id).or_default().insert(wait, requests);
        }
        wait
    }

    /// Takes the place back.
    pub(crate) fn take_back_place(&self, id: BuildId, wait: u64) {
        let mut inner = self.inner();
        if let Some(waits) = inner.lent.get_mut(&id) {
            waits.remove(&wait);
            if waits.is_empty() {
                inner.lent.remove(&id);
            }
        }
    }

    /// Who waits for whom, as far as builds run; nobody when no build waits for others.
    pub(crate) fn waits(&self) -> Option<Waits> {
        let inner = self.inner();
        if inner.lent.is_empty() {
            return None;
        }
        let builds = inner.lent.iter().map(|(id, waits)| {
            let requests = waits.values().flatten().copied();
            (*id, requests.collect())
        });
        let running = inner.builds.iter().map(|(id, build)| (build.request, *id));
        Some(Waits {
            builds: builds.collect(),
            running: running.collect(),
            blocked: BTreeMap::new(),
        })
    }

    /// The builds of a builder.
    pub(crate) fn of_builder(&self, builder: BuilderId) -> BTreeSet<BuildId> {
        self.ids(|build| build.builder == builder)
    }

    /// The builds that are known to the lock table by these numbers.
    pub(crate) fn of_holders(&self, holders: &BTreeSet<u64>) -> BTreeSet<BuildId> {
        self.ids(|build| holders.contains(&build.holder))
    }

    /// The builds on a worker, those included that wait for others.
    pub(crate) fn on_worker(&self, worker: WorkerId) -> BTreeSet<BuildId> {
        self.ids(|build| build.worker == worker)
    }

    /// The build that is known to the lock table by this number, its builder, and the name of its step.
    pub(crate) fn of_holder(
        &self,
        holder: u64,
        step: Option<u32>,
    ) -> Option<(BuildId, BuilderId, Option<String>)> {
        let inner = self.inner();
        let (id, build) = inner
            .builds
            .iter()
            .find(|(_, build)| build.holder == holder)?;
        let step = step.map(|at| {
            let name = usize::try_from(at).ok().and_then(|at| build.steps.get(at));
            name.cloned().unwrap_or_else(|| format!("step {at}"))
        });
        Some((*id, build.builder, step))
    }

    fn ids(&self, is_it: impl Fn(&RunningBuild) -> bool) -> BTreeSet<BuildId> {
        let inner = self.inner();
        let builds = inner.builds.iter().filter(|(_, build)| is_it(build));
        builds.map(|(id, _)| *id).collect()
    }

    /// From now on these are the builds that wait for ever. Gives those that were not known to.
    pub(crate) fn set_hopeless(
        &self,
        hopeless: BTreeMap<BuildId, String>,
    ) -> Vec<(BuildId, String)> {
        let known = Arc::clone(&self.hopeless.borrow());
        if *known == hopeless {
            return Vec::new();
        }
        let new = hopeless.iter().filter(|(id, _)| !known.contains_key(id));
        let new = new.map(|(id, reason)| (*id, reason.clone())).collect();
        self.hopeless.send_replace(Arc::new(hopeless));
        new
    }

    /// The builds that wait for ever, as that changes.
    pub(crate) fn hopeless(&self) -> watch::Receiver<Hopeless> {
        self.hopeless.subscribe()
    }

    /// How many take a place on their worker.
    pub(crate) fn count_placed(&self) -> usize {
        let inner = self.inner();
        inner.builds.len() - inner.lent.len()
    }

    /// How many run: in all, of a builder, on a worker.
    pub(crate) fn count(&self) -> usize {
        *self.running.borrow()
    }

    /// Builds by builder and by worker.
    pub(crate) fn load(&self) -> Load {
        let inner = self.inner();
        let mut load = Load {
            served_at: inner.served_at.clone(),
            idle_since: inner.idle_since.clone(),
            ..Load::default()
        };
        for (id, build) in &inner.builds {
            *load.builders.entry(build.builder).or_default() += 1;
            if !inner.lent.contains_key(id) {
                *load.workers.entry(build.worker).or_default() += 1;
            }
        }
        load
    }

    /// The way to stop a build; `None` when it does not run here.
    pub(crate) fn stops_of(&self, id: BuildId) -> Option<mpsc::Sender<Stop>> {
        self.inner()
            .builds
            .get(&id)
            .map(|build| build.stops.clone())
    }

    /// The build that carries out a request.
    pub(crate) fn of_request(&self, request: RequestId) -> Option<BuildId> {
        let inner = self.inner();
        let mut builds = inner.builds.iter();
        builds
            .find(|(_, build)| build.request == request)
            .map(|(id, _)| *id)
    }

    /// The ways to stop all builds.
    pub(crate) fn all_stops(&self) -> Vec<mpsc::Sender<Stop>> {
        let inner = self.inner();
        inner
            .builds
            .values()
            .map(|build| build.stops.clone())
            .collect()
    }

    /// Waits until no build runs.
    pub(crate) async fn idle(&self) {
        // The sender lives as long as `self`.
        let _ = self.running.subscribe().wait_for(|count| *count == 0).await;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How busy builders and workers are.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) builders: HashMap<BuilderId, u32>,
    pub(crate) workers: HashMap<WorkerId, u32>,
    pub(crate) served_at: HashMap<BuilderId, Timestamp>,
    pub(crate) idle_since: HashMap<WorkerId, Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_keeps_asking_for_another_try_waits_longer_each_time() {
        let table = BuildTable::default();
        let mut now = Timestamp(0);
        let mut waits = Vec::new();
        for attempt in 0..4 {
            let (stops, _) = mpsc::channel(1);
            let build = RunningBuild {
                builder: BuilderId(1),
                worker: WorkerId(1),
                request: RequestId(7),
                holder: 0,
                steps: Vec::new(),
                stops,
            };
            table.started(BuildId(attempt), build, now);
            table.ended(BuildId(attempt), Some(Results::Retry), now);
            assert!(!table.may_run(RequestId(7), now));
            assert!(table.may_run(RequestId(8), now));
            let at = table.next_retry_at(now).unwrap();
            waits.push(at.since(now).as_secs());
            now = at;
            assert!(table.may_run(RequestId(7), now));
        }
        assert_eq!(waits, [1, 2, 4, 8]);
        assert_eq!(table.count(), 0);
    }

    #[test]
    fn a_build_that_waits_for_others_takes_no_place_on_its_worker() {
        let table = BuildTable::default();
        let (stops, _) = mpsc::channel(1);
        let build = RunningBuild {
            builder: BuilderId(1),
            worker: WorkerId(1),
            request: RequestId(7),
            holder: 0,
            steps: Vec::new(),
            stops,
        };
        table.started(BuildId(3), build, Timestamp(0));
        let places = |table: &BuildTable| {
            let load = table.load();
            let of_worker = load.workers.get(&WorkerId(1)).copied().unwrap_or(0);
            (
                load.builders[&BuilderId(1)],
                of_worker,
                table.count_placed(),
            )
        };
        assert_eq!(places(&table), (1, 1, 1));
        // Two of its waits overlap.
        let lend = || table.lend_place(BuildId(3), vec![RequestId(8)]);
        let (first, second) = (lend(), lend());
        assert_eq!(places(&table), (1, 0, 0));
        table.take_back_place(BuildId(3), first);
        assert_eq!(places(&table), (1, 0, 0));
        table.take_back_place(BuildId(3), second);
        assert_eq!(places(&table), (1, 1, 1));
        let third = lend();
        table.ended(BuildId(3), Some(Results::Success), Timestamp(0));
        table.take_back_place(BuildId(3), third);
        assert_eq!(table.count_placed(), 0);
        // One that ended already has nothing to lend.
        lend();
        assert_eq!(table.count_placed(), 0);
    }
}
