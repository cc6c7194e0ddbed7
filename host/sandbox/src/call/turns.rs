//! Turns with something of which there is little: processor time shared between plugins that compute for long, exchanges
//! over the network.
//!
//! Most calls compute for less than [`TURN_AFTER`] in all and need no turn for that. Who computes for longer needs one for each
//! stretch of 10 ms, and there are as many turns as there are threads. So a thread is free for a short call after one stretch
//! at the latest, and fifty loops of one plugin get together what one loop of another gets. Of the calls of one party, that which has
//! begun goes first, to its end: the memory that it then gives back is still at hand for the next, and fifty that were computed by
//! turns would each have taken theirs from the system.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::fair::{Party, Rota};

/// Processor time that a call may use without asking for turns.
pub(crate) const TURN_AFTER: Duration = Duration::from_millis(20);

/// The turns that there are. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Mutex<Inner>>);

struct Inner {
    free: usize,
    /// How many of them one plugin may have.
    each_max: usize,
    /// Those that plugins have.
    held: BTreeMap<Arc<str>, usize>,
    waiting: Rota<Waiter>,
}

struct Waiter {
    plugin: Arc<str>,
    sender: oneshot::Sender<Turn>,
}

/// A turn, given back when it is dropped.
pub(crate) struct Turn {
    turns: Turns,
    /// Whose it is. Taken by whoever gives it back without a drop.
    plugin: Option<Arc<str>>,
}

impl Turns {
    /// So many, of which one plugin can have all.
    pub(crate) fn new(turns: usize) -> Self {
        Self::shared(turns, turns)
    }

    /// So many, of which one plugin has some at the most.
    pub(crate) fn shared(turns: usize, each_max: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            free: turns.max(1),
            each_max: each_max.max(1),
            held: BTreeMap::new(),
            waiting: Rota::default(),
        })))
    }

    /// Waits for a turn.
    pub(crate) async fn take(&self, party: &Party) -> Turn {
        self.take_as(party, Rota::push).await
    }

    /// The same for one that has begun: before all others of this party.
    pub(crate) async fn take_again(&self, party: &Party) -> Turn {
        self.take_as(party, Rota::push_first).await
    }

    async fn take_as(&self, party: &Party, push: fn(&mut Rota<Waiter>, &Party, Waiter)) -> Turn {
        let (sender, receiver) = oneshot::channel();
        let plugin = party.plugin.clone();
        self.with(|inner| push(&mut inner.waiting, party, Waiter { plugin, sender }));
        self.hand_out();
        match receiver.await {
            Ok(turn) => turn,
            Err(_) => unreachable!("a waiter leaves the queue only with its turn"),
        }
    }

    /// Gives the free turns to those who wait. Who has gone meanwhile is passed over.
    fn hand_out(&self) {
        while let Some(Waiter { plugin, sender }) = self.with(Inner::next) {
            let turn = Turn {
                turns: self.clone(),
                plugin: Some(plugin),
            };
            if let Err(mut unwanted) = sender.send(turn)
                && let Some(plugin) = unwanted.plugin.take()
            {
                self.with(|inner| inner.give_back(&plugin));
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn next(&mut self) -> Option<Waiter> {
        if self.free == 0 {
            return None;
        }
        let (held, each_max) = (&self.held, self.each_max);
        let may = |waiter: &Waiter| held.get(&waiter.plugin).is_none_or(|has| *has < each_max);
        let next = self.waiting.pop_where(may)?;
        self.free -= 1;
        *self.held.entry(next.plugin.clone()).or_default() += 1;
        Some(next)
    }

    fn give_back(&mut self, plugin: &Arc<str>) {
        self.free += 1;
        if let Some(has) = self.held.get_mut(plugin) {
            *has -= 1;
            if *has == 0 {
                self.held.remove(plugin);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(plugin) = self.plugin.take() {
            self.turns.with(|inner| inner.give_back(&plugin));
            self.turns.hand_out();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn plugins_compute_in_turns_however_many_calls_they_have() {
        let turns = Turns::new(1);
        let (many, few) = (Party::new("many", "b"), Party::new("few", "b"));
        let running = turns.take(&many).now_or_never().unwrap();
        let mut crowd: Vec<_> = (0..3).map(|_| Box::pin(turns.take(&many))).collect();
        for waiting in &mut crowd {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let mut single = Box::pin(turns.take(&few));
        assert!(single.as_mut().now_or_never().is_none());
        drop(running);
        let next = crowd.remove(0).now_or_never().unwrap();
        // One that gives up is passed over.
        drop(crowd.remove(0));
        drop(next);
        let single = single.now_or_never().unwrap();
        assert!(crowd[0].as_mut().now_or_never().is_none());
        drop(single);
        drop(crowd.remove(0).now_or_never().unwrap());
        assert!(turns.take(&few).now_or_never().is_some());
    }

    #[test]
    fn of_one_party_that_goes_first_which_has_begun() {
        let turns = Turns::new(1);
        let (party, other) = (Party::new("many", "b"), Party::new("few", "b"));
        let first = turns.take(&party).now_or_never().unwrap();
        let mut second = Box::pin(turns.take(&party));
        let mut of_other = Box::pin(turns.take(&other));
        for waiting in [&mut second, &mut of_other] {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let mut again = Box::pin(turns.take_again(&party));
        assert!(again.as_mut().now_or_never().is_none());
        drop(first);
        drop(again.now_or_never().unwrap());
        drop(of_other.now_or_never().unwrap());
        assert!(second.now_or_never().is_some());
    }

    #[test]
    fn one_plugin_cannot_have_all() {
        let turns = Turns::shared(4, 2);
        let (many, few) = (Party::new("many", "b"), Party::new("few", "b"));
        let take = |party| turns.take(party).now_or_never();
        let held = (take(&many).unwrap(), take(&many).unwrap());
        let mut third = Box::pin(turns.take(&many));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(take(&few).is_some());
        drop(held);
        assert!(third.now_or_never().is_some());
    }
}
