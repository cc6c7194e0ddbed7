//! Runs the commands and moves the files of builds on one machine.
//!
//! The engine knows no builds, steps or masters: it is given a [`CommandSpec`] and hands back output
//! as it comes and one [`Exit`]; it is given a path and reads or writes beneath a build's directory.
//! In process it stands behind the master's worker link; a daemon can put a wire protocol before it.
//!
//! Invariants:
//! * memory does not grow with the output of a command: who reads slowly slows the command down;
//! * a command that was stopped (interrupt, timeout, dropped handle) leaves nobody of its process
//!   group behind;
//! * a command that has ended is reported as ended, whoever still holds its pipes;
//! * no file operation leaves the build's directory, whatever symbolic links lie in it.

mod cgroup;
mod command;
mod files;
mod info;
mod leftovers;
mod options;
#[cfg(target_os = "linux")]
mod processes;
mod user;
mod worker;

pub use cgroup::GroupLimits;
pub use command::{
    Captured, CommandControl, CommandSpec, EnvValue, Exit, INTERRUPT_GRACE_DEFAULT,
    InterruptSignal, Invocation, Launch, LogFile, Output, OutputStream, RunningCommand, StartError,
    Status, StopCause, Usage, quoted_words,
};
pub use files::{
    CopySummary, DirEntry, FileError, FileInfo, FileKind, Files, NewFile, Piece, WriteMode,
};
pub use options::{Limits, LocalWorkerOptions, OpenError};
pub use user::{User, UserError};
pub use worker::LocalWorker;
