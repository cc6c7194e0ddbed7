//! Why a file operation failed.

use std::fmt::Display;
use std::io;

use rustix::io::Errno;

/// What [`FileError::WrongKind`] expected where a directory is.
pub(crate) const A_FILE: &str = "a file";

/// Why a file operation failed. The text is for the person who wrote the step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The path cannot be used as it is written.
    #[error("path `{path}` cannot be used: {reason}")]
    InvalidPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It leads out of the build's directory.
    #[error(
        "path `{path}` leads out of the build's directory (absolute, by `..` or by a symbolic link)"
    )]
    Outside {
        /// The path.
        path: String,
    },
    /// Nothing is there.
    #[error("`{path}` does not exist on the worker")]
    NotFound {
        /// The path.
        path: String,
    },
    /// Something else is there.
    #[error("`{path}` is not {expected}")]
    WrongKind {
        /// The path.
        path: String,
        /// What it should be.
        expected: &'static str,
    },
    /// More than the worker allows.
    #[error("{what} of `{path}` exceeds the worker's limit of {limit} ({limit_name})")]
    TooLarge {
        /// The path or pattern.
        path: String,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The limit's name.
        limit_name: &'static str,
    },
    /// The pattern has no meaning.
    #[error("pattern `{pattern}` cannot be used: {reason}")]
    InvalidPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refuses.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The worker shuts down, or the operation crashed.
    #[error("the file operation was cut off by the end of the worker")]
    Stopped,
}

impl FileError {
    /// The system's number for it, or that of what comes next to it.
    #[must_use]
    pub fn number(&self) -> i32 {
        let number = match self {
            Self::NotFound { .. } => Errno::NOENT,
            Self::Outside { .. } => Errno::ACCESS,
            Self::WrongKind { expected, .. } if *expected == A_FILE => Errno::ISDIR,
            Self::WrongKind { .. } => Errno::NOTDIR,
            Self::TooLarge { .. } => Errno::FBIG,
            Self::InvalidPath { .. } | Self::InvalidPattern { .. } => Errno::INVAL,
            Self::Stopped => Errno::INTR,
            Self::Io { source, .. } => Errno::from_io_error(source).unwrap_or(Errno::IO),
        };
        number.raw_os_error()
    }

    /// What a system error means for this path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Display,
        source: impl Into<io::Error>,
    ) -> Self {
        let source = source.into();
        let path = path.to_string();
        match Errno::from_io_error(&source) {
            Some(Errno::NOENT) => Self::NotFound { path },
            Some(Errno::XDEV) if action != "rename" => Self::Outside { path },
            Some(Errno::NOTDIR) => Self::WrongKind {
                path,
                expected: "a directory",
            },
            Some(Errno::ISDIR) => Self::WrongKind {
                path,
                expected: A_FILE,
            },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }
}
