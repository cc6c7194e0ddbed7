//! Why a request waits, at the moment of the question.
//!
//! The distributor's own question is asked ([`Engine::decide`]), but only about the builder of the request. When nothing can
//! start, as is so after each round of the distributor, what a builder waits for does not depend on the others; that is a property
//! of the core, which its tests hold. When the answer is that something can start, the distributor is about to find out.

use std::collections::BTreeSet;

use toolpost_core::RequestId;
use toolpost_core::distribute::{Distribution, WaitReason, Waiting};
use toolpost_core::model::BuildRequest;
use toolpost_store::PendingRequest;

use crate::decision::Heads;
use crate::distributor::HEADS_PER_BUILDER_MAX;
use crate::engine::{Engine, Running};
use crate::error::ControlError;
use crate::status::{LockStatus, WaitCause, WaitState, Why, WorkerStanding};
use crate::stop::Phase;

/// Requests before one that are counted.
const BEFORE_MAX: u32 = 10_000;

impl Engine {
    /// Where a request stands, and what it waits for.
    pub(crate) async fn why(&self, id: RequestId) -> Result<Why, ControlError> {
        let request = self.store.find::<BuildRequest>(id.0).await?;
        let request = request.ok_or(ControlError::UnknownRequest(id))?;
        let mut why = Why {
            request: id,
            builder: request.builder_id,
            state: WaitState::Complete,
            before: None,
            workers: Vec::new(),
            lock: None,
        };
        if request.complete {
            return Ok(why);
        }
        if request.claimed_at.is_some() {
            why.state = WaitState::Running {
                master: request.claimed_by,
                build: self.builds.of_request(id),
            };
            return Ok(why);
        }
        let before = self.store.pending_before(id, BEFORE_MAX).await?;
        why.before = Some(u64::try_from(before).unwrap_or(0));
        why.state = self.cause(&mut why, id).await?;
        Ok(why)
    }

    async fn cause(&self, why: &mut Why, id: RequestId) -> Result<WaitState, ControlError> {
        let running = self.running();
        if !running.builders.contains_key(&why.builder) {
            return Ok(WaitState::Waiting(WaitCause::NoBuilder));
        }
        let phase = *self.phase.borrow();
        if phase == Phase::Stopping {
            return Ok(WaitState::Waiting(WaitCause::Stopping));
        }
        let builder = BTreeSet::from([why.builder]);
        let heads = self
            .store
            .pending_heads_of(&builder, HEADS_PER_BUILDER_MAX)
            .await?;
        let chosen = self.chosen(&running, &heads).await?;
        let paused = self.paused_workers().await?;
        // From here on nothing is waited for: it is one moment.
        let now = self.clock.now();
        if !self.builds.may_run(id, now)
            && let Some(at) = self.builds.retry_at(id)
        {
            return Ok(WaitState::Waiting(WaitCause::Retry(at)));
        }
        let heads: Vec<PendingRequest> = heads
            .into_iter()
            .filter(|head| self.builds.may_run(head.id, now))
            .collect();
        let workers = self.workers.connected();
        let asked = Heads {
            requests: &heads,
            chosen: &chosen,
        };
        let decided = self.decide(&running, &workers, asked, &paused, phase, Some(why.builder));
        Ok(match waiting_of(&decided, &heads, id) {
            Place::Starts => WaitState::Starting,
            Place::Behind => WaitState::Waiting(WaitCause::Behind),
            Place::Waits(waiting) => {
                why.workers = self.standings(&running, waiting);
                if let WaitReason::Lock(key) = &waiting.reason {
                    let mut locks = self.lock_report().locks.into_iter();
                    let lock = locks.find(|lock| lock.key == *key);
                    why.lock = Some(lock.unwrap_or_else(|| LockStatus::unused(key.clone())));
                }
                WaitState::Waiting(WaitCause::Rule(waiting.reason.clone()))
            }
        })
    }

    fn standings(&self, running: &Running, waiting: &Waiting) -> Vec<WorkerStanding> {
        let load = self.builds.load();
        let workers = waiting.workers.iter().map(|(id, standing)| {
            let mut names = running.ids.workers.iter();
            let name = names
                .find(|(_, known)| *known == id)
                .map(|(name, _)| name.clone());
            let name = name.unwrap_or_default();
            let config = running.config.workers.get(&name);
            WorkerStanding {
                id: *id,
                running: load.workers.get(id).copied().unwrap_or(0),
                builds_max: config.and_then(|worker| worker.max_builds),
                standing: standing.clone(),
                name,
            }
        });
        workers.collect()
    }
}

/// What a decision means for one request.
enum Place<'d> {
    Starts,
    Waits(&'d Waiting),
    /// It is so far behind that nobody has looked at it.
    Behind,
}

fn waiting_of<'d>(decided: &'d Distribution, heads: &[PendingRequest], id: RequestId) -> Place<'d> {
    if decided.claims.iter().any(|claim| claim.request == id) {
        return Place::Starts;
    }
    let waited_for = heads.iter().find(|head| head.id == id);
    let is_waited_for = waited_for.is_some_and(|head| head.waited_for);
    // A master that drains holds back what no build waits for, and only that.
    let waiting = decided
        .waiting
        .iter()
        .find(|waiting| !(is_waited_for && waiting.reason == WaitReason::Draining));
    waiting.map_or(Place::Behind, Place::Waits)
}
