//! Points in time as values. The core never asks what time it is.

use std::time::Duration;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the Unix epoch, as the REST API gives them.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From whole seconds since the Unix epoch; saturates.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// This much later; saturates.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier`; zero when it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_down_on_both_sides_of_the_epoch() {
        assert_eq!(
            [1999, 2000, -1, -1000].map(|ms| Timestamp(ms).seconds()),
            [1, 2, -1, -1]
        );
        assert_eq!(Timestamp::from_seconds(2), Timestamp(2000));
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::from_seconds(i64::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(5).after(Duration::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(7).since(Timestamp(5)), Duration::from_millis(2));
        assert_eq!(Timestamp(5).since(Timestamp(7)), Duration::ZERO);
        assert_eq!(
            Timestamp(i64::MIN).since(Timestamp(i64::MAX)),
            Duration::ZERO
        );
    }
}
