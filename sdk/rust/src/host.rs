//! The seam between a step and whatever runs it: the real host, or a [mock](crate::mock).
//!
//! Plain data and three traits, one to one with the contract. Steps use [`Context`](crate::Context),
//! which is built on this.

use crate::master::Master;
use crate::services::Services;
use crate::{CommandLine, Error, FileError, Results, SourceStamp};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// What a host does for a step on its worker, beside what [`Services`] and [`Master`] have.
pub trait Host: Services + Master {
    /// A property of the build.
    fn property(&self, name: &str) -> Option<Property>;
    /// Sets a property of the build.
    fn set_property(&self, name: &str, value: &Value) -> Result<(), Error>;
    /// All properties of the build, ordered by name.
    fn properties(&self) -> Vec<(String, Property)>;
    /// Opens or makes a log of the step.
    fn open_log(&self, name: &str, kind: LogKind) -> Result<Box<dyn HostLog>, Error>;
    /// Starts a command on the worker.
    fn start_command(&self, spec: CommandSpec) -> Result<Box<dyn HostCommand>, Error>;
    /// Reads a piece of a file on the worker.
    fn read_file(&self, path: &str, offset: u64, limit: u32) -> Result<Vec<u8>, FileError>;
    /// Writes a file on the worker.
    fn write_file(&self, path: &str, data: &[u8], mode: WriteMode) -> Result<(), FileError>;
    /// What is at a path on the worker.
    fn stat(&self, path: &str) -> Result<FileStat, FileError>;
    /// Paths on the worker that match a pattern, sorted.
    fn glob(&self, pattern: &str) -> Result<Vec<String>, FileError>;
    /// Makes a directory on the worker.
    fn mkdir(&self, path: &str) -> Result<(), FileError>;
    /// Removes a file or directory on the worker.
    fn remove(&self, path: &str, recursive: bool) -> Result<(), FileError>;
    /// Sets the text beside the name of the step.
    fn set_summary(&self, text: &str);
    /// Says how far the step is.
    fn set_progress(&self, done: u64, total: u64, unit: &str);
    /// Adds a link to the step.
    fn add_url(&self, name: &str, url: &str) -> Result<(), Error>;
    /// The build that the step belongs to.
    fn build(&self) -> BuildInfo;
    /// Whether the step is to stop.
    fn is_cancelled(&self) -> bool;
}

/// How things hold their host.
#[cfg(not(target_family = "wasm"))]
pub(crate) type HostRef = std::rc::Rc<dyn Host>;

/// In WebAssembly there is one host, known to the compiler, so that a component imports no more than its
/// plugin calls.
#[cfg(target_family = "wasm")]
pub(crate) type HostRef = std::rc::Rc<crate::wasm::WasmHost>;

/// A log of a step; dropping it leaves the log open until the step ends.
pub trait HostLog {
    /// Appends bytes, cut anywhere.
    fn append(&self, stream: LogStream, data: &[u8]) -> Result<(), Error>;
    /// Says that nothing more comes.
    fn finish(&self) -> Result<(), Error>;
}

/// A command that was started; dropping it interrupts it if it still runs.
pub trait HostCommand {
    /// Waits for output; `None` when there will be no more.
    fn read(&self) -> Option<Chunk>;
    /// Waits until the command has ended.
    fn wait(&self) -> Result<Exit, Error>;
    /// Ends the command and everything that it started.
    fn interrupt(&self);
}

/// How much a line in the log of the master matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the author of the plugin.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is odd, the step goes on.
    Warn,
    /// The operator should look at it.
    Error,
}

/// A property of a build.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its value.
    pub value: Value,
    /// Who set it, for people.
    pub source: String,
}

/// What a log holds, which decides how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// Output of a program: every line belongs to a stream. Colours are shown.
    Stdio,
    /// Plain text.
    Text,
    /// A piece of HTML, shown in a frame without scripts.
    Html,
}

/// Where a line of a log comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output; the only stream of text and HTML logs.
    Stdout,
    /// Standard error.
    Stderr,
    /// What the farm says about the command.
    Header,
}

/// How much of a command's output the step can read; it has no influence on the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// None.
    Nothing,
    /// So many bytes of both streams together.
    First(u64),
    /// All of it; the command waits when the step does not read.
    Everything,
}

/// A command with its surroundings, as [`Command`](crate::Command) builds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// What to run.
    pub line: CommandLine,
    /// Directory relative to the working directory of the step.
    pub workdir: Option<String>,
    /// Changes to the environment: `Some` sets a variable, `None` takes it away.
    pub env: Vec<(String, Option<String>)>,
    /// Bytes for standard input.
    pub stdin: Option<Vec<u8>>,
    /// The command ends when it is silent for so long.
    pub idle_timeout: Option<Duration>,
    /// The command ends when it runs for so long.
    pub total_timeout: Option<Duration>,
    /// The log that the output streams to.
    pub log: Option<String>,
    /// How much of the output the step can read.
    pub capture: Capture,
}

/// The two outputs of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Some output as it came, cut anywhere, even inside a character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it was written to.
    pub source: OutputSource,
    /// The bytes.
    pub data: Vec<u8>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Why it no longer runs.
    pub status: ExitStatus,
    /// How long it ran.
    pub elapsed: Duration,
    /// Whether output was dropped because it was more than [`Capture::First`] allows.
    pub truncated: bool,
}

/// Why a command no longer runs. That its worker was lost is an [`Error::Retryable`] instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It ended by itself with this code.
    Code(i32),
    /// A signal that did not come from Toolpost ended it.
    Signal(i32),
    /// It was silent for too long and was ended.
    IdleTimeout,
    /// It ran for too long and was ended.
    TotalTimeout,
    /// The step interrupted it, or was cancelled.
    Interrupted,
}

impl Exit {
    /// Whether it ended by itself with the code 0.
    pub fn is_success(&self) -> bool {
        self.status == ExitStatus::Code(0)
    }

    /// The result of a step that is this command and nothing else.
    pub fn results(&self) -> Results {
        match self.status {
            ExitStatus::Code(0) => Results::Success,
            ExitStatus::Interrupted => Results::Cancelled,
            _ => Results::Failure,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit code {code}"),
            Self::Signal(signal) => write!(formatter, "ended by signal {signal}"),
            Self::IdleTimeout => formatter.write_str("ended because it was silent for too long"),
            Self::TotalTimeout => formatter.write_str("ended because it ran for too long"),
            Self::Interrupted => formatter.write_str("interrupted"),
        }
    }
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link that leads nowhere, or outside.
    Symlink,
    /// Something else: a socket, a device.
    Other,
}

/// Facts about a path, through symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes; 0 for directories.
    pub size: u64,
    /// Last change, in milliseconds since 1970, UTC.
    pub modified_ms: u64,
}

/// What to do with what a file holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Put the new content in its place.
    Replace,
    /// Put the new content at its end.
    Append,
}

/// The build and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInfo {
    /// The id of the build, unique on the farm.
    pub id: u64,
    /// The name of the builder.
    pub builder: String,
    /// The number of the build, counted per builder from 1.
    pub number: u64,
    /// The page of the build, for links in messages.
    pub url: String,
    /// The name of the worker.
    pub worker: String,
    /// The working directory of the step on the worker, absolute, for use in commands.
    pub workdir: String,
    /// The name of this step.
    pub step: String,
    /// Why the build was made, for people.
    pub reason: String,
    /// The sources, one stamp for each codebase.
    pub source_stamps: Vec<SourceStamp>,
    /// The id of the build set.
    pub buildset: u64,
    /// The id of the request that it carries out.
    pub request: u64,
    /// The scheduler that asked for it; `None` when it was triggered, repeated or asked for by a program.
    pub scheduler: Option<String>,
}
