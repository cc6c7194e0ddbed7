//! Small things that scripts are made of.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use toolpost_core::{Results, Timestamp};

/// A span of time: `1h 30m`, `250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Time(pub(crate) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_span(&text).map(Self).map_err(D::Error::custom)
    }
}

fn parse_span(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text);
    parsed.map_err(|_| format!("`{text}` is no span of time; write it like `1h 30m` or `250ms`"))
}

/// When something happens: so long after the start, or at a time (`2026-03-02T08:00:00Z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    After(Duration),
    At(Timestamp),
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = TextOrDate::deserialize(deserializer)?.0;
        match parse_moment(&text) {
            Some(at) => Ok(Self::At(at)),
            None => parse_span(&text).map(Self::After).map_err(D::Error::custom),
        }
    }
}

/// A point in time as people write it.
pub(crate) fn parse_moment(text: &str) -> Option<Timestamp> {
    let parsed = humantime::parse_rfc3339_weak(text).ok()?;
    let since = parsed.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp(i64::try_from(since.as_millis()).ok()?))
}

/// A point in time as people read it.
pub(crate) fn show_moment(at: Timestamp) -> String {
    let millis = u64::try_from(at.0).unwrap_or(0);
    let time = std::time::UNIX_EPOCH + Duration::from_millis(millis);
    match millis % 1000 {
        0 => humantime::format_rfc3339_seconds(time).to_string(),
        _ => humantime::format_rfc3339_millis(time).to_string(),
    }
}

/// A text, or a date of TOML as text.
struct TextOrDate(String);

impl<'de> Deserialize<'de> for TextOrDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        match value {
            toml::Value::String(text) => Ok(Self(text)),
            toml::Value::Datetime(date) => Ok(Self(date.to_string())),
            other => Err(D::Error::custom(format!(
                "`{other}` is no time; write it like \"10m\" or 2026-03-02T08:00:00Z"
            ))),
        }
    }
}

/// Bytes that a script has: as text, or in a table `{ file = "a" }`, `{ base64 = "..." }`, `{ json = ... }`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Text(String),
    Bytes(Vec<u8>),
    /// Beside the script.
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentTable {
    file: Option<PathBuf>,
    base64: Option<String>,
    json: Option<Value>,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, { file = ... }, { base64 = ... } or { json = ... }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Content, A::Error> {
        let table = ContentTable::deserialize(MapAccessDeserializer::new(map))?;
        match (table.file, table.base64, table.json) {
            (Some(file), None, None) => Ok(Content::File(file)),
            (None, Some(text), None) => {
                let decoded = BASE64_STANDARD.decode(text.as_bytes());
                let decoded = decoded.map_err(|_| A::Error::custom("this is not base64"))?;
                Ok(Content::Bytes(decoded))
            }
            (None, None, Some(value)) => Ok(Content::Text(value.to_string())),
            _ => Err(A::Error::custom(
                "a content has one of `file`, `base64` and `json`",
            )),
        }
    }
}

impl Content {
    /// The bytes; files are beside the script.
    pub(crate) fn read(&self, folder: &Path) -> Result<Bytes, String> {
        match self {
            Self::Text(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            Self::Bytes(bytes) => Ok(Bytes::copy_from_slice(bytes)),
            Self::File(file) => {
                let path = folder.join(file);
                let read = std::fs::read(&path).map(Bytes::from);
                read.map_err(|error| format!("{} cannot be read: {error}", path.display()))
            }
        }
    }
}

/// One text, or several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Words {
    #[default]
    Nothing,
    Line(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words::Line(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Words, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Words::List)
    }
}

/// How often an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// So often.
    Exactly(u32),
    /// As often as it is asked for, and perhaps never.
    Any,
}

impl Default for Times {
    fn default() -> Self {
        Self::Exactly(1)
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimesVisitor)
    }
}

struct TimesVisitor;

impl Visitor<'_> for TimesVisitor {
    type Value = Times;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or \"any\"")
    }

    fn visit_i64<E: Error>(self, times: i64) -> Result<Times, E> {
        let times = u32::try_from(times).map_err(|_| E::custom("this is no number of times"))?;
        Ok(Times::Exactly(times))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Times, E> {
        match text {
            "any" => Ok(Times::Any),
            _ => Err(E::custom("a number, or \"any\"")),
        }
    }
}

/// The results of this name.
pub(crate) fn results(name: &str) -> Result<Results, String> {
    let found = Results::ALL.into_iter().find(|one| one.name() == name);
    found.ok_or_else(|| {
        let names = Results::ALL.map(Results::name).join("`, `");
        format!("`{name}` is no result; there are `{names}`")
    })
}

/// Whether a text is like a pattern in which `*` stands for anything.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, like) in [
            ("make check", "make check", true),
            ("make check", "make check all", false),
            ("make *", "make check all", true),
            ("*check", "make check", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(is_like(pattern, text), like, "{pattern} {text}");
        }
    }
}
