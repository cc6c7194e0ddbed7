//! Remembers who was not let in under the name of a worker, and what it did that was odd, for its page.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use toolpost_core::WorkerId;
use tracing::warn;

use crate::engine::Engine;

/// What comes sooner after the one before of one worker's name is in the log only.
const REFUSALS_APART_MIN: Duration = Duration::from_secs(2);

/// When somebody was last refused, or something last odd, by worker.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<WorkerId, Instant>>);

impl Refusals {
    fn is_due(&self, worker: WorkerId, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last
            .get(&worker)
            .is_none_or(|at| now.duration_since(*at) >= REFUSALS_APART_MIN);
        if is_due {
            last.insert(worker, now);
        }
        is_due
    }
}

impl Engine {
    /// Notes a refusal. Beside the answer, not before it: how long that takes would tell strangers which names there are.
    pub(super) fn note_refused(self: &Arc<Self>, worker: &str, why: &str, from: &str) {
        let Some(id) = self.running().ids.workers.get(worker).copied() else {
            return;
        };
        if !self.workers.remote.refusals.is_due(id, Instant::now()) {
            return;
        }
        // Ports are others each time.
        let from: Option<SocketAddr> = from.parse().ok();
        let why = match from {
            Some(from) => format!("{why}, from {}", from.ip()),
            None => why.to_owned(),
        };
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let noted = engine.store.note_refused(id, &why, engine.clock.now());
            if let Err(error) = noted.await {
                warn!("that a worker was refused was not stored: {error}");
            }
        });
    }

    /// Notes what a worker did that it should not.
    pub(super) fn note_odd(self: &Arc<Self>, worker: &str, what: &str) {
        let Some(id) = self.running().ids.workers.get(worker).copied() else {
            return;
        };
        if !self.workers.remote.oddities.is_due(id, Instant::now()) {
            return;
        }
        let (engine, what) = (Arc::clone(self), what.to_owned());
        tokio::spawn(async move {
            let noted = engine.store.note_odd(id, &what, engine.clock.now());
            if let Err(error) = noted.await {
                warn!("what a worker did was not stored: {error}");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_noted_now_and_then() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let noted =
            [0, 100, 1_999, 2_000, 3_000, 4_000].map(|ms| refusals.is_due(WorkerId(1), after(ms)));
        assert_eq!(noted, [true, false, false, true, false, true]);
        assert!(refusals.is_due(WorkerId(2), after(100)));
    }
}
