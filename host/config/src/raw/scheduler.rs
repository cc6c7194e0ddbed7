//! `[[scheduler]]`, apart from the fields of a form.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::RawForce;
use crate::decode::{
    Decode, HumanDuration, JsonObject, Keyed, OneOrMany, expect_table, expected, raw_table,
};
use crate::problem::Report;
use crate::schema::choice;
use crate::tree::{At, Kind, Node};

/// When what is built.
#[derive(Debug)]
pub(crate) enum RawScheduler {
    SingleBranch(Box<RawSingleBranch>),
    Force(Box<RawForce>),
    /// Every type that is not one of those above.
    Plugin(Box<RawPluginScheduler>),
}

const SINGLE_BRANCH: &str = "single-branch";
const FORCE: &str = "force";

/// The types that are no plugin's.
pub(crate) const NATIVE_SCHEDULERS: [&str; 2] = [SINGLE_BRANCH, FORCE];

/// The key that says the type.
const USE: &str = "use";

raw_table! {
    /// Builds when a plugin says so. Keys that are not listed here are parameters of the scheduler type.
    RawPluginScheduler("a scheduler") {
        /// Unique name. A scheduler that gets another name or another type is a new one, which hears of what happens
        /// from then on.
        name ! String,
        /// The scheduler type: `single-branch`, `force`, or one that a plugin exports.
        r#use ! String,
        /// Builders that it may start.
        builders ! Vec<At<String>>,
        /// Properties of its build sets; those that the plugin sets win.
        properties ? JsonObject,
        /// Added to the priority that the plugin asks for; higher runs first. Default: 0.
        priority ? i64,
        .. parameters
    }
}

impl Decode for RawScheduler {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        let mut table = expect_table(node, "a scheduler", report)?;
        let word = table.value.0.get(USE).and_then(|entry| entry.node.as_str());
        let native = NATIVE_SCHEDULERS
            .into_iter()
            .find(|name| word == Some(*name));
        if native.is_some() {
            table.value.0.shift_remove(USE);
        }
        let node = Node {
            kind: Kind::Table(table.value),
            span: table.span,
        };
        match native {
            Some(SINGLE_BRANCH) => Box::decode(node, report).map(Self::SingleBranch),
            Some(_) => Box::decode(node, report).map(Self::Force),
            None => Box::decode(node, report).map(Self::Plugin),
        }
    }
}

impl JsonSchema for RawScheduler {
    fn schema_name() -> Cow<'static, str> {
        "Scheduler".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let natives = vec![
            (SINGLE_BRANCH, RawSingleBranch::json_schema(generator)),
            (FORCE, RawForce::json_schema(generator)),
        ];
        let mut schema = choice("When what is built.", USE, natives);
        let plugins = generator.subschema_for::<RawPluginScheduler>();
        if let Some(branches) = schema
            .get_mut("oneOf")
            .and_then(serde_json::Value::as_array_mut)
        {
            branches.push(plugins.to_value());
        }
        schema
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
