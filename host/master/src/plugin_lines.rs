//! Lines of plugins for the operator: so many that they can be read, and a count of the rest.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

/// Lines of one plugin in one period, of all its calls together.
const LINES_PER_PERIOD_MAX: u32 = 500;
const PERIOD: Duration = Duration::from_secs(10);

/// One for the process, as its log is.
static LINES: LazyLock<Mutex<HashMap<String, Written>>> = LazyLock::new(Mutex::default);

/// What a plugin has written in the period that began then.
struct Written {
    since: Instant,
    lines: u32,
    dropped: u64,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is written, and so many before it were not.
    Write {
        dropped: u64,
    },
    /// The first that is not.
    BeginToDrop,
    Drop,
}

impl Written {
    fn begin(now: Instant) -> Self {
        Self {
            since: now,
            lines: 0,
            dropped: 0,
        }
    }

    fn judge(&mut self, now: Instant) -> Verdict {
        let mut dropped = 0;
        if now.duration_since(self.since) >= PERIOD {
            dropped = self.dropped;
            *self = Self::begin(now);
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines <= LINES_PER_PERIOD_MAX {
            return Verdict::Write { dropped };
        }
        self.dropped += 1;
        match self.dropped {
            1 => Verdict::BeginToDrop,
            _ => Verdict::Drop,
        }
    }
}

/// Writes a line of a plugin, unless it has written too many.
pub(crate) fn write(plugin: &str, write: impl FnOnce()) {
    let verdict = {
        let now = Instant::now();
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.get_mut(plugin) {
            Some(written) => written.judge(now),
            None => {
                let written = lines.entry(plugin.to_owned());
                written.or_insert_with(|| Written::begin(now)).judge(now)
            }
        }
    };
    match verdict {
        Verdict::Write { dropped } => {
            if dropped > 0 {
                warn!(
                    plugin,
                    dropped, "{dropped} lines of plugin `{plugin}` were dropped"
                );
            }
            write();
        }
        Verdict::BeginToDrop => {
            let period_s = PERIOD.as_secs();
            warn!(
                plugin,
                "plugin `{plugin}` has written {LINES_PER_PERIOD_MAX} lines within {period_s} s; further ones are dropped for now"
            );
        }
        Verdict::Drop => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_dropped_are_not_made() {
        let mut made = 0;
        for _ in 0..2 * LINES_PER_PERIOD_MAX {
            write("a plugin of this test alone", || made += 1);
        }
        assert_eq!(made, LINES_PER_PERIOD_MAX);
    }

    #[test]
    fn a_flood_is_counted_and_told_afterwards() {
        let start = Instant::now();
        let mut written = Written::begin(start);
        for _ in 0..LINES_PER_PERIOD_MAX {
            assert_eq!(written.judge(start), Verdict::Write { dropped: 0 });
        }
        assert_eq!(written.judge(start), Verdict::BeginToDrop);
        assert_eq!(written.judge(start), Verdict::Drop);
        let later = start + PERIOD;
        assert_eq!(written.judge(later), Verdict::Write { dropped: 2 });
        assert_eq!(written.judge(later), Verdict::Write { dropped: 0 });
    }
}
