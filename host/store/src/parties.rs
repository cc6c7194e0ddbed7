//! Fair turns: of those who write much, each has only a few writes in the line for the database.
//!
//! The line itself is first come, first served. A party that would fill it waits in a line of its own instead, so what
//! somebody else writes waits for a few of its writes, not for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Names that are kept before those are forgotten that nobody uses any more.
const NAMES_KEPT: usize = 64;

/// The parties that there are.
pub(crate) struct Parties {
    writes_max: usize,
    by_name: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The line of one party.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Parties {
    /// Parties with so many writes each in the line for the database.
    pub(crate) fn new(writes_max: usize) -> Self {
        Self {
            writes_max: writes_max.max(1),
            by_name: Mutex::default(),
        }
    }

    /// The line of the party of this name, which all who ask for it share.
    pub(crate) fn turns_of(&self, name: &str) -> Turns {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = by_name.get(name).and_then(Weak::upgrade) {
            return Turns(turns);
        }
        if by_name.len() >= NAMES_KEPT {
            by_name.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Arc::new(Semaphore::new(self.writes_max));
        by_name.insert(name.to_owned(), Arc::downgrade(&turns));
        Turns(turns)
    }
}

impl Turns {
    /// Waits for the next turn, which lasts until what is given back is dropped.
    pub(crate) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_party_waits_for_itself_and_for_nobody_else() {
        let parties = Parties::new(2);
        let (busy, same) = (parties.turns_of("busy"), parties.turns_of("busy"));
        let first = busy.next().await;
        let _second = same.next().await;
        assert!(busy.next().now_or_never().is_none());
        assert!(parties.turns_of("other").next().now_or_never().is_some());
        drop(first);
        assert!(same.next().now_or_never().is_some());
    }

    #[tokio::test]
    async fn names_that_nobody_uses_are_forgotten() {
        let parties = Parties::new(1);
        let kept = parties.turns_of("kept");
        for name in 0..10 * NAMES_KEPT {
            let _ = parties.turns_of(&name.to_string());
        }
        assert!(parties.by_name.lock().unwrap().len() <= NAMES_KEPT);
        let _turn = kept.next().await;
        assert!(parties.turns_of("kept").next().now_or_never().is_none());
    }
}
