//! From the tree to the raw structs: each value as the type that its key wants, every mismatch noted.
//!
//! A raw struct is declared once, with [`raw_table!`]; how it is read, which keys are suggested for a
//! wrong one, and what an editor is told about it all come from that declaration.

mod leaf;
pub(crate) mod macros;

use schemars::JsonSchema;

pub(crate) use leaf::{ByteSize, HumanDuration, Json, JsonObject, Keyed, OneOrMany};
pub(crate) use macros::{raw_choice, raw_table, raw_words};

use crate::problem::Report;
use crate::sources::Span;
use crate::suggest;
use crate::tree::{At, Entry, Kind, Node, Table};

/// What can be read from a value of the tree.
pub(crate) trait Decode: JsonSchema + Sized {
    /// Reads it, or notes what is wrong with it.
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self>;
}

impl<T: Decode> At<T> {
    pub(crate) fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        let span = node.span;
        T::decode(node, report).map(|value| Self { value, span })
    }
}

/// Notes that a value is of another type than is wanted.
pub(crate) fn expected<T>(node: &Node, what: &str, report: &mut Report<'_>) -> Option<T> {
    report.at(
        node.span,
        format!("expected {what}, found {}", node.describe()),
    );
    None
}

pub(crate) fn expect_table(node: Node, what: &str, report: &mut Report<'_>) -> Option<At<Table>> {
    let span = node.span;
    match node.kind {
        Kind::Table(value) => Some(At { value, span }),
        Kind::Array(items) if items.iter().any(|item| matches!(item.kind, Kind::Table(_))) => {
            let help = match what {
                WORKERS => EACH_WORKER,
                _ => "write it once, with its name in single brackets",
            };
            report
                .at(
                    span,
                    format!("expected one table for {what}, found several"),
                )
                .help(help);
            None
        }
        kind => expected(&Node { kind, span }, &format!("a table for {what}"), report),
    }
}

/// Notes that a table lacks a key.
pub(crate) fn missing_key(span: Span, what: &str, key: &str, report: &mut Report<'_>) {
    report
        .at(span, format!("{what} needs `{key}`"))
        .help(format!("add `{key} = ...`"));
}

/// Notes a key that means nothing where it is.
pub(crate) fn unknown_key(
    what: &str,
    key: &str,
    entry: &Entry,
    known: &[&str],
    report: &mut Report<'_>,
) {
    report
        .at(entry.key, format!("unknown key `{key}` in {what}"))
        .help_with(|| {
            hint(what, key)
                .map(str::to_owned)
                .or_else(|| suggest::help(key, "keys", known.iter().copied()))
        });
}

/// Words that people can be expected to try, with a better answer than the nearest key.
const HINTS: &[(&str, &str, &str)] = &[
    (ROOT, "reporters", "each reporter is a [[reporter]]"),
    (
        ROOT,
        "step",
        "steps belong to a builder: [[builder.step]] after its [[builder]]",
    ),
    (ROOT, "builders", "each builder is a [[builder]]"),
    (ROOT, "schedulers", "each scheduler is a [[scheduler]]"),
    (ROOT, "change_source", "each change source is a [[changes]]"),
    (ROOT, "plugins", "settings of a plugin are in [plugin.NAME]"),
    (ROOT, "title", "settings of the master are in [master]"),
    (ROOT, "url", "settings of the master are in [master]"),
    (
        "a builder",
        "steps",
        "each step is a [[builder.step]] after its [[builder]]",
    ),
    ("a builder", "worker", "write `workers = [\"NAME\"]`"),
    (WORKERS, "name", EACH_WORKER),
    (WORKERS, "kind", EACH_WORKER),
];

/// How messages name the table that says where workers connect.
const WORKERS: &str = "[workers]";
const EACH_WORKER: &str = "each worker is a [[worker]]; [workers] says where they connect";

/// How messages name the top level.
pub(crate) const ROOT: &str = "the configuration";

fn hint(what: &str, key: &str) -> Option<&'static str> {
    HINTS
        .iter()
        .find(|(table, word, _)| *table == what && *word == key)
        .map(|(_, _, help)| *help)
}
