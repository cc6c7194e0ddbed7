//! What the configuration can set.

use crate::calendar::{Calendar, Window};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
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

    /// Priority of its requests; higher ones run first.
    #[serde(default)]
    pub(crate) priority: i32,
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
            let date: Date = text.parse().map_err(|_| {
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
            // The end of a day is the beginning of the next one.
            let text = if text == "24:00" { "00:00" } else { text };
            text.parse::<Time>().map_err(|_| {
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
