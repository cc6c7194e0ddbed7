//! How a step ends.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of a step, a build or a build set. What it does to the build is decided by the options of the step in the
/// configuration (`haltOnFailure`, `flunkOnFailure` and so on).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Results {
    /// It worked.
    #[default]
    Success,
    /// It worked, with something to look at.
    Warnings,
    /// It ran and did not work: the code under test is at fault.
    Failure,
    /// There was nothing to do.
    Skipped,
    /// It could not be run properly: the farm is at fault.
    Exception,
    /// The whole build is to be run again.
    Retry,
    /// A person or a rule stopped it.
    Cancelled,
}

impl fmt::Display for Results {
    /// `success`, as JSON has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Success => "success",
            Self::Warnings => "warnings",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
            Self::Exception => "exception",
            Self::Retry => "retry",
            Self::Cancelled => "cancelled",
        })
    }
}

/// The end of a step: its result, and the text that people see beside its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub results: Results,
    /// Such as `412 passed, 3 failed`. Empty keeps the text that
    /// [`Context::set_summary`](crate::Context::set_summary) has set last. At most 1 KiB.
    pub summary: String,
}

impl Outcome {
    /// Ends a step with this result.
    pub fn new(results: Results, summary: impl Into<String>) -> Self {
        Self {
            results,
            summary: summary.into(),
        }
    }

    /// The step worked.
    pub fn success(summary: impl Into<String>) -> Self {
        Self::new(Results::Success, summary)
    }

    /// The step worked, with something to look at.
    pub fn warnings(summary: impl Into<String>) -> Self {
        Self::new(Results::Warnings, summary)
    }

    /// The step ran, and the code under test is at fault.
    pub fn failure(summary: impl Into<String>) -> Self {
        Self::new(Results::Failure, summary)
    }

    /// There was nothing to do.
    pub fn skipped(summary: impl Into<String>) -> Self {
        Self::new(Results::Skipped, summary)
    }
}
