//! What the operator decides about a worker.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::cgroup::GroupLimits;
use crate::user::User;

/// How the names of the variables begin that configure this process.
const OWN_VARIABLES: &[u8] = b"TOOLPOST_";

/// How a local worker is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalWorkerOptions {
    /// Beneath it lies a directory for each builder. Made if missing; one worker at a time may use it.
    pub base_dir: PathBuf,
    /// What a command's environment starts from. By default this process's own without what is
    /// meant for it alone: the variables that begin with `TOOLPOST_`.
    pub environment: Vec<(OsString, OsString)>,
    /// As whom commands run and files are worked on, if not as whom this process runs. The base directory is made that
    /// user's.
    pub user: Option<User>,
    /// What each command may have of the machine.
    pub command_limits: GroupLimits,
    /// What protects the machine.
    pub limits: Limits,
}

impl LocalWorkerOptions {
    /// The defaults, with this base directory.
    #[must_use]
    pub fn new(base_dir: impl Into<PathBuf>) -> Self {
        Self {
            base_dir: base_dir.into(),
            environment: std::env::vars_os()
                .filter(|(name, _)| !name.as_bytes().starts_with(OWN_VARIABLES))
                .collect(),
            user: None,
            command_limits: GroupLimits::default(),
            limits: Limits::default(),
        }
    }
}

/// The limits of one worker. All of them hold whatever a build or a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Commands that run at once. More wait for their turn.
    pub commands_max: usize,
    /// How long a command waits for its turn before it is refused.
    pub start_wait_max: Duration,
    /// Output of one command that was read from its pipes and not yet taken. Beyond it the pipes are
    /// not read, so that the command waits. At least 256 KiB, whatever is asked for.
    pub output_queue_bytes_max: usize,
    /// How long the pipes of a command that has ended may stay open in other hands (a daemon that it
    /// started) before they are closed.
    pub pipe_close_wait: Duration,
    /// How long to wait for a command to die of SIGKILL before it is given up as lost.
    pub kill_wait: Duration,
    /// File operations that run at once. More wait.
    pub file_operations_max: usize,
    /// The most that one read or write of a file carries; larger files go piece by piece.
    pub file_piece_bytes_max: usize,
    /// The largest file that appending may make.
    pub file_bytes_max: u64,
    /// Entries of one listed directory.
    pub list_entries_max: usize,
    /// Files and directories that a glob looks at.
    pub glob_entries_max: usize,
    /// Paths that a glob finds, all together.
    pub glob_found_bytes_max: usize,
    /// Files and directories that a copy makes.
    pub copy_entries_max: usize,
    /// How deep directories may be nested for glob, copy and remove.
    pub tree_depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            commands_max: 100,
            start_wait_max: Duration::from_secs(600),
            output_queue_bytes_max: 1024 * 1024,
            pipe_close_wait: Duration::from_secs(2),
            kill_wait: Duration::from_secs(30),
            file_operations_max: 32,
            file_piece_bytes_max: 16 * 1024 * 1024,
            file_bytes_max: 64 * 1024 * 1024 * 1024,
            list_entries_max: 100_000,
            glob_entries_max: 1_000_000,
            glob_found_bytes_max: 16 * 1024 * 1024,
            copy_entries_max: 2_000_000,
            tree_depth_max: 200,
        }
    }
}

/// Why a worker could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The base directory cannot be made or opened.
    #[error("the worker's base directory {} cannot be used: {source}", path.display())]
    BaseDir {
        /// The base directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Commands cannot be limited as they are to be.
    #[error("commands cannot be limited: {reason}")]
    Limits {
        /// What is missing, and what to do.
        reason: String,
    },
    /// Another worker uses it.
    #[error(
        "the worker's base directory {} is in use by another worker; give each its own",
        path.display()
    )]
    InUse {
        /// The base directory.
        path: PathBuf,
    },
}
