//! The small things that pages are made of, each of which knows its HTML: results with shape and colour, points in
//! time, durations, names with links.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use toolpost_core::{Results, Timestamp};

/// How something ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It waits.
    Pending,
    /// It runs.
    Running,
    /// It ended.
    Done(Results),
}

impl Outcome {
    /// Of something that began.
    pub(crate) fn of(results: Option<Results>, complete: bool) -> Self {
        match (results, complete) {
            (Some(results), _) => Self::Done(results),
            (None, true) => Self::Done(Results::Exception),
            (None, false) => Self::Running,
        }
    }

    /// The word for it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Pending => "waiting",
            Self::Running => "running",
            Self::Done(results) => results.name(),
        }
    }

    /// The style class for it.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Pending => "r-pending",
            Self::Running => "r-running",
            Self::Done(Results::Success) => "r-success",
            Self::Done(Results::Warnings) => "r-warnings",
            Self::Done(Results::Failure) => "r-failure",
            Self::Done(Results::Skipped) => "r-skipped",
            Self::Done(Results::Exception) => "r-exception",
            Self::Done(Results::Retry) => "r-retry",
            Self::Done(Results::Cancelled) => "r-cancelled",
        }
    }

    /// Its shape: each outcome has its own, for those who do not see the colours.
    pub(crate) fn shape(self) -> &'static str {
        match self {
            Self::Pending => {
                "<circle class=\"o\" cx=\"8\" cy=\"8\" r=\"6.2\"/><path class=\"o\" d=\"M8 4.6V8l2.3 1.6\"/>"
            }
            Self::Running => {
                "<circle class=\"o faint\" cx=\"8\" cy=\"8\" r=\"6.2\"/><path class=\"o spin\" d=\"M8 1.8A6.2 6.2 0 0 1 14.2 8\"/>"
            }
            Self::Done(Results::Success) => {
                "<circle cx=\"8\" cy=\"8\" r=\"7\"/><path class=\"cut\" d=\"M4.7 8.3l2.3 2.3 4.4-4.9\"/>"
            }
            Self::Done(Results::Warnings) => {
                "<path d=\"M8 1.2l7.2 13.1H.8z\"/><path class=\"cut\" d=\"M8 6v3.8M8 12v.1\"/>"
            }
            Self::Done(Results::Failure) => {
                "<path d=\"M5 1h6l4 4v6l-4 4H5l-4-4V5z\"/><path class=\"cut\" d=\"M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2\"/>"
            }
            Self::Done(Results::Skipped) => {
                "<circle class=\"o\" cx=\"8\" cy=\"8\" r=\"6.2\"/><path class=\"o\" d=\"M5 8h6\"/>"
            }
            Self::Done(Results::Exception) => {
                "<path d=\"M8 .6L15.4 8 8 15.4.6 8z\"/><path class=\"cut\" d=\"M8 4.6v3.8M8 11v.1\"/>"
            }
            Self::Done(Results::Retry) => {
                "<path class=\"o\" d=\"M13.4 8A5.4 5.4 0 1 1 11.6 4M13.6 1.6v3.2h-3.2\"/>"
            }
            Self::Done(Results::Cancelled) => {
                "<circle class=\"o\" cx=\"8\" cy=\"8\" r=\"6.2\"/><path d=\"M5.4 5.4h5.2v5.2H5.4z\"/>"
            }
        }
    }

    /// Only the shape.
    pub(crate) fn icon(self) -> Icon {
        Icon(self)
    }

    /// The shape with its word.
    pub(crate) fn badge(self) -> Badge {
        Badge(self)
    }
}

/// A shape in its colour; its word is there for those who hear the page.
pub(crate) struct Icon(Outcome);

impl Display for Icon {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(outcome) = self;
        write!(
            f,
            "<span class=\"ri {}\"><svg class=\"i\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">{}</svg><span class=\"vh\">{}</span></span>",
            outcome.class(),
            outcome.shape(),
            outcome.label()
        )
    }
}

impl HtmlSafe for Icon {}

/// A shape in its colour, and its word.
pub(crate) struct Badge(Outcome);

impl Display for Badge {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(outcome) = self;
        write!(
            f,
            "<span class=\"badge {}\"><svg class=\"i\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">{}</svg>{}</span>",
            outcome.class(),
            outcome.shape(),
            outcome.label()
        )
    }
}

impl HtmlSafe for Badge {}

/// A point in time, shown by its distance from now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    /// `at`, looked at from `now`.
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    fn relative(self) -> String {
        let seconds = (self.now.0 - self.at.0) / 1000;
        if seconds < -5 {
            return format!("in {}", coarse(-seconds));
        }
        if seconds < 5 {
            return "just now".into();
        }
        format!("{} ago", coarse(seconds))
    }
}

/// One unit, for distances in time.
fn coarse(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / MINUTE),
        3600..172_800 => format!("{} h", seconds / HOUR),
        172_800..5_184_000 => format!("{} days", seconds / DAY),
        5_184_000..63_072_000 => format!("{} months", seconds / (30 * DAY)),
        _ => format!("{} years", seconds / (365 * DAY)),
    }
}

/// The time in UTC, `2026-11-23 20:17:16 UTC`.
fn absolute(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(
        |_| at.0.to_string(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let iso = jiff::Timestamp::from_millisecond(self.at.0).map_or_else(
            |_| String::new(),
            |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        );
        write!(
            f,
            "<time datetime=\"{iso}\" title=\"{}\">{}</time>",
            absolute(self.at),
            self.relative()
        )
    }
}

impl HtmlSafe for When {}

/// How long something took, or takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    from: Timestamp,
    to: Option<Timestamp>,
    now: Timestamp,
}

impl Took {
    /// From `from` to `to`, or until now and on.
    pub(crate) fn new(from: Timestamp, to: Option<Timestamp>, now: Timestamp) -> Self {
        Self { from, to, now }
    }
}

impl Display for Took {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) => write!(
                f,
                "<span class=\"took\">{}</span>",
                duration(to.0 - self.from.0)
            ),
            None => write!(
                f,
                "<span class=\"took\" data-since=\"{}\">{}</span>",
                self.from.0,
                duration(self.now.0 - self.from.0)
            ),
        }
    }
}

impl HtmlSafe for Took {}

/// A duration for people: two units at most.
pub(crate) fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let seconds = ms / 1000;
    match seconds {
        ..1 => format!("{ms} ms"),
        1..10 => format!("{}.{} s", seconds, ms % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        ..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} KiB", count / 1024),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

/// A whole number with thin spaces between groups of three digits.
pub(crate) fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut out = String::from(if count < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun.
pub(crate) fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// The first characters of a digest or revision.
pub(crate) fn short(hash: &str) -> &str {
    let is_hash = hash.len() > 16 && hash.chars().all(|c| c.is_ascii_hexdigit());
    if is_hash { &hash[..12] } else { hash }
}

/// The first line of a text.
pub(crate) fn first_line(text: &str) -> &str {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let table = [
            (-5, "0 ms"),
            (850, "850 ms"),
            (4_230, "4.2 s"),
            (59_999, "59 s"),
            (125_000, "2 min 05 s"),
            (3_900_000, "1 h 05 min"),
            (180_000_000, "2 d 02 h"),
        ];
        for (ms, expected) in table {
            assert_eq!(duration(ms), expected);
        }
    }

    #[test]
    fn times_are_relative_with_the_absolute_in_the_title() {
        let now = Timestamp(1_763_929_036_000);
        let table = [
            (0, "just now"),
            (30, "30 s ago"),
            (90, "1 min ago"),
            (7_300, "2 h ago"),
            (200_000, "2 days ago"),
            (-90, "in 1 min"),
        ];
        for (seconds, expected) in table {
            let when = When::new(Timestamp(now.0 - seconds * 1000), now);
            assert_eq!(when.relative(), expected);
        }
        assert_eq!(
            When::new(now, now).to_string(),
            "<time datetime=\"2025-11-23T20:17:16Z\" title=\"2025-11-23 20:17:16 UTC\">just now</time>"
        );
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(1), "1");
        assert_eq!(grouped(1_000_000), "1\u{202f}000\u{202f}000");
        assert_eq!(counted(1, "line", "lines"), "1 line");
        assert_eq!(counted(2_000, "line", "lines"), "2\u{202f}000 lines");
    }

    #[test]
    fn every_outcome_has_its_own_shape_colour_and_word() {
        let mut all = vec![Outcome::Pending, Outcome::Running];
        all.extend(Results::ALL.map(Outcome::Done));
        for of in [Outcome::shape, Outcome::class, Outcome::label] {
            let different: std::collections::HashSet<_> =
                all.iter().map(|outcome| of(*outcome)).collect();
            assert_eq!(different.len(), all.len());
        }
    }
}
