//! When a worker that is away is missing. Pure.

use std::time::Duration;

use toolpost_core::Timestamp;

/// How long workers have to come back after their master began: those that it lost by its own end come one after the other.
const RETURN_WAIT_MAX: Duration = Duration::from_secs(600);

/// A worker that is not connected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absence {
    /// When its last connection ended; `None` when it was never here.
    pub(super) gone_at: Option<Timestamp>,
    /// Since when this master looks for it.
    pub(super) watched_since: Timestamp,
    /// How long it may be away.
    pub(super) timeout: Duration,
}

impl Absence {
    /// When it is missing, if it does not come before.
    pub(super) fn missing_at(self) -> Timestamp {
        let since = self.gone_at.unwrap_or(self.watched_since);
        since.after(self.timeout).max(self.earliest())
    }

    /// Before which it is not missing, whenever it went.
    pub(super) fn earliest(self) -> Timestamp {
        self.watched_since.after(self.timeout.min(RETURN_WAIT_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_missing_when_it_was_away_for_its_time_and_could_have_come_back() {
        const MINUTE: i64 = 60_000;
        // Gone at, watched since, timeout, missing at: all in minutes.
        let table = [
            (Some(100), 0, 60, 160),
            // The master was away for a while, and the worker longer.
            (Some(100), 130, 60, 160),
            // Everybody is given time to come back.
            (Some(100), 500, 60, 510),
            (Some(100), 500, 2, 502),
            // It was never here.
            (None, 30, 60, 90),
        ];
        for (gone, watched, timeout, expected) in table {
            let absence = Absence {
                gone_at: gone.map(|at: i64| Timestamp(at * MINUTE)),
                watched_since: Timestamp(watched * MINUTE),
                timeout: Duration::from_secs(timeout * 60),
            };
            assert_eq!(
                absence.missing_at(),
                Timestamp(expected * MINUTE),
                "{absence:?}"
            );
        }
    }
}
