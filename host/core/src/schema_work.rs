//! How much work a schema asks for, known before it is used.
//!
//! References let a short text stand for a huge schema (sixty definitions that each use the next one
//! twice), or for an endless one (definitions that are each all of the others). A validator does that
//! work, and it is somebody else's schema. So the visits that one path of nested values can cause are
//! counted first, level by level, in time proportional to the text.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value};

/// Visits of subschemas that one path of nested values may cause; schemas of real steps cause some hundred.
pub const VISITS_MAX: u64 = 100_000;
/// TOML is not nested deeper.
const DEPTH_MAX: usize = 128;
/// A schema that cannot check a table of lists is of no use.
const DEPTH_MIN: usize = 3;
/// References that lead from one to the next for the same value. Each takes some stack, here and in the validator.
const CHAIN_MAX: usize = 256;

/// Why a schema must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaWorkError {
    /// A reference leads nowhere, or out of the schema.
    #[error("the schema has no `{0}` to refer to; references stay within it, as `#/$defs/NAME`")]
    Reference(String),
    /// A name of a part of the schema changes what references mean.
    #[error(
        "`{0}` names a part of the schema, inside of it or twice; refer to parts as `#/$defs/NAME`"
    )]
    Name(String),
    /// A schema that is itself, and not something inside of it.
    #[error("`{0}` refers to itself for the same value, so that checking would never end")]
    Endless(String),
    /// Its references make it stand for far more than its text.
    #[error(
        "checking would visit more than {VISITS_MAX} subschemas; refer to less from each definition"
    )]
    TooLarge,
}

/// How deep values may be nested before checking them takes too long.
///
/// Depth 0 is a scalar, 1 a table or list of scalars. Schemas that are not recursive take any depth.
///
/// # Errors
/// When checking anything would take too long, or would not end.
pub fn depth_max(schema: &Value) -> Result<usize, SchemaWorkError> {
    let mut counter = Counter {
        root: schema,
        anchors: HashMap::new(),
        counted: HashMap::new(),
        chain: 0,
    };
    counter.find_names(schema, true)?;
    let mut before = 0;
    for depth in 0..=DEPTH_MAX {
        let visits = counter.schema(schema, depth)?;
        if visits > VISITS_MAX {
            return match depth {
                0..=DEPTH_MIN => Err(SchemaWorkError::TooLarge),
                _ => Ok(depth - 1),
            };
        }
        // Every level that is reached adds a visit: when one adds none, no further one does.
        if visits == before {
            break;
        }
        before = visits;
    }
    Ok(DEPTH_MAX)
}

/// How deep a table or list of these values is nested.
pub fn depth_of<'v>(values: impl Iterator<Item = &'v Value>) -> usize {
    let inner = values.map(|value| match value {
        Value::Array(items) => depth_of(items.iter()),
        Value::Object(fields) => depth_of(fields.values()),
        _ => 0,
    });
    1 + inner.max().unwrap_or(0)
}

struct Counter<'s> {
    root: &'s Value,
    anchors: HashMap<&'s str, &'s Value>,
    /// Visits that a reference causes in a value of some depth; `None` while they are counted.
    counted: HashMap<(&'s str, usize), Option<u64>>,
    /// References that are being followed.
    chain: usize,
}

impl<'s> Counter<'s> {
    /// Finds what references may name. An `$id` below the root would change what they mean there.
    fn find_names(&mut self, node: &'s Value, is_root: bool) -> Result<(), SchemaWorkError> {
        match node {
            Value::Object(keywords) => {
                for (keyword, value) in keywords {
                    match (keyword.as_str(), value) {
                        ("$anchor" | "$dynamicAnchor", Value::String(name)) => {
                            if self.anchors.insert(name, node).is_some() {
                                return Err(SchemaWorkError::Name(name.clone()));
                            }
                        }
                        ("$id" | "id", Value::String(name)) if !is_root => {
                            return Err(SchemaWorkError::Name(name.clone()));
                        }
                        _ => self.find_names(value, false)?,
                    }
                }
                Ok(())
            }
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.find_names(item, false)),
            _ => Ok(()),
        }
    }

    /// Visits of this schema and those that it applies to a value of this depth.
    fn schema(&mut self, schema: &'s Value, depth: usize) -> Result<u64, SchemaWorkError> {
        let Value::Object(keywords) = schema else {
            return Ok(1);
        };
        let mut visits: u64 = 1;
        for (keyword, value) in keywords {
            visits = visits.saturating_add(self.keyword(keyword, value, depth)?);
        }
        Ok(visits)
    }

    /// Visits by one keyword. Those that are not here apply no schemas.
    fn keyword(
        &mut self,
        keyword: &str,
        value: &'s Value,
        depth: usize,
    ) -> Result<u64, SchemaWorkError> {
        match (keyword, value) {
            ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                self.reference(target, depth)
            }
            ("not" | "if" | "then" | "else", schema) => self.schema(schema, depth),
            ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => self.all(schemas, depth),
            ("dependentSchemas" | "dependencies", Value::Object(schemas)) => {
                self.all(schemas.values(), depth)
            }
            _ => match depth.checked_sub(1) {
                Some(depth) => self.inner_keyword(keyword, value, depth),
                None => Ok(0),
            },
        }
    }

    /// Visits by a keyword that speaks of what is inside a value.
    fn inner_keyword(
        &mut self,
        keyword: &str,
        value: &'s Value,
        depth: usize,
    ) -> Result<u64, SchemaWorkError> {
        match (keyword, value) {
            ("properties" | "patternProperties", Value::Object(schemas)) => {
                self.all(Map::values(schemas), depth)
            }
            ("prefixItems" | "items", Value::Array(schemas)) => self.all(schemas, depth),
            (
                "items"
                | "additionalItems"
                | "unevaluatedItems"
                | "contains"
                | "propertyNames"
                | "additionalProperties"
                | "unevaluatedProperties",
                schema,
            ) => self.schema(schema, depth),
            _ => Ok(0),
        }
    }

    fn all(
        &mut self,
        schemas: impl IntoIterator<Item = &'s Value>,
        depth: usize,
    ) -> Result<u64, SchemaWorkError> {
        schemas.into_iter().try_fold(0, |visits, schema| {
            Ok(u64::saturating_add(visits, self.schema(schema, depth)?))
        })
    }

    fn reference(&mut self, target: &'s str, depth: usize) -> Result<u64, SchemaWorkError> {
        match self.counted.entry((target, depth)) {
            Entry::Occupied(counted) => {
                // Being asked for it while counting it is a circle that no step into the value breaks.
                return counted
                    .get()
                    .ok_or_else(|| SchemaWorkError::Endless(target.to_owned()));
            }
            Entry::Vacant(place) => place.insert(None),
        };
        let found = match target.strip_prefix('#') {
            None => None,
            Some(fragment) if fragment.is_empty() || fragment.starts_with('/') => {
                self.root.pointer(&percent_decoded(fragment))
            }
            Some(anchor) => self.anchors.get(anchor).copied(),
        };
        let found = found.ok_or_else(|| SchemaWorkError::Reference(target.to_owned()))?;
        if self.chain == CHAIN_MAX {
            return Err(SchemaWorkError::TooLarge);
        }
        self.chain += 1;
        let visits = self.schema(found, depth)?;
        self.chain -= 1;
        self.counted.insert((target, depth), Some(visits));
        Ok(visits)
    }
}

/// Undoes `%XX`, with which a URI writes what it may not have.
fn percent_decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Definitions that each refer to the next one `times` times.
    fn chain(length: usize, times: usize) -> Value {
        let defs: Map<String, Value> = (0..length)
            .map(|n| {
                let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
                (format!("d{n}"), json!({ "allOf": vec![next; times] }))
            })
            .chain([(format!("d{length}"), json!({ "type": "object" }))])
            .collect();
        json!({ "$ref": "#/$defs/d0", "$defs": defs })
    }

    #[test]
    fn what_a_schema_costs_is_known_beforehand() {
        let tree = json!({ "additionalProperties": { "$ref": "#" } });
        let bush = json!({ "anyOf": [
            { "additionalProperties": { "$ref": "#" } },
            { "additionalProperties": { "$ref": "#" } }
        ] });
        let circle = json!({ "not": { "$ref": "#" } });
        for (schema, expected) in [
            (json!(true), Ok(DEPTH_MAX)),
            (json!({ "type": "object" }), Ok(DEPTH_MAX)),
            (tree, Ok(DEPTH_MAX)),
            (bush, Ok(13)),
            (chain(60, 1), Ok(DEPTH_MAX)),
            (chain(60, 2), Err(SchemaWorkError::TooLarge)),
            (chain(10_000, 1), Err(SchemaWorkError::TooLarge)),
            (circle, Err(SchemaWorkError::Endless("#".into()))),
        ] {
            assert_eq!(depth_max(&schema), expected);
        }
    }
}
