//! What a step asked of its master, and what it was answered: enough to run it again somewhere else.
//!
//! A recording is JSON with a version. Calls have the names of the contract (`worker-files.read`); what they are about and
//! what was answered is plain JSON, so that a recording can be read by people and outlives changes of this program. What a
//! plugin hands over and is long is kept as length, digest and beginning; what it is given is kept whole, until the
//! recording is full.

pub(crate) mod calls;
mod farm;
mod recorder;
mod services;
mod tape;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::facts::{BuildFacts, Failure, StampFacts};
pub use recorder::Recorder;
pub use tape::{CurrentMasker, RecordingLimits, RecordingRoom};

/// The version of the format that this program writes.
pub const RECORDING_VERSION: u32 = 1;

/// One run of a plugin's step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recording {
    /// Version of this format.
    pub version: u32,
    /// Whose step it was.
    pub plugin: PluginFacts,
    /// What the step was configured with, rendered.
    pub parameters: Value,
    /// What it might use.
    pub limits: LimitFacts,
    /// The build.
    pub build: BuildFacts,
    /// The build's properties when the step had ended, each with `value` and `source`.
    pub properties: Value,
    /// The calls, in order.
    pub calls: Vec<Call>,
    /// After how many calls it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_after: Option<usize>,
    /// Why later calls are missing; `None` when all are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// How it ended.
    pub end: End,
}

/// A version of a plugin, and one of its types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PluginFacts {
    /// Name of the plugin.
    pub name: String,
    /// Its version as it says itself.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// Name of the step type.
    pub step_type: String,
}

/// The limits of a call that an operator can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LimitFacts {
    /// Time spent computing.
    pub cpu_ms: u64,
    /// Time from start to end.
    pub wall_ms: u64,
    /// Memory.
    pub memory_bytes: u64,
    /// What it may append to logs.
    pub step_log_bytes: u64,
}

/// One call of a host function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Call {
    /// Name of the function.
    pub call: String,
    /// What it was about.
    pub about: Value,
    /// What was answered; `None` when the step ended first.
    pub answer: Option<Answer>,
}

/// What the host answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It was done.
    Is(Value),
    /// It could not be done.
    Failed(Failure),
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The plugin gave a result.
    #[serde(rename_all = "kebab-case")]
    Outcome {
        /// Its name, such as `failure`.
        results: String,
        /// The text of the step.
        summary: String,
    },
    /// There is none.
    #[serde(rename_all = "kebab-case")]
    Error {
        /// A word for what happened, such as `trap`.
        word: String,
        /// Why, for people.
        text: String,
        /// Where in the plugin, innermost first.
        stack: Vec<String>,
    },
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome { results, summary } if summary.is_empty() => f.write_str(results),
            Self::Outcome { results, summary } => write!(f, "{results}: {summary}"),
            Self::Error { word, text, .. } => write!(f, "{word}: {text}"),
        }
    }
}

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is damaged, or none.
    #[error("this is no recording of a step: {0}")]
    Format(#[from] serde_json::Error),
    /// It comes from a newer program.
    #[error(
        "the recording has version {found}, this program reads up to {RECORDING_VERSION}: use the program of the master"
    )]
    Newer {
        /// Its version.
        found: u64,
    },
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// When it is damaged, or of a newer program.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordingError> {
        let value: Value = serde_json::from_slice(bytes)?;
        // The version first: what a newer program writes may not fit the rest.
        match value.get("version").and_then(Value::as_u64) {
            Some(found) if found > u64::from(RECORDING_VERSION) => {
                Err(RecordingError::Newer { found })
            }
            _ => Ok(serde_json::from_value(value)?),
        }
    }

    /// The recording as it is stored.
    ///
    /// # Errors
    /// When a value is nested too deeply for JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RecordingError> {
        Ok(serde_json::to_vec(self)?)
    }
}
