//! What comes after a delivery that failed.

use std::time::Duration;

use crate::Timestamp;
use crate::backoff::Backoff;

/// How often, and how far apart, a delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries until it is given up; at least 1.
    pub attempts_max: u32,
    /// The wait after the first failure; twice as long after each further one.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    /// Gives up after half a day.
    fn default() -> Self {
        Self {
            attempts_max: 20,
            first_wait: Duration::from_secs(5),
            longest_wait: Duration::from_secs(60 * 60),
        }
    }
}

/// Why a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Trying again later may help.
    Retryable,
    /// Nothing helps but a change by a person.
    Permanent,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is tried again then.
    RetryAt(Timestamp),
    /// It is given up.
    GiveUp,
}

impl RetryPolicy {
    /// Decides after the `attempt`-th try, counted from 1. `random` is a number from 0 to 1, drawn anew each time.
    #[must_use]
    pub fn after(&self, failure: Failure, attempt: u32, now: Timestamp, random: f64) -> Next {
        if failure == Failure::Permanent || attempt >= self.attempts_max {
            return Next::GiveUp;
        }
        let mut backoff = Backoff::new(self.first_wait, self.longest_wait)
            .with_failures(attempt.saturating_sub(1));
        Next::RetryAt(now.after(backoff.next_wait(random)))
    }
}
