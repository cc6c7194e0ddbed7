//! How fast workers are let in. All of a large farm come at once when its master was started anew, and while they do, others
//! want answers as well.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Workers that are let in each second. More wait for their turn.
const ADMITTED_PER_S_MAX: u32 = 1_100;
/// Workers that are let in at once after a quiet time.
const ADMITTED_AT_ONCE_MAX: u32 = 24;

/// Gives turns.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last turn is over that was given.
    over_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        let wait = self.take(Instant::now());
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }

    /// Takes the next turn; how long it is until then.
    fn take(&self, now: Instant) -> Duration {
        let each = Duration::from_secs(1) / ADMITTED_PER_S_MAX;
        let mut over_at = self.over_at.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = over_at.map_or(now, |over_at| over_at.max(now));
        *over_at = Some(turn + each);
        turn.saturating_duration_since(now + each * ADMITTED_AT_ONCE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_come_at_once_and_many_one_after_the_other() {
        let pace = Pace::default();
        let start = Instant::now();
        let waits: Vec<u128> = (0..1_125).map(|_| pace.take(start).as_millis()).collect();
        assert!(waits[..25].iter().all(|wait| *wait == 0));
        assert!(waits.is_sorted() && (995..=1_000).contains(waits.last().expect("many")));
        // Nothing is left of that later.
        let later = start + Duration::from_secs(2);
        assert!(pace.take(later).is_zero());
    }
}
