//! Declarations of raw structs.

/// Declares a table: its name in messages, its documented keys with `!` for required and `?` for
/// optional ones, and, after `..`, a field for the keys that are not its own.
///
/// Every field is an `Option`, because reading goes on after a problem; the check knows that a required
/// one that is missing was noted.
macro_rules! raw_table {
    (
        $(#[doc = $doc:literal])*
        $name:ident ($what:expr) {
            $( $(#[doc = $field_doc:literal])* $field:ident $mark:tt $ty:ty, )*
            $( .. $rest:ident )?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $( $(#[doc = $field_doc])* pub(crate) $field: Option<$crate::tree::At<$ty>>, )*
            $( /// Keys that are not its own.
               pub(crate) $rest: $crate::tree::Table, )?
        }

        impl $name {
            /// Its keys, for suggestions.
            pub(crate) const KEYS: &'static [&'static str] =
                &[$( $crate::decode::macros::key(stringify!($field)) ),*];
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: $crate::tree::Node,
                report: &mut $crate::problem::Report<'_>,
            ) -> Option<Self> {
                let table = $crate::decode::expect_table(node, $what, report)?;
                let mut raw = Self::default();
                $(
                    if $crate::decode::macros::required!($mark)
                        && !table.value.0.contains_key($crate::decode::macros::key(stringify!($field)))
                    {
                        let key = $crate::decode::macros::key(stringify!($field));
                        $crate::decode::missing_key(table.span, $what, key, report);
                    }
                )*
                for (key, entry) in table.value.0 {
                    $(
                        if key == $crate::decode::macros::key(stringify!($field)) {
                            raw.$field = $crate::tree::At::decode(entry.node, report);
                            continue;
                        }
                    )*
                    $crate::decode::macros::leave!(raw, key, entry, report, $what $(, $rest)?);
                }
                Some(raw)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).trim_start_matches("Raw").into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut table = $crate::schema::TableSchema::new(concat!($($doc, "\n"),*));
                $(
                    table.key(
                        $crate::decode::macros::key(stringify!($field)),
                        concat!($($field_doc, "\n"),*),
                        $crate::decode::macros::required!($mark),
                        generator.subschema_for::<$ty>(),
                    );
                )*
                table.finish($crate::decode::macros::open!($($rest)?))
            }
        }
    };
}

/// Declares a table whose kind is said by one of its keys, each kind a table of its own.
macro_rules! raw_choice {
    (
        $(#[doc = $doc:literal])*
        $name:ident ($what:expr) by $tag:literal {
            $( $word:literal => $variant:ident($ty:ty) ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub(crate) enum $name {
            $( #[doc = $word] $variant($ty), )*
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: $crate::tree::Node,
                report: &mut $crate::problem::Report<'_>,
            ) -> Option<Self> {
                let mut table = $crate::decode::expect_table(node, $what, report)?;
                let words = [$($word),*];
                let word = $crate::decode::macros::take_tag(&mut table, $tag, $what, &words, report)?;
                let node = $crate::tree::Node {
                    kind: $crate::tree::Kind::Table(table.value),
                    span: table.span,
                };
                match words.iter().position(|known| *known == word)? {
                    $( index if words[index] == $word => <$ty>::decode(node, report).map(Self::$variant), )*
                    _ => None,
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).trim_start_matches("Raw").into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let variants = vec![$( ($word, <$ty>::json_schema(generator)) ),*];
                $crate::schema::choice(concat!($($doc, "\n"),*), $tag, variants)
            }
        }
    };
}

/// Declares a setting that is one of some words.
macro_rules! raw_words {
    (
        $(#[doc = $doc:literal])*
        $name:ident { $( $word:literal => $variant:ident ),* $(,)? }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $( #[doc = $word] $variant, )*
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: $crate::tree::Node,
                report: &mut $crate::problem::Report<'_>,
            ) -> Option<Self> {
                let words = [$($word),*];
                let word = $crate::decode::macros::word(&node, &words, report)?;
                [$( ($word, Self::$variant) ),*]
                    .into_iter()
                    .find_map(|(known, value)| (known == word).then_some(value))
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).trim_start_matches("Raw").into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "enum": [$($word),*] })
            }
        }
    };
}

/// `!` is required, `?` is not.
macro_rules! required {
    (!) => {
        true
    };
    (?) => {
        false
    };
}

/// What becomes of a key that is not a table's own: kept if it has a place for such.
macro_rules! leave {
    ($raw:ident, $key:ident, $entry:ident, $report:ident, $what:expr, $rest:ident) => {
        $raw.$rest.0.insert($key, $entry);
    };
    ($raw:ident, $key:ident, $entry:ident, $report:ident, $what:expr) => {
        $crate::decode::unknown_key($what, &$key, &$entry, Self::KEYS, $report);
    };
}

/// Whether a table takes other keys than its own.
macro_rules! open {
    ($rest:ident) => {
        true
    };
    () => {
        false
    };
}

pub(crate) use {leave, open, raw_choice, raw_table, raw_words, required};

use crate::problem::Report;
use crate::suggest;
use crate::tree::{At, Node, Table};

/// The key that a field stands for: its name, without what makes a Rust keyword a name.
pub(crate) const fn key(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// Takes the key that says the kind out of a table.
pub(crate) fn take_tag(
    table: &mut At<Table>,
    tag: &str,
    what: &str,
    words: &[&str],
    report: &mut Report<'_>,
) -> Option<String> {
    let Some(entry) = table.value.0.shift_remove(tag) else {
        report
            .at(table.span, format!("{what} needs `{tag}`"))
            .help(format!(
                "`{tag}` is one of {}",
                suggest::list(words.iter().copied())
            ));
        return None;
    };
    word(&entry.node, words, report)
}

/// A string that is one of some words.
pub(crate) fn word(node: &Node, words: &[&str], report: &mut Report<'_>) -> Option<String> {
    let Some(found) = node.as_str() else {
        return crate::decode::expected(node, &one_of(words), report);
    };
    if words.contains(&found) {
        return Some(found.to_owned());
    }
    report
        .at(node.span, format!("`{found}` is not known here"))
        .help_with(|| suggest::help(found, "words", words.iter().copied()));
    None
}

fn one_of(words: &[&str]) -> String {
    match words {
        [only] => format!("\"{only}\""),
        _ => format!("one of {}", suggest::list(words.iter().copied())),
    }
}
