//! When it is open. Pure: the time is an argument.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How far ahead openings and closings are looked for: more than a year, in which every day of the calendar comes.
const HORIZON_DAYS: i32 = 400;
/// How much of that is looked at in one go.
const STRETCH_DAYS: i32 = 8;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Windows, and days on which none begins.
#[derive(Debug)]
pub(crate) struct Calendar {
    pub(crate) windows: Vec<Window>,
    pub(crate) closed_on: Vec<Date>,
}

/// A window that opens on some days of each week.
#[derive(Debug)]
pub(crate) struct Window {
    /// The days on which it begins; empty for all.
    pub(crate) days: Vec<Weekday>,
    pub(crate) from: Time,
    /// It ends on the next day unless this is later than `from`.
    pub(crate) to: Time,
    pub(crate) zone: TimeZone,
}

impl Calendar {
    /// Whether a window is open.
    pub(crate) fn is_open(&self, at: Timestamp) -> bool {
        self.windows
            .iter()
            .any(|window| self.is_within(window, window.zone.to_datetime(at)))
    }

    /// The next time at which it opens, if it is closed, or closes, if it is open; `None` when it stays as it is for
    /// more than a year.
    pub(crate) fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let is_open = self.is_open(at);
        let mut start = at;
        for _ in 0..HORIZON_DAYS / STRETCH_DAYS {
            let end = start.checked_add(DAY * STRETCH_DAYS).ok()?;
            let mut candidates: Vec<Timestamp> = self
                .windows
                .iter()
                .flat_map(|window| window.candidates(start, end))
                .collect();
            candidates.sort_unstable();
            let change = candidates
                .into_iter()
                .find(|candidate| self.is_open(*candidate) != is_open);
            if change.is_some() {
                return change;
            }
            start = end;
        }
        None
    }

    /// Whether a window is open when the clock on the wall shows this.
    fn is_within(&self, window: &Window, local: DateTime) -> bool {
        let begins = |date: Date| {
            let is_its_day = window.days.is_empty() || window.days.contains(&date.weekday());
            is_its_day && !self.closed_on.contains(&date)
        };
        let (date, time) = (local.date(), local.time());
        if window.from < window.to {
            return begins(date) && window.from <= time && time < window.to;
        }
        let began_yesterday = || time < window.to && date.yesterday().is_ok_and(begins);
        (begins(date) && window.from <= time) || began_yesterday()
    }
}

impl Window {
    /// All times after `start` and up to `end` at which it may open or close: when the clock shows its ends, both
    /// times if it does so twice, and when the clock is changed.
    fn candidates(&self, start: Timestamp, end: Timestamp) -> Vec<Timestamp> {
        let mut candidates = Vec::new();
        let mut date = self.zone.to_datetime(start).date();
        let last = self.zone.to_datetime(end).date();
        while date <= last {
            for time in [self.from, self.to] {
                let shown = self.zone.to_ambiguous_timestamp(date.to_datetime(time));
                candidates.extend(shown.earlier());
                candidates.extend(shown.later());
            }
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
        }
        let changes_of_the_clock = self.zone.following(start).map(|change| change.timestamp());
        candidates.extend(changes_of_the_clock.take_while(|at| *at <= end));
        candidates.retain(|at| start < *at && *at <= end);
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Weekday], from: &str, to: &str, zone: &str) -> Window {
        Window {
            days: days.to_vec(),
            from: from.parse().expect("a time"),
            to: to.parse().expect("a time"),
            zone: TimeZone::get(zone).expect("a time zone"),
        }
    }

    /// The next four openings and closings after a time, in UTC; the first one opens.
    fn check(calendar: &Calendar, after: &str, expected: [&str; 4]) {
        let mut at: Timestamp = after.parse().expect("a time");
        assert!(!calendar.is_open(at), "it is closed at {after}");
        let mut changes = Vec::new();
        while changes.len() < expected.len() {
            at = calendar.next_change(at).expect("it changes");
            changes.push(at.strftime("%Y-%m-%d %H:%M").to_string());
            assert_eq!(calendar.is_open(at), changes.len() % 2 == 1, "at {at}");
        }
        assert_eq!(changes, expected, "after {after}");
    }

    fn one(window: Window) -> Calendar {
        Calendar {
            windows: vec![window],
            closed_on: Vec::new(),
        }
    }

    #[test]
    fn a_window_within_a_day() {
        check(
            &one(window(
                &[Weekday::Monday, Weekday::Friday],
                "08:00",
                "17:30",
                "UTC",
            )),
            "2026-01-01T00:00:00Z",
            [
                "2026-01-02 08:00",
                "2026-01-02 17:30",
                "2026-01-05 08:00",
                "2026-01-05 17:30",
            ],
        );
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        check(
            &one(window(&[Weekday::Friday], "20:00", "06:00", "UTC")),
            "2026-01-01T00:00:00Z",
            [
                "2026-01-02 20:00",
                "2026-01-03 06:00",
                "2026-01-09 20:00",
                "2026-01-10 06:00",
            ],
        );
    }

    #[test]
    fn whole_days_that_follow_each_other_are_one_window() {
        check(
            &one(window(
                &[Weekday::Saturday, Weekday::Sunday],
                "00:00",
                "00:00",
                "UTC",
            )),
            "2026-01-01T00:00:00Z",
            [
                "2026-01-03 00:00",
                "2026-01-05 00:00",
                "2026-01-10 00:00",
                "2026-01-12 00:00",
            ],
        );
    }

    #[test]
    fn windows_of_several_zones_overlap() {
        let calendar = Calendar {
            windows: vec![
                window(&[], "09:00", "17:00", "Europe/Berlin"),
                window(&[], "09:00", "17:00", "America/New_York"),
                window(&[], "09:00", "10:00", "Asia/Tokyo"),
            ],
            closed_on: Vec::new(),
        };
        check(
            &calendar,
            "2026-01-01T23:00:00Z",
            [
                "2026-01-02 00:00",
                "2026-01-02 01:00",
                "2026-01-02 08:00",
                "2026-01-02 22:00",
            ],
        );
    }

    #[test]
    fn no_window_begins_on_a_closed_day() {
        let mut calendar = one(window(&[], "22:00", "02:00", "Europe/Berlin"));
        calendar.closed_on = vec!["2026-12-24".parse().expect("a day")];
        check(
            &calendar,
            "2026-12-23T12:00:00Z",
            [
                "2026-12-23 21:00",
                "2026-12-24 01:00",
                "2026-12-25 21:00",
                "2026-12-26 01:00",
            ],
        );
    }

    #[test]
    fn hours_stay_the_same_on_the_wall_when_the_clock_changes() {
        // 2026-03-29: from UTC+1 to UTC+2 in Berlin; 2026-10-25: back.
        check(
            &one(window(&[], "08:00", "09:00", "Europe/Berlin")),
            "2026-03-28T00:00:00Z",
            [
                "2026-03-28 07:00",
                "2026-03-28 08:00",
                "2026-03-29 06:00",
                "2026-03-29 07:00",
            ],
        );
        check(
            &one(window(&[], "08:00", "09:00", "Europe/Berlin")),
            "2026-10-24T00:00:00Z",
            [
                "2026-10-24 06:00",
                "2026-10-24 07:00",
                "2026-10-25 07:00",
                "2026-10-25 08:00",
            ],
        );
    }

    #[test]
    fn a_window_that_begins_in_the_hour_that_is_left_out() {
        // The clock goes from 01:59:59 to 03:00 at 01:00 UTC.
        check(
            &one(window(&[], "02:30", "04:00", "Europe/Berlin")),
            "2026-03-29T00:00:00Z",
            [
                "2026-03-29 01:00",
                "2026-03-29 02:00",
                "2026-03-30 00:30",
                "2026-03-30 02:00",
            ],
        );
    }

    #[test]
    fn a_window_within_the_hour_that_is_left_out_stays_closed() {
        check(
            &one(window(&[], "02:10", "02:50", "Europe/Berlin")),
            "2026-03-29T00:00:00Z",
            [
                "2026-03-30 00:10",
                "2026-03-30 00:50",
                "2026-03-31 00:10",
                "2026-03-31 00:50",
            ],
        );
    }

    #[test]
    fn a_window_that_ends_in_the_hour_that_comes_twice_opens_twice() {
        // The clock goes from 02:59:59 back to 02:00 at 01:00 UTC.
        check(
            &one(window(&[], "01:00", "02:30", "Europe/Berlin")),
            "2026-10-24T12:00:00Z",
            [
                "2026-10-24 23:00",
                "2026-10-25 00:30",
                "2026-10-25 01:00",
                "2026-10-25 01:30",
            ],
        );
    }

    #[test]
    fn what_never_changes_has_no_next_change() {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let always = one(window(&[], "08:00", "08:00", "Europe/Berlin"));
        assert!(always.is_open(at));
        assert_eq!(always.next_change(at), None);
        let rare = Calendar {
            windows: vec![window(&[Weekday::Monday], "00:00", "01:00", "UTC")],
            closed_on: (0..100)
                .map(|week| Date::constant(2026, 1, 5) + jiff::Span::new().weeks(week))
                .collect(),
        };
        assert_eq!(rare.next_change(at), None);
    }
}
