//! How long to wait before trying again. Pure: the caller brings the randomness and does the waiting.

use std::time::Duration;

/// Exponential back-off with a limit and jitter.
///
/// The n-th wait is `start * factor^n`, at most `limit`, and then shortened by up to the share `jitter` of
/// itself, so that many who failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    start: Duration,
    limit: Duration,
    factor: f64,
    jitter: f64,
    failures: u32,
}

impl Backoff {
    /// Doubles from `start` up to `limit`, and shortens each wait by up to a quarter.
    #[must_use]
    pub fn new(start: Duration, limit: Duration) -> Self {
        Self {
            start,
            limit,
            factor: 2.0,
            jitter: 0.25,
            failures: 0,
        }
    }

    /// Grows by another factor; less than 1 counts as 1.
    #[must_use]
    pub fn with_factor(mut self, factor: f64) -> Self {
        self.factor = factor.max(1.0);
        self
    }

    /// Shortens by up to another share of the wait; 0 for none, 1 for all of it.
    #[must_use]
    pub fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter.clamp(0.0, 1.0);
        self
    }

    /// Goes on after so many failures, for whoever remembers their number and nothing else.
    #[must_use]
    pub fn with_failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// Counts a failure and says how long to wait. `random` is a number from 0 to 1, drawn anew each time.
    #[must_use]
    pub fn next_wait(&mut self, random: f64) -> Duration {
        let doublings = i32::try_from(self.failures).unwrap_or(i32::MAX);
        let limit_s = self.limit.as_secs_f64();
        let wait_s = (self.start.as_secs_f64() * self.factor.powi(doublings)).min(limit_s);
        self.failures = self.failures.saturating_add(1);
        let wait_s = wait_s * (1.0 - self.jitter * random.clamp(0.0, 1.0));
        Duration::try_from_secs_f64(wait_s).unwrap_or(self.limit)
    }

    /// Failures since the start or the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked: the next wait is the first again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits_ms(mut backoff: Backoff, random: f64, count: usize) -> Vec<u128> {
        (0..count)
            .map(|_| backoff.next_wait(random).as_millis())
            .collect()
    }

    #[test]
    fn waits_double_up_to_the_limit() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(waits_ms(backoff, 0.0, 6), [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(waits_ms(backoff, 1.0, 6), [75, 150, 300, 600, 750, 750]);
        assert_eq!(
            waits_ms(backoff.with_factor(10.0).with_jitter(0.0), 1.0, 3),
            [100, 1000, 1000]
        );
    }

    #[test]
    fn success_starts_over_and_many_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for _ in 0..10_000 {
            assert!(backoff.next_wait(0.5) <= Duration::from_secs(60));
        }
        assert_eq!(backoff.failures(), 10_000);
        backoff.succeeded();
        assert_eq!(backoff.next_wait(0.0), Duration::from_secs(1));
    }

    #[test]
    fn odd_randomness_is_harmless() {
        for random in [-1.0, 2.0, f64::INFINITY, f64::NAN] {
            let wait =
                Backoff::new(Duration::from_secs(8), Duration::from_secs(9)).next_wait(random);
            assert!((6..=9).contains(&wait.as_secs()), "{random}: {wait:?}");
        }
    }
}
