//! Who is let in next: decisions about what is known, without waiting.

use std::time::Instant;

use tokio::sync::oneshot;

use super::{Room, Share, WaitReason};
use crate::fair::{Party, Rank, Rota};

/// Memory of a caller that may pass others.
const SMALL_BYTES: usize = 4 << 20;
/// How many small ones may pass the same caller.
pub(super) const PASSES_MAX: u32 = 64;

/// What there is and who wants it.
pub(super) struct Pool {
    pub(super) max: Room,
    /// What steps leave free.
    pub(super) reserve: Room,
    pub(super) used: Room,
    pub(super) services: Queues,
    pub(super) steps: Queues,
}

/// Those of one rank.
#[derive(Default)]
pub(super) struct Queues {
    /// Calls that run.
    pub(super) calls: usize,
    pub(super) growing: Rota<Waiter>,
    pub(super) entering: Rota<Waiter>,
}

#[derive(Clone, Copy)]
pub(super) enum Wants {
    Entry,
    Growth,
}

pub(super) struct Waiter {
    pub(super) party: Party,
    pub(super) since: Instant,
    pub(super) room: Room,
    /// How many that came later went before it.
    pub(super) passed: u32,
    pub(super) sender: oneshot::Sender<Share>,
}

impl Queues {
    pub(super) fn of(&mut self, wants: Wants) -> &mut Rota<Waiter> {
        match wants {
            Wants::Growth => &mut self.growing,
            Wants::Entry => &mut self.entering,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.growing.len() + self.entering.len()
    }
}

impl Pool {
    pub(super) fn queues(&mut self, rank: Rank) -> &mut Queues {
        match rank {
            Rank::Service => &mut self.services,
            Rank::Step => &mut self.steps,
        }
    }

    /// How much may be used after somebody of this rank was let in.
    fn limit(&self, rank: Rank) -> Room {
        match rank {
            Rank::Service => self.max,
            Rank::Step => self.max.without(self.reserve),
        }
    }

    /// Takes the next one who has room out of its queue and counts it in.
    pub(super) fn next(&mut self) -> Option<Waiter> {
        let waiter = self
            .next_of(Rank::Service)
            .or_else(|| self.next_of(Rank::Step))?;
        self.used = self.used.and(waiter.room);
        self.queues(waiter.party.rank).calls += waiter.room.calls;
        Some(waiter)
    }

    fn next_of(&mut self, rank: Rank) -> Option<Waiter> {
        let (used, limit) = (self.used, self.limit(rank));
        let fits = |waiter: &Waiter| used.and(waiter.room).within(limit);
        let queues = self.queues(rank);
        if let Some(growing) = take(&mut queues.growing, fits) {
            return Some(growing);
        }
        if !queues.growing.is_empty() && queues.growing.len() >= queues.calls {
            return queues.growing.pop();
        }
        let Some(growing) = queues.growing.first_mut() else {
            // There will never be more room than now.
            let alone = used.calls == 0;
            return match alone {
                true => queues.entering.pop(),
                false => take(&mut queues.entering, fits),
            };
        };
        if growing.passed >= PASSES_MAX {
            return None;
        }
        let small = |waiter: &Waiter| waiter.is_small() && fits(waiter);
        let passes = queues.entering.pop_where(small)?;
        growing.passed += 1;
        Some(passes)
    }

    /// Why somebody waits to enter.
    pub(super) fn why(&self, rank: Rank, waiter: &Waiter) -> WaitReason {
        let room = Room {
            bytes: 0,
            ..self.used.and(waiter.room)
        };
        match room.within(self.limit(rank)) {
            true => WaitReason::Memory,
            false => WaitReason::Calls,
        }
    }

    pub(super) fn forget_gone(&mut self) {
        for queues in [&mut self.services, &mut self.steps] {
            for queue in [&mut queues.growing, &mut queues.entering] {
                queue.retain(|waiter| !waiter.sender.is_closed());
            }
        }
    }
}

/// Takes the first in a queue if it fits, or a small one that may pass it.
fn take(queue: &mut Rota<Waiter>, fits: impl Fn(&Waiter) -> bool) -> Option<Waiter> {
    let first = queue.first_mut()?;
    if fits(first) {
        return queue.pop();
    }
    if first.passed >= PASSES_MAX {
        return None;
    }
    let passes = queue.pop_where(|waiter| waiter.is_small() && fits(waiter))?;
    if let Some(first) = queue.first_mut() {
        first.passed += 1;
    }
    Some(passes)
}

impl Waiter {
    fn is_small(&self) -> bool {
        self.room.bytes <= SMALL_BYTES
    }
}
