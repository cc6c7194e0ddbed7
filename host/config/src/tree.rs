//! TOML as a tree in which every key and value knows where it is written, and the merge of several
//! files into one such tree.
//!
//! Serde would do for good input, but it stops at the first thing that is wrong, and knows no files.

use indexmap::IndexMap;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Report;
use crate::sources::{Sources, Span};

/// Syntax problems shown for one file; after some, a parser mostly reports its own confusion.
const SYNTAX_PROBLEMS_PER_FILE_MAX: usize = 5;

/// A value and where it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// A value as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// As text: no setting is a date, but a property may be.
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
}

/// Keys in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Table(pub(crate) IndexMap<String, Entry>);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Where the key is written.
    pub(crate) key: Span,
    pub(crate) node: Node,
}

impl Node {
    /// What it is, with its article, for "expected ..., found ...".
    pub(crate) fn describe(&self) -> &'static str {
        match self.kind {
            Kind::String(_) => "a string",
            Kind::Integer(_) => "an integer",
            Kind::Float(_) => "a float",
            Kind::Boolean(_) => "a boolean",
            Kind::Datetime(_) => "a date",
            Kind::Array(_) => "an array",
            Kind::Table(_) => "a table",
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The same value in JSON. Floats are finite: others were refused when the tree was made.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::String(text) | Kind::Datetime(text) => Value::from(text.as_str()),
            Kind::Integer(number) => Value::from(*number),
            Kind::Float(number) => Value::from(*number),
            Kind::Boolean(yes) => Value::from(*yes),
            Kind::Array(items) => items.iter().map(Self::to_json).collect(),
            Kind::Table(table) => Value::Object(table.to_json()),
        }
    }

    /// Follows a path of keys and indices.
    pub(crate) fn find<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter()
            .try_fold(self, |node, segment| match &node.kind {
                Kind::Table(table) => table.0.get(segment).map(|entry| &entry.node),
                Kind::Array(items) => items.get(segment.parse::<usize>().ok()?),
                _ => None,
            })
    }
}

impl Table {
    pub(crate) fn to_json(&self) -> serde_json::Map<String, Value> {
        self.0
            .iter()
            .map(|(key, entry)| (key.clone(), entry.node.to_json()))
            .collect()
    }
}

/// Parses every file and merges them. `None` when one of them is not TOML: what a parser makes of a
/// broken file says nothing about what its author meant.
pub(crate) fn parse(sources: &Sources, report: &mut Report<'_>) -> Option<Table> {
    let before = report.count();
    let mut root = Table::default();
    for (file, text) in sources.texts() {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut line = None;
        let mut shown = 0;
        for error in &errors {
            let span = convert_span(file, error.span().unwrap_or(0..0));
            let this_line = Some(sources.place(span).line);
            if line != this_line && shown < SYNTAX_PROBLEMS_PER_FILE_MAX {
                report.at(span, syntax_message(sources, span, error.message()));
                shown += 1;
            }
            line = this_line;
        }
        if errors.is_empty() {
            let table = Converter { file, report }.table(document.into_inner());
            merge(&mut root, table, &mut Vec::new(), report);
        }
    }
    (report.count() == before).then_some(root)
}

/// The parser's message, except where it speaks of a value that is not there.
fn syntax_message(sources: &Sources, span: Span, message: &str) -> String {
    let place = sources.place(span);
    let before: String = place.text.chars().take(place.column as usize - 1).collect();
    if sources.text(span).is_empty() && before.trim_end().ends_with('=') {
        return "this is not TOML: a value is missing after `=`".into();
    }
    format!("this is not TOML: {message}")
}

fn convert_span(file: u32, range: std::ops::Range<usize>) -> Span {
    let offset = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    Span {
        file,
        start: offset(range.start),
        end: offset(range.end),
    }
}

struct Converter<'r, 's> {
    file: u32,
    report: &'r mut Report<'s>,
}

impl Converter<'_, '_> {
    fn table(&mut self, table: DeTable<'_>) -> Table {
        let entries = table.into_iter().map(|(key, value)| {
            let span = convert_span(self.file, key.span());
            let node = self.node(value);
            (key.into_inner().into_owned(), Entry { key: span, node })
        });
        Table(entries.collect())
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>) -> Node {
        let span = convert_span(self.file, value.span());
        let kind = match value.into_inner() {
            DeValue::String(text) => Kind::String(text.into_owned()),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                Kind::Integer(parsed.unwrap_or_else(|_| {
                    self.report
                        .at(span, format!("{number} does not fit into 64 bits"));
                    0
                }))
            }
            DeValue::Float(number) => {
                let parsed = number.as_str().parse().ok().filter(|n: &f64| n.is_finite());
                Kind::Float(parsed.unwrap_or_else(|| {
                    self.report
                        .at(span, format!("{number} is not a finite number"));
                    0.0
                }))
            }
            DeValue::Boolean(yes) => Kind::Boolean(yes),
            DeValue::Datetime(date) => Kind::Datetime(date.to_string()),
            DeValue::Array(items) => {
                Kind::Array(items.into_iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => Kind::Table(self.table(table)),
        };
        Node { kind, span }
    }
}

/// Adds what a further file says: tables by key, arrays of tables appended; anything else may be said
/// once only, because two files have no order that a person would see. `path` leads to the table.
fn merge(into: &mut Table, from: Table, path: &mut Vec<String>, report: &mut Report<'_>) {
    for (key, new) in from.0 {
        let Some(old) = into.0.get_mut(&key) else {
            into.0.insert(key, new);
            continue;
        };
        path.push(key);
        match (&mut old.node.kind, new.node.kind) {
            (Kind::Table(into), Kind::Table(from)) => merge(into, from, path, report),
            (Kind::Array(into), Kind::Array(from)) if are_tables(into) && are_tables(&from) => {
                into.extend(from);
            }
            (Kind::Table(_), Kind::Array(_)) | (Kind::Array(_), Kind::Table(_)) => {
                report
                    .at(new.key, format!("`{}` is one table here and a list elsewhere", path.join(".")))
                    .related(old.key, "the other one")
                    .help("write it in the same way in both files, as [[name]] if there may be several");
            }
            _ => {
                report
                    .at(new.key, format!("`{}` is set in two files", path.join(".")))
                    .related(old.key, "set here first")
                    .help("keep one of the two");
            }
        }
        path.pop();
    }
}

fn are_tables(items: &[Node]) -> bool {
    items.iter().all(|item| matches!(item.kind, Kind::Table(_)))
}
