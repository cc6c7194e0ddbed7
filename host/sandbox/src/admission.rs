//! How many plugin calls exist at one time and how much memory they have together.
//!
//! A call enters with what it needs to start and asks again for each growth of its memory. Who finds no room waits, in
//! the order of [`Rota`]; calls that grow go before calls that enter, because they hold what the others wait for. When the
//! first in a queue does not fit, a few small ones may pass it. When every call waits to grow, the first of them
//! is let through above the limit: somebody always gets on, and the excess is at most what one call may have.
//!
//! A part of everything is kept from steps, so that steps that wait for hours cannot lock out what is short and keeps the
//! farm going: descriptions, schedulers, reporters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::fair::{Party, Rank, Rota};

/// Memory of a caller that may pass others.
const SMALL_BYTES: usize = 4 << 20;
/// How many small ones may pass the same caller.
const PASSES_MAX: u32 = 64;

/// What a call takes, and what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Room {
    pub(crate) calls: usize,
    /// Linear memories, of which the engine's pool has so many.
    pub(crate) memories: usize,
    /// Tables, likewise.
    pub(crate) tables: usize,
    /// Linear memory in bytes.
    pub(crate) bytes: usize,
}

impl Room {
    fn of_each(self, other: Self, with: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            calls: with(self.calls, other.calls),
            memories: with(self.memories, other.memories),
            tables: with(self.tables, other.tables),
            bytes: with(self.bytes, other.bytes),
        }
    }

    fn and(self, more: Self) -> Self {
        self.of_each(more, usize::saturating_add)
    }

    fn without(self, part: Self) -> Self {
        self.of_each(part, usize::saturating_sub)
    }

    fn within(self, limit: Self) -> bool {
        self.calls <= limit.calls
            && self.memories <= limit.memories
            && self.tables <= limit.tables
            && self.bytes <= limit.bytes
    }

    /// One part of so many.
    pub(crate) fn part(self, of: usize) -> Self {
        self.of_each(Self::default(), |all, _| all / of)
    }
}

/// The doorkeeper. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Mutex<Pool>>);

/// What there is and who wants it.
struct Pool {
    max: Room,
    /// What steps leave free.
    reserve: Room,
    used: Room,
    services: Queues,
    steps: Queues,
}

/// Those of one rank.
#[derive(Default)]
struct Queues {
    /// Calls that run.
    calls: usize,
    growing: Rota<Waiter>,
    entering: Rota<Waiter>,
}

#[derive(Clone, Copy)]
enum Wants {
    Entry,
    Growth,
}

struct Waiter {
    party: Party,
    since: Instant,
    room: Room,
    /// How many that came later went before it.
    passed: u32,
    sender: oneshot::Sender<Share>,
}

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

impl Queues {
    fn of(&mut self, wants: Wants) -> &mut Rota<Waiter> {
        match wants {
            Wants::Growth => &mut self.growing,
            Wants::Entry => &mut self.entering,
        }
    }

    fn waiting(&self) -> usize {
        self.growing.len() + self.entering.len()
    }
}

impl Pool {
    fn queues(&mut self, rank: Rank) -> &mut Queues {
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
    fn next(&mut self) -> Option<Waiter> {
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
    fn why(&self, rank: Rank, waiter: &Waiter) -> WaitReason {
        let room = Room {
            bytes: 0,
            ..self.used.and(waiter.room)
        };
        match room.within(self.limit(rank)) {
            true => WaitReason::Memory,
            false => WaitReason::Calls,
        }
    }

    fn forget_gone(&mut self) {
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// So that nobody is small.
    const MIB: usize = 1 << 20;
    const BIG: usize = 10 * MIB;

    fn admission(calls: usize, bytes: usize) -> Admission {
        let room = Room {
            calls,
            bytes,
            ..unlimited()
        };
        Admission::new(room, Room::default())
    }

    fn unlimited() -> Room {
        Room {
            calls: usize::MAX,
            memories: usize::MAX,
            tables: usize::MAX,
            bytes: usize::MAX,
        }
    }

    fn call(bytes: usize) -> Room {
        Room {
            calls: 1,
            bytes,
            ..Room::default()
        }
    }

    fn enter(admission: &Admission, bytes: usize) -> impl Future<Output = Share> + use<> {
        enter_as(admission, "a", bytes)
    }

    fn enter_as(
        admission: &Admission,
        plugin: &str,
        bytes: usize,
    ) -> impl Future<Output = Share> + use<> {
        let party = Party::new(plugin, "builder");
        enter_for(admission, party, call(bytes))
    }

    fn enter_for(
        admission: &Admission,
        party: Party,
        room: Room,
    ) -> impl Future<Output = Share> + use<> {
        let admission = admission.clone();
        async move { admission.enter(&party, room).await }
    }

    fn numbers(admission: &Admission) -> (usize, usize, usize) {
        let now = admission.occupancy();
        (now.used.calls, now.used.bytes, now.waiting)
    }

    #[test]
    fn a_full_pool_makes_callers_wait_in_order() {
        let admission = admission(2, 100);
        let first = enter(&admission, 10).now_or_never().unwrap();
        let second = enter(&admission, 10).now_or_never().unwrap();
        let (mut third, mut fourth) = (
            Box::pin(enter(&admission, 10)),
            Box::pin(enter(&admission, 10)),
        );
        assert!(third.as_mut().now_or_never().is_none());
        assert!(fourth.as_mut().now_or_never().is_none());
        assert_eq!(numbers(&admission), (2, 20, 2));
        drop(first);
        assert!(fourth.as_mut().now_or_never().is_none());
        let third = third.now_or_never().unwrap();
        drop((second, third));
        drop(fourth.now_or_never().unwrap());
        assert_eq!(numbers(&admission), (0, 0, 0));
    }

    #[test]
    fn memory_is_shared_and_growth_goes_first() {
        let admission = admission(10, 100);
        let mut a = enter(&admission, 40).now_or_never().unwrap();
        let b = enter(&admission, 50).now_or_never().unwrap();
        let mut entering = Box::pin(enter(&admission, 20));
        assert!(entering.as_mut().now_or_never().is_none());
        {
            let mut growing = Box::pin(a.grow(20));
            assert!(growing.as_mut().now_or_never().is_none());
            drop(b);
            assert!(growing.now_or_never().is_some());
        }
        assert_eq!(a.bytes(), 60);
        drop(entering.now_or_never().unwrap());
        a.shrink(15);
        assert_eq!(numbers(&admission), (1, 45, 0));
    }

    #[test]
    fn when_all_wait_to_grow_one_gets_on() {
        let admission = admission(10, 100);
        let mut a = enter(&admission, 50).now_or_never().unwrap();
        let mut b = enter(&admission, 50).now_or_never().unwrap();
        let mut first = Box::pin(a.grow(10));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(b.grow(10));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(first.now_or_never().is_some(), "above the limit");
        assert!(second.as_mut().now_or_never().is_none());
        drop(a);
        assert!(second.now_or_never().is_some());
    }

    #[test]
    fn a_call_larger_than_the_pool_runs_alone() {
        let admission = admission(10, 100);
        let small = enter(&admission, 1).now_or_never().unwrap();
        let mut large = Box::pin(enter(&admission, 1_000));
        assert!(large.as_mut().now_or_never().is_none());
        drop(small);
        assert!(large.now_or_never().is_some());
    }

    #[test]
    fn who_gives_up_makes_room() {
        let admission = admission(10, 10 * BIG);
        let held = enter(&admission, 9 * BIG).now_or_never().unwrap();
        let mut large = Box::pin(enter(&admission, 5 * BIG));
        let mut small = Box::pin(enter(&admission, BIG));
        assert!(large.as_mut().now_or_never().is_none());
        assert!(small.as_mut().now_or_never().is_none());
        drop(large);
        assert!(small.now_or_never().is_some());
        drop(held);
        let (mut granted, held) = {
            let held = enter(&admission, 10 * BIG).now_or_never().unwrap();
            (Box::pin(enter(&admission, 10 * BIG)), held)
        };
        assert!(granted.as_mut().now_or_never().is_none());
        drop(held);
        // Granted, but given up before it was looked at.
        drop(granted);
        assert_eq!(numbers(&admission), (0, 0, 0));
    }

    #[test]
    fn plugins_take_turns_and_those_who_wait_are_told_why() {
        let admission = admission(1, 100);
        let held = enter(&admission, 10).now_or_never().unwrap();
        let mut crowd: Vec<_> = (0..3).map(|_| Box::pin(enter(&admission, 10))).collect();
        for waiting in &mut crowd {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let mut other = Box::pin(enter_as(&admission, "b", 10));
        assert!(other.as_mut().now_or_never().is_none());
        let waits = admission.waits();
        let told: Vec<_> = waits
            .iter()
            .map(|wait| (wait.plugin.as_str(), wait.calls, wait.reason))
            .collect();
        assert_eq!(
            told,
            [("a", 3, WaitReason::Calls), ("b", 1, WaitReason::Calls)]
        );
        drop(held);
        drop(crowd.remove(0).now_or_never().unwrap());
        drop(
            other
                .now_or_never()
                .expect("its turn before the second of the crowd"),
        );
        drop(crowd.remove(0).now_or_never().unwrap());
        drop(crowd.remove(0).now_or_never().unwrap());
        assert_eq!(numbers(&admission), (0, 0, 0));
    }

    #[test]
    fn who_waits_for_memory_is_told_so() {
        let admission = admission(9, 10);
        let _all = enter(&admission, 10).now_or_never().unwrap();
        let mut waiting = Box::pin(enter(&admission, 10));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(admission.waits()[0].reason, WaitReason::Memory);
    }

    #[test]
    fn small_ones_pass_one_that_does_not_fit_but_not_for_ever() {
        let admission = admission(1_000, 10 * BIG);
        let mut grown = enter(&admission, 5 * BIG).now_or_never().unwrap();
        let held = enter(&admission, 4 * BIG).now_or_never().unwrap();
        let mut growing = Box::pin(grown.grow(4 * BIG));
        assert!(growing.as_mut().now_or_never().is_none());
        let mut large = Box::pin(enter(&admission, BIG));
        assert!(
            large.as_mut().now_or_never().is_none(),
            "it fits, but is not small"
        );
        for _ in 0..PASSES_MAX {
            drop(
                enter_as(&admission, "b", MIB)
                    .now_or_never()
                    .expect("it is small"),
            );
        }
        let mut small = Box::pin(enter_as(&admission, "b", MIB));
        assert!(
            small.as_mut().now_or_never().is_none(),
            "enough have passed"
        );
        drop(held);
        assert!(growing.now_or_never().is_some());
        assert!(large.now_or_never().is_some());
        assert!(small.now_or_never().is_some());
    }

    #[test]
    fn steps_leave_a_reserve_for_what_keeps_the_farm_going() {
        let room = Room {
            calls: 10,
            bytes: 10 * BIG,
            ..unlimited()
        };
        let admission = Admission::new(room, room.part(10));
        let service = || Party::service("mail", "reporter");
        let held: Vec<_> = (0..9)
            .map(|_| enter(&admission, BIG).now_or_never().unwrap())
            .collect();
        let mut tenth = Box::pin(enter(&admission, BIG));
        assert!(tenth.as_mut().now_or_never().is_none());
        assert_eq!(admission.waits()[0].reason, WaitReason::Calls);
        let report = enter_for(&admission, service(), call(BIG)).now_or_never();
        let mut next = Box::pin(enter_for(&admission, service(), call(BIG)));
        assert!(next.as_mut().now_or_never().is_none());
        drop(held);
        assert!(next.now_or_never().is_some());
        assert!(tenth.now_or_never().is_some());
        drop(report);
        assert_eq!(numbers(&admission), (0, 0, 0));
    }

    #[test]
    fn tables_and_memories_are_counted_as_places() {
        let room = Room {
            tables: 30,
            ..unlimited()
        };
        let admission = Admission::new(room, Room::default());
        let python = Room {
            tables: 20,
            ..call(BIG)
        };
        let enter = || enter_for(&admission, Party::new("python", "b"), python);
        let mut first = enter().now_or_never().unwrap();
        let mut second = Box::pin(enter());
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(admission.waits()[0].reason, WaitReason::Calls);
        drop(first.take_memory());
        assert!(
            second.as_mut().now_or_never().is_none(),
            "the place is kept"
        );
        drop(first);
        assert!(second.now_or_never().is_some());
    }
}
