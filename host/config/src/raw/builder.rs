//! `[[builder]]` and its steps.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::decode::{Decode, HumanDuration, JsonObject, Keyed, expected, raw_table, raw_words};
use crate::problem::Report;
use crate::tree::{At, Kind, Node};

raw_table! {
    /// What is built, and how.
    RawBuilder("a builder") {
        /// Unique name; must not start with an underscore.
        name ! String,
        /// Workers that may run its builds.
        workers ! Vec<At<String>>,
        /// For people; Markdown.
        description ? String,
        /// The project that it belongs to.
        project ? String,
        /// For filtering on pages.
        tags ? Vec<At<String>>,
        /// Environment of every command of its steps; `false` unsets a variable.
        env ? Keyed<RawEnvironmentValue>,
        /// Properties of its builds.
        properties ? JsonObject,
        /// The same, where nothing else sets them.
        default_properties ? JsonObject,
        /// Locks that a build holds from start to end.
        locks ? Vec<At<RawLockUse>>,
        /// Builds of it that run at one time. Default: as many as its workers take.
        max_builds ? u32,
        /// Whether pending requests that would build the same are made one. Default: true.
        collapse_requests ? bool,
        /// Directory of its builds below that of the worker. Default: made from its name.
        build_dir ? String,
        /// Directory that its steps work in, below that of the build. Default: "build".
        workdir ? String,
        /// What a build does, in this order.
        step ? Vec<At<RawStep>>,
    }
}

raw_table! {
    /// One step of a build. Keys that are not listed here are parameters of the step type.
    RawStep("a step") {
        /// The step type: one of Toolpost's own, or one that a plugin exports.
        r#use ! String,
        /// Name of the step. Default: that of the step type.
        name ? String,
        /// Whether a failure ends the build; only steps that always run come after it.
        halt_on_failure ? bool,
        /// Whether a failure makes the build a failure.
        flunk_on_failure ? bool,
        /// Whether warnings make the build a failure.
        flunk_on_warnings ? bool,
        /// Whether a failure makes the build one with warnings.
        warn_on_failure ? bool,
        /// Whether warnings make the build one with warnings.
        warn_on_warnings ? bool,
        /// Whether the step runs even after the build was halted or stopped.
        always_run ? bool,
        /// Which results put the step's summary into the build's: true, false or a list of results.
        update_build_summary_policy ? RawSummaryPolicy,
        /// Whether the step runs: true, false or an expression such as `prop.branch == "main"`.
        do_step_if ? RawWhen,
        /// Whether pages leave the step out once it has ended: true, false or an expression.
        hide_step_if ? RawWhen,
        /// Locks that it holds while it runs; all are taken at once.
        locks ? Vec<At<RawLockUse>>,
        /// What it does, shown while it runs.
        description ? String,
        /// What it has done, shown when it has ended.
        description_done ? String,
        /// Put behind both descriptions.
        description_suffix ? String,
        /// What happens when the step's plugin crashes or goes past a limit. "fail": the step is an exception, which ends the
        /// build. "skip": the step is skipped. "retry": it is begun again, twice at most. Default: "fail".
        on_failure ? FailureWord,
        /// A command that has no limit of its own is ended when it prints nothing for so long. Default: "20m".
        command_timeout ? HumanDuration,
        /// A command that has no limit of its own is ended when it runs for so long. Default: no limit.
        command_max_time ? HumanDuration,
        /// What the exit codes of its command mean, such as { 0 = "success", 2 = "warnings" }.
        decode_rc ? Keyed<ResultsWord>,
        /// Encoding of its command's output. Default: the worker's.
        log_encoding ? String,
        /// Directory that it works in, below that of the build. Default: the builder's `workdir`.
        workdir ? String,
        .. parameters
    }
}

raw_words! {
    /// What happens when the plugin of a step fails.
    FailureWord {
        "fail" => Fail,
        "skip" => Skip,
        "retry" => Retry,
    }
}

raw_words! {
    /// How a step ended.
    ResultsWord {
        "success" => Success,
        "warnings" => Warnings,
        "failure" => Failure,
        "skipped" => Skipped,
        "exception" => Exception,
        "retry" => Retry,
        "cancelled" => Cancelled,
    }
}

/// `true`, `false` or an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawWhen {
    Fixed(bool),
    Expression(String),
}

impl Decode for RawWhen {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match node.kind {
            Kind::Boolean(yes) => Some(Self::Fixed(yes)),
            Kind::String(text) => Some(Self::Expression(text)),
            _ => expected(&node, "`true`, `false` or an expression in quotes", report),
        }
    }
}

impl JsonSchema for RawWhen {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "When".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"] })
    }
}

/// `true`, `false` or a list of results.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawSummaryPolicy {
    Fixed(bool),
    On(Vec<At<ResultsWord>>),
}

impl Decode for RawSummaryPolicy {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match node.kind {
            Kind::Boolean(yes) => Some(Self::Fixed(yes)),
            Kind::Array(_) => Vec::decode(node, report).map(Self::On),
            _ => expected(&node, "`true`, `false` or a list of results", report),
        }
    }
}

impl JsonSchema for RawSummaryPolicy {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "SummaryPolicy".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = generator.subschema_for::<Vec<ResultsWord>>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, words] })
    }
}

/// A text, which may be a template, or `false` for a variable that must not be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawEnvironmentValue {
    Set(String),
    Unset,
}

impl Decode for RawEnvironmentValue {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        match node.kind {
            Kind::String(text) => Some(Self::Set(text)),
            Kind::Boolean(false) => Some(Self::Unset),
            Kind::Integer(_) | Kind::Float(_) | Kind::Boolean(_) => {
                report
                    .at(
                        node.span,
                        format!("expected a string, found {}", node.describe()),
                    )
                    .help("put the value in quotes; `false` unsets a variable");
                None
            }
            _ => expected(&node, "a string, or `false` to unset the variable", report),
        }
    }
}

impl JsonSchema for RawEnvironmentValue {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "EnvironmentValue".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "const": false }] })
    }
}

raw_words! {
    /// How a lock is used.
    LockMode {
        "counting" => Counting,
        "exclusive" => Exclusive,
    }
}

raw_table! {
    /// Use of a lock.
    RawLockUseTable("the use of a lock") {
        /// Name of the lock.
        name ! String,
        /// "counting": beside others, up to the lock's `max_count`. "exclusive": alone. Default: "counting".
        mode ? LockMode,
        /// How much of a counting lock is taken. Default: 1.
        count ? u32,
    }
}

/// A name, for one of its count, or a table.
#[derive(Debug, Default)]
pub(crate) struct RawLockUse(pub(crate) RawLockUseTable);

impl Decode for RawLockUse {
    fn decode(node: Node, report: &mut Report<'_>) -> Option<Self> {
        let span = node.span;
        match node.kind {
            Kind::String(value) => Some(Self(RawLockUseTable {
                name: Some(At { value, span }),
                ..RawLockUseTable::default()
            })),
            Kind::Table(_) => RawLockUseTable::decode(node, report).map(Self),
            _ => expected(&node, "the name of a lock, or a table", report),
        }
    }
}

impl JsonSchema for RawLockUse {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "LockUse".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<RawLockUseTable>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}
