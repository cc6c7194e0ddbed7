//! What the configuration can set.

use crate::calendar::{Calendar, Window};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use std::str::FromStr;
use toolpost_sdk::Error;

/// Passes changes on only within a calendar of windows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The windows. It is open while any of them is.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) open: Vec<Open>,

    /// The time zone of the windows, as the IANA names it, such as `Europe/Berlin`.
    #[serde(default = "default_zone")]
    pub(crate) zone: String,

    /// Days on which no window begins, such as `2026-12-24`.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub(crate) closed_on: Vec<String>,

    /// Takes only changes on these branches; `*` stands for any characters, the empty text for the default
    /// branch. All branches, when none is given.
    #[serde(default)]
    pub(crate) branches: Vec<String>,

    /// The reason that builds show.
    #[serde(default = "default_reason")]
    pub(crate) reason: String,
}

/// A window.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    /// The days on which it begins; every day, when none is given.
    #[serde(default)]
    pub(crate) days: Vec<Day>,

    /// When it begins, such as `20:00`.
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub(crate) from: String,

    /// When it ends, such as `06:00` or `24:00`. Unless that is later in the day, it ends on the next day.
    #[schemars(regex(pattern = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    pub(crate) to: String,

    /// Its time zone, when it is not that of the others.
    pub(crate) zone: Option<String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Parameters {
    /// The calendar that they describe.
    pub(crate) fn calendar(&self) -> Result<Calendar, Error> {
        let zone = self.zone()?;
        let mut closed_on = Vec::new();
        for (number, text) in self.closed_on.iter().enumerate() {
            let date = parse_date(text).ok_or_else(|| {
                Error::config(
                    format!("closed_on[{number}]"),
                    format!("`{text}` is no day; write it as 2026-12-24"),
                )
            })?;
            closed_on.push(date);
        }
        let mut windows = Vec::new();
        for (number, open) in self.open.iter().enumerate() {
            windows.push(open.window(&format!("open[{number}]"), &zone)?);
        }
        Ok(Calendar { windows, closed_on })
    }

    /// The time zone in which people are told times.
    pub(crate) fn zone(&self) -> Result<TimeZone, Error> {
        find_zone("zone", &self.zone)
    }

    /// Whether it takes changes on this branch.
    pub(crate) fn takes(&self, branch: Option<&str>) -> bool {
        let branch = branch.unwrap_or_default();
        self.branches.is_empty() || self.branches.iter().any(|pattern| fits(pattern, branch))
    }
}

impl Open {
    fn window(&self, field: &str, zone: &TimeZone) -> Result<Window, Error> {
        let time = |part: &str, text: &str| {
            parse_time(text).ok_or_else(|| {
                Error::config(
                    format!("{field}.{part}"),
                    format!("`{text}` is no time; write it as 20:00"),
                )
            })
        };
        let zone = match &self.zone {
            Some(name) => find_zone(&format!("{field}.zone"), name)?,
            None => zone.clone(),
        };
        Ok(Window {
            days: self.days.iter().map(|day| day.weekday()).collect(),
            from: time("from", &self.from)?,
            to: time("to", &self.to)?,
            zone,
        })
    }
}

impl Day {
    fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

// By hand, because the parsers of jiff would make up a third of the component.

/// `20:00`; the end of a day, `24:00`, is the beginning of the next one.
fn parse_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (i8, i8) = (number(hour, 2)?, number(minute, 2)?);
    if (hour, minute) == (24, 0) {
        return Some(Time::midnight());
    }
    Time::new(hour, minute, 0, 0).ok()
}

/// `2026-12-24`.
fn parse_date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    Date::new(number(year, 4)?, number(month, 2)?, number(day, 2)?).ok()
}

fn number<T: FromStr>(text: &str, digits: usize) -> Option<T> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn find_zone(field: &str, name: &str) -> Result<TimeZone, Error> {
    TimeZone::get(name).map_err(|_| {
        let text = format!("`{name}` is no time zone; write one such as Europe/Berlin or UTC");
        Error::config(field, text)
    })
}

/// Whether a text fits a pattern in which `*` stands for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, mut rest_of_pattern)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(start) else {
        return false;
    };
    // The first place where a part is found leaves the most for the parts after it.
    while let Some((part, later)) = rest_of_pattern.split_once('*') {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        rest_of_pattern = later;
    }
    rest.ends_with(rest_of_pattern)
}

fn default_zone() -> String {
    "UTC".to_owned()
}

fn default_reason() -> String {
    "changes were passed on".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read() {
        let time = |text| parse_time(text).map(|time| (time.hour(), time.minute()));
        assert_eq!(time("20:05"), Some((20, 5)));
        assert_eq!(time("24:00"), Some((0, 0)));
        for wrong in ["24:01", "20:60", "8:00", "+8:00", "20", "20:00:00", ""] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        assert_eq!(parse_date("2028-02-29"), Some(Date::constant(2028, 2, 29)));
        for wrong in [
            "2026-02-29",
            "2026-2-01",
            "26-02-01",
            "2026-02-01T00:00",
            "x",
        ] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn stars_stand_for_any_characters() {
        let check = |pattern, text, expected| {
            assert_eq!(fits(pattern, text), expected, "{pattern} on {text}");
        };
        check("main", "main", true);
        check("main", "maintenance", false);
        check("main*", "maintenance", true);
        check("release/*", "release/1.2", true);
        check("release/*", "prerelease/1.2", false);
        check("*-rc*", "1.2-rc3", true);
        check("*-rc*", "1.2", false);
        check("a*b*b", "a-b", false);
        check("a*b*b", "abb", true);
        check("*", "", true);
        check("", "main", false);
    }
}
