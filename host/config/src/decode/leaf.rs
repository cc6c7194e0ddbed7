//! Plain values: text, numbers, durations, sizes, JSON, lists and maps.

use std::borrow::Cow;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::{Decode, expected};
use crate::problem::Report;
use crate::sources::Span;
use crate::tree::{At, Kind, Node};

/// A longer duration is a slip: nothing here waits for years.
const DURATION_S_MAX: u64 = 10 * 366 * 24 * 3600;

impl<T: Decode> Decode for Box<T> {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        T::decode(node, report).map(Self::new)
    }
}

impl Decode for String {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match node.kind {
            Kind::String(text) => Some(text),
            _ => expected(&node, "a string", report),
        }
    }
}

impl Decode for bool {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match node.kind {
            Kind::Boolean(yes) => Some(yes),
            _ => expected(&node, "`true` or `false`", report),
        }
    }
}

impl Decode for i64 {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match node.kind {
            Kind::Integer(number) => Some(number),
            _ => expected(&node, "an integer", report),
        }
    }
}

/// Unsigned settings are counts and amounts.
fn unsigned<T: TryFrom<i64>>(node: Node, max: &str, report: &mut Report<'_>) -> Option<T> {
    let span = node.span;
    let number = i64::decode(node, report)?;
    let converted = T::try_from(number).ok();
    if converted.is_none() {
        report.at(span, format!("{number} is not between 0 and {max}"));
    }
    converted
}

impl Decode for u32 {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        unsigned(node, "4294967295", report)
    }
}

impl Decode for u64 {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        unsigned(node, "9223372036854775807", report)
    }
}

/// `"5m"`, `"1h30m"`, or whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HumanDuration(pub(crate) Duration);

impl Decode for HumanDuration {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        let duration = match &node.kind {
            Kind::Integer(seconds) => match u64::try_from(*seconds) {
                Ok(seconds) => Duration::from_secs(seconds),
                Err(_) => {
                    report.at(node.span, "a duration cannot be negative");
                    return None;
                }
            },
            Kind::String(text) => match humantime::parse_duration(text) {
                Ok(duration) => duration,
                Err(error) => {
                    report
                        .at(node.span, format!("`{text}` is not a duration: {error}"))
                        .help("write it like \"30s\", \"5m\" or \"1h30m\", or as whole seconds");
                    return None;
                }
            },
            _ => return expected(&node, "a duration like \"5m\", or whole seconds", report),
        };
        if duration.as_secs() > DURATION_S_MAX {
            report
                .at(node.span, "the duration is longer than ten years")
                .help("write it like \"30s\", \"5m\" or \"1h30m\", or as whole seconds");
            return None;
        }
        Some(Self(duration))
    }
}

impl JsonSchema for HumanDuration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^\\s*(\\d+\\s*[a-zA-Zµ]+\\s*)+$" }
        ] })
    }
}

/// `"64MiB"`, or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) u64);

/// Longest first where one ends with another.
const UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)))
        .unwrap_or((text, 1));
    number.trim_end().parse::<u64>().ok()?.checked_mul(unit)
}

impl Decode for ByteSize {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match &node.kind {
            Kind::Integer(bytes) => match u64::try_from(*bytes) {
                Ok(bytes) => Some(Self(bytes)),
                Err(_) => {
                    report.at(node.span, "a size cannot be negative");
                    None
                }
            },
            Kind::String(text) => {
                let size = parse_size(text);
                if size.is_none() {
                    report
                        .at(node.span, format!("`{text}` is not a size"))
                        .help("write it like \"64KiB\", \"100MB\" or \"1GiB\", or as bytes");
                }
                size.map(Self)
            }
            _ => expected(&node, "a size like \"64MiB\", or bytes", report),
        }
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^\\s*\\d+\\s*([KMGT]iB|[kKMGT]?B)?\\s*$" }
        ] })
    }
}

/// Any value. The tree is kept, so that a problem with a part of it has a place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Json(pub(crate) Node);

impl Decode for Json {
    fn decode(node: Node, _: &mut Report<'_>) -> Option<Self> {
        Some(Self(node))
    }
}

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Any".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

/// One value, or a list of such.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<At<T>>);

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match node.kind {
            Kind::Array(_) => Vec::decode(node, report).map(Self),
            _ => At::decode(node, report).map(|one| Self(vec![one])),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// Goes on after a bad item, so that the others are checked too.
impl<T: Decode> Decode for Vec<At<T>> {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match node.kind {
            Kind::Array(items) => Some(
                items
                    .into_iter()
                    .filter_map(|item| At::decode(item, report))
                    .collect(),
            ),
            Kind::Table(_) => {
                report
                    .at(node.span, "expected an array of tables, found one table")
                    .help("write its name in two brackets: [[name]]");
                None
            }
            Kind::String(_) => {
                let written = report.sources().text(node.span).to_owned();
                report
                    .at(node.span, "expected an array, found a string")
                    .help(format!("put it in brackets: [{written}]"));
                None
            }
            _ => expected(&node, "an array", report),
        }
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A table with free keys and values of one type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Keyed<T>(pub(crate) IndexMap<String, (Span, At<T>)>);

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

impl<T: Decode> Decode for Keyed<T> {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        let Kind::Table(table) = node.kind else {
            return expected(&node, "a table", report);
        };
        let entries = table.0.into_iter().filter_map(|(key, entry)| {
            At::decode(entry.node, report).map(|value| (key, (entry.key, value)))
        });
        Some(Self(entries.collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Keyed<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Keyed{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}

/// A table of JSON values.
pub(crate) type JsonObject = Keyed<Json>;

impl JsonObject {
    pub(crate) fn to_map<M: FromIterator<(String, Value)>>(&self) -> M {
        self.0
            .iter()
            .map(|(key, (_, value))| (key.clone(), value.value.0.to_json()))
            .collect()
    }
}
