//! Large totals, which visitors are told again for a moment: a list shows a hundred rows of a million, and to count the million
//! takes longer than to read the hundred.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Up to here a total is always counted anew.
pub(crate) const EXACT_ROWS_MAX: i64 = 10_000;

/// A total is told again for so many times as long as it took to count, so that counting takes a twentieth of the time at most.
const TIMES_AS_LONG: u32 = 20;

/// Nor for longer than this.
const AGE_MAX: Duration = Duration::from_secs(5);

/// Totals that are kept.
const KEPT_MAX: usize = 256;

/// The totals, by statement and arguments.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<HashMap<String, Counted>>);

#[derive(Debug)]
struct Counted {
    count: i64,
    until: Instant,
}

impl Counts {
    /// The total, if it was counted just now.
    pub(crate) fn known(&self, key: &str) -> Option<i64> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = kept.get(key)?;
        (Instant::now() < counted.until).then_some(counted.count)
    }

    /// Keeps a total that took so long to count, if it is large.
    pub(crate) fn keep(&self, key: String, count: i64, took: Duration) {
        if count <= EXACT_ROWS_MAX {
            return;
        }
        let now = Instant::now();
        let until = now + (took * TIMES_AS_LONG).min(AGE_MAX);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, counted| now < counted.until);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(key, Counted { count, until });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_totals_are_told_again_and_not_for_long() {
        let counts = Counts::default();
        let long = Duration::from_secs(600);
        counts.keep("small".into(), EXACT_ROWS_MAX, long);
        counts.keep("large".into(), EXACT_ROWS_MAX + 1, long);
        counts.keep("at once".into(), EXACT_ROWS_MAX + 1, Duration::ZERO);
        assert_eq!(counts.known("small"), None);
        assert_eq!(counts.known("large"), Some(EXACT_ROWS_MAX + 1));
        assert_eq!(counts.known("at once"), None);
        for other in 0..2 * KEPT_MAX {
            counts.keep(other.to_string(), i64::MAX, long);
        }
        let kept = counts.0.lock().unwrap();
        assert!(kept.len() <= KEPT_MAX);
        let latest = kept.values().map(|counted| counted.until).max();
        assert!(latest.unwrap() <= Instant::now() + AGE_MAX);
    }
}
