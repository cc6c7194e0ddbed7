//! The paths of the API as OpenAPI writes them: those of `application.spec`, with what is named by number and what is named by
//! name put together, and those that a stock master does not have.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shapes::{Shape, either, int, pattern, some_text};
use crate::api::actions::RELOAD;
use crate::api::path::{self, Endpoint};
use crate::api::patterns::PATTERNS;
use crate::api::schema::Resource;

/// A path with everything that is known of it.
pub(super) struct Route {
    /// Beneath `/api/v2`, with parameters in braces.
    pub(super) path: String,
    /// The parameters in it.
    pub(super) parameters: Vec<(String, Shape)>,
    /// What such a path asks for, with any values in place of its parameters.
    pub(super) endpoint: Endpoint,
    /// The type of what it gives.
    pub(super) gives: Resource,
}

/// Identifiers in paths, as the parser has them.
const IDENTIFIER: &str = "^[A-Za-z_-][A-Za-z0-9_.-]*$";

/// Digests, or the first letters of them; `h:` below.
pub(super) const DIGEST: &str = "^[0-9A-Fa-f]{1,64}$";

/// Paths that `application.spec` does not list, in its notation.
fn beside() -> Vec<(String, Resource)> {
    let mut beside = vec![
        ("/openapi.json".to_owned(), Resource::Spec),
        ("/components/h:digest".to_owned(), Resource::PluginVersion),
        (
            "/buildrequests/n:buildrequestid/why".to_owned(),
            Resource::Why,
        ),
        (format!("/plugins/{RELOAD}"), Resource::Plugin),
    ];
    for (pattern, resource) in PATTERNS {
        if let Some(log) = pattern.strip_suffix("/raw") {
            beside.push((format!("{log}/tail"), Resource::LogChunk));
            beside.push((format!("{log}/search"), Resource::LogMatch));
        }
        let last = pattern.rsplit('/').next().unwrap_or_default();
        if *resource == Resource::Step && last.contains(':') {
            beside.push((format!("{pattern}/recording"), Resource::Step));
        }
    }
    beside
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// Kinds and names of what may stand there.
    Parameter(Vec<(char, String)>),
}

impl Part {
    fn parse(segment: &str) -> Self {
        let mut letters = segment.chars();
        match (letters.next(), letters.next()) {
            (Some(kind @ ('n' | 'i' | 's' | 'h')), Some(':')) => {
                Self::Parameter(vec![(kind, segment[2..].to_owned())])
            }
            _ => Self::Literal(segment.to_owned()),
        }
    }

    /// The same for everything that stands in its place.
    fn key(&self) -> &str {
        match self {
            Self::Literal(word) => word,
            Self::Parameter(_) => "{}",
        }
    }

    fn join(&mut self, other: Self) {
        if let (Self::Parameter(known), Self::Parameter(more)) = (self, other) {
            for one in more {
                if !known.contains(&one) {
                    known.push(one);
                }
            }
            // Numbers first.
            known.sort_by_key(|(kind, _)| *kind != 'n');
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Literal(word) => word.clone(),
            Self::Parameter(names) => format!("{{{}}}", parameter_name(names)),
        }
    }

    /// Something that may stand there.
    fn example(&self) -> &str {
        match self {
            Self::Literal(word) => word,
            Self::Parameter(names) => match names.first() {
                Some(('n', _)) => "7",
                Some(('h', _)) => "b7",
                _ => "name",
            },
        }
    }

    fn parameter(&self) -> Option<(String, Shape)> {
        let Self::Parameter(names) = self else {
            return None;
        };
        let shapes: Vec<Shape> = names
            .iter()
            .map(|(kind, _)| match kind {
                'n' => int(),
                'i' => pattern(IDENTIFIER),
                'h' => pattern(DIGEST),
                _ => some_text(),
            })
            .collect();
        let shape = match <[Shape; 1]>::try_from(shapes) {
            Ok([only]) => only,
            Err(shapes) => either(shapes),
        };
        Some((parameter_name(names), shape))
    }
}

/// Something that may well be there, in place of a parameter.
pub(super) fn example(parameter: &str) -> Value {
    match parameter {
        "build_data_name" => "coverage".into(),
        "codebasename" => "main".into(),
        "digest" => "b7".into(),
        "log_slug" => "stdio".into(),
        "name" => "test-summary".into(),
        "projectname" => "hello".into(),
        "revision" => "5a0e7d3".into(),
        "schedulername" => "force".into(),
        // Numbers of steps begin with that.
        "step_number_or_step_name" => 0.into(),
        _ => 1.into(),
    }
}

fn parameter_name(names: &[(char, String)]) -> String {
    let mut names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
    names.dedup();
    names.join("_or_")
}

/// All of them, by path.
pub(super) fn routes() -> Vec<Route> {
    let listed = PATTERNS
        .iter()
        .map(|(pattern, resource)| ((*pattern).to_owned(), *resource));
    let mut merged: BTreeMap<String, (Vec<Part>, Resource)> = BTreeMap::new();
    for (pattern, resource) in listed.chain(beside()) {
        let segments = pattern.split('/').filter(|segment| !segment.is_empty());
        let parts: Vec<Part> = segments.map(Part::parse).collect();
        let key: Vec<&str> = parts.iter().map(Part::key).collect();
        match merged.entry(key.join("/")) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert((parts, resource));
            }
            std::collections::btree_map::Entry::Occupied(mut known) => {
                let known = known.get_mut().0.iter_mut();
                known.zip(parts).for_each(|(known, part)| known.join(part));
            }
        }
    }
    let routes = merged.into_values();
    routes
        .filter_map(|(parts, gives)| route(&parts, gives))
        .collect()
}

fn route(parts: &[Part], gives: Resource) -> Option<Route> {
    let examples: Vec<&str> = parts.iter().map(Part::example).collect();
    let written: Vec<String> = parts
        .iter()
        .map(|part| format!("/{}", part.written()))
        .collect();
    Some(Route {
        path: written.concat(),
        parameters: parts.iter().filter_map(Part::parameter).collect(),
        endpoint: path::parse(&examples)?,
        gives,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What stands for a number, an identifier and any text.
    const EXAMPLES: [&str; 3] = ["7", "name", "any name"];

    /// Whether a path with these segments is one of a route.
    fn fits(route: &Route, segments: &[&str]) -> bool {
        let parts: Vec<&str> = route
            .path
            .split('/')
            .skip(1)
            .filter(|part| !part.is_empty())
            .collect();
        parts.len() == segments.len()
            && parts
                .iter()
                .zip(segments)
                .all(|(part, segment)| part.starts_with('{') || part == segment)
    }

    #[test]
    fn examples_have_the_type_of_what_they_stand_for() {
        for route in routes() {
            for (name, shape) in &route.parameters {
                let shape = serde_json::to_value(shape).expect("JSON");
                let is_number = |shape: &Value| shape["type"] == "integer";
                let takes_number = is_number(&shape)
                    || shape["anyOf"]
                        .as_array()
                        .is_some_and(|shapes| shapes.iter().any(is_number));
                assert_eq!(example(name).is_number(), takes_number, "{name}: {shape}");
            }
        }
    }

    #[test]
    fn every_path_that_is_understood_is_described_and_the_other_way_round() {
        let routes = routes();
        let mut words: BTreeSet<&str> = routes
            .iter()
            .flat_map(|route| route.path.split('/'))
            .filter(|part| !part.is_empty() && !part.starts_with('{'))
            .collect();
        words.extend(EXAMPLES);
        // A word where a name may stand is only that name; there are names enough among the examples.
        let is_a_name = |segments: &[&str]| {
            let (last, before) = segments.split_last().expect("a segment");
            let with = |name: &'static str| path::parse(&[before, &[name]].concat()).is_some();
            !EXAMPLES.contains(last) && (with("name") || with("any name"))
        };
        let mut edge: Vec<(Vec<&str>, bool)> = vec![(Vec::new(), true)];
        let mut understood = 0;
        while let Some((segments, was_understood)) = edge.pop() {
            for word in &words {
                let longer = [segments.as_slice(), &[word]].concat();
                let is_understood = path::parse(&longer).is_some();
                if is_understood {
                    understood += 1;
                    let is_described = routes.iter().any(|route| fits(route, &longer));
                    assert!(is_described, "{longer:?}");
                }
                // No two parts in a row are names without a path of their own.
                if (is_understood || was_understood) && !is_a_name(&longer) {
                    edge.push((longer, is_understood));
                }
            }
        }
        assert!(understood > routes.len(), "{understood}");
        let listed = PATTERNS.len() + beside().len();
        let written: usize = routes
            .iter()
            .map(|route| {
                route
                    .path
                    .split('/')
                    .map(|part| 1 + part.matches("_or_").count())
                    .product::<usize>()
            })
            .sum();
        assert_eq!(
            written, listed,
            "a path by number has one by name, and no others are made up"
        );
    }
}
