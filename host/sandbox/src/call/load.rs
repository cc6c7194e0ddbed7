//! How busy the master is with everything else than its plugins.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::call::Computing;

/// How old a figure gets before it is made anew. Long enough for the polls that have not ended yet to be a small part of it.
const WINDOW: Duration = Duration::from_millis(100);
/// Where there is no figure yet.
const UNKNOWN: f64 = 0.1;

/// Knows how much of the machine's processor time this process takes, without what plugins compute.
pub(crate) struct HostLoad {
    computing: Computing,
    cores: f64,
    last: Mutex<Look>,
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
    pub(crate) fn new(computing: Computing) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let last = Look {
            at: Instant::now(),
            clocks: Clocks::read(&computing),
            share: UNKNOWN,
        };
        Self {
            computing,
            cores: cores as f64,
            last: Mutex::new(last),
        }
    }

    /// From 0 to 1, a moment ago.
    pub(crate) fn share(&self) -> f64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = last.at.elapsed();
        if passed >= WINDOW {
            let clocks = Clocks::read(&self.computing);
            *last = Look {
                at: last.at + passed,
                share: clocks.share_since(last.clocks, passed) / self.cores,
                clocks,
            };
        }
        last.share
    }
}

impl Clocks {
    fn read(computing: &Computing) -> Self {
        let process = clock_gettime(ClockId::ProcessCPUTime);
        let process = Duration::try_from(process).unwrap_or_default();
        Self {
            process,
            plugins: computing.total(),
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

    #[test]
    fn what_plugins_compute_does_not_count() {
        let clocks = |process, plugins| Clocks {
            process: Duration::from_millis(process),
            plugins: Duration::from_millis(plugins),
        };
        let passed = Duration::from_millis(100);
        for (process, plugins, cores) in [(0, 0, 0.0), (90, 0, 0.9), (130, 90, 0.4), (80, 90, 0.0)]
        {
            let now = clocks(1_000 + process, 500 + plugins);
            let found = now.share_since(clocks(1_000, 500), passed);
            assert!((found - cores).abs() < 1e-9, "{process} {plugins}: {found}");
        }
    }

    #[test]
    fn a_process_that_computes_is_busy() {
        const PATIENCE: Duration = Duration::from_secs(60);
        let mut load = HostLoad::new(Computing::default());
        load.cores = 1.0;
        let began = Instant::now();
        while load.share() <= UNKNOWN {
            assert!(began.elapsed() < PATIENCE, "{}", load.share());
            std::hint::spin_loop();
        }
    }
}
