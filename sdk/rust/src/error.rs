//! Why a plugin could not do its work.

use std::error::Error as StdError;
use std::{fmt, io};

/// Why a plugin could not do its work, by what helps against it. A test that fails is no error but
/// [`Outcome::failure`](crate::Outcome::failure).
///
/// The texts are for people: lower-case fragments that say what they can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Trying again later may help: the worker was lost, a server did not answer. A step ends as
    /// RETRY, and the whole build runs again; schedulers and reporters are called again.
    Retryable(String),
    /// Trying again does not help: a program that does not exist. A step ends as EXCEPTION; what a
    /// reporter was to tell is put aside.
    Permanent(String),
    /// The parameters in the configuration have to change, for a reason that their JSON Schema cannot
    /// express. It ends as with [`Error::Permanent`].
    Config {
        /// The parameter, such as `thresholds.fail`; empty when it is about several.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Error {
    /// Trying again later may help.
    pub fn retryable(message: impl fmt::Display) -> Self {
        Self::Retryable(message.to_string())
    }

    /// Trying again does not help.
    pub fn permanent(message: impl fmt::Display) -> Self {
        Self::Permanent(message.to_string())
    }

    /// The parameter `field` has to change.
    pub fn config(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::Config {
            field: field.into(),
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retryable(message) | Self::Permanent(message) => formatter.write_str(message),
            Self::Config { field, message } if field.is_empty() => formatter.write_str(message),
            Self::Config { field, message } => write!(formatter, "parameter `{field}`: {message}"),
        }
    }
}

impl StdError for Error {}

/// A file on the worker could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// The path or pattern, as the plugin gave it.
    pub path: String,
    /// The reason.
    pub kind: FileErrorKind,
}

/// Why a file on the worker could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileErrorKind {
    /// There is nothing at this path.
    NotFound,
    /// It is a directory where a file is needed, or the other way round.
    WrongKind,
    /// A directory that is not empty was to be removed without what is in it.
    NotEmpty,
    /// The path leads outside the directory of the build, or is not a path.
    Outside,
    /// The worker's system does not allow it.
    Denied,
    /// The connection to the worker broke.
    WorkerLost(String),
    /// Something else, in words.
    Other(String),
}

impl fmt::Display for FileErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => formatter.write_str("it does not exist"),
            Self::WrongKind => formatter.write_str("it is not of the right kind (file, directory)"),
            Self::NotEmpty => formatter.write_str("the directory is not empty"),
            Self::Outside => formatter.write_str("it is outside the directory of the build"),
            Self::Denied => formatter.write_str("the worker's system does not allow it"),
            Self::WorkerLost(reason) => write!(formatter, "the worker was lost: {reason}"),
            Self::Other(reason) => formatter.write_str(reason),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, path, kind } = self;
        write!(formatter, "could not {action} `{path}`: {kind}")
    }
}

impl StdError for FileError {}

impl From<FileError> for Error {
    /// A lost worker is worth another try, all else is not.
    fn from(error: FileError) -> Self {
        match error.kind {
            FileErrorKind::WorkerLost(_) => Self::retryable(error),
            _ => Self::permanent(error),
        }
    }
}

impl From<FileError> for io::Error {
    /// For readers of files on the worker; [`Error`] recovers the original.
    fn from(error: FileError) -> Self {
        let kind = match error.kind {
            FileErrorKind::NotFound => io::ErrorKind::NotFound,
            FileErrorKind::Denied => io::ErrorKind::PermissionDenied,
            FileErrorKind::WorkerLost(_) => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<FileError>())
        {
            Some(file_error) => file_error.clone().into(),
            None => Self::permanent(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_error_names_its_parameter() {
        let error = Error::config("fail_above", "is below warn_above");
        assert_eq!(
            error.to_string(),
            "parameter `fail_above`: is below warn_above"
        );
        assert_eq!(Error::config("", "choose one").to_string(), "choose one");
    }

    #[test]
    fn only_a_lost_worker_makes_a_file_error_worth_a_retry() {
        let check = |kind, expected: Error| {
            let error = FileError {
                action: "read",
                path: "a.xml".to_owned(),
                kind,
            };
            assert_eq!(Error::from(error.clone()), expected);
            assert_eq!(
                Error::from(io::Error::from(error)),
                expected,
                "through std::io"
            );
        };
        check(
            FileErrorKind::WorkerLost("reset".to_owned()),
            Error::retryable("could not read `a.xml`: the worker was lost: reset"),
        );
        check(
            FileErrorKind::NotFound,
            Error::permanent("could not read `a.xml`: it does not exist"),
        );
    }
}
