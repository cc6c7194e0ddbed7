//! The time of a test: that of a tokio runtime whose clock is paused.

use std::time::Duration;

use tokio::time::Instant;
use toolpost_core::Timestamp;
use toolpost_sandbox::host::PluginClock;

/// The time of a test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Timestamp,
    began: Instant,
}

impl Clock {
    /// A clock that begins at this time, now.
    pub(crate) fn starting_at(start: Timestamp) -> Self {
        Self {
            start,
            began: Instant::now(),
        }
    }

    /// How far it has gone.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn start(&self) -> Timestamp {
        self.start
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.start.after(self.elapsed())
    }

    /// Waits until then; no time when it has passed.
    pub(crate) async fn until(&self, at: Timestamp) {
        let wait = at.since(self.start);
        tokio::time::sleep_until(self.began + wait).await;
    }
}

impl PluginClock for Clock {
    fn since_1970(&self) -> Duration {
        let start = Duration::from_millis(u64::try_from(self.start.0).unwrap_or(0));
        start + self.elapsed()
    }
}

/// A span as people write it, to the millisecond.
pub(crate) fn show(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}
