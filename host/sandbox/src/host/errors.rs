//! Why the master could not do what a plugin asked for.

/// Why a call did not work. The texts are for people: lower-case fragments that say what they can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Trying again later may help.
    #[error("{0}")]
    Retryable(String),
    /// Trying again does not help.
    #[error("{0}")]
    Permanent(String),
    /// The operator has to change the configuration.
    #[error("{0}")]
    Config(String),
    /// The master itself is in trouble (its store is gone, for instance): the plugin is stopped and
    /// not told about it.
    #[error("{0}")]
    Internal(String),
}

/// Why a file operation on the worker did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is nothing at the path.
    #[error("there is nothing at this path")]
    NotFound,
    /// A directory where a file is needed, or the other way round.
    #[error("it is a directory where a file is needed, or the other way round")]
    WrongKind,
    /// A directory with contents, and not `recursive`.
    #[error("the directory is not empty")]
    NotEmpty,
    /// The path leads out of the build's directory, or is no path.
    #[error("the path leads out of the build's directory")]
    Outside,
    /// The worker's system does not allow it.
    #[error("the worker's system does not allow it")]
    Denied,
    /// The connection to the worker broke.
    #[error("the worker is lost: {0}")]
    WorkerLost(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
    /// The master itself is in trouble: the plugin is stopped and not told about it.
    #[error("{0}")]
    Internal(String),
}
