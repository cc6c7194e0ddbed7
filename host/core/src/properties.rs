//! Properties: named JSON values, each with the source that set it.

use std::collections::BTreeMap;

use serde_json::Value;

/// A value and who set it (`"Builder"`, `"Force Build Form"`, a step's name ...).
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Any JSON value.
    pub value: Value,
    /// Where it came from; shown to people, never interpreted.
    pub source: String,
}

/// The properties of a build set, build or builder, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Properties(BTreeMap<String, Property>);

impl Properties {
    /// No properties.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one, replacing value and source.
    pub fn set(
        &mut self,
        name: impl Into<String>,
        value: impl Into<Value>,
        source: impl Into<String>,
    ) {
        self.0.insert(
            name.into(),
            Property {
                value: value.into(),
                source: source.into(),
            },
        );
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).map(|property| &property.value)
    }

    /// Takes over all of `other`; on equal names `other` wins.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend(
            other
                .0
                .iter()
                .map(|(name, property)| (name.clone(), property.clone())),
        );
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Property)> {
        self.0
            .iter()
            .map(|(name, property)| (name.as_str(), property))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>> FromIterator<(N, Property)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, Property)>>(items: I) -> Self {
        Self(
            items
                .into_iter()
                .map(|(name, property)| (name.into(), property))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_with_one_name_the_later_wins_with_its_source() {
        let mut properties = Properties::new();
        assert!(properties.is_empty());
        properties.set("a", 1, "Builder");
        properties.set("b", "x", "Builder");
        let mut build = Properties::new();
        build.set("b", "y", "Build");
        build.set("c", true, "Build");
        properties.merge(&build);
        let shown = properties
            .iter()
            .map(|(n, p)| format!("{n}={} {}", p.value, p.source));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            ["a=1 Builder", "b=\"y\" Build", "c=true Build"]
        );
        assert_eq!(properties.len(), 3);
        assert_eq!(properties.get("b"), Some(&Value::from("y")));
        assert_eq!(properties.get("z"), None);
    }
}
