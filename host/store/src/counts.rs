//! Large totals, which visitors are told again for a moment: a list shows a hundred rows of a million, and to count the million
//! takes longer than to read the hundred.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::Result;

/// Up to here a total is always counted anew.
pub(crate) const EXACT_ROWS_MAX: i64 = 10_000;

/// A total is told again for so many times as long as it took to count, so that counting takes a twentieth of the time at most.
const TIMES_AS_LONG: u32 = 20;

/// Nor for longer than this.
const AGE_MAX: Duration = Duration::from_secs(5);

/// Totals that are kept.
const KEPT_MAX: usize = 256;

/// How long a total that is too old is still told while somebody counts anew.
const OLD_TOLD_MAX: Duration = AGE_MAX;

/// The totals, by statement and arguments.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<String, Counted>,
    /// What is being counted, and where its total will be told.
    under_way: HashMap<String, watch::Receiver<Option<i64>>>,
}

#[derive(Debug)]
struct Counted {
    count: i64,
    until: Instant,
}

/// What to do for a total.
enum Turn<'a> {
    /// It was counted just now, or is being counted by somebody else and was counted a moment before.
    Known(i64),
    /// Somebody counts it.
    Wait(watch::Receiver<Option<i64>>),
    /// Nobody does.
    Count(UnderWay<'a>),
}

/// Somebody counts this.
struct UnderWay<'a> {
    counts: &'a Counts,
    key: String,
    told: watch::Sender<Option<i64>>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.counts.lock().under_way.remove(&self.key);
    }
}

impl Counts {
    /// The total of this statement with these arguments, which `count` counts. However many ask for a large one at a time, it is
    /// counted once.
    pub(crate) async fn total<F>(&self, key: String, count: impl FnOnce() -> F) -> Result<i64>
    where
        F: Future<Output = Result<i64>>,
    {
        let turn = self.turn(&key, Instant::now());
        let under_way = match turn {
            Turn::Known(count) => return Ok(count),
            Turn::Wait(mut told) => {
                let told = told.wait_for(Option::is_some).await;
                let told = told.ok().and_then(|told| *told);
                // A small one may have begun to be counted before what the asker did himself.
                return match told.filter(|count| *count > EXACT_ROWS_MAX) {
                    Some(count) => Ok(count),
                    None => count().await,
                };
            }
            Turn::Count(under_way) => under_way,
        };
        let started = Instant::now();
        let count = count().await?;
        self.keep(key, count, started.elapsed());
        under_way.told.send_replace(Some(count));
        Ok(count)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, key: &str, now: Instant) -> Turn<'_> {
        let mut inner = self.lock();
        let under_way = inner.under_way.get(key);
        if let Some(counted) = inner.kept.get(key) {
            let told_until = match under_way {
                Some(_) => counted.until + OLD_TOLD_MAX,
                None => counted.until,
            };
            if now < told_until {
                return Turn::Known(counted.count);
            }
        }
        if let Some(told) = under_way {
            return Turn::Wait(told.clone());
        }
        let (told, hears) = watch::channel(None);
        inner.under_way.insert(key.to_owned(), hears);
        Turn::Count(UnderWay {
            counts: self,
            key: key.to_owned(),
            told,
        })
    }

    /// Keeps a total that took so long to count, if it is large.
    fn keep(&self, key: String, count: i64, took: Duration) {
        let mut inner = self.lock();
        let kept = &mut inner.kept;
        if count <= EXACT_ROWS_MAX {
            kept.remove(&key);
            return;
        }
        let now = Instant::now();
        let until = now + (took * TIMES_AS_LONG).min(AGE_MAX);
        if kept.len() >= KEPT_MAX && !kept.contains_key(&key) {
            kept.retain(|_, counted| now < counted.until);
        }
        if kept.len() < KEPT_MAX || kept.contains_key(&key) {
            kept.insert(key, Counted { count, until });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;
    use crate::StoreError;

    const LARGE: i64 = EXACT_ROWS_MAX + 1;

    impl Counts {
        fn known(&self, key: &str, now: Instant) -> Option<i64> {
            match self.turn(key, now) {
                Turn::Known(count) => Some(count),
                Turn::Wait(_) | Turn::Count(_) => None,
            }
        }
    }

    #[test]
    fn only_large_totals_are_told_again_and_not_for_long() {
        let counts = Counts::default();
        let long = Duration::from_secs(600);
        counts.keep("small".into(), EXACT_ROWS_MAX, long);
        counts.keep("large".into(), LARGE, long);
        counts.keep("at once".into(), LARGE, Duration::ZERO);
        counts.keep("shrunk".into(), LARGE, long);
        counts.keep("shrunk".into(), EXACT_ROWS_MAX, long);
        let now = Instant::now();
        assert_eq!(counts.known("small", now), None);
        assert_eq!(counts.known("large", now), Some(LARGE));
        assert_eq!(counts.known("at once", now), None);
        assert_eq!(counts.known("shrunk", now), None);
        assert_eq!(counts.known("large", now + AGE_MAX), None);
        for other in 0..2 * KEPT_MAX {
            counts.keep(other.to_string(), i64::MAX, long);
        }
        let kept = &counts.lock().kept;
        assert!(kept.len() <= KEPT_MAX);
        let latest = kept.values().map(|counted| counted.until).max();
        assert!(latest.unwrap() <= Instant::now() + AGE_MAX);
    }

    /// Has many ask for the same total at one time: what they are told, and how often it was counted.
    async fn asked_by_many(counts: &Counts, total: i64) -> (Vec<i64>, usize) {
        let counted = AtomicUsize::new(0);
        let one = async || {
            let count = async || {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(total)
            };
            counts.total("key".into(), count).await.unwrap()
        };
        let told = join_all((0..64).map(|_| one())).await;
        (told, counted.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_large_total_is_counted_once_for_all_who_ask_and_a_small_one_for_each() {
        let counts = Counts::default();
        assert_eq!(asked_by_many(&counts, LARGE).await, (vec![LARGE; 64], 1));
        let counts = Counts::default();
        assert_eq!(asked_by_many(&counts, 3).await, (vec![3; 64], 64));
    }

    #[tokio::test]
    async fn the_old_total_is_told_while_somebody_counts_anew() {
        let counts = Counts::default();
        counts.keep("key".into(), LARGE, Duration::ZERO);
        let now = Instant::now();
        let under_way = counts.turn("key", now);
        assert!(matches!(under_way, Turn::Count(_)));
        assert_eq!(counts.known("key", now), Some(LARGE));
        assert_eq!(counts.known("key", now + OLD_TOLD_MAX), None);
        // Who counts may go away.
        drop(under_way);
        assert!(matches!(counts.turn("key", now), Turn::Count(_)));
    }

    #[tokio::test]
    async fn who_waits_counts_himself_when_the_other_could_not() {
        let counts = Counts::default();
        let fails = counts.total("key".into(), async || {
            tokio::task::yield_now().await;
            Err(StoreError::Closed)
        });
        let counts_it = counts.total("key".into(), async || Ok(LARGE));
        let (failed, counted) = tokio::join!(fails, counts_it);
        assert!(failed.is_err());
        assert_eq!(counted.unwrap(), LARGE);
        assert!(counts.lock().under_way.is_empty());
    }
}
