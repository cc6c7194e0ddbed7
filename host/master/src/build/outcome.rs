//! How a step ends.

use toolpost_core::Results;
use toolpost_core::step::CutShort;
use toolpost_store::StoreError;

use super::logs::LogError;

/// A step came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepEnd {
    pub(crate) results: Results,
    /// What it says of itself.
    pub(crate) summary: Option<String>,
    pub(crate) cut_short: Option<CutShort>,
}

impl StepEnd {
    pub(crate) fn new(results: Results, summary: impl Into<String>) -> Self {
        Self {
            results,
            summary: Some(summary.into()),
            cut_short: None,
        }
    }
}

/// A step could not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// What it needs is not there; the person who wrote the step can do something about it.
    #[error("{0}")]
    Failed(String),
    /// A program that it needs is not on the worker.
    #[error("{0}")]
    NoProgram(String),
    /// The build was stopped.
    #[error("the step was cancelled")]
    Cancelled,
    /// The worker went away; another attempt may do better.
    #[error("the worker was lost: {0}")]
    WorkerLost(String),
    /// The master could not do its part.
    #[error("{0}")]
    Exception(String),
    /// A plugin could not do its part.
    #[error("{message}")]
    Plugin {
        /// How the step ends.
        results: Results,
        message: String,
        /// Where in the plugin it happened; empty where that says nothing.
        stack: String,
    },
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Exception(error.to_string())
    }
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        Self::Exception(error.to_string())
    }
}

impl Fault {
    /// What the log says that tells why a step is an exception.
    pub(crate) fn report(&self) -> String {
        match self {
            Self::Plugin { message, stack, .. } if !stack.is_empty() => {
                format!("{message}\n\n{stack}")
            }
            fault => format!("{fault}\n"),
        }
    }

    /// The result of the step.
    pub(crate) fn results(&self) -> Results {
        match self {
            Self::Failed(_) | Self::NoProgram(_) => Results::Failure,
            Self::Cancelled => Results::Cancelled,
            Self::WorkerLost(_) => Results::Retry,
            Self::Exception(_) => Results::Exception,
            Self::Plugin { results, .. } => *results,
        }
    }
}
