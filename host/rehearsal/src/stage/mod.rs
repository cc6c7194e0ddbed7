//! Where plugins are rehearsed: hosts that answer from scripts, in a time that is put forward when everybody waits.

mod clock;
mod command;
mod farm;
mod files;
pub(crate) mod journal;
pub(crate) mod reports;
mod secrets;
mod services;
mod step;
mod triggers;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use toolpost_core::Timestamp;
use toolpost_replay::Collected;
use toolpost_sandbox::host::{HostError, TestSet};

pub(crate) use clock::{Clock, show as show_span};
pub(crate) use secrets::Secrets;
pub(crate) use services::ScriptedServices;
pub(crate) use step::StepStage;

use crate::verdict::Mismatch;

/// What the hosts of one test note.
pub(crate) struct Notes {
    state: Mutex<Noted>,
    pub(crate) clock: Clock,
    pub(crate) secrets: Secrets,
    /// Cancels what is tested.
    pub(crate) cancel: CancellationToken,
}

#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) collected: Collected,
    /// Commands that were started, in order.
    pub(crate) commands: Vec<Map<String, Value>>,
    /// Requests that were sent, in order.
    pub(crate) requests: Vec<Value>,
    pub(crate) test_results: Vec<TestSetNote>,
    pub(crate) triggers: Vec<Value>,
    /// What the script has no answer to.
    pub(crate) unanswered: Vec<Mismatch>,
}

/// A set of test results.
pub(crate) struct TestSetNote {
    pub(crate) head: Map<String, Value>,
    pub(crate) results: Vec<Value>,
}

impl Noted {
    /// A set of test results that was made.
    fn test_set(&mut self, set: TestSet) -> Result<&mut TestSetNote, HostError> {
        let place = usize::try_from(set.0 - 1).unwrap_or(usize::MAX);
        let found = self.test_results.get_mut(place);
        found.ok_or_else(|| HostError::Internal("there is no such set of test results".into()))
    }
}

impl Notes {
    pub(crate) fn new(clock: Clock, secrets: Secrets) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            clock,
            secrets,
            cancel: CancellationToken::new(),
        })
    }

    /// What a replay has noted.
    pub(crate) fn replayed(collected: Collected) -> Self {
        Self {
            state: Mutex::new(Noted {
                collected,
                ..Noted::default()
            }),
            clock: Clock::starting_at(Timestamp(0)),
            secrets: Secrets::default(),
            cancel: CancellationToken::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Noted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the script does not say what comes of this, and gives a text about it.
    pub(crate) fn unanswered(&self, table: &str, about: &str, known: &[String]) -> String {
        let expected = match known {
            [] => format!("(the script has no [[{table}]])"),
            known => known.join("\n"),
        };
        self.lock().unanswered.push(Mismatch {
            line: 0,
            what: format!("no [[{table}]] is for this"),
            expected,
            seen: about.to_owned(),
        });
        format!("no [[{table}]] of the script is for `{about}`")
    }
}

/// Bytes as a script would have them.
pub(crate) fn text_of(bytes: &[u8]) -> Value {
    use base64::Engine as _;
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => {
            let text = base64::prelude::BASE64_STANDARD.encode(bytes);
            json!({ "base64": text })
        }
    }
}
