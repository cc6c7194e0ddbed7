//! The records of a farm as the store keeps them and as everything else reads them.
//!
//! Fields carry Buildbot's names (REST API specification 4.3.0) where Buildbot has the thing.

use std::collections::BTreeMap;

use crate::ids::{
    BuildId, BuilderId, BuildsetId, ChangeId, ChangeSourceId, LogId, MasterId, PatchId, ProjectId,
    RequestId, SchedulerId, SourceStampId, StepId, WorkerId,
};
use crate::resources::Resources;
use crate::{Properties, Results, Timestamp};

/// A master process.
#[derive(Debug, Clone, PartialEq)]
pub struct Master {
    /// Row id.
    pub id: MasterId,
    /// Host name and base directory, or as configured; unique.
    pub name: String,
    /// Whether it is running, as far as heartbeats tell.
    pub active: bool,
    /// Its last heartbeat.
    pub last_active: Timestamp,
}

/// A builder.
#[derive(Debug, Clone, PartialEq)]
pub struct Builder {
    /// Row id.
    pub id: BuilderId,
    /// Unique name.
    pub name: String,
    /// For people; may be Markdown.
    pub description: Option<String>,
    /// For filtering on pages.
    pub tags: Vec<String>,
    /// The project that it belongs to.
    pub project_id: Option<ProjectId>,
    /// Active masters that have it configured; empty when it is gone from the configuration.
    pub masters: Vec<MasterId>,
}

/// A worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// Row id.
    pub id: WorkerId,
    /// Unique name.
    pub name: String,
    /// What the worker said of itself (system, version ...).
    pub info: BTreeMap<String, serde_json::Value>,
    /// Takes no new builds.
    pub paused: bool,
    /// Why it is paused.
    pub pause_reason: Option<String>,
    /// Takes no new builds and is told to end when it is idle.
    pub graceful: bool,
    /// Went because it was told to end, and has not been back.
    pub dismissed: bool,
    /// When its newest connection began.
    pub connected_at: Option<Timestamp>,
    /// Where that came from.
    pub address: Option<String>,
    /// When its last connection ended, perhaps before the newest began.
    pub gone_at: Option<Timestamp>,
    /// Why that ended.
    pub gone_reason: Option<String>,
    /// When it was told that it is missing, in this absence.
    pub missing_at: Option<Timestamp>,
    /// Masters that have it in their configuration.
    pub masters: Vec<MasterId>,
    /// Which of their builders may use it: (master, builder) pairs.
    pub configured_on: Vec<(MasterId, BuilderId)>,
    /// Masters that it is connected to now.
    pub connected_to: Vec<MasterId>,
}

/// What became of a connection of a worker, or of a try to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerNote {
    /// What it is.
    pub kind: WorkerNoteKind,
    /// When it happened last.
    pub at: Timestamp,
    /// When the connection began that ended.
    pub since: Option<Timestamp>,
    /// Why, for people.
    pub text: String,
    /// How often the same happened, one time after the other.
    pub times: i64,
}

/// Kinds of [`WorkerNote`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerNoteKind {
    /// A connection ended because it was to.
    Left,
    /// A connection was lost.
    Lost,
    /// Somebody with its name was not let in.
    Refused,
    /// It was away for longer than it may be.
    Missing,
    /// It did what it should not, and its connection went on.
    Odd,
}

impl WorkerNoteKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Left,
        Self::Lost,
        Self::Refused,
        Self::Missing,
        Self::Odd,
    ];

    /// The word that is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::Odd => "odd",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A scheduler.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduler {
    /// Row id.
    pub id: SchedulerId,
    /// Unique name.
    pub name: String,
    /// Whether it reacts to anything.
    pub enabled: bool,
    /// The master that runs it now.
    pub master_id: Option<MasterId>,
}

/// A change source.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeSource {
    /// Row id.
    pub id: ChangeSourceId,
    /// Unique name.
    pub name: String,
    /// The master that runs it now.
    pub master_id: Option<MasterId>,
}

/// One commit as a change source reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Row id; grows in the order of arrival.
    pub id: ChangeId,
    /// The author, usually `Name <mail>`.
    pub author: String,
    /// Who committed it.
    pub committer: Option<String>,
    /// The commit message.
    pub comments: String,
    /// Paths it touched.
    pub files: Vec<String>,
    /// Branch, or `None` for the default one.
    pub branch: Option<String>,
    /// Revision id.
    pub revision: Option<String>,
    /// Link to the change for people.
    pub revlink: Option<String>,
    /// Free classification by the change source (`"tag"`, `"pull"` ...).
    pub category: Option<String>,
    /// Repository that it is in.
    pub repository: String,
    /// Codebase that it belongs to; empty for the only one.
    pub codebase: String,
    /// Project that it belongs to; empty for none.
    pub project: String,
    /// When the commit was made.
    pub when: Timestamp,
    /// The change before it in the same codebase, repository, project and branch.
    pub parent: Option<ChangeId>,
    /// Source stamp of exactly this change.
    pub sourcestamp_id: SourceStampId,
    /// Properties from the change source.
    pub properties: Properties,
}

/// Which revision of one codebase is built. Equal contents are one row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SourceStampSpec {
    /// Codebase; empty for the only one.
    pub codebase: String,
    /// Repository.
    pub repository: String,
    /// Branch, or `None` for the default one.
    pub branch: Option<String>,
    /// Revision, or `None` for the newest at the time of the build.
    pub revision: Option<String>,
    /// Project; empty for none.
    pub project: String,
    /// The patch that is applied to the revision.
    pub patch: Option<PatchId>,
}

/// A stored source stamp.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceStamp {
    /// Row id.
    pub id: SourceStampId,
    /// What it says.
    pub spec: SourceStampSpec,
    /// Size of the body of its patch, bytes; 0 without one.
    pub patch_size_bytes: u64,
    /// When it was first stored.
    pub created_at: Timestamp,
}

/// A build set.
#[derive(Debug, Clone, PartialEq)]
pub struct Buildset {
    /// Row id.
    pub id: BuildsetId,
    /// An id given by whoever asked (a try job's, for instance).
    pub external_idstring: Option<String>,
    /// Why it was made, for people.
    pub reason: String,
    /// When it was made.
    pub submitted_at: Timestamp,
    /// Whether all its requests are complete.
    pub complete: bool,
    /// When they were.
    pub complete_at: Option<Timestamp>,
    /// The worst result of its requests.
    pub results: Option<Results>,
    /// The build whose trigger step made it.
    pub parent_buildid: Option<BuildId>,
    /// How it relates to that build.
    pub parent_relationship: Option<String>,
    /// The build that it repeats.
    pub rebuilt_buildid: Option<BuildId>,
    /// One per codebase.
    pub sourcestamps: Vec<SourceStamp>,
}

/// A build request.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildRequest {
    /// Row id.
    pub id: RequestId,
    /// The build set that it is of.
    pub buildset_id: BuildsetId,
    /// The builder that is to run it.
    pub builder_id: BuilderId,
    /// Higher runs first.
    pub priority: i32,
    /// The master that runs it now.
    pub claimed_by: Option<MasterId>,
    /// Since when.
    pub claimed_at: Option<Timestamp>,
    /// Whether it has its final result.
    pub complete: bool,
    /// When it got that.
    pub complete_at: Option<Timestamp>,
    /// That result.
    pub results: Option<Results>,
    /// When it was made.
    pub submitted_at: Timestamp,
    /// Whether a trigger step waits for it; such requests are never collapsed.
    pub waited_for: bool,
}

/// A build.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// Row id.
    pub id: BuildId,
    /// Counts up from 1 for each builder.
    pub number: i64,
    /// Its builder.
    pub builder_id: BuilderId,
    /// The request that it carries out.
    pub request_id: RequestId,
    /// The worker that it runs on.
    pub worker_id: Option<WorkerId>,
    /// The master that runs it.
    pub master_id: MasterId,
    /// When it started.
    pub started_at: Timestamp,
    /// Whether it ended.
    pub complete: bool,
    /// When it ended.
    pub complete_at: Option<Timestamp>,
    /// Time spent waiting for locks, milliseconds.
    pub locks_duration_ms: i64,
    /// One line about what it does now, or how it ended.
    pub state_string: String,
    /// How it ended.
    pub results: Option<Results>,
}

/// A link on a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUrl {
    /// Text of the link.
    pub name: String,
    /// Where it leads.
    pub url: String,
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Row id.
    pub id: StepId,
    /// Counts up from 0 in its build.
    pub number: i32,
    /// Unique in its build.
    pub name: String,
    /// Its build.
    pub build_id: BuildId,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it had its locks.
    pub locks_acquired_at: Option<Timestamp>,
    /// Whether it ended.
    pub complete: bool,
    /// When it ended.
    pub complete_at: Option<Timestamp>,
    /// One line about what it does now, or how it ended.
    pub state_string: String,
    /// How it ended.
    pub results: Option<Results>,
    /// Links.
    pub urls: Vec<StepUrl>,
    /// Whether pages leave it out.
    pub hidden: bool,
    /// Digest of the plugin that ran it, for a plugin step.
    pub plugin_digest: Option<String>,
    /// What its commands used of the worker; `None` when none has said.
    pub resources: Option<Resources>,
}

/// What a log holds; the letters are Buildbot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogType {
    /// `s`: lines of a command, each with a stream letter (`o` output, `e` error, `h` header) in front.
    Stdio,
    /// `t`: plain text.
    Text,
    /// `h`: HTML.
    Html,
}

impl LogType {
    /// Buildbot's letter.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::Stdio => "s",
            Self::Text => "t",
            Self::Html => "h",
        }
    }

    /// The type with this letter.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        match letter {
            "s" => Some(Self::Stdio),
            "t" => Some(Self::Text),
            "h" => Some(Self::Html),
            _ => None,
        }
    }
}

/// A log of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Row id.
    pub id: LogId,
    /// Name as given.
    pub name: String,
    /// Name for URLs; unique in its step.
    pub slug: String,
    /// Its step.
    pub step_id: StepId,
    /// Whether it has its last line.
    pub complete: bool,
    /// Lines so far.
    pub num_lines: i64,
    /// What it holds.
    pub log_type: LogType,
}
