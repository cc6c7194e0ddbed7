//! What a script expects, and how it is held against what was seen.
//!
//! A table names the members that matter, a list is the whole list in its order, anything else is equal. Where a text or a list was
//! seen, a table may say what it is like instead: `{ contains = "..." }`.

use indexmap::IndexMap;
use regex::Regex;
use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::{ScriptFault, Source};
use crate::verdict::Mismatch;

/// What is expected of a value, and the line that says so.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(crate) line: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Is(Value),
    List(Vec<Pattern>),
    Table(IndexMap<String, Pattern>),
    Like(Vec<Like>),
}

/// One thing that a value is like.
#[derive(Debug, Clone)]
enum Like {
    Contains(Vec<Pattern>),
    Lacks(Vec<Pattern>),
    Matches(Regex),
    Length(u64),
    Missing,
}

const LIKE_KEYS: [&str; 5] = ["contains", "lacks", "matches", "length", "missing"];

impl Pattern {
    /// As it is written.
    pub(crate) fn read(source: &Source, value: &Spanned<DeValue<'_>>) -> Result<Self, ScriptFault> {
        let line = source.line(value.span().start);
        let fault = |text: String| source.fault(line, text);
        let kind = match value.get_ref() {
            DeValue::String(text) => Kind::Is(Value::from(text.as_ref())),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                Kind::Is(Value::from(parsed.map_err(|_| {
                    fault(format!("{number} does not fit into 64 bits"))
                })?))
            }
            DeValue::Float(number) => {
                let parsed: Option<f64> = number.as_str().parse().ok();
                let parsed = parsed.and_then(Number::from_f64);
                let parsed = parsed.ok_or_else(|| fault(format!("{number} is no number")))?;
                Kind::Is(Value::Number(parsed))
            }
            DeValue::Boolean(yes) => Kind::Is(Value::from(*yes)),
            DeValue::Datetime(date) => Kind::Is(Value::from(date.to_string())),
            DeValue::Array(items) => Kind::List(
                items
                    .iter()
                    .map(|item| Self::read(source, item))
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::Table(table) => Self::read_table(source, line, table)?,
        };
        Ok(Self { line, kind })
    }

    fn read_table(source: &Source, line: usize, table: &DeTable<'_>) -> Result<Kind, ScriptFault> {
        let is_like = |key: &str| LIKE_KEYS.contains(&key);
        let mut keys = table.keys().map(|key| key.get_ref().as_ref());
        if table.is_empty() || !keys.all(is_like) {
            let members = table.iter().map(|(key, value)| {
                let pattern = Self::read(source, value)?;
                Ok((key.get_ref().to_string(), pattern))
            });
            return Ok(Kind::Table(members.collect::<Result<_, _>>()?));
        }
        let mut all = Vec::new();
        for (key, value) in table {
            let pattern = Self::read(source, value)?;
            let like = Like::read(key.get_ref(), pattern);
            all.push(like.map_err(|text| source.fault(line, text))?);
        }
        Ok(Kind::Like(all))
    }

    /// The members of a table; `None` when it is none.
    pub(crate) fn members(&self) -> Option<&IndexMap<String, Self>> {
        match &self.kind {
            Kind::Table(members) => Some(members),
            _ => None,
        }
    }

    /// Holds a value against it and notes where they differ. `what` names the value for people.
    pub(crate) fn check(&self, what: &str, seen: Option<&Value>, found: &mut Vec<Mismatch>) {
        match &self.kind {
            Kind::Like(all) => {
                for like in all {
                    if !like.holds(seen) {
                        found.push(self.mismatch(what, like.show(), seen));
                    }
                }
            }
            Kind::Table(members) => self.check_members(members, what, seen, found),
            Kind::List(items) => self.check_items(items, what, seen, found),
            Kind::Is(expected) => {
                if !seen.is_some_and(|seen| is_same(expected, face(seen))) {
                    found.push(self.mismatch(what, show(expected), seen.map(face)));
                }
            }
        }
    }

    fn check_members(
        &self,
        members: &IndexMap<String, Self>,
        what: &str,
        seen: Option<&Value>,
        found: &mut Vec<Mismatch>,
    ) {
        let Some(Value::Object(object)) = seen else {
            found.push(self.mismatch(what, show(&self.to_value()), seen));
            return;
        };
        for (name, pattern) in members {
            let what = match what {
                "" => name.clone(),
                what => format!("{what}.{name}"),
            };
            pattern.check(&what, object.get(name), found);
        }
    }

    fn check_items(
        &self,
        items: &[Self],
        what: &str,
        seen: Option<&Value>,
        found: &mut Vec<Mismatch>,
    ) {
        let Some(Value::Array(values)) = seen else {
            found.push(self.mismatch(what, show(&self.to_value()), seen));
            return;
        };
        let mut differ = Vec::new();
        for (number, (item, value)) in items.iter().zip(values).enumerate() {
            item.check(&format!("{what}[{number}]"), Some(value), &mut differ);
        }
        if items.len() == values.len() {
            found.append(&mut differ);
            return;
        }
        // Lists of other lengths are shown as a whole, so that it can be seen what is missing.
        let faces = Value::Array(values.iter().map(face).cloned().collect());
        found.push(self.mismatch(what, show(&self.to_value()), Some(&faces)));
    }

    fn mismatch(&self, what: &str, expected: String, seen: Option<&Value>) -> Mismatch {
        Mismatch {
            line: self.line,
            what: what.to_owned(),
            expected,
            seen: seen.map_or_else(|| "(nothing)".to_owned(), show),
        }
    }

    /// For people.
    fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Is(value) => value.clone(),
            Kind::List(items) => items.iter().map(Self::to_value).collect(),
            Kind::Table(members) => {
                let members = members.iter();
                Value::Object(members.map(|(k, v)| (k.clone(), v.to_value())).collect())
            }
            Kind::Like(all) => {
                let texts: Vec<String> = all.iter().map(Like::show).collect();
                Value::from(format!("({})", texts.join(", ")))
            }
        }
    }
}

impl Like {
    fn read(key: &str, pattern: Pattern) -> Result<Self, String> {
        let number = |pattern: &Pattern| match &pattern.kind {
            Kind::Is(value) => value.as_u64(),
            _ => None,
        };
        Ok(match key {
            "contains" => Self::Contains(pattern.several()),
            "lacks" => Self::Lacks(pattern.several()),
            "matches" => match &pattern.kind {
                Kind::Is(Value::String(text)) => Self::Matches(
                    Regex::new(text)
                        .map_err(|error| format!("`{text}` is no regular expression: {error}"))?,
                ),
                _ => return Err("`matches` is a regular expression".into()),
            },
            "length" => {
                let length = number(&pattern).ok_or("`length` is a number")?;
                Self::Length(length)
            }
            _ => match pattern.kind {
                Kind::Is(Value::Bool(true)) => Self::Missing,
                _ => return Err("`missing` is true or not there".into()),
            },
        })
    }

    fn holds(&self, seen: Option<&Value>) -> bool {
        let Some(seen) = seen else {
            return matches!(self, Self::Missing | Self::Lacks(_));
        };
        match self {
            Self::Contains(all) => all.iter().all(|part| has(seen, part)),
            Self::Lacks(all) => !all.iter().any(|part| has(seen, part)),
            Self::Matches(regex) => regex.is_match(&show(face(seen))),
            Self::Length(length) => match seen {
                Value::Array(items) => items.len() as u64 == *length,
                Value::Object(members) => members.len() as u64 == *length,
                value => show(value).chars().count() as u64 == *length,
            },
            Self::Missing => false,
        }
    }

    fn show(&self) -> String {
        let parts = |parts: &[Pattern]| {
            let shown: Vec<String> = parts.iter().map(|part| show(&part.to_value())).collect();
            shown.join("` and `")
        };
        match self {
            Self::Contains(all) => format!("something with `{}`", parts(all)),
            Self::Lacks(all) => format!("nothing with `{}`", parts(all)),
            Self::Matches(regex) => format!("something that matches `{regex}`"),
            Self::Length(length) => format!("a length of {length}"),
            Self::Missing => "(nothing)".into(),
        }
    }
}

impl Pattern {
    fn several(self) -> Vec<Self> {
        match self.kind {
            Kind::List(items) => items,
            kind => vec![Self { kind, ..self }],
        }
    }
}

/// Whether a text, an element of a list or a name of an object is like this.
fn has(seen: &Value, part: &Pattern) -> bool {
    let is_like = |value: &Value| {
        let mut differ = Vec::new();
        part.check("", Some(value), &mut differ);
        differ.is_empty()
    };
    match (seen, &part.kind) {
        (Value::Array(items), _) => items
            .iter()
            .any(|item| is_like(item) || has_text(item, part)),
        (Value::Object(members), Kind::Is(Value::String(name))) if members.contains_key(name) => {
            true
        }
        (value, _) => has_text(value, part),
    }
}

fn has_text(seen: &Value, part: &Pattern) -> bool {
    match (face(seen), &part.kind) {
        (Value::String(seen), Kind::Is(Value::String(text))) => seen.contains(text.as_str()),
        _ => false,
    }
}

/// What stands for an object where a text is expected: its first member.
fn face(seen: &Value) -> &Value {
    match seen {
        Value::Object(members) => match members.values().next() {
            Some(first @ Value::String(_)) => first,
            _ => seen,
        },
        seen => seen,
    }
}

fn is_same(expected: &Value, seen: &Value) -> bool {
    match (expected, seen) {
        // The last line of a log ends or does not, which nobody wants to count.
        (Value::String(expected), Value::String(seen)) => {
            expected.strip_suffix('\n').unwrap_or(expected)
                == seen.strip_suffix('\n').unwrap_or(seen)
        }
        (Value::Number(expected), Value::Number(seen)) => {
            expected == seen || expected.as_f64() == seen.as_f64()
        }
        (expected, seen) => expected == seen,
    }
}

/// A value as people read it: a text as it is, a list with one element a line.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "(none)".into(),
        Value::Array(items) => {
            let lines: Vec<String> = items.iter().map(show_inside).collect();
            lines.join("\n")
        }
        value => value.to_string(),
    }
}

fn show_inside(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Where a value is not as expected, as `line what: expected | seen`.
    fn differ(expected: &str, seen: &Value) -> Vec<String> {
        let source = Source::of_text("a.toml", expected);
        let table = DeTable::parse(&source.text).unwrap();
        let root = Spanned::new(0..0, DeValue::Table(table.into_inner()));
        let pattern = Pattern::read(&source, &root).unwrap();
        let mut found = Vec::new();
        pattern.check("", Some(seen), &mut found);
        let texts = found.iter().map(|one| {
            let (line, what) = (one.line, &one.what);
            format!("{line} {what}: {} | {}", one.expected, one.seen)
        });
        texts.collect()
    }

    #[test]
    fn what_fits_is_not_told() {
        let seen = json!({
            "summary": "2 passed",
            "logs": {"stdio": "one\ntwo\n"},
            "commands": [{"run": "make", "env": {"A": "b"}}, {"run": "make check"}],
            "count": 2.0,
        });
        for expected in [
            "summary = '2 passed'\ncount = 2",
            "logs.stdio = \"one\\ntwo\"",
            "logs.stdio = \"\"\"\none\ntwo\n\"\"\"",
            "logs = { stdio = { contains = ['one', 'two'], lacks = 'three', matches = '(?m)^two$' } }",
            "logs.other = { missing = true }",
            "commands = ['make', { run = 'make check' }]",
            "commands = [{ env = { A = 'b' } }, {}]",
            "commands = { contains = 'make check', length = 2, lacks = 'cargo' }",
            "commands = { contains = { env = { A = 'b' } } }",
        ] {
            assert_eq!(differ(expected, &seen), Vec::<String>::new(), "{expected}");
        }
    }

    #[test]
    fn what_differs_is_told_with_its_line() {
        let seen = json!({
            "summary": "2 passed",
            "properties": {"a": 1},
            "commands": [{"run": "make"}, {"run": "make check"}],
        });
        for (expected, told) in [
            ("\nsummary = '3 passed'", "2 summary: 3 passed | 2 passed"),
            ("properties.a = 2", "1 properties.a: 2 | 1"),
            ("properties.b = 2", "1 properties.b: 2 | (nothing)"),
            (
                "properties.a = { missing = true }",
                "1 properties.a: (nothing) | 1",
            ),
            ("commands = ['make']", "1 commands: make | make\nmake check"),
            ("commands = []", "1 commands: (none) | make\nmake check"),
            (
                "commands = [\n'make',\n'make all']",
                "3 commands[1]: make all | make check",
            ),
            (
                "summary = { contains = 'failed' }",
                "1 summary: something with `failed` | 2 passed",
            ),
            ("logs.stdio = 'x'", "1 logs: {\"stdio\":\"x\"} | (nothing)"),
        ] {
            assert_eq!(differ(expected, &seen), [told], "{expected}");
        }
    }
}
