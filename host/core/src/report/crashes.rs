//! What comes of a plugin that crashes in one try after the other: its reporter as a whole slows down, and not only each delivery,
//! or a long queue would have it crash as fast as the machine can.

use std::time::Duration;

use crate::Timestamp;
use crate::backoff::Backoff;

/// Crashes in a row before the reporter waits: one bad delivery is not a bad plugin, and a new version that crashes is taken back
/// by then.
const FREE_MAX: u32 = 3;
/// Waits after the crashes beyond these: from the first to the longest.
const WAIT_MIN: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(5 * 60);

/// How often in a row a reporter's plugin has crashed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Crashes {
    /// The version that it was.
    version: Option<String>,
    in_a_row: u32,
    /// Until when nothing is tried, and how long that is.
    wait: Option<(Timestamp, Duration)>,
}

impl Crashes {
    /// What another version did says nothing of this one.
    pub fn see_version(&mut self, version: Option<String>) {
        if self.version != version {
            *self = Self {
                version,
                ..Self::default()
            };
        }
    }

    /// A try ended without a crash.
    pub fn went_well(&mut self) {
        self.in_a_row = 0;
        self.wait = None;
    }

    /// A try crashed. Those that ended while the reporter waits began before, and count as one with the crash that made it wait.
    pub fn crashed(&mut self, now: Timestamp) {
        if self.waits(now).is_some() {
            return;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if let Some(beyond) = self.in_a_row.checked_sub(FREE_MAX) {
            let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX).with_failures(beyond);
            let wait = backoff.next_wait(0.0);
            self.wait = Some((now.after(wait), wait));
        }
    }

    /// Until when nothing is to be tried, and how long that is since the last crash.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> Option<(Timestamp, Duration)> {
        self.wait.filter(|(until, _)| *until > now)
    }

    /// How many crashes there were in a row.
    #[must_use]
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// How many tries may run beside each other, of so many: one, to see whether it is over.
    #[must_use]
    pub fn tries_max(&self, parallel: usize) -> usize {
        match self.in_a_row < FREE_MAX {
            true => parallel,
            false => 1,
        }
    }
}
