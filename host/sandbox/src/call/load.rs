//! How busy the master is with everything else than its plugins, and the rests that plugins which compute for long owe it.
//!
//! A plugin takes a core from the rest of the master, and one that moves a lot of memory makes slower what runs on other cores as
//! well, whatever its priority. So after each stretch of computing there is a rest before the next turn, whoever's it is: the longer,
//! the busier the rest of the master is. In a master that has nothing to do there is none. A call that is expected to be short need
//! not wait for its first stretch. What its party did last says what to expect: one instruction may copy all memory of a plugin, and
//! fifty calls that begin with it would take the core for seconds, each of them for the first time.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::call::turns::TURN_AFTER;
use crate::engine::Threads;
use crate::fair::Party;

/// How old a figure gets before it is made anew. Long enough for what the system counts only at each tick of its own clock to be a
/// small part of it.
const WINDOW: Duration = Duration::from_millis(100);
/// Where there is no figure yet.
const UNKNOWN: f64 = 0.1;

/// Rests for each stretch, of its own length, when the rest of the master takes the whole machine; with an eighth of it, one.
const RESTS_PER_LOAD: f64 = 8.0;
/// Rests for each stretch at the most: a quarter of the time is left to plugins that compute, however busy the master is.
const RESTS_MAX: f64 = 3.0;
/// What is owed at the most: what the host did for a call counts as computed as well, and may have taken long.
const REST_MAX: Duration = Duration::from_millis(250);
/// Parties that are known to compute for long. With more, all of them are forgotten, which costs each one stretch.
const LONG_MAX: usize = 1_000;

/// Knows how much of the machine's processor time this process takes, without what plugins compute.
pub(crate) struct HostLoad {
    /// `None` when plugins compute elsewhere: then nobody rests.
    threads: Option<Threads>,
    /// Turns at one time.
    turns: f64,
    cores: f64,
    last: Mutex<Look>,
    rested_at: Mutex<Instant>,
    /// Those whose last call computed for long.
    long: Mutex<HashSet<Party>>,
}

struct Look {
    at: Instant,
    clocks: Clocks,
    share: f64,
}

/// Processor time since the start.
#[derive(Clone, Copy)]
struct Clocks {
    process: Duration,
    plugins: Duration,
}

impl HostLoad {
    /// Of a master with so many threads for plugins.
    pub(crate) fn new(threads: Option<Threads>, number: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let last = Look {
            at: Instant::now(),
            clocks: Clocks::read(threads.as_ref()),
            share: UNKNOWN,
        };
        Self {
            threads,
            turns: number.max(1) as f64,
            cores: cores as f64,
            rested_at: Mutex::new(last.at),
            last: Mutex::new(last),
            long: Mutex::default(),
        }
    }

    /// Whether a call of this party needs a turn from its beginning on.
    pub(crate) fn expects_long(&self, party: &Party) -> bool {
        self.threads.is_some() && lock(&self.long).contains(party)
    }

    /// A call of this party has computed for so long in all, and so long since it was last said.
    pub(crate) fn computed(&self, party: &Party, used: Duration, since: Duration) {
        if used <= TURN_AFTER {
            return;
        }
        {
            let mut long = lock(&self.long);
            if !long.contains(party) {
                if long.len() >= LONG_MAX {
                    long.clear();
                }
                long.insert(party.clone());
            }
        }
        // Of several that compute at one time each owes a part, for which all of them wait.
        let rest = rest_after(since, self.share()).div_f64(self.turns);
        let now = Instant::now();
        let mut rested_at = lock(&self.rested_at);
        *rested_at = ((*rested_at).max(now) + rest).min(now + REST_MAX);
    }

    /// A call of this party has ended after so much processor time. One that ended before its first turn says nothing about the next.
    pub(crate) fn ended(&self, party: &Party, used: Duration, had_begun: bool) {
        if had_begun && used <= TURN_AFTER {
            lock(&self.long).remove(party);
        }
    }

    /// Waits until what is owed now is paid. To be called with a turn, so that none of its copies computes meanwhile.
    pub(crate) async fn rest(&self) {
        let rest = lock(&self.rested_at).saturating_duration_since(Instant::now());
        if rest > Duration::ZERO {
            tokio::time::sleep(rest).await;
        }
    }

    /// From 0 to 1, a moment ago.
    fn share(&self) -> f64 {
        if self.threads.is_none() {
            return 0.0;
        }
        let mut last = lock(&self.last);
        let passed = last.at.elapsed();
        if passed >= WINDOW {
            let clocks = Clocks::read(self.threads.as_ref());
            *last = Look {
                at: last.at + passed,
                share: clocks.share_since(last.clocks, passed) / self.cores,
                clocks,
            };
        }
        last.share
    }
}

/// How long a call rests that has just computed for so long, while the rest of the master takes this share of the machine.
fn rest_after(computed: Duration, share: f64) -> Duration {
    let rests = (share * RESTS_PER_LOAD).clamp(0.0, RESTS_MAX);
    computed.mul_f64(rests)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clocks {
    fn read(threads: Option<&Threads>) -> Self {
        let process = clock_gettime(ClockId::ProcessCPUTime);
        let process = Duration::try_from(process).unwrap_or_default();
        Self {
            process,
            // Also of what is still going on: one copy of a large memory may take longer than a window.
            plugins: threads.map_or(Duration::ZERO, Threads::computed),
        }
    }

    /// Cores that others than plugins kept busy.
    fn share_since(self, earlier: Self, passed: Duration) -> f64 {
        let process = self.process.saturating_sub(earlier.process);
        let plugins = self.plugins.saturating_sub(earlier.plugins);
        process.saturating_sub(plugins).as_secs_f64() / passed.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Of a master that is as busy as this during the test.
    fn load_of(share: f64, turns: usize) -> HostLoad {
        let mut load = HostLoad::new(Some(Threads::default()), turns);
        let last = load.last.get_mut().unwrap();
        (last.share, last.at) = (share, Instant::now() + Duration::from_secs(3_600));
        load
    }

    fn owed(load: &HostLoad) -> Duration {
        lock(&load.rested_at).saturating_duration_since(Instant::now())
    }

    #[test]
    fn what_plugins_compute_does_not_count() {
        let clocks = |process, plugins| Clocks {
            process: process * MILLI,
            plugins: plugins * MILLI,
        };
        for (process, plugins, cores) in [(0, 0, 0.0), (90, 0, 0.9), (130, 90, 0.4), (80, 90, 0.0)]
        {
            let now = clocks(1_000 + process, 500 + plugins);
            let found = now.share_since(clocks(1_000, 500), 100 * MILLI);
            assert!((found - cores).abs() < 1e-9, "{process} {plugins}: {found}");
        }
    }

    #[test]
    fn a_process_that_computes_is_busy() {
        const PATIENCE: Duration = Duration::from_secs(60);
        let mut load = HostLoad::new(Some(Threads::default()), 1);
        load.cores = 1.0;
        let began = Instant::now();
        while load.share() <= UNKNOWN {
            assert!(began.elapsed() < PATIENCE, "{}", load.share());
            std::hint::spin_loop();
        }
    }

    #[test]
    fn rests_are_as_long_as_the_master_is_busy() {
        for (share, rest) in [(0.0, 0), (0.0625, 5), (0.125, 10), (0.3, 24), (1.0, 30)] {
            let found = rest_after(10 * MILLI, share);
            assert!(found.abs_diff(rest * MILLI) < MILLI, "{share}: {found:?}");
        }
    }

    #[tokio::test]
    async fn who_computes_next_rests_for_whoever_computed_before() {
        const BUSY: f64 = 0.25;
        let party = Party::new("many", "b");
        let charge = |load: &HostLoad, used, since| {
            load.computed(&party, used * MILLI, since * MILLI);
            // Later by what the test itself took.
            owed(load)
        };
        let load = load_of(BUSY, 1);
        assert_eq!(charge(&load, 10, 10), Duration::ZERO, "a short call");
        let first = charge(&load, 100, 80);
        assert!(first > 100 * MILLI && first <= 160 * MILLI, "{first:?}");
        let second = charge(&load, 100, 20);
        assert!(second > first && second <= 200 * MILLI, "{second:?}");
        let most = charge(&load, 900, 800);
        assert!(most <= REST_MAX, "{most:?}");
        let end = Instant::now() + most;
        load.rest().await;
        assert!(Instant::now() >= end);

        let shared = charge(&load_of(BUSY, 4), 100, 80);
        assert!(shared <= 40 * MILLI, "{shared:?}");
        assert_eq!(charge(&load_of(0.0, 1), 100, 80), Duration::ZERO, "idle");
    }

    #[test]
    fn who_computed_for_long_is_expected_to_do_so_again() {
        let load = load_of(0.0, 1);
        let (many, few) = (Party::new("many", "b"), Party::new("many", "c"));
        load.computed(&many, 300 * MILLI, 10 * MILLI);
        load.ended(&many, 300 * MILLI, true);
        assert!(load.expects_long(&many) && !load.expects_long(&few));
        load.ended(&many, Duration::ZERO, false);
        assert!(load.expects_long(&many), "one was cancelled in the queue");
        load.ended(&many, 3 * MILLI, true);
        assert!(!load.expects_long(&many));
        for user in 0..=LONG_MAX {
            load.computed(&Party::new("many", &user.to_string()), MILLI * 300, MILLI);
        }
        assert!(lock(&load.long).len() <= LONG_MAX);

        let elsewhere = HostLoad::new(None, 1);
        elsewhere.computed(&many, 300 * MILLI, 300 * MILLI);
        assert!(!elsewhere.expects_long(&many));
        assert_eq!(owed(&elsewhere), Duration::ZERO);
    }
}
