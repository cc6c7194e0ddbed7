//! The wall-clock limit of one call. The clock stands while the call waits for something that other calls have: that is
//! neither its doing nor its fault.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The time that a call takes.
pub(crate) struct WallClock {
    limit: Duration,
    times: Mutex<Times>,
    goes_on: Notify,
}

struct Times {
    began: Instant,
    /// What does not count.
    waited: Duration,
    waits_since: Option<Instant>,
}

/// While it is kept, the clock stands.
pub(crate) struct Standing<'a>(&'a WallClock);

impl WallClock {
    pub(crate) fn start(limit: Duration) -> Self {
        Self {
            limit,
            times: Mutex::new(Times {
                began: Instant::now(),
                waited: Duration::ZERO,
                waits_since: None,
            }),
            goes_on: Notify::new(),
        }
    }

    /// Stops the clock until the answer is dropped. A call waits for one thing at a time.
    pub(crate) fn stand(&self) -> Standing<'_> {
        self.with(|times| times.waits_since = Some(Instant::now()));
        Standing(self)
    }

    /// What counts so far, and what does not.
    pub(crate) fn read(&self) -> (Duration, Duration) {
        self.with(|times| {
            let now = Instant::now();
            let waits = times
                .waits_since
                .map_or(Duration::ZERO, |since| now - since);
            let waited = times.waited + waits;
            let all = now.saturating_duration_since(times.began);
            (all.saturating_sub(waited), waited)
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.read().0 > self.limit
    }

    /// Resolves at the limit.
    pub(crate) async fn over(&self) {
        loop {
            let goes_on = self.goes_on.notified();
            if self.with(|times| times.waits_since.is_some()) {
                goes_on.await;
                continue;
            }
            let left = self.limit.saturating_sub(self.read().0);
            if left.is_zero() {
                return;
            }
            // If the clock stands meanwhile, there is something left afterwards.
            tokio::time::sleep(left).await;
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Times) -> T) -> T {
        act(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.with(|times| {
            if let Some(since) = times.waits_since.take() {
                times.waited += since.elapsed();
            }
        });
        self.0.goes_on.notify_waiters();
    }
}
