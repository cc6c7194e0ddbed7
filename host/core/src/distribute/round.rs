//! One round of distribution.
//!
//! Two facts keep it cheap: in a round workers and locks only get scarcer, so whoever was refused once need
//! not be asked again; and a builder's requests all need the same but for a worker that somebody chose, so the
//! first one speaks for the rest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::{
    BuilderState, Claim, Distribution, Pending, Snapshot, Standing, WaitReason, Waiting,
    WorkerState,
};
use crate::ids::{BuilderId, WorkerId};
use crate::locks::{LockBudget, Refused};
use crate::time::Timestamp;

/// When a builder was served, for fairness. The smallest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Served {
    Earlier(Option<Timestamp>),
    /// In this round, by that claim.
    Now(usize),
}

/// Turn of a builder. The greatest is next; compared field by field.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    priority: i32,
    submitted_at: Reverse<Timestamp>,
    served: Reverse<Served>,
    builder: Reverse<BuilderId>,
    /// Of the builder in the round.
    index: usize,
}

/// How much a worker had to do when it was last looked at. The smallest is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Load {
    running: u32,
    idle_since: Option<Timestamp>,
    worker: WorkerId,
}

struct Contender<'a> {
    builder: BuilderState<'a>,
    /// Next of `builder.pending`.
    next: usize,
    served: Served,
    /// Workers that have not refused yet. Loads may be out of date, but only too low.
    workers: Option<BinaryHeap<Reverse<Load>>>,
    refused_by_lock: Option<WaitReason>,
    /// Workers on which a lock was not to be had; kept only of a builder that is to be explained.
    locked_out: Option<BTreeMap<WorkerId, Standing>>,
}

impl Contender<'_> {
    fn head(&self) -> Option<Pending> {
        self.builder.pending.get(self.next).copied()
    }

    fn turn(&self, index: usize) -> Option<Turn> {
        let head = self.head()?;
        Some(Turn {
            priority: head.priority,
            submitted_at: Reverse(head.submitted_at),
            served: Reverse(self.served),
            builder: Reverse(self.builder.id),
            index,
        })
    }
}

struct Round<'a> {
    workers: BTreeMap<WorkerId, WorkerState<'a>>,
    locks: LockBudget<'a>,
    master_free: Option<u32>,
    explain: Option<BuilderId>,
    out: Distribution,
}

pub(super) fn run(snapshot: Snapshot<'_>) -> Distribution {
    let mut round = Round {
        workers: snapshot.workers.into_iter().map(|w| (w.id, w)).collect(),
        locks: LockBudget::new(snapshot.locks),
        master_free: snapshot.master_free,
        explain: snapshot.explain,
        out: Distribution::default(),
    };
    let draining = snapshot.draining;
    let mut contenders: Vec<Contender<'_>> = snapshot
        .builders
        .into_iter()
        .filter_map(|builder| round.admit(builder, draining))
        .collect();
    let mut turns: BinaryHeap<Turn> = contenders
        .iter()
        .enumerate()
        .filter_map(|(index, contender)| contender.turn(index))
        .collect();
    while let Some(turn) = turns.pop() {
        let contender = &mut contenders[turn.index];
        match round.serve(contender) {
            Ok(()) => turns.extend(contender.turn(turn.index)),
            Err(reason) => {
                let waiting = round.waiting(contender, reason);
                round.out.waiting.extend(waiting);
            }
        }
    }
    round.out
}

impl<'a> Round<'a> {
    /// Brings a builder's requests in order, without those that may not start now.
    fn admit(&mut self, mut builder: BuilderState<'a>, draining: bool) -> Option<Contender<'a>> {
        builder
            .pending
            .sort_unstable_by_key(|p| (Reverse(p.priority), p.submitted_at, p.id));
        if draining {
            let (admitted, held_back): (Vec<_>, Vec<_>) = builder
                .pending
                .iter()
                .partition(|pending| pending.waited_for);
            let workers = self.standings(&builder, None);
            self.out
                .waiting
                .extend(held_back.first().map(|first: &Pending| Waiting {
                    builder: builder.id,
                    first: first.id,
                    count: held_back.len(),
                    reason: WaitReason::Draining,
                    workers,
                }));
            builder.pending = admitted;
        }
        (!builder.pending.is_empty()).then_some(Contender {
            served: Served::Earlier(builder.served_at),
            locked_out: (self.explain == Some(builder.id)).then(BTreeMap::new),
            builder,
            next: 0,
            workers: None,
            refused_by_lock: None,
        })
    }

    fn waiting(&self, contender: &Contender<'_>, reason: WaitReason) -> Option<Waiting> {
        let builder = &contender.builder;
        Some(Waiting {
            builder: builder.id,
            first: contender.head()?.id,
            count: builder.pending.len() - contender.next,
            reason,
            workers: self.standings(builder, contender.locked_out.as_ref()),
        })
    }

    /// How a builder's workers stand; of nobody but the builder that is to be explained.
    fn standings(
        &self,
        builder: &BuilderState<'_>,
        locked_out: Option<&BTreeMap<WorkerId, Standing>>,
    ) -> Vec<(WorkerId, Standing)> {
        if self.explain != Some(builder.id) {
            return Vec::new();
        }
        let workers = builder.workers.iter().map(|id| {
            let standing = match self.workers.get(id) {
                Some(worker) => standing(worker),
                None => Standing::NotConnected,
            };
            let lock = locked_out.and_then(|locks| locks.get(id));
            match (standing, lock) {
                (Standing::Free, Some(lock)) => (*id, lock.clone()),
                (standing, _) => (*id, standing),
            }
        });
        workers.collect()
    }

    /// Finds a worker for the builder's first request and claims it, or says why not.
    fn serve(&mut self, contender: &mut Contender<'a>) -> Result<(), WaitReason> {
        if self.master_free == Some(0) {
            return Err(WaitReason::MasterFull);
        }
        let builder = &contender.builder;
        if builder.builds_max.is_some_and(|max| builder.running >= max) {
            return Err(WaitReason::BuilderFull);
        }
        let Some(head) = contender.head() else {
            return Ok(());
        };
        let worker = match head.chosen {
            Some(chosen) => self.take_chosen(contender, chosen)?,
            None => self.pick_worker(contender)?,
        };
        contender.next += 1;
        contender.builder.running += 1;
        contender.served = Served::Now(self.out.claims.len());
        if let Some(state) = self.workers.get_mut(&worker) {
            state.running += 1;
        }
        if let Some(free) = &mut self.master_free {
            *free -= 1;
        }
        self.out.claims.push(Claim {
            request: head.id,
            builder: contender.builder.id,
            worker,
        });
        Ok(())
    }

    /// The worker that was chosen, with its locks taken, if it can start a build now.
    fn take_chosen(
        &mut self,
        contender: &mut Contender<'a>,
        chosen: WorkerId,
    ) -> Result<WorkerId, WaitReason> {
        let builder = &contender.builder;
        let worker = self
            .workers
            .get(&chosen)
            .filter(|worker| builder.workers.contains(&chosen) && has_room(worker))
            .ok_or(WaitReason::Chosen)?;
        let (standing, reason) = match self.locks.take(builder.locks, worker.name) {
            Ok(()) => return Ok(chosen),
            Err(Refused::Busy(key)) => (Standing::Lock(key.clone()), WaitReason::Lock(key)),
            Err(Refused::Never(error)) => (
                Standing::LockNever(error.clone()),
                WaitReason::LockNever(error),
            ),
        };
        if let Some(out) = &mut contender.locked_out {
            out.insert(chosen, standing);
        }
        Err(reason)
    }

    /// The least loaded worker that can start a build now, and its locks taken; of equals the one that has
    /// been idle for the longest time.
    fn pick_worker(&mut self, contender: &mut Contender<'a>) -> Result<WorkerId, WaitReason> {
        let builder = &contender.builder;
        let heap = contender.workers.get_or_insert_with(|| {
            let usable = builder.workers.iter().filter_map(|id| self.workers.get(id));
            usable
                .filter(|w| has_room(w))
                .map(|w| Reverse(load(w)))
                .collect()
        });
        while let Some(Reverse(seen)) = heap.pop() {
            let Some(worker) = self.workers.get(&seen.worker).filter(|w| has_room(w)) else {
                continue;
            };
            if worker.running != seen.running {
                heap.push(Reverse(load(worker)));
                continue;
            }
            match self.locks.take(builder.locks, worker.name) {
                Ok(()) => {
                    heap.push(Reverse(seen));
                    return Ok(seen.worker);
                }
                Err(Refused::Busy(key)) => {
                    let everywhere = key.worker.is_none();
                    if let Some(out) = &mut contender.locked_out {
                        let rest = heap.iter().filter(|_| everywhere);
                        let rest = rest.map(|Reverse(load)| load.worker);
                        let standing = || Standing::Lock(key.clone());
                        out.extend(rest.chain([seen.worker]).map(|id| (id, standing())));
                    }
                    contender.refused_by_lock = Some(WaitReason::Lock(key));
                    if everywhere {
                        heap.clear();
                    }
                }
                Err(Refused::Never(error)) => {
                    if let Some(out) = &mut contender.locked_out {
                        out.insert(seen.worker, Standing::LockNever(error.clone()));
                    }
                    contender
                        .refused_by_lock
                        .get_or_insert(WaitReason::LockNever(error));
                }
            }
        }
        let reason = contender.refused_by_lock.take();
        Err(reason.unwrap_or_else(|| self.why_no_worker(&contender.builder)))
    }

    fn why_no_worker(&self, builder: &BuilderState<'_>) -> WaitReason {
        if builder.workers.is_empty() {
            return WaitReason::NoWorkers;
        }
        let mut connected = builder
            .workers
            .iter()
            .filter_map(|id| self.workers.get(id))
            .filter(|worker| worker.connected)
            .peekable();
        if connected.peek().is_none() {
            WaitReason::NotConnected
        } else if connected.all(|worker| worker.paused) {
            WaitReason::Paused
        } else {
            WaitReason::WorkersBusy
        }
    }
}

/// How a worker stands, locks aside.
fn standing(worker: &WorkerState<'_>) -> Standing {
    if !worker.connected {
        Standing::NotConnected
    } else if worker.paused {
        Standing::Paused
    } else if worker.builds_max.is_some_and(|max| worker.running >= max) {
        Standing::Full
    } else {
        Standing::Free
    }
}

fn has_room(worker: &WorkerState<'_>) -> bool {
    standing(worker) == Standing::Free
}

fn load(worker: &WorkerState<'_>) -> Load {
    Load {
        running: worker.running,
        idle_since: worker.idle_since,
        worker: worker.id,
    }
}
