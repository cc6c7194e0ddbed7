//! Runs a step again on the answers of a recording.
//!
//! Calls are matched in their order. A plugin that asks for something else than the recorded one leaves the trail: the first such
//! call is kept as the [`Divergence`]. It goes on as long as the recording has answers: a question that was asked at another time is
//! answered as then, and what only tells is taken. A question that was never asked ends the run.

mod cursor;
mod farm;
mod host;
mod services;

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolpost_sandbox::{CallLimits, SandboxError, StepHost, StepOutcome, StepType};

pub use cursor::Divergence;

use crate::Collected;
use crate::recording::{End, LimitFacts, Recording};
use cursor::Cursor;
use host::ReplayHost;

/// What came of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// How the step ended now.
    pub ended: Result<StepOutcome, SandboxError>,
    /// Where it first did something else than it did then.
    pub divergence: Option<Divergence>,
    /// The calls that the recording has, and how many of them were made again.
    pub calls: (usize, usize),
    /// Commands whose output the recording has only the beginning of.
    pub incomplete: Vec<String>,
    /// What it said and changed.
    pub collected: Collected,
}

impl Replayed {
    /// Whether it did and ended as recorded.
    #[must_use]
    pub fn is_same(&self, recording: &Recording) -> bool {
        self.divergence.is_none() && End::from(&self.ended) == recording.end
    }
}

/// Runs a step type on a recording.
///
/// # Errors
/// When parameters or properties of the recording cannot be read.
pub async fn replay(recording: &Recording, step_type: &StepType) -> Replayed {
    let cancel = CancellationToken::new();
    let cursor = Arc::new(Mutex::new(Cursor::new(recording, cancel.clone())));
    let host = Arc::new(ReplayHost::new(recording, Arc::clone(&cursor)));
    let ended = step_type
        .run(
            &recording.parameters,
            Arc::clone(&host) as Arc<dyn StepHost>,
            limits(&recording.limits),
            cancel,
        )
        .await;
    let collected = host.collected();
    let mut cursor = cursor::lock(&cursor);
    cursor.ended(&ended);
    Replayed {
        ended,
        divergence: cursor.divergence(),
        calls: (recording.calls.len(), cursor.used()),
        incomplete: cursor.incomplete(),
        collected,
    }
}

/// The limits that the step had.
#[must_use]
pub fn limits(facts: &LimitFacts) -> CallLimits {
    CallLimits {
        cpu: std::time::Duration::from_millis(facts.cpu_ms),
        wall: std::time::Duration::from_millis(facts.wall_ms),
        memory_bytes_max: usize::try_from(facts.memory_bytes).unwrap_or(usize::MAX),
        step_log_bytes_max: facts.step_log_bytes,
        ..CallLimits::default()
    }
}

/// A call as one line: `worker-files.read {"path":"a.xml"}`.
#[must_use]
pub fn describe(call: &str, about: &Value) -> String {
    match about {
        Value::Object(members) if members.is_empty() => call.to_owned(),
        about => format!("{call} {about}"),
    }
}
