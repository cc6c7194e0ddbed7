//! How many plugin calls exist at one time and how much memory they have together.
//!
//! A call enters with the memory that it starts with and asks again for each growth. Who finds no room waits, in
//! the order of [`Rota`]; calls that grow go before calls that enter, because they hold what the others wait for.
//! When every call waits to grow, the first of them is let through above the limit: somebody always gets on,
//! and the excess is at most what one call may have.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::fair::{Party, Rota};

/// The doorkeeper. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Mutex<Pool>>);

/// What there is and who wants it.
struct Pool {
    calls_max: usize,
    memory_max: usize,
    calls: usize,
    memory: usize,
    growing: Rota<Waiter>,
    entering: Rota<Waiter>,
}

struct Waiter {
    party: Party,
    since: Instant,
    bytes: usize,
    sender: oneshot::Sender<Share>,
}

/// How full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occupancy {
    pub(crate) calls: usize,
    pub(crate) calls_max: usize,
    pub(crate) waiting: usize,
    pub(crate) memory: usize,
    pub(crate) memory_max: usize,
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
    calls: usize,
    bytes: usize,
}

impl Admission {
    pub(crate) fn new(calls_max: usize, memory_max: usize) -> Self {
        Self(Arc::new(Mutex::new(Pool {
            calls_max: calls_max.max(1),
            memory_max,
            calls: 0,
            memory: 0,
            growing: Rota::new(),
            entering: Rota::new(),
        })))
    }

    /// Waits until there is room for another call that starts with this much memory.
    pub(crate) async fn enter(&self, party: &Party, bytes: usize) -> Share {
        self.wait(party, bytes, |pool| &mut pool.entering).await
    }

    async fn wait(
        &self,
        party: &Party,
        bytes: usize,
        queue: impl FnOnce(&mut Pool) -> &mut Rota<Waiter>,
    ) -> Share {
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter {
            party: party.clone(),
            since: Instant::now(),
            bytes,
            sender,
        };
        self.with(|pool| queue(pool).push(party, waiter));
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
            let entering = match pool.calls >= pool.calls_max {
                true => WaitReason::Calls,
                false => WaitReason::Memory,
            };
            let growing = pool.growing.iter().map(|who| (who, WaitReason::Memory));
            let entering = pool.entering.iter().map(|who| (who, entering));
            let mut waits: BTreeMap<(&str, WaitReason), (usize, Duration)> = BTreeMap::new();
            for ((plugin, waiter), reason) in growing.chain(entering) {
                let (calls, longest) = waits.entry((plugin, reason)).or_default();
                *calls += 1;
                *longest = now.saturating_duration_since(waiter.since).max(*longest);
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
            calls: pool.calls,
            calls_max: pool.calls_max,
            waiting: pool.growing.len() + pool.entering.len(),
            memory: pool.memory,
            memory_max: pool.memory_max,
        })
    }

    /// Lets in whoever has room now.
    fn admit(&self) {
        while let Some((waiter, calls)) = self.with(Pool::next) {
            let share = Share {
                admission: self.clone(),
                party: waiter.party,
                calls,
                bytes: waiter.bytes,
            };
            // A waiter that has gone gives the share back by dropping it.
            drop(waiter.sender.send(share));
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Pool) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pool {
    /// Takes the next one who has room out of its queue and counts it in.
    fn next(&mut self) -> Option<(Waiter, usize)> {
        if let Some(first) = self.growing.first() {
            let stuck = self.growing.len() >= self.calls;
            if !stuck && !self.fits(first.bytes) {
                return None;
            }
            return self.take(0);
        }
        let first = self.entering.first()?;
        let alone = self.calls == 0;
        if self.calls >= self.calls_max || (!alone && !self.fits(first.bytes)) {
            return None;
        }
        self.take(1)
    }

    fn take(&mut self, calls: usize) -> Option<(Waiter, usize)> {
        let queue = match calls {
            0 => &mut self.growing,
            _ => &mut self.entering,
        };
        let waiter = queue.pop()?;
        self.calls += calls;
        self.memory += waiter.bytes;
        Some((waiter, calls))
    }

    fn forget_gone(&mut self) {
        self.growing.retain(|waiter| !waiter.sender.is_closed());
        self.entering.retain(|waiter| !waiter.sender.is_closed());
    }

    fn fits(&self, bytes: usize) -> bool {
        self.memory.saturating_add(bytes) <= self.memory_max
    }
}

impl Share {
    /// Waits until there is room for this much more.
    pub(crate) async fn grow(&mut self, bytes: usize) {
        let (admission, party) = (&self.admission, &self.party);
        let mut more = admission.wait(party, bytes, |pool| &mut pool.growing).await;
        self.bytes += std::mem::take(&mut more.bytes);
    }

    /// Gives back what is not needed.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        drop(Self {
            admission: self.admission.clone(),
            party: self.party.clone(),
            calls: 0,
            bytes,
        });
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.calls == 0 && self.bytes == 0 {
            return;
        }
        self.admission.with(|pool| {
            pool.calls -= self.calls;
            pool.memory -= self.bytes;
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

    fn enter(admission: &Admission, bytes: usize) -> impl Future<Output = Share> + use<> {
        enter_as(admission, "a", bytes)
    }

    fn enter_as(
        admission: &Admission,
        plugin: &str,
        bytes: usize,
    ) -> impl Future<Output = Share> + use<> {
        let (admission, party) = (admission.clone(), Party::new(plugin, "builder"));
        async move { admission.enter(&party, bytes).await }
    }

    fn numbers(admission: &Admission) -> (usize, usize, usize) {
        let now = admission.occupancy();
        (now.calls, now.memory, now.waiting)
    }

    #[test]
    fn a_full_pool_makes_callers_wait_in_order() {
        let admission = Admission::new(2, 100);
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
        let admission = Admission::new(10, 100);
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
        let admission = Admission::new(10, 100);
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
        let admission = Admission::new(10, 100);
        let small = enter(&admission, 1).now_or_never().unwrap();
        let mut large = Box::pin(enter(&admission, 1_000));
        assert!(large.as_mut().now_or_never().is_none());
        drop(small);
        assert!(large.now_or_never().is_some());
    }

    #[test]
    fn who_gives_up_makes_room() {
        let admission = Admission::new(10, 100);
        let held = enter(&admission, 90).now_or_never().unwrap();
        let mut large = Box::pin(enter(&admission, 50));
        let mut small = Box::pin(enter(&admission, 10));
        assert!(large.as_mut().now_or_never().is_none());
        assert!(small.as_mut().now_or_never().is_none());
        drop(large);
        assert!(small.now_or_never().is_some());
        drop(held);
        let (mut granted, held) = {
            let held = enter(&admission, 100).now_or_never().unwrap();
            (Box::pin(enter(&admission, 100)), held)
        };
        assert!(granted.as_mut().now_or_never().is_none());
        drop(held);
        // Granted, but given up before it was looked at.
        drop(granted);
        assert_eq!(numbers(&admission), (0, 0, 0));
    }

    #[test]
    fn plugins_take_turns_and_those_who_wait_are_told_why() {
        let admission = Admission::new(1, 100);
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
        let _held = enter(&admission, 100).now_or_never().unwrap();
        let more = Admission::new(9, 10);
        let _all = enter(&more, 10).now_or_never().unwrap();
        let mut waiting = Box::pin(enter(&more, 10));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(more.waits()[0].reason, WaitReason::Memory);
    }
}
