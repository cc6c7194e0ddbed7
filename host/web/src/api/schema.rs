//! Names and types of the fields of each resource, as Buildbot's REST API specification 4.3.0 lists them. What may be
//! selected, filtered and ordered by is read from here; what is written is in the resources' own files.

/// A resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Resource {
    Master,
    Builder,
    Worker,
    Scheduler,
    ForceScheduler,
    ChangeSource,
    Change,
    SourceStamp,
    Buildset,
    BuildRequest,
    Build,
    Step,
    Log,
    LogChunk,
    Properties,
    PropertyList,
    Plugin,
    PluginVersion,
    PluginEvent,
    PluginMetrics,
    Reporter,
    Delivery,
    Token,
    AuditEntry,
    Artifact,
    BuildData,
    TestResultSet,
    TestResult,
    Project,
    Codebase,
    Branch,
    Commit,
    CommitGraph,
    RootLink,
    Spec,
    Why,
    LogMatch,
}

/// What a field holds, as far as a query string needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole number.
    Int,
    /// Seconds since the epoch.
    Time,
    /// Any text.
    Text,
    /// A text of letters, digits, `.`, `_` and `-`.
    Identifier,
    /// A truth value.
    Bool,
    /// A list of whole numbers.
    IntList,
    /// A list of texts.
    TextList,
    /// An object or a list of objects: cannot be filtered by.
    Nested,
}

/// A field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        nullable: false,
    }
}

const fn nullable(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        nullable: true,
    }
}

impl Resource {
    /// Every resource type.
    pub(crate) const ALL: [Self; 37] = [
        Self::Master,
        Self::Builder,
        Self::Worker,
        Self::Scheduler,
        Self::ForceScheduler,
        Self::ChangeSource,
        Self::Change,
        Self::SourceStamp,
        Self::Buildset,
        Self::BuildRequest,
        Self::Build,
        Self::Step,
        Self::Log,
        Self::LogChunk,
        Self::Properties,
        Self::PropertyList,
        Self::Plugin,
        Self::PluginVersion,
        Self::PluginEvent,
        Self::PluginMetrics,
        Self::Reporter,
        Self::Delivery,
        Self::Token,
        Self::AuditEntry,
        Self::Artifact,
        Self::BuildData,
        Self::TestResultSet,
        Self::TestResult,
        Self::Project,
        Self::Codebase,
        Self::Branch,
        Self::Commit,
        Self::CommitGraph,
        Self::RootLink,
        Self::Spec,
        Self::Why,
        Self::LogMatch,
    ];

    /// The name of the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Properties => "property",
            Self::PropertyList => "_property",
            Self::Delivery => "delivery",
            Self::Branch => "branch",
            Self::LogMatch => "match",
            _ => self.plural().strip_suffix('s').unwrap_or(self.plural()),
        }
    }

    /// The key of the list in an answer.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Master => "masters",
            Self::Builder => "builders",
            Self::Worker => "workers",
            Self::Scheduler => "schedulers",
            Self::ForceScheduler => "forceschedulers",
            Self::ChangeSource => "changesources",
            Self::Change => "changes",
            Self::SourceStamp => "sourcestamps",
            Self::Buildset => "buildsets",
            Self::BuildRequest => "buildrequests",
            Self::Build => "builds",
            Self::Step => "steps",
            Self::Log => "logs",
            Self::LogChunk => "logchunks",
            Self::Properties => "properties",
            Self::PropertyList => "_properties",
            Self::Plugin => "plugins",
            Self::PluginVersion => "versions",
            Self::PluginEvent => "events",
            Self::PluginMetrics => "metrics",
            Self::Reporter => "reporters",
            Self::Delivery => "deliveries",
            Self::Token => "tokens",
            Self::AuditEntry => "audit",
            Self::Artifact => "artifacts",
            Self::BuildData => "build_data",
            Self::TestResultSet => "test_result_sets",
            Self::TestResult => "test_results",
            Self::Project => "projects",
            Self::Codebase => "codebases",
            Self::Branch => "branches",
            Self::Commit => "commits",
            Self::CommitGraph => "commit_graphs",
            Self::RootLink => "rootlinks",
            Self::Spec => "specs",
            Self::Why => "why",
            Self::LogMatch => "matches",
        }
    }

    /// Its fields, in the order of the alphabet.
    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::Master => MASTER,
            Self::Builder => BUILDER,
            Self::Worker => WORKER,
            Self::Scheduler => SCHEDULER,
            Self::ForceScheduler => FORCE_SCHEDULER,
            Self::ChangeSource => CHANGE_SOURCE,
            Self::Change => CHANGE,
            Self::SourceStamp => SOURCE_STAMP,
            Self::Buildset => BUILDSET,
            Self::BuildRequest => BUILD_REQUEST,
            Self::Build => BUILD,
            Self::Step => STEP,
            Self::Log => LOG,
            Self::LogChunk => LOG_CHUNK,
            Self::Properties => &[],
            Self::PropertyList => PROPERTY_LIST,
            Self::Plugin => PLUGIN,
            Self::PluginVersion => PLUGIN_VERSION,
            Self::PluginEvent => PLUGIN_EVENT,
            Self::PluginMetrics => PLUGIN_METRICS,
            Self::Reporter => REPORTER,
            Self::Delivery => DELIVERY,
            Self::Token => TOKEN,
            Self::AuditEntry => AUDIT_ENTRY,
            Self::Artifact => ARTIFACT,
            Self::BuildData => BUILD_DATA,
            Self::TestResultSet => TEST_RESULT_SET,
            Self::TestResult => TEST_RESULT,
            Self::Project => PROJECT,
            Self::Codebase => CODEBASE,
            Self::Branch => BRANCH,
            Self::Commit => COMMIT,
            Self::CommitGraph => COMMIT_GRAPH,
            Self::RootLink => ROOT_LINK,
            Self::Spec => SPEC,
            Self::Why => WHY,
            Self::LogMatch => LOG_MATCH,
        }
    }

    /// The field of this name.
    pub(crate) fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.name == name)
    }
}

const MASTER: &[Field] = &[
    field("active", Kind::Bool),
    field("last_active", Kind::Time),
    field("masterid", Kind::Int),
    field("name", Kind::Text),
];

const BUILDER: &[Field] = &[
    field("builderid", Kind::Int),
    nullable("description", Kind::Text),
    nullable("description_format", Kind::Text),
    nullable("description_html", Kind::Text),
    field("masterids", Kind::IntList),
    field("name", Kind::Text),
    nullable("projectid", Kind::Int),
    field("tags", Kind::TextList),
];

const WORKER: &[Field] = &[
    field("configured_on", Kind::Nested),
    field("connected_to", Kind::Nested),
    field("graceful", Kind::Bool),
    field("name", Kind::Text),
    nullable("pause_reason", Kind::Text),
    field("paused", Kind::Bool),
    field("workerid", Kind::Int),
    field("workerinfo", Kind::Nested),
];

const SCHEDULER: &[Field] = &[
    field("enabled", Kind::Bool),
    nullable("error", Kind::Text),
    nullable("held", Kind::Text),
    nullable("master", Kind::Nested),
    field("name", Kind::Text),
    field("schedulerid", Kind::Int),
    field("skipped", Kind::Nested),
    nullable("stuck", Kind::Nested),
    field("text", Kind::Text),
    nullable("type", Kind::Text),
];

const FORCE_SCHEDULER: &[Field] = &[
    field("all_fields", Kind::Nested),
    field("builder_names", Kind::TextList),
    field("button_name", Kind::Text),
    field("enabled", Kind::Bool),
    field("label", Kind::Text),
    field("name", Kind::Identifier),
];

const CHANGE_SOURCE: &[Field] = &[
    field("changesourceid", Kind::Int),
    nullable("master", Kind::Nested),
    field("name", Kind::Text),
];

const CHANGE: &[Field] = &[
    field("author", Kind::Text),
    nullable("branch", Kind::Text),
    nullable("category", Kind::Text),
    field("changeid", Kind::Int),
    field("codebase", Kind::Text),
    field("comments", Kind::Text),
    nullable("committer", Kind::Text),
    field("files", Kind::TextList),
    field("parent_changeids", Kind::IntList),
    field("project", Kind::Text),
    field("properties", Kind::Nested),
    field("repository", Kind::Text),
    nullable("revision", Kind::Text),
    nullable("revlink", Kind::Text),
    field("sourcestamp", Kind::Nested),
    field("when_timestamp", Kind::Time),
];

const SOURCE_STAMP: &[Field] = &[
    nullable("branch", Kind::Text),
    field("codebase", Kind::Text),
    field("created_at", Kind::Time),
    nullable("patch", Kind::Nested),
    field("project", Kind::Text),
    field("repository", Kind::Text),
    nullable("revision", Kind::Text),
    field("ssid", Kind::Int),
];

const BUILDSET: &[Field] = &[
    field("bsid", Kind::Int),
    field("complete", Kind::Bool),
    nullable("complete_at", Kind::Time),
    nullable("external_idstring", Kind::Text),
    nullable("parent_buildid", Kind::Int),
    nullable("parent_relationship", Kind::Text),
    field("reason", Kind::Text),
    nullable("rebuilt_buildid", Kind::Int),
    nullable("results", Kind::Int),
    field("sourcestamps", Kind::Nested),
    field("submitted_at", Kind::Time),
];

const BUILD_REQUEST: &[Field] = &[
    field("builderid", Kind::Int),
    field("buildrequestid", Kind::Int),
    field("buildsetid", Kind::Int),
    field("claimed", Kind::Bool),
    nullable("claimed_at", Kind::Time),
    nullable("claimed_by_masterid", Kind::Int),
    field("complete", Kind::Bool),
    nullable("complete_at", Kind::Time),
    field("priority", Kind::Int),
    nullable("properties", Kind::Nested),
    nullable("results", Kind::Int),
    field("submitted_at", Kind::Time),
    field("waited_for", Kind::Bool),
];

const BUILD: &[Field] = &[
    field("builderid", Kind::Int),
    field("buildid", Kind::Int),
    field("buildrequestid", Kind::Int),
    field("complete", Kind::Bool),
    nullable("complete_at", Kind::Time),
    field("locks_duration_s", Kind::Int),
    field("masterid", Kind::Int),
    field("number", Kind::Int),
    nullable("properties", Kind::Nested),
    nullable("results", Kind::Int),
    field("started_at", Kind::Time),
    field("state_string", Kind::Text),
    nullable("workerid", Kind::Int),
];

const STEP: &[Field] = &[
    field("buildid", Kind::Int),
    field("complete", Kind::Bool),
    nullable("complete_at", Kind::Time),
    field("hidden", Kind::Bool),
    nullable("locks_acquired_at", Kind::Time),
    field("name", Kind::Text),
    field("number", Kind::Int),
    nullable("plugin_digest", Kind::Text),
    nullable("resources", Kind::Nested),
    nullable("results", Kind::Int),
    nullable("started_at", Kind::Time),
    field("state_string", Kind::Text),
    field("stepid", Kind::Int),
    field("urls", Kind::Nested),
];

const LOG: &[Field] = &[
    field("complete", Kind::Bool),
    field("logid", Kind::Int),
    field("name", Kind::Text),
    field("num_lines", Kind::Int),
    field("slug", Kind::Identifier),
    field("stepid", Kind::Int),
    field("type", Kind::Identifier),
];

const LOG_CHUNK: &[Field] = &[
    field("content", Kind::Text),
    field("firstline", Kind::Int),
    field("logid", Kind::Int),
];

const PROPERTY_LIST: &[Field] = &[
    field("name", Kind::Text),
    field("source", Kind::Text),
    field("value", Kind::Text),
];

const PLUGIN: &[Field] = &[
    field("held", Kind::Nested),
    field("last_reload", Kind::Nested),
    field("name", Kind::Text),
    field("not_granted", Kind::Nested),
    field("refusals", Kind::Int),
    field("reloads", Kind::Int),
    field("rollbacks", Kind::Int),
    field("state", Kind::Text),
    field("uses", Kind::Nested),
    field("versions", Kind::Nested),
    field("waiting", Kind::Nested),
];

const PLUGIN_VERSION: &[Field] = &[
    field("contract", Kind::Text),
    field("digest", Kind::Text),
    field("loaded_at", Kind::Time),
    field("plugin", Kind::Text),
    field("size_bytes", Kind::Int),
    field("state", Kind::Text),
    field("version", Kind::Text),
];

const PLUGIN_EVENT: &[Field] = &[
    field("at", Kind::Time),
    nullable("digest", Kind::Text),
    field("kind", Kind::Text),
    field("plugin", Kind::Text),
    nullable("reason", Kind::Text),
];

const PLUGIN_METRICS: &[Field] = &[
    field("calls", Kind::Nested),
    field("cpu_ms", Kind::Int),
    field("host_calls", Kind::Nested),
    field("kind", Kind::Text),
    field("memory_peak_bytes", Kind::Int),
    field("plugin", Kind::Text),
    field("queued_longest_ms", Kind::Int),
    field("queued_ms", Kind::Int),
    field("type", Kind::Text),
    field("wall_ms", Kind::Int),
];

const REPORTER: &[Field] = &[
    field("cursor", Kind::Int),
    field("dead", Kind::Int),
    field("entries_ahead", Kind::Int),
    nullable("error", Kind::Text),
    nullable("held", Kind::Text),
    nullable("masterid", Kind::Int),
    field("name", Kind::Text),
    nullable("oldest_pending_at", Kind::Time),
    field("pending", Kind::Int),
    field("reporterid", Kind::Int),
    field("running", Kind::Int),
];

const DELIVERY: &[Field] = &[
    field("at", Kind::Time),
    field("attempts", Kind::Int),
    nullable("builderid", Kind::Int),
    field("deliveryid", Kind::Int),
    field("event", Kind::Text),
    field("key", Kind::Text),
    field("next_at", Kind::Time),
    field("reporterid", Kind::Int),
    nullable("results", Kind::Int),
    nullable("settled_at", Kind::Time),
    field("status", Kind::Text),
    field("stream", Kind::Text),
    field("subjectid", Kind::Int),
    nullable("text", Kind::Text),
];

const TOKEN: &[Field] = &[
    field("actions", Kind::TextList),
    field("builders", Kind::TextList),
    field("created_at", Kind::Time),
    nullable("expires_at", Kind::Time),
    field("name", Kind::Text),
    field("owner", Kind::Text),
    nullable("revoked_at", Kind::Time),
    nullable("revoked_by", Kind::Text),
    field("tokenid", Kind::Int),
    nullable("used_at", Kind::Time),
];

const AUDIT_ENTRY: &[Field] = &[
    field("action", Kind::Text),
    field("address", Kind::Text),
    field("at", Kind::Time),
    field("auditid", Kind::Int),
    field("detail", Kind::Text),
    field("outcome", Kind::Text),
    field("target", Kind::Text),
    field("via", Kind::Text),
    field("who", Kind::Text),
];

const ARTIFACT: &[Field] = &[
    field("artifactid", Kind::Int),
    field("buildid", Kind::Int),
    field("created_at", Kind::Time),
    field("mode", Kind::Int),
    field("name", Kind::Text),
    field("path", Kind::Nested),
    field("sha256", Kind::Text),
    field("size_bytes", Kind::Int),
    field("stepid", Kind::Int),
];

const BUILD_DATA: &[Field] = &[
    field("buildid", Kind::Int),
    field("length", Kind::Int),
    field("name", Kind::Text),
    field("source", Kind::Text),
    nullable("value", Kind::Nested),
];

const TEST_RESULT_SET: &[Field] = &[
    field("builderid", Kind::Int),
    field("buildid", Kind::Int),
    field("category", Kind::Text),
    field("complete", Kind::Bool),
    field("description", Kind::Text),
    field("stepid", Kind::Int),
    field("test_result_setid", Kind::Int),
    nullable("tests_failed", Kind::Int),
    nullable("tests_passed", Kind::Int),
    field("value_unit", Kind::Text),
];

const TEST_RESULT: &[Field] = &[
    field("builderid", Kind::Int),
    nullable("duration_ns", Kind::Int),
    nullable("line", Kind::Int),
    nullable("test_code_path", Kind::Text),
    nullable("test_name", Kind::Text),
    field("test_result_setid", Kind::Int),
    field("test_resultid", Kind::Int),
    field("value", Kind::Text),
];

const PROJECT: &[Field] = &[
    nullable("active", Kind::Bool),
    nullable("description", Kind::Text),
    nullable("description_format", Kind::Text),
    nullable("description_html", Kind::Text),
    field("name", Kind::Identifier),
    field("projectid", Kind::Int),
    field("slug", Kind::Identifier),
];

const CODEBASE: &[Field] = &[
    field("codebaseid", Kind::Int),
    field("name", Kind::Identifier),
    field("projectid", Kind::Int),
    field("slug", Kind::Identifier),
];

const BRANCH: &[Field] = &[
    field("branchid", Kind::Int),
    field("codebaseid", Kind::Int),
    nullable("commitid", Kind::Int),
    field("last_timestamp", Kind::Time),
    field("name", Kind::Text),
];

const COMMIT: &[Field] = &[
    field("author", Kind::Text),
    field("codebaseid", Kind::Int),
    field("comments", Kind::Text),
    field("commitid", Kind::Int),
    nullable("committer", Kind::Text),
    nullable("parent_commitid", Kind::Int),
    field("revision", Kind::Text),
    field("when_timestamp", Kind::Time),
];

const COMMIT_GRAPH: &[Field] = &[
    field("common", Kind::Int),
    field("to1", Kind::IntList),
    field("to2", Kind::IntList),
];

const ROOT_LINK: &[Field] = &[field("name", Kind::Text)];

const SPEC: &[Field] = &[
    field("path", Kind::Text),
    field("plural", Kind::Text),
    field("type", Kind::Text),
    field("type_spec", Kind::Nested),
];

const WHY: &[Field] = &[
    nullable("builderid", Kind::Int),
    nullable("buildid", Kind::Int),
    field("buildrequestid", Kind::Int),
    nullable("lock", Kind::Nested),
    nullable("masterid", Kind::Int),
    nullable("position", Kind::Int),
    nullable("reason", Kind::Identifier),
    nullable("retry_at", Kind::Time),
    field("state", Kind::Identifier),
    field("text", Kind::Text),
    field("workers", Kind::Nested),
];

const LOG_MATCH: &[Field] = &[
    field("column", Kind::Int),
    field("length", Kind::Int),
    field("line", Kind::Int),
    field("logid", Kind::Int),
    field("stream", Kind::Identifier),
    field("text", Kind::Text),
    field("text_from", Kind::Int),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_the_order_of_the_alphabet() {
        for resource in Resource::ALL {
            assert!(
                resource.fields().is_sorted_by_key(|field| field.name),
                "{resource:?}"
            );
        }
    }

    #[test]
    fn names_are_singular() {
        let names: Vec<_> = Resource::ALL.iter().map(|r| r.name()).collect();
        assert!(!names.iter().any(|name| name.ends_with('s')), "{names:?}");
    }
}
