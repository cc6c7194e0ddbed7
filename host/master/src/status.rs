//! What the master tells about itself: values for pages, the REST API and the command line.

use std::fmt;
use std::time::Duration;

use toolpost_config::config::{GitPollerConfig, SchedulerConfig, SchedulerKind};
use toolpost_config::{Plan, Problem};
use toolpost_core::distribute::{Standing, WaitReason};
use toolpost_core::locks::{LockKey, LockMode, LockScope};
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, ChangeId, ForcedId, MasterId, RequestId, SchedulerId,
    Timestamp, WorkerId,
};

use crate::steps::git::errors::without_password;

/// How the configuration stands.
#[derive(Debug, Clone)]
pub struct ConfigurationStatus {
    /// When the running configuration was applied.
    pub applied_at: Timestamp,
    /// What that changed.
    pub plan: Plan,
    /// When the files were last read.
    pub checked_at: Timestamp,
    /// Why the files as they are now are not running; empty when they are.
    pub problems: Vec<Problem>,
    /// Changes that only a restart brings, for people.
    pub needs_restart: Vec<String>,
}

impl ConfigurationStatus {
    /// Nothing was applied yet.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            applied_at: now,
            plan: Plan::default(),
            checked_at: now,
            problems: Vec::new(),
            needs_restart: Vec::new(),
        }
    }
}

impl PollerStatus {
    /// Nothing was asked yet.
    pub(crate) fn new(name: &str, config: &GitPollerConfig) -> Self {
        Self {
            name: name.into(),
            repository: without_password(&config.repository),
            interval: config.interval,
            polled_at: None,
            next_poll_at: None,
            error: None,
            failures: 0,
            heads: Vec::new(),
        }
    }
}

impl ReporterStatus {
    /// Nothing was looked at yet.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            held: None,
            error: None,
            running: 0,
        }
    }
}

impl SchedulerStatus {
    /// Nothing was looked at yet.
    pub(crate) fn new(id: SchedulerId, config: &SchedulerConfig) -> Self {
        let scheduler_type = match &config.kind {
            SchedulerKind::SingleBranch(_) => "single-branch",
            SchedulerKind::Force(_) => "force",
            SchedulerKind::Plugin(plugin) => &plugin.scheduler_type,
        };
        Self {
            id,
            name: config.name.clone(),
            scheduler_type: scheduler_type.to_owned(),
            builders: config.builders.clone(),
            last_change: None,
            fires_at: None,
            text: String::new(),
            held: None,
            error: None,
            stuck: None,
        }
    }
}

/// How a change source stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PollerStatus {
    /// Name of the change source.
    pub name: String,
    /// Repository that it asks.
    pub repository: String,
    /// Time between two polls.
    pub interval: Duration,
    /// When it last got an answer.
    pub polled_at: Option<Timestamp>,
    /// When it asks again.
    pub next_poll_at: Option<Timestamp>,
    /// Why the last poll failed; `None` when it did not.
    pub error: Option<String>,
    /// Polls that failed since the last good one.
    pub failures: u32,
    /// Followed branches and their heads, by name.
    pub heads: Vec<(String, String)>,
}

/// How a reporter stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReporterStatus {
    /// Name of the reporter.
    pub name: String,
    /// Why nothing is told for now; `None` when it is.
    pub held: Option<String>,
    /// Why it could not read or write its queue; it tries again.
    pub error: Option<String>,
    /// Deliveries that are tried at this moment.
    pub running: usize,
}

/// How a scheduler stands.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerStatus {
    /// Row id of the scheduler.
    pub id: SchedulerId,
    /// Name of the scheduler.
    pub name: String,
    /// Its type, as the configuration says it.
    pub scheduler_type: String,
    /// Names of the builders that it asks for.
    pub builders: Vec<String>,
    /// The last change that it looked at; schedulers of plugins do not say.
    pub last_change: Option<ChangeId>,
    /// When it looks again by itself: a tree is stable, or the time has come that its plugin asked for.
    pub fires_at: Option<Timestamp>,
    /// What its plugin says about it; may be empty.
    pub text: String,
    /// Why it waits for a plugin; `None` when it does not.
    pub held: Option<String>,
    /// Why the last attempt failed; it is tried again.
    pub error: Option<String>,
    /// The event that the error is about: the scheduler hears nothing else until it has taken that in, or is told to
    /// pass over it. `None` when the error is about something else.
    pub stuck: Option<StuckEvent>,
}

/// An event that a scheduler of a plugin could not take in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckEvent {
    /// Which, for people: `change 12`.
    pub event: String,
    /// When it was first tried.
    pub since: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// Whether and how the master works.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Row id of this master.
    pub master_id: MasterId,
    /// Its name.
    pub name: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Whether its configuration does not run yet, because plugins are loaded first.
    pub starting: bool,
    /// Whether it takes no new builds.
    pub draining: bool,
    /// Builds that run now.
    pub running_builds: usize,
    /// Whether the store took the last heartbeat.
    pub store_ok: bool,
}

/// Why requests of a builder wait.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitingBuilder {
    /// The builder.
    pub builder: BuilderId,
    /// Its first request that waits.
    pub first: RequestId,
    /// Why.
    pub reason: WaitReason,
}

/// Where a request stands, and what it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// The request.
    pub request: RequestId,
    /// Its builder.
    pub builder: BuilderId,
    /// Where it stands.
    pub state: WaitState,
    /// How many pending requests of its builder run before it, as far as they are counted; `None` when it is not pending.
    pub before: Option<u64>,
    /// How the workers of its builder stand, while it waits.
    pub workers: Vec<WorkerStanding>,
    /// The lock that it waits for, with who has it.
    pub lock: Option<LockStatus>,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq)]
pub enum WaitState {
    /// It waits no more.
    Complete,
    /// It has its build.
    Running {
        /// The master that has it.
        master: Option<MasterId>,
        /// The build, if this master runs it.
        build: Option<BuildId>,
    },
    /// Nothing keeps it: it gets its build as soon as the distributor has looked.
    Starting,
    /// It waits.
    Waiting(WaitCause),
}

/// What a request waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum WaitCause {
    /// What the distributor says.
    Rule(WaitReason),
    /// Its last build asked to be run again, and it is not time yet.
    Retry(Timestamp),
    /// Its builder is not configured on this master.
    NoBuilder,
    /// The master stops.
    Stopping,
    /// For the many requests of its builder that are before it.
    Behind,
}

impl fmt::Display for WaitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(reason) => reason.fmt(f),
            Self::Retry(_) => f.write_str("its last build asked to be run again after a while"),
            Self::NoBuilder => f.write_str("its builder is not configured on this master"),
            Self::Stopping => f.write_str("the master stops"),
            Self::Behind => f.write_str("many requests of its builder are before it"),
        }
    }
}

/// How a worker stands to the next build of a builder.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerStanding {
    /// The worker.
    pub id: WorkerId,
    /// Its name.
    pub name: String,
    /// Builds that it runs now, for any builder.
    pub running: u32,
    /// Builds that it may run at one time; `None` for any number.
    pub builds_max: Option<u32>,
    /// How it stands.
    pub standing: Standing,
}

/// The locks as they are now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LockReport {
    /// Each of them, by name and worker.
    pub locks: Vec<LockStatus>,
    /// Requests that can never have the locks that they need, and why.
    pub never: Vec<(LockedOut, String)>,
    /// Builds that wait for builds which wait for them, and for what.
    pub hopeless: Vec<(BuildId, String)>,
}

/// How a lock stands.
#[derive(Debug, Clone, PartialEq)]
pub struct LockStatus {
    /// Which. One of workers that nobody uses stands here once, without a worker.
    pub key: LockKey,
    /// What it protects; `None` when it is not configured any more and is only still held.
    pub scope: Option<LockScope>,
    /// Units that it has.
    pub max: u32,
    /// Who holds it.
    pub holders: Vec<LockUser>,
    /// Who waits for it, in the order of arrival.
    pub queue: Vec<LockUser>,
    /// Builders whose next build cannot begin before it is free. They have no place in the queue: whoever asks first when it is
    /// free, begins.
    pub locked_out: Vec<LockedOut>,
}

impl LockStatus {
    /// One that was given back at this very moment.
    pub(crate) fn unused(key: LockKey) -> Self {
        Self {
            key,
            scope: None,
            max: 0,
            holders: Vec::new(),
            queue: Vec::new(),
            locked_out: Vec::new(),
        }
    }
}

/// Who holds a lock, or waits for it.
#[derive(Debug, Clone, PartialEq)]
pub struct LockUser {
    /// The build; `None` when it is just about to begin.
    pub build: Option<BuildId>,
    /// Its builder.
    pub builder: Option<BuilderId>,
    /// The step, unless it is the whole build.
    pub step: Option<String>,
    /// How the lock is used.
    pub mode: LockMode,
    /// Whether it waits, directly or through others, for somebody who waits for it.
    pub is_stuck: bool,
}

/// A builder whose next build waits for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockedOut {
    /// The builder.
    pub builder: BuilderId,
    /// Its first request that waits.
    pub request: RequestId,
}

/// A build set that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The build set.
    pub buildset: BuildsetId,
    /// Its requests by builder.
    pub requests: Vec<(BuilderId, RequestId)>,
}

/// What came of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forced {
    /// A build set.
    Made(Submitted),
    /// It waits for the plugin of its scheduler, which decides what is built.
    Queued(ForcedId),
}
