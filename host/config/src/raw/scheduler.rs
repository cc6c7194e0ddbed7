//! `[[scheduler]]`, apart from the fields of a form.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::RawForce;
use crate::decode::{
    Decode, HumanDuration, JsonObject, Keyed, OneOrMany, expected, raw_choice, raw_table,
};
use crate::problem::Report;
use crate::tree::{At, Kind, Node};

raw_choice! {
    /// When what is built.
    RawScheduler("a scheduler") by "use" {
        "single-branch" => SingleBranch(Box<RawSingleBranch>),
        "force" => Force(Box<RawForce>),
    }
}

raw_table! {
    /// Builds when changes came in and then none came for a while.
    RawSingleBranch("a single-branch scheduler") {
        /// Unique name.
        name ! String,
        /// Builders that it starts.
        builders ! Vec<At<String>>,
        /// The branch that it watches; the short form of `change_filter.branch`.
        branch ? String,
        /// Branches that it watches, each on its own; the short form of `change_filter.branch`.
        branches ? Vec<At<String>>,
        /// Which changes it takes. Default: all.
        change_filter ? RawFilter,
        /// How long no further change may come before it builds. Default: a build for each change at once.
        tree_stable_timer ? HumanDuration,
        /// Only changes of such files start a build (`*` stops at a slash, `**` does not). Default: all.
        important_files ? Vec<At<String>>,
        /// Changes of such files alone start no build.
        unimportant_files ? Vec<At<String>>,
        /// Whether unimportant changes are left out of the build that an important one starts.
        /// Default: false.
        only_important ? bool,
        /// The codebases that it knows, by name, each with what is built of it when no change is of it.
        /// Changes of others are ignored. Default: the only one, without a name.
        codebases ? Keyed<RawCodebase>,
        /// Whether a codebase without a change is built as of its last change, and not as configured.
        /// Default: false.
        create_absolute_source_stamps ? bool,
        /// Properties of its build sets.
        properties ? JsonObject,
        /// The reason that builds show.
        reason ? String,
        /// Priority of its requests; higher runs first. Default: 0.
        priority ? i64,
    }
}

raw_table! {
    /// What is built of a codebase when no change is of it.
    RawCodebase("a codebase") {
        /// Its repository. Default: that of the step that checks it out.
        repository ? String,
        /// Branch. Default: the repository's own.
        branch ? String,
        /// Revision. Default: the newest.
        revision ? String,
        /// Project.
        project ? String,
    }
}

raw_table! {
    /// Which changes are taken: those that fit all of these.
    RawFilter("a change filter") {
        /// Branch of the change; "" for the default branch.
        branch ? RawMatcher,
        /// Its repository.
        repository ? RawMatcher,
        /// Its project.
        project ? RawMatcher,
        /// Its category.
        category ? RawMatcher,
        /// Its codebase.
        codebase ? RawMatcher,
        /// Paths that it touched; one that fits is enough.
        files ? RawMatcher,
        /// Its properties, by name.
        properties ? Keyed<RawMatcher>,
    }
}

/// A text, a list of such, or a table.
#[derive(Debug, Default)]
pub(crate) struct RawMatcher(pub(crate) RawMatcherTable);

raw_table! {
    /// Tests of one text. All that are given must hold.
    RawMatcherTable("a test of a change filter") {
        /// It is this, or one of these.
        is ? OneOrMany<String>,
        /// It is none of these.
        not ? OneOrMany<String>,
        /// This regular expression, or one of these, matches at its start; end with $ to match all of it.
        regex ? OneOrMany<String>,
        /// None of these regular expressions matches at its start.
        not_regex ? OneOrMany<String>,
    }
}

impl Decode for RawMatcher {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match &node.kind {
            Kind::String(_) | Kind::Array(_) => Some(Self(RawMatcherTable {
                is: At::decode(node, report),
                ..RawMatcherTable::default()
            })),
            Kind::Table(_) => RawMatcherTable::decode(node, report).map(Self),
            _ => expected(&node, "a string, a list of strings or a table", report),
        }
    }
}

impl JsonSchema for RawMatcher {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Matcher".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<RawMatcherTable>();
        json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" } },
            table
        ] })
    }
}
