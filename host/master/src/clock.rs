//! Where time comes from. Everything in this crate that decides by time asks a [`Clock`]; tests turn a
//! [`ManualClock`] by hand.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::watch;
use toolpost_core::Timestamp;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns once `now()` is `at` or later; at once when it is already.
    async fn sleep_until(&self, at: Timestamp);

    /// The same; without a time it never returns.
    async fn sleep_until_some(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Returns after this long.
    async fn sleep(&self, wait: Duration) {
        self.sleep_until(self.now().after(wait)).await;
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The machine's clock may be set while something sleeps: look at it this often.
const WALL_CLOCK_CHECK_MS: u64 = 30_000;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_millis(WALL_CLOCK_CHECK_MS))).await;
        }
    }
}

/// A clock that stands still until it is told to go on.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
}

impl ManualClock {
    /// Stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self {
            now: watch::Sender::new(start),
        }
    }

    /// Goes on by this much and wakes whoever waited for a time that is now past.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = now.after(by));
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep_until(&self, at: Timestamp) {
        // The sender lives as long as `self`, so the wait can only end by the time being reached.
        let _ = self.now.subscribe().wait_for(|now| *now >= at).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_when_their_time_is_reached() {
        let clock = ManualClock::new(Timestamp(1_000));
        let sleep = clock.sleep(Duration::from_millis(500));
        tokio::pin!(sleep);
        assert!(poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_millis(499));
        assert!(poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_millis(1));
        assert!(poll!(&mut sleep).is_ready());
        assert_eq!(clock.now(), Timestamp(1_500));
    }
}
