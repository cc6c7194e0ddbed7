//! Whether a runtime keeps up: a task on it sleeps again and again, and how much later than asked it wakes is the delay that
//! everything else on that runtime has, too.
//!
//! Plugins have threads of their own and should never cause one. If it happens, the plugins that computed at that moment
//! are named.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// How often the delay is measured.
const INTERVAL: Duration = Duration::from_millis(20);
/// A delay from which on somebody is to blame.
const BLAMED_FROM: Duration = Duration::from_millis(50);
/// Upper bounds of the histogram's buckets.
pub(crate) const BUCKETS: [Duration; 8] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
];

/// The delays of one runtime.
#[derive(Debug)]
pub struct Reactor {
    name: &'static str,
    delays: Mutex<Delays>,
}

/// What was measured since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delays {
    /// Measurements that were at most as long as the bucket's bound, and longer than those before.
    pub(crate) buckets: [u64; BUCKETS.len()],
    /// All measurements.
    pub(crate) count: u64,
    /// Their sum.
    pub(crate) sum: Duration,
    /// The longest one.
    pub(crate) longest: Duration,
    /// Long ones, by each plugin that computed then; by the empty name when none did.
    pub(crate) stalls: BTreeMap<String, u64>,
    /// The newest long one.
    pub(crate) blamed: Option<Blame>,
}

/// A long delay.
#[derive(Debug, Clone)]
pub(crate) struct Blame {
    /// How long.
    pub(crate) delay: Duration,
    /// When it ended.
    pub(crate) at: Instant,
    /// The plugins that computed then.
    pub(crate) plugins: Vec<String>,
}

impl Reactor {
    /// A runtime of this name.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            delays: Mutex::default(),
        }
    }

    /// Measures the runtime that it is polled on, for ever. `computing` tells the plugins that compute at the moment.
    pub async fn measure(&self, computing: impl Fn() -> Vec<String>) {
        loop {
            let asked = Instant::now();
            sleep(INTERVAL).await;
            let delay = asked.elapsed().saturating_sub(INTERVAL);
            self.note(delay, &computing);
        }
    }

    fn note(&self, delay: Duration, computing: impl Fn() -> Vec<String>) {
        let blame = (delay >= BLAMED_FROM).then(|| Blame {
            delay,
            at: Instant::now(),
            plugins: computing(),
        });
        if let Some(blame) = &blame {
            let (name, plugins) = (self.name, blame.plugins.join(", "));
            tracing::debug!(
                delay_ms = delay.as_millis(),
                plugins,
                "the runtime `{name}` was late by {delay:?}"
            );
        }
        let mut delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        delays.count += 1;
        delays.sum += delay;
        delays.longest = delays.longest.max(delay);
        if let Some(at) = BUCKETS.iter().position(|bound| delay <= *bound) {
            delays.buckets[at] += 1;
        }
        if let Some(blame) = &blame {
            let mut names = blame.plugins.clone();
            if names.is_empty() {
                names.push(String::new());
            }
            for name in names {
                *delays.stalls.entry(name).or_default() += 1;
            }
        }
        delays.blamed = blame.or_else(|| delays.blamed.take());
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn delays(&self) -> Delays {
        let delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        delays.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_runtime_is_seen_and_blamed_on_who_computed() {
        let reactor = Reactor::new("engine");
        let computing = || vec!["greedy".to_owned()];
        reactor.note(Duration::from_millis(3), computing);
        assert!(reactor.delays().blamed.is_none());
        reactor.note(Duration::from_millis(120), computing);
        reactor.note(Duration::from_secs(2), Vec::new);
        reactor.note(Duration::ZERO, computing);
        let delays = reactor.delays();
        let blamed = delays.blamed.expect("the newest long delay");
        assert_eq!(
            (blamed.delay, blamed.plugins),
            (Duration::from_secs(2), vec![])
        );
        let stalls = [(String::new(), 1), ("greedy".to_owned(), 1)];
        assert_eq!(delays.stalls, stalls.into());
        assert_eq!(delays.buckets, [1, 0, 1, 0, 0, 0, 1, 0]);
        assert_eq!((delays.count, delays.longest), (4, Duration::from_secs(2)));
    }

    #[tokio::test]
    async fn it_measures_until_it_is_dropped() {
        let reactor = Reactor::new("engine");
        let seen = async {
            while reactor.delays().count < 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = reactor.measure(Vec::new) => unreachable!("it measures for ever"),
            () = seen => {}
        }
    }
}
