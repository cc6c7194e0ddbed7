//! Builds and what belongs to them, as reporters see them. As JSON they have the same names.

use crate::{Change, Properties, Results, SourceStamp};
use serde::Serialize;
use serde_json::Value;

/// A name and an address.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Link {
    /// For people.
    pub name: String,
    /// The address.
    pub url: String,
}

/// A log of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LogReport {
    /// Its number, for [`ReporterContext::read_log`](crate::ReporterContext::read_log).
    pub id: u64,
    /// Its name.
    pub name: String,
    /// How many lines it has so far.
    pub lines: u64,
    /// Its page.
    pub url: String,
}

/// A step of a build.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StepReport {
    /// Its place in the build, from 0.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// The text beside it.
    pub summary: String,
    /// How it ended; `None` while it runs.
    pub results: Option<Results>,
    /// When it started, in milliseconds since 1970, UTC.
    pub started_ms: Option<u64>,
    /// When it ended.
    pub complete_ms: Option<u64>,
    /// Its links.
    pub urls: Vec<Link>,
    /// Its logs.
    pub logs: Vec<LogReport>,
}

/// A build as of now, which may be later than the event.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BuildReport {
    /// Its number among all builds.
    pub id: u64,
    /// The name of the builder.
    pub builder: String,
    /// The tags of the builder.
    pub tags: Vec<String>,
    /// The number of the build, counted per builder from 1.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// The name of the worker.
    pub worker: String,
    /// Why it was made, for people.
    pub reason: String,
    /// The text beside it, such as `412 passed, 3 failed`.
    pub summary: String,
    /// How it ended; `None` while it runs.
    pub results: Option<Results>,
    /// How the build of this builder before it ended.
    pub previous_results: Option<Results>,
    /// When it started, in milliseconds since 1970, UTC.
    pub started_ms: u64,
    /// When it ended.
    pub complete_ms: Option<u64>,
    /// The request that it carries out.
    pub request_id: u64,
    /// The build set that it was made for.
    pub buildset_id: u64,
    /// The scheduler that asked for it.
    pub scheduler: Option<String>,
    /// The sources, one stamp for each codebase.
    pub source_stamps: Vec<SourceStamp>,
    /// The changes that it was made for, oldest first. At most 100.
    pub changes: Vec<Change>,
    /// Its properties: an object of values by name.
    pub properties: Properties,
    /// Its steps; empty in a [`BuildsetReport`].
    pub steps: Vec<StepReport>,
}

/// A build set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BuildsetReport {
    /// Its number.
    pub id: u64,
    /// Why it was made, for people.
    pub reason: String,
    /// The worst result of its builds.
    pub results: Results,
    /// When it was asked for, in milliseconds since 1970, UTC.
    pub submitted_ms: u64,
    /// When its last build ended.
    pub complete_ms: u64,
    /// The scheduler that asked for it.
    pub scheduler: Option<String>,
    /// The sources, one stamp for each codebase.
    pub source_stamps: Vec<SourceStamp>,
    /// Its properties: an object of values by name.
    pub properties: Properties,
    /// Its builds; of a request that was tried again, the last one.
    pub builds: Vec<BuildReport>,
}

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RequestReport {
    /// Its number.
    pub id: u64,
    /// The name of the builder.
    pub builder: String,
    /// The build set that it belongs to.
    pub buildset_id: u64,
    /// Its page.
    pub url: String,
    /// Why it was made, for people.
    pub reason: String,
    /// When it was asked for, in milliseconds since 1970, UTC.
    pub submitted_ms: u64,
    /// The scheduler that asked for it.
    pub scheduler: Option<String>,
    /// The sources, one stamp for each codebase.
    pub source_stamps: Vec<SourceStamp>,
    /// Properties of its build set: an object of values by name.
    pub properties: Properties,
}

/// A worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WorkerReport {
    /// Its name.
    pub name: String,
    /// Its page.
    pub url: String,
    /// The names of the builders that it can build for.
    pub builders: Vec<String>,
    /// What it says of itself: an object of texts by name.
    pub info: Value,
    /// When it was last seen, in milliseconds since 1970, UTC.
    pub last_seen_ms: Option<u64>,
}
