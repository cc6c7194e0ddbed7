//! How many plugin calls exist at one time and how much memory they have together.
//!
//! A call enters with what it needs to start and asks again for each growth of its memory. Who finds no room waits, in
//! the order of [`crate::fair::Rota`]; calls that grow go before calls that enter, because they hold what the others wait for. When the
//! first in a queue does not fit, a few small ones may pass it. When every call waits to grow, the first of them
//! is let through above the limit: somebody always gets on, and the excess is at most what one call may have.
//!
//! A part of everything is kept from steps, so that steps that wait for hours cannot lock out what is short and keeps the
//! farm going: descriptions, schedulers, reporters.

mod pool;
mod room;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::fair::{Party, Rank};

use pool::{Pool, Queues, Waiter, Wants};

pub(crate) use room::Room;

/// The doorkeeper. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Mutex<Pool>>);

/// How full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occupancy {
    pub(crate) used: Room,
    pub(crate) max: Room,
    pub(crate) waiting: usize,
}

/// Calls of one plugin that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolWait {
    /// Name of the plugin.
    pub plugin: String,
    /// How many of its calls wait.
    pub calls: usize,
    /// How long the first of them has waited.
    pub longest: Duration,
    /// What for.
    pub reason: WaitReason,
}

/// What calls of plugins wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitReason {
    /// All places are taken.
    Calls,
    /// All memory is taken.
    Memory,
}

/// A share of the room, given back when it is dropped.
pub(crate) struct Share {
    admission: Admission,
    party: Party,
    room: Room,
}

impl Admission {
    /// With this much room, of which steps leave a reserve.
    pub(crate) fn new(max: Room, reserve: Room) -> Self {
        let max = Room {
            calls: max.calls.max(1),
            ..max
        };
        Self(Arc::new(Mutex::new(Pool {
            max,
            reserve,
            used: Room::default(),
            services: Queues::default(),
            steps: Queues::default(),
        })))
    }

    /// Waits until there is room for another call.
    pub(crate) async fn enter(&self, party: &Party, room: Room) -> Share {
        self.wait(party, room, Wants::Entry).await
    }

    async fn wait(&self, party: &Party, room: Room, wants: Wants) -> Share {
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter {
            party: party.clone(),
            since: Instant::now(),
            room,
            passed: 0,
            sender,
        };
        self.with(|pool| {
            let queues = pool.queues(party.rank);
            queues.of(wants).push(party, waiter);
        });
        let mut leaving = Leaving {
            admission: self,
            early: true,
        };
        self.admit();
        match receiver.await {
            Ok(share) => {
                leaving.early = false;
                share
            }
            Err(_) => unreachable!("a waiter leaves the queue only with its share"),
        }
    }

    /// Who waits, by plugin and reason.
    pub(crate) fn waits(&self) -> Vec<PoolWait> {
        let now = Instant::now();
        self.with(|pool| {
            let mut waits: BTreeMap<(&str, WaitReason), (usize, Duration)> = BTreeMap::new();
            for (rank, queues) in [(Rank::Service, &pool.services), (Rank::Step, &pool.steps)] {
                let growing = queues.growing.iter().map(|who| (who, WaitReason::Memory));
                let entering = queues.entering.iter();
                let entering = entering.map(|who| (who, pool.why(rank, who.1)));
                for ((plugin, waiter), reason) in growing.chain(entering) {
                    let (calls, longest) = waits.entry((plugin, reason)).or_default();
                    *calls += 1;
                    *longest = now.saturating_duration_since(waiter.since).max(*longest);
                }
            }
            let told = waits
                .into_iter()
                .map(|((plugin, reason), (calls, longest))| PoolWait {
                    plugin: plugin.to_owned(),
                    calls,
                    longest,
                    reason,
                });
            told.collect()
        })
    }

    pub(crate) fn occupancy(&self) -> Occupancy {
        self.with(|pool| Occupancy {
            used: pool.used,
            max: pool.max,
            waiting: pool.services.waiting() + pool.steps.waiting(),
        })
    }

    /// Lets in whoever has room now.
    fn admit(&self) {
        while let Some(waiter) = self.with(Pool::next) {
            let share = Share {
                admission: self.clone(),
                party: waiter.party,
                room: waiter.room,
            };
            // A waiter that has gone gives the share back by dropping it.
            drop(waiter.sender.send(share));
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Pool) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Share {
    /// Waits until there is room for this much more.
    pub(crate) async fn grow(&mut self, bytes: usize) {
        let room = Room {
            bytes,
            ..Room::default()
        };
        let (admission, party) = (&self.admission, &self.party);
        let mut more = admission.wait(party, room, Wants::Growth).await;
        self.room = self.room.and(std::mem::take(&mut more.room));
    }

    /// Gives back what is not needed.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let _given_back = self.split_off(bytes);
    }

    /// The memory alone, which may grow; the place stays here.
    pub(crate) fn take_memory(&mut self) -> Self {
        self.split_off(self.room.bytes)
    }

    fn split_off(&mut self, bytes: usize) -> Self {
        let room = Room {
            bytes: bytes.min(self.room.bytes),
            ..Room::default()
        };
        self.room = self.room.without(room);
        Self {
            admission: self.admission.clone(),
            party: self.party.clone(),
            room,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.room.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.room == Room::default() {
            return;
        }
        self.admission.with(|pool| {
            pool.used = pool.used.without(self.room);
            let queues = pool.queues(self.party.rank);
            queues.calls = queues.calls.saturating_sub(self.room.calls);
        });
        self.admission.admit();
    }
}

/// Somebody who waits, and may give up.
struct Leaving<'a> {
    admission: &'a Admission,
    early: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.early {
            self.admission.with(Pool::forget_gone);
            // The next in the queue may fit.
            self.admission.admit();
        }
    }
}
