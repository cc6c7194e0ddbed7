//! What a plugin may ask of the master: the host side of the contract, in plain Rust.
//!
//! The master implements [`StepHost`] once per running step. Nothing here knows WebAssembly, so an
//! implementation can be tested, and a step run, without a component.

mod artifacts;
mod commands;
mod errors;
mod farm;
mod files;
mod http;
mod reporter;
mod services;
mod test_results;
mod triggers;

use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use toolpost_core::model::{LogType, SourceStampSpec};
use toolpost_core::{Properties, Property};

pub use artifacts::{Artifact, BuildOf, UploadRoom, UploadedDirectory};
pub use commands::{
    CommandControl, CommandExit, CommandLine, CommandSpec, ExitStatus, OutputChunk, OutputSource,
    StartedCommand,
};
pub use errors::{FileError, HostError};
pub use farm::{BuildData, NoFarm, StepFarm};
pub use files::{FileKind, FileStat, WriteMode};
pub use http::{HttpFailure, HttpRequest, HttpResponse, Network};
pub use reporter::ReporterHost;
pub use services::{Attachment, HttpGrants, Message, NoServices, PluginClock, PluginServices};
pub use test_results::{NewTestSet, TestResult, TestSet};
pub use triggers::{
    TriggerProgress, TriggerRequest, TriggerSources, TriggeredBuild, TriggeredBuilds,
};

/// Facts about the build that a step belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildInfo {
    /// Id of the build.
    pub id: u64,
    /// Name of the builder.
    pub builder: String,
    /// Number of the build, per builder from 1.
    pub number: u64,
    /// Page of the build.
    pub url: String,
    /// Name of the worker.
    pub worker: String,
    /// Working directory of the step on the worker, absolute.
    pub workdir: String,
    /// Name of the step.
    pub step: String,
    /// Why the build was made.
    pub reason: String,
    /// One per codebase.
    pub source_stamps: Vec<SourceStampSpec>,
    /// Id of the build set.
    pub buildset: u64,
    /// Id of the request.
    pub request: u64,
    /// Name of the scheduler that asked for it, if one did.
    pub scheduler: Option<String>,
}

/// How much a line of a plugin's log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Odd, but it goes on.
    Warn,
    /// The operator should look at it.
    Error,
}

/// The streams of a `stdio` log. Logs of other types have `Stdout` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// What the farm says about a command.
    Header,
}

/// One running step, as its plugin sees it. Calls come one at a time, except that
/// [`CommandControl::interrupt`] may come at any moment.
///
/// When the step has ended (in whatever way) the sandbox interrupts the commands that still run and drops
/// everything; finishing the logs that are still open is up to the implementation.
#[async_trait]
pub trait StepHost: Send + Sync + 'static {
    /// The build that the step belongs to.
    fn build_info(&self) -> BuildInfo;

    /// A line for the operator, within the limits, which is made when it is displayed. Must not block.
    fn log(&self, level: LogLevel, message: &dyn Display);

    /// One property of the build.
    async fn property(&self, name: &str) -> Result<Option<Property>, HostError>;

    /// Sets a property of the build; the source is the step's name.
    async fn set_property(&self, name: &str, value: Value) -> Result<(), HostError>;

    /// All properties of the build.
    async fn properties(&self) -> Result<Properties, HostError>;

    /// Opens the log of this name in this step or makes it. [`HostError::Permanent`] when there is one of
    /// another type, or it is finished.
    async fn open_log(&self, name: &str, log_type: LogType) -> Result<Arc<dyn StepLog>, HostError>;

    /// Starts a command on the build's worker.
    async fn start_command(&self, spec: CommandSpec) -> Result<StartedCommand, HostError>;

    /// Up to `limit` bytes of a file from `offset`; fewer mean that it ends there. Paths, here and below, are
    /// relative to the step's working directory.
    async fn read_file(&self, path: &str, offset: u64, limit: usize) -> Result<Bytes, FileError>;

    /// Writes a file and makes the directories above it.
    async fn write_file(&self, path: &str, data: Bytes, mode: WriteMode) -> Result<(), FileError>;

    /// Facts about a path.
    async fn stat(&self, path: &str) -> Result<FileStat, FileError>;

    /// Paths that match a pattern, sorted; at most `limit`, more are an error.
    async fn glob(&self, pattern: &str, limit: usize) -> Result<Vec<String>, FileError>;

    /// Makes a directory and those above it.
    async fn make_dir(&self, path: &str) -> Result<(), FileError>;

    /// Removes a file or directory; one with contents only when `recursive`.
    async fn remove(&self, path: &str, recursive: bool) -> Result<(), FileError>;

    /// The text beside the step's name.
    async fn set_summary(&self, text: &str) -> Result<(), HostError>;

    /// How far the step is: `done` of `total` (0: not known) of these units.
    async fn set_progress(&self, done: u64, total: u64, unit: &str) -> Result<(), HostError>;

    /// A link on the step.
    async fn add_url(&self, name: &str, url: &str) -> Result<(), HostError>;

    /// The build and the farm around it.
    fn farm(&self) -> Arc<dyn StepFarm> {
        Arc::new(NoFarm)
    }

    /// What it may ask for beside.
    fn services(&self) -> Arc<dyn PluginServices> {
        Arc::new(NoServices)
    }
}

/// An open log of a step.
#[async_trait]
pub trait StepLog: Send + Sync + 'static {
    /// Appends raw bytes, cut anywhere; waits when the store is slower than the plugin.
    async fn append(&self, stream: LogStream, data: Bytes) -> Result<(), HostError>;

    /// Nothing more will come.
    async fn finish(&self) -> Result<(), HostError>;
}
