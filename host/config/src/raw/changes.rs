//! `[[changes]]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::decode::{Decode, HumanDuration, expected, raw_choice, raw_table};
use crate::problem::Report;
use crate::tree::{At, Kind, Node};

raw_choice! {
    /// Where changes come from.
    RawChangeSource("a change source") by "use" {
        "git-poller" => GitPoller(RawGitPoller),
    }
}

raw_table! {
    /// Asks a git repository for new commits, again and again.
    RawGitPoller("a git-poller") {
        /// Unique name. Default: the repository.
        name ? String,
        /// URL or path, as `git fetch` takes it; a relative path starts with a dot.
        repository ! String,
        /// "all", or a list of names and patterns (`*` stops at a slash, `**` does not).
        branches ! RawBranches,
        /// Time between two polls. Default: "5m".
        interval ? HumanDuration,
        /// Whether the first poll comes at once. Default: false.
        poll_at_launch ? bool,
        /// Whether the newest commit of each branch is a change when the repository is seen for the first
        /// time, so that it is built at once. Default: false, only what comes later is.
        build_newest ? bool,
        /// Project of its changes.
        project ? String,
        /// Codebase of its changes.
        codebase ? String,
        /// Category of its changes.
        category ? String,
    }
}

/// `"all"`, or patterns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawBranches {
    All,
    Patterns(Vec<At<String>>),
}

impl Decode for RawBranches {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match &node.kind {
            Kind::String(word) if word == "all" => Some(Self::All),
            Kind::String(name) => {
                report
                    .at(
                        node.span,
                        format!("expected \"all\" or a list, found \"{name}\""),
                    )
                    .help(format!("for this branch alone write [\"{name}\"]"));
                None
            }
            Kind::Array(_) => Vec::decode(node, report).map(Self::Patterns),
            _ => expected(&node, "\"all\" or a list of branches", report),
        }
    }
}

impl JsonSchema for RawBranches {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Branches".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "const": "all" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 }
        ] })
    }
}
