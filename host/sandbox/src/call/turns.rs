//! Processor time shared between plugins that compute for long.
//!
//! Most calls compute for less than [`TURN_AFTER`] in all and never come here. Who computes for longer needs a turn for each
//! tick, and there are as many turns as there are threads. So a thread is free for a short call after one tick at the
//! latest, and fifty loops of one plugin get together what one loop of another gets.

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
    waiting: Rota<oneshot::Sender<Turn>>,
}

/// Leave to compute, given back when it is dropped.
pub(crate) struct Turn {
    turns: Turns,
    /// Whether it counts. Cleared by whoever gives it back without a drop.
    counts: bool,
}

impl Turns {
    pub(crate) fn new(threads: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            free: threads.max(1),
            waiting: Rota::default(),
        })))
    }

    /// Waits for a turn.
    pub(crate) async fn take(&self, party: &Party) -> Turn {
        let (sender, receiver) = oneshot::channel();
        self.with(|inner| inner.waiting.push(party, sender));
        self.hand_out();
        match receiver.await {
            Ok(turn) => turn,
            Err(_) => unreachable!("a waiter leaves the queue only with its turn"),
        }
    }

    /// Gives the free turns to those who wait. Who has gone meanwhile is passed over.
    fn hand_out(&self) {
        while let Some(sender) = self.with(Inner::next) {
            let turn = Turn {
                turns: self.clone(),
                counts: true,
            };
            if let Err(mut unwanted) = sender.send(turn) {
                unwanted.counts = false;
                self.with(|inner| inner.free += 1);
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        if self.free == 0 {
            return None;
        }
        let next = self.waiting.pop()?;
        self.free -= 1;
        Some(next)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.counts {
            self.turns.with(|inner| inner.free += 1);
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
}
