//! Gives pending requests to workers: reads the queue, asks `toolpost_core::distribute`, claims, starts builds.
//!
//! One loop, so that within this master nothing is given away twice; against other masters the store decides.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use toolpost_bus::{Signal, Subscription, Wake, Woken};
use toolpost_core::collapse::{self, CollapseCandidate, CollapsePolicy, RequestedSource};
use toolpost_core::distribute::{Claim, WaitReason, Waiting};
use toolpost_core::locks::{Acquisition, Holder};
use toolpost_core::{BuilderId, BuildsetId, Event, RequestId, WorkerId};
use toolpost_store::{PendingRequest, StoreError};
use tracing::{debug, warn};

use crate::decision::Heads;
use crate::engine::{Engine, Running};
use crate::launch::{Launch, launch};
use crate::queue::Queue;
use crate::status::WaitingBuilder;
use crate::stop::Phase;
use crate::worker::Workers;

/// The price of a lost event is this delay.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Wait after a failure of the store, or a round that other masters won.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Requests of each builder that are looked at in one round.
pub(crate) const HEADS_PER_BUILDER_MAX: u32 = 64;

/// Builds of one builder that are started in one round, so that those of other builders need not wait for a whole crowd of
/// them: the next round follows at once.
const STARTS_PER_BUILDER_MAX: u32 = 8;

/// Requests that one build may carry out.
const COLLAPSED_MAX: u32 = 500;

/// The actor.
pub(crate) struct Distributor {
    engine: Arc<Engine>,
    /// Workers that take no builds, as last read.
    paused: BTreeSet<WorkerId>,
    /// Whether a worker may have been paused or let go on since.
    workers_changed: bool,
    /// Heard before each decision, whatever woke the loop: a worker that was paused before a request was
    /// made does not get it.
    events: Subscription,
    queue: Queue,
}

/// Numbers of builds among the holders of locks. Not row ids: a build takes its locks before it has one.
static NEXT_HOLDER: AtomicU64 = AtomicU64::new(1);

/// What a round came to.
enum Round {
    /// Something was started, and there may be more to start.
    Again,
    /// Nothing more can start now.
    Done,
    /// Nothing of what was planned could be started: other masters were first, or the store fails.
    Lost,
}

/// The builders that have a worker now.
fn able(running: &Running, workers: &Workers) -> BTreeSet<BuilderId> {
    let builders = running.builders.iter();
    builders
        .filter(|(_, builder)| {
            builder
                .workers
                .iter()
                .any(|name| workers.contains_key(name))
        })
        .map(|(id, _)| *id)
        .collect()
}

impl Distributor {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self {
            events: engine.bus.subscribe(),
            engine,
            paused: BTreeSet::new(),
            workers_changed: true,
            queue: Queue::default(),
        }
    }

    /// Starts builds until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut wake = Wake::new(self.engine.bus.subscribe(), LOOK_INTERVAL, |event| {
            matches!(
                event,
                Event::Worker(_)
                    | Event::RequestAdded(..)
                    | Event::RequestUnclaimed(..)
                    | Event::BuildFinished(..)
            )
        });
        loop {
            let next_look = match self.round().await {
                Ok(Round::Again) => continue,
                Ok(Round::Lost) => {
                    tokio::time::sleep(RETRY_WAIT).await;
                    continue;
                }
                Ok(Round::Done) => self.engine.builds.next_retry_at(self.engine.clock.now()),
                Err(error) => {
                    warn!("pending requests cannot be given to workers, trying again: {error}");
                    tokio::time::sleep(RETRY_WAIT).await;
                    continue;
                }
            };
            let clock = Arc::clone(&self.engine.clock);
            let retry = async {
                match next_look {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                woken = wake.next(None) => match woken {
                    Woken::Closed => return,
                    // A lost event may have been that of a worker.
                    Woken::Timer => self.workers_changed = true,
                    Woken::Signal => {}
                },
                () = self.engine.locks.freed() => {}
                () = self.engine.distribute.notified() => {}
                () = retry => {}
                () = self.queue.due() => {}
            }
        }
    }

    async fn round(&mut self) -> Result<Round, StoreError> {
        let engine = Arc::clone(&self.engine);
        let able = able(&engine.running(), &engine.workers.connected());
        let heads = self
            .queue
            .heads(&engine.store, &able, HEADS_PER_BUILDER_MAX)
            .await?;
        let now = engine.clock.now();
        let heads: Vec<PendingRequest> = heads
            .into_iter()
            .filter(|request| engine.builds.may_run(request.id, now))
            .collect();
        if heads.is_empty() {
            engine.waiting().clear();
            engine.builds.set_hopeless(BTreeMap::new());
            return Ok(Round::Done);
        }
        // After the queue: what was said of workers and master before a request was made is heard by now.
        while let Some(signal) = self.events.try_recv() {
            self.workers_changed |=
                matches!(signal, Signal::Event(Event::Worker(_)) | Signal::Lagged(_));
        }
        if self.workers_changed {
            self.paused = engine.paused_workers().await?;
            self.workers_changed = false;
        }
        let phase = *engine.phase.borrow();
        if phase == Phase::Stopping {
            return Ok(Round::Done);
        }
        let running = engine.running();
        let workers = engine.workers.connected();
        let chosen = engine.chosen(&running, &heads).await?;
        let asked = Heads {
            requests: &heads,
            chosen: &chosen,
        };
        let mut claims = self.decide(&running, &workers, asked, phase);
        let mut starts: HashMap<BuilderId, u32> = HashMap::new();
        claims.retain(|claim| {
            let starts = starts.entry(claim.builder).or_default();
            *starts += 1;
            *starts <= STARTS_PER_BUILDER_MAX
        });
        if claims.is_empty() {
            return Ok(Round::Done);
        }
        let launches = self.collapse(&running, &workers, &heads, claims).await?;
        let planned = launches.len();
        let started = launch(&engine, &running, launches).await;
        debug!("started {started} of {planned} builds");
        Ok(match (planned, started) {
            // A lock was taken since the decision; its release is a reason to look again.
            (0, _) => Round::Done,
            (_, 0) => Round::Lost,
            _ => Round::Again,
        })
    }

    /// What starts now, as far as this master knows.
    fn decide(
        &self,
        running: &Running,
        workers: &Workers,
        heads: Heads<'_>,
        phase: Phase,
    ) -> Vec<Claim> {
        let decided = self
            .engine
            .decide(running, workers, heads, &self.paused, phase, None);
        if decided.claims.is_empty() {
            self.look_for_circles(running, heads.requests, &decided.waiting);
        }
        self.tell(decided.waiting);
        decided.claims
    }

    /// Finds builds that wait for builds which wait for them, shows that where they wait, and tells the operator, once.
    fn look_for_circles(&self, running: &Running, heads: &[PendingRequest], waiting: &[Waiting]) {
        let builds = &self.engine.builds;
        let Some(mut waits) = builds.waits() else {
            builds.set_hopeless(BTreeMap::new());
            return;
        };
        let mut reasons: BTreeMap<RequestId, String> = BTreeMap::new();
        let mut requests: HashMap<BuilderId, Vec<RequestId>> = HashMap::new();
        for head in heads {
            requests.entry(head.builder).or_default().push(head.id);
        }
        for one in waiting {
            let name = running
                .builders
                .get(&one.builder)
                .map(|builder| &builder.name);
            let (by, reason) = match &one.reason {
                WaitReason::BuilderFull => (
                    builds.of_builder(one.builder),
                    "runs as many builds as it may, and they wait for this one".to_owned(),
                ),
                WaitReason::Lock(key) => {
                    let holders = self.engine.locks.look(|locks| locks.holders(key));
                    let reason = format!("needs lock {key}, whose holders wait for this build");
                    (builds.of_holders(&holders), reason)
                }
                _ => continue,
            };
            for request in requests.get(&one.builder).into_iter().flatten() {
                let name = name.map_or("", String::as_str);
                waits.blocked.insert(*request, by.clone());
                reasons.insert(*request, format!("builder `{name}` {reason}"));
            }
        }
        let hopeless = waits.hopeless().into_iter().map(|(build, request)| {
            let reason = reasons.get(&request).cloned();
            let reason = reason.unwrap_or_else(|| {
                format!("request {request} waits for a build that waits for this one")
            });
            (build, reason)
        });
        for (build, reason) in builds.set_hopeless(hopeless.collect()) {
            warn!(build.id = %build, "build {build} waits for ever: {reason}; stop one of them, or raise the limit");
        }
    }

    /// Shows why requests wait; what will never change by itself is told to the operator, once.
    fn tell(&self, waiting: Vec<Waiting>) {
        let waiting: Vec<WaitingBuilder> = waiting
            .into_iter()
            .map(|waiting| WaitingBuilder {
                builder: waiting.builder,
                first: waiting.first,
                reason: waiting.reason,
            })
            .collect();
        let mut known = self.engine.waiting();
        for one in &waiting {
            let WaitReason::LockNever(error) = &one.reason else {
                continue;
            };
            let is_known = known
                .iter()
                .any(|other| (other.builder, &other.reason) == (one.builder, &one.reason));
            if !is_known {
                warn!(builder.id = %one.builder, "requests of builder {} wait for ever: {error}", one.builder);
            }
        }
        *known = waiting;
    }

    /// Decides which further requests each build carries out, and takes the locks of the builds. One claim
    /// after the other, because a request that one build carries out is not for the next.
    async fn collapse(
        &self,
        running: &Running,
        workers: &Workers,
        heads: &[PendingRequest],
        claims: Vec<Claim>,
    ) -> Result<Vec<Launch>, StoreError> {
        let heads: HashMap<RequestId, &PendingRequest> =
            heads.iter().map(|head| (head.id, head)).collect();
        let wanted: HashSet<WorkerId> = claims.iter().map(|claim| claim.worker).collect();
        let named = workers.iter().filter_map(|(name, worker)| {
            let id = *running.ids.workers.get(name)?;
            wanted.contains(&id).then_some((id, (name, worker)))
        });
        let claimed: HashMap<WorkerId, _> = named.collect();
        let mut taken: BTreeSet<RequestId> = BTreeSet::new();
        let mut launches = Vec::with_capacity(claims.len());
        for claim in claims {
            let (Some(head), Some(builder)) = (
                heads.get(&claim.request),
                running.builders.get(&claim.builder),
            ) else {
                continue;
            };
            let Some((worker_name, worker)) = claimed.get(&claim.worker).copied() else {
                continue;
            };
            if taken.contains(&claim.request) {
                continue;
            }
            let (requests, buildset) = self.requests_of(head, builder.collapse, &taken).await?;
            let holder = NEXT_HOLDER.fetch_add(1, Ordering::Relaxed);
            let acquired =
                self.engine
                    .locks
                    .try_acquire(Holder::build(holder), &builder.locks, worker_name);
            // A step may have taken a lock since the decision; the release wakes this loop.
            if acquired != Ok(Acquisition::Granted) {
                continue;
            }
            taken.extend(&requests);
            launches.push(Launch {
                builder_id: claim.builder,
                builder: Arc::clone(builder),
                worker_id: claim.worker,
                worker: worker.clone(),
                dir: self
                    .engine
                    .build_dirs
                    .take(claim.worker, &builder.build_dir),
                requests,
                buildset,
                holder,
            });
        }
        Ok(launches)
    }

    /// The requests that a build for this one carries out, the main one first, and the main one's build set.
    async fn requests_of(
        &self,
        head: &PendingRequest,
        policy: CollapsePolicy,
        taken: &BTreeSet<RequestId>,
    ) -> Result<(Vec<RequestId>, BuildsetId), StoreError> {
        let alone = (vec![head.id], head.buildset);
        if policy == CollapsePolicy::Never || head.waited_for {
            return Ok(alone);
        }
        let store = &self.engine.store;
        let found = store.pending_for_collapse(head.id, COLLAPSED_MAX).await?;
        let found: Vec<_> = found
            .into_iter()
            .filter(|candidate| !taken.contains(&candidate.request.id))
            .collect();
        if found.len() < 2 {
            return Ok(alone);
        }
        let buildsets = found.iter().map(|candidate| candidate.request.buildset);
        let mut properties = store.properties_of_buildsets(buildsets).await?;
        let mut candidates = Vec::with_capacity(found.len());
        for candidate in found {
            // A build set has one request for each builder.
            let properties = properties
                .remove(&candidate.request.buildset)
                .unwrap_or_default();
            let has_changes = candidate.has_changes;
            let sources = candidate
                .sourcestamps
                .into_iter()
                .map(|stamp| RequestedSource { stamp, has_changes });
            candidates.push(CollapseCandidate {
                id: candidate.request.id,
                builder_id: candidate.request.builder,
                buildset_id: candidate.request.buildset,
                waited_for: candidate.request.waited_for,
                sources: sources.collect(),
                properties,
            });
        }
        let Some(chosen) = candidates.iter().find(|candidate| candidate.id == head.id) else {
            return Ok(alone);
        };
        let group = collapse::group(policy, chosen, &candidates);
        let main = candidates
            .iter()
            .find(|candidate| candidate.id == group.main);
        let buildset = main.map_or(head.buildset, |main| main.buildset_id);
        let requests = std::iter::once(group.main).chain(group.collapsed).collect();
        Ok((requests, buildset))
    }
}
