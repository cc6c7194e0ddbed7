//! Parameter types that several native steps share. Each knows how it is written and its JSON Schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toolpost_sandbox::host::HostError;

use crate::build::outcome::Fault;

/// Environment variables of a command: a value sets one, `false` takes it away.
pub(crate) type Environment = BTreeMap<String, EnvironmentEntry>;

/// What becomes of one environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum EnvironmentEntry {
    /// It has this value.
    Set(String),
    /// `false`: it is taken away.
    Unset(False),
}

/// The word `false` and nothing else; TOML has no null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct False;

impl<'de> Deserialize<'de> for False {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? {
            Err(D::Error::custom("only `false` is allowed here, to unset"))
        } else {
            Ok(Self)
        }
    }
}

impl JsonSchema for False {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "False".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": false })
    }
}

/// A length of time: `"90s"`, `"20m"`, `"1h 30m"`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    /// Whole seconds.
    #[must_use]
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Seconds(f64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => Duration::try_from_secs_f64(seconds)
                .map_err(|_| D::Error::custom("a length of time cannot be negative or endless")),
            Written::Text(text) => humantime::parse_duration(&text).map_err(|error| {
                D::Error::custom(format!("`{text}` is no length of time: {error}"))
            }),
        }
        .map(Self)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: \"90s\", \"20m\", \"1h 30m\", or a number of seconds.",
            "anyOf": [
                { "type": "number", "minimum": 0 },
                {
                    "type": "string",
                    "pattern": r"^\s*\d+\s*(ns|us|ms|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|week|weeks)(\s*\d+\s*(ns|us|ms|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|week|weeks))*\s*$"
                }
            ]
        })
    }
}

/// A text, or a list of texts with at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneOrMore(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(String),
            More(#[serde(deserialize_with = "not_empty")] Vec<String>),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::One(text) => vec![text],
            Written::More(texts) => texts,
        }))
    }
}

impl JsonSchema for OneOrMore {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOrMore".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 }
            ]
        })
    }
}

/// What a step becomes that was refused something of its farm.
pub(crate) fn host_fault(error: HostError) -> Fault {
    match error {
        HostError::Retryable(text) => Fault::WorkerLost(text),
        HostError::Permanent(text) => Fault::Failed(text),
        HostError::Config(text) | HostError::Internal(text) => Fault::Exception(text),
    }
}

/// A command: one string for the shell, or program and arguments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Command {
    /// A line for `/bin/sh`.
    Shell(String),
    /// Program and arguments, with no shell between.
    Arguments(
        #[serde(deserialize_with = "not_empty")]
        #[schemars(length(min = 1))]
        Vec<String>,
    ),
}

fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    if words.is_empty() {
        return Err(D::Error::custom("the list must not be empty"));
    }
    Ok(words)
}

impl Command {
    /// The first words in quotes, which stand for the command in the text of its step.
    pub(crate) fn quoted_summary(&self) -> String {
        format!("'{}'", self.summary())
    }

    /// The first words, for people.
    fn summary(&self) -> String {
        const SUMMARY_CHARS_MAX: usize = 40;
        let text = match self {
            Self::Shell(line) => line.split_whitespace().collect::<Vec<_>>().join(" "),
            Self::Arguments(words) => words.join(" "),
        };
        if text.chars().count() <= SUMMARY_CHARS_MAX {
            return text;
        }
        let cut: String = text.chars().take(SUMMARY_CHARS_MAX).collect();
        format!("{}...", cut.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_are_text_or_seconds() {
        let read = |value| serde_json::from_value::<Span>(value).map_err(|e| e.to_string());
        assert_eq!(read(json!("1h 30m")), Ok(Span::seconds(5_400)));
        assert_eq!(read(json!(90)), Ok(Span::seconds(90)));
        assert_eq!(read(json!(0.5)), Ok(Span(Duration::from_millis(500))));
        assert!(read(json!("soon")).unwrap_err().contains("`soon`"));
        assert!(read(json!(-1)).is_err());
    }

    #[test]
    fn the_environment_is_set_or_unset() {
        let read = |value| serde_json::from_value::<Environment>(value);
        let env = read(json!({"A": "1", "B": false})).unwrap();
        assert_eq!(env["A"], EnvironmentEntry::Set("1".into()));
        assert_eq!(env["B"], EnvironmentEntry::Unset(False));
        assert!(read(json!({"A": true})).is_err());
    }

    #[test]
    fn a_long_command_is_summed_up() {
        let short = Command::Arguments(vec!["make".into(), "check".into()]);
        assert_eq!(short.summary(), "make check");
        let long = Command::Shell("echo a very long line that goes on and on and on".into());
        assert_eq!(
            long.summary(),
            "echo a very long line that goes on and o..."
        );
    }
}
