//! A clock that only moves when it is told, forwards or back.

use std::time::{Duration, Instant};

pub(crate) struct Clock {
    pub(crate) now: Instant,
    /// The latest that it ever was.
    pub(crate) latest: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { now, latest: now }
    }

    /// Milliseconds forwards or back.
    pub(crate) fn pass(&mut self, millis: i32) {
        let time = Duration::from_millis(millis.unsigned_abs().into());
        match millis < 0 {
            true => self.now = self.now.checked_sub(time).unwrap_or(self.now),
            false => self.wait_until(self.now + time),
        }
    }

    /// It never goes back for that.
    pub(crate) fn wait_until(&mut self, time: Instant) {
        self.now = self.now.max(time);
        self.latest = self.latest.max(self.now);
    }
}
