//! Workers that connect from elsewhere, with Buildbot's protocol.
//!
//! `greet` decides who may come in, `places` that there is one session for each name, `session` runs it, and `link`,
//! `command` and `files` are what builds see of it. `parked` is what remains of a session whose connection is lost while its
//! worker may come back to go on with it.

mod archive;
mod command;
mod cursors;
mod files;
mod greet;
mod link;
mod listen;
mod oddities;
mod outcome;
mod pace;
mod parked;
mod password;
mod paths;
mod places;
mod port;
mod refusals;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use greet::is_worker;
pub use listen::{ListenError, WorkerPort};
pub(crate) use places::Places;

use std::time::Duration;

/// How long a worker may take to read what it is sent.
const SEND_WAIT_MAX: Duration = Duration::from_secs(60);

/// Output of one command that nobody has taken yet, in bytes. Beyond it the worker is not read.
const OUTPUT_QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// How long a worker may be kept waiting because nobody takes the output of one of its commands; that command is then stopped,
/// so that the others go on.
const OUTPUT_STALL_MAX: Duration = Duration::from_secs(30);

/// What a command without limits of its own may take: work on files.
const FILE_WAIT_MAX: Duration = Duration::from_secs(1_800);
