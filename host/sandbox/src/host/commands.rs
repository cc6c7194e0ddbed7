//! Commands on the worker.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// A program and its arguments, as they are. Never empty.
    Argv(Vec<String>),
    /// A line for the worker's shell.
    Shell(String),
}

/// A command with its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// What to run.
    pub command: CommandLine,
    /// Directory relative to the step's working directory, to be made if it is not there; `None` is
    /// the working directory itself.
    pub workdir: Option<String>,
    /// Changes to the worker's environment, in the plugin's order: `Some` sets, `None` takes away.
    pub env: Vec<(String, Option<String>)>,
    /// Bytes for standard input, then end of file.
    pub stdin: Option<Bytes>,
    /// `None`: as the step's configuration says.
    pub idle_timeout: Option<Duration>,
    /// `None`: as the step's configuration says.
    pub total_timeout: Option<Duration>,
    /// The `stdio` log of this step to which the host streams the output, with its usual header lines, whether the
    /// plugin reads or not; to be made if it is not there.
    pub log: Option<String>,
    /// Whether [`StartedCommand::output`] is wanted.
    pub capture: bool,
}

/// Where a chunk was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Some output, cut anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputChunk {
    /// Where it was written to.
    pub source: OutputSource,
    /// The bytes.
    pub data: Bytes,
}

/// Why a command is no longer running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// It ended by itself.
    Code(i32),
    /// A signal from elsewhere ended it.
    Signal(i32),
    /// It was silent for too long.
    IdleTimeout,
    /// It ran for too long.
    TotalTimeout,
    /// It was interrupted.
    Interrupted,
    /// Nobody knows: the connection to the worker broke.
    WorkerLost(String),
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandExit {
    /// Why it is no longer running.
    pub status: ExitStatus,
    /// How long it ran.
    pub elapsed: Duration,
}

/// Ends a command from another task.
pub trait CommandControl: Send + Sync + 'static {
    /// Ends the command and everything it started, politely first. Returns at once, may be called
    /// again, does nothing when it has ended.
    fn interrupt(&self);
}

/// A command that was started.
pub struct StartedCommand {
    /// Output as it comes, `Some` if it was asked for. The host sends to a bounded channel (about 1 MiB) and lets
    /// the command wait when it is full; when the receiver is gone it goes on without sending.
    pub output: Option<mpsc::Receiver<OutputChunk>>,
    /// Resolves when the command has ended, all its output was logged and sent, and the sender of `output` is
    /// dropped.
    pub exit: BoxFuture<'static, CommandExit>,
    /// Interrupts it.
    pub control: Arc<dyn CommandControl>,
}

impl fmt::Debug for StartedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedCommand")
            .field("captured", &self.output.is_some())
            .finish_non_exhaustive()
    }
}
