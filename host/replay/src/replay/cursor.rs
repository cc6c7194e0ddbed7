//! How far a replay is in its recording. Pure.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolpost_sandbox::{SandboxError, StepOutcome};

use super::describe;
use crate::recording::calls::only_tells;
use crate::recording::{Answer, Call, Recording};

/// Where a plugin first did something else than the recorded one.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// The number of the call, from 1.
    pub number: usize,
    /// What the recorded plugin did there; `None` when it had ended.
    pub recorded: Option<String>,
    /// What this one did; `None` when it ended.
    pub now: Option<String>,
    /// Why the recording says nothing of it, when it was cut there.
    pub cut: Option<String>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ENDED: &str = "(the step ended)";
        let number = self.number;
        if let Some(cut) = &self.cut {
            writeln!(f, "call {number} is not in the recording: {cut}")?;
        } else {
            writeln!(f, "call {number} is another one:")?;
            let recorded = self.recorded.as_deref().unwrap_or(ENDED);
            writeln!(f, "  recorded: {recorded}")?;
        }
        write!(f, "  now:      {}", self.now.as_deref().unwrap_or(ENDED))
    }
}

/// What a replay answers.
pub(super) enum Taken {
    /// As recorded.
    Answer(Answer),
    /// The call only tells, and that is done.
    Done,
    /// The recording has no answer; the text is for people.
    Unknown(String),
}

/// The place in a recording.
pub(super) struct Cursor {
    calls: Vec<Call>,
    taken: Vec<bool>,
    /// The call that is expected next.
    next: usize,
    /// Calls that were made.
    made: usize,
    cut: Option<String>,
    cancelled_after: Option<usize>,
    cancel: CancellationToken,
    divergence: Option<Divergence>,
    incomplete: Vec<String>,
}

/// Locks a cursor, also after a panic: it is as it was.
pub(super) fn lock(cursor: &Mutex<Cursor>) -> MutexGuard<'_, Cursor> {
    cursor.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cursor {
    pub(super) fn new(recording: &Recording, cancel: CancellationToken) -> Self {
        let cursor = Self {
            taken: vec![false; recording.calls.len()],
            calls: recording.calls.clone(),
            next: 0,
            made: 0,
            cut: recording.cut.clone(),
            cancelled_after: recording.cancelled_after,
            cancel,
            divergence: None,
            incomplete: Vec::new(),
        };
        cursor.cancel_if_due();
        cursor
    }

    /// The recorded step was cancelled after so many calls, while the last of them was answered.
    fn cancel_if_due(&self) {
        if self.cancelled_after.is_some_and(|after| self.made >= after) {
            self.cancel.cancel();
        }
    }

    /// The answer to a call.
    pub(super) fn take(&mut self, call: &str, about: &Value) -> Taken {
        self.made += 1;
        self.cancel_if_due();
        let is_it = |recorded: &Call| recorded.call == call && recorded.about == *about;
        let expected = self.calls.get(self.next);
        if expected.is_some_and(is_it) {
            return self.answer(self.next);
        }
        let same_call = expected.is_some_and(|recorded| recorded.call == call);
        self.diverge(Some(describe(call, about)));
        // The same question at another time has the same answer, as far as anybody can tell; the next one first.
        let later = self.next..self.calls.len();
        let earlier = 0..self.next.min(self.calls.len());
        let found = later
            .chain(earlier)
            .find(|index| !self.taken[*index] && is_it(&self.calls[*index]));
        match found {
            Some(index) => self.answer(index),
            // The recorded plugin told something else here: the trail goes on behind it.
            None if only_tells(call) => {
                if same_call {
                    self.taken[self.next] = true;
                    self.next += 1;
                }
                Taken::Done
            }
            None => Taken::Unknown(format!(
                "the recording has no answer to {}",
                describe(call, about)
            )),
        }
    }

    fn answer(&mut self, index: usize) -> Taken {
        self.taken[index] = true;
        self.next = index + 1;
        match &self.calls[index].answer {
            Some(answer) => Taken::Answer(answer.clone()),
            None if only_tells(&self.calls[index].call) => Taken::Done,
            None => Taken::Unknown("the recorded step ended before this was answered".into()),
        }
    }

    fn diverge(&mut self, now: Option<String>) {
        if self.divergence.is_some() {
            return;
        }
        let recorded = self.calls.get(self.next);
        self.divergence = Some(Divergence {
            number: self.made.max(1),
            recorded: recorded.map(|call| describe(&call.call, &call.about)),
            now,
            cut: self.cut.clone().filter(|_| recorded.is_none()),
        });
    }

    /// The plugin ended: whether it did so where the recorded one did.
    pub(super) fn ended(&mut self, ended: &Result<StepOutcome, SandboxError>) {
        let is_expected = self.next >= self.calls.len() && self.cut.is_none();
        // A run that was ended for want of an answer has diverged before.
        let has_diverged = matches!(ended, Err(SandboxError::Host(_)));
        if !is_expected && !has_diverged && self.next < self.calls.len() {
            self.made += 1;
            self.diverge(None);
        }
    }

    /// The first recorded value of a property that the plugin asks for out of order.
    pub(super) fn divergence(&self) -> Option<Divergence> {
        self.divergence.clone()
    }

    pub(super) fn used(&self) -> usize {
        self.taken.iter().filter(|taken| **taken).count()
    }

    /// Notes that the recording has only the beginning of a command's output.
    pub(super) fn note_incomplete(&mut self, command: String) {
        self.incomplete.push(command);
    }

    pub(super) fn incomplete(&self) -> Vec<String> {
        self.incomplete.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::recording::calls::{READ, SUMMARY};

    fn call(name: &str, about: Value, answer: Value) -> Call {
        Call {
            call: name.into(),
            about,
            answer: Some(Answer::Is(answer)),
        }
    }

    fn cursor(calls: Vec<Call>) -> Cursor {
        Cursor {
            taken: vec![false; calls.len()],
            calls,
            next: 0,
            made: 0,
            cut: None,
            cancelled_after: None,
            cancel: CancellationToken::new(),
            divergence: None,
            incomplete: Vec::new(),
        }
    }

    fn recorded() -> Cursor {
        cursor(vec![
            call(READ, json!({"path": "a"}), json!("one")),
            call(SUMMARY, json!({"text": "half"}), Value::Null),
            call(READ, json!({"path": "b"}), json!("two")),
        ])
    }

    fn text(taken: &Taken) -> String {
        match taken {
            Taken::Answer(Answer::Is(value)) => value.to_string(),
            Taken::Answer(Answer::Failed(failure)) => failure.kind.clone(),
            Taken::Done => "done".into(),
            Taken::Unknown(text) => text.clone(),
        }
    }

    /// Makes calls and gives their answers, and the divergence.
    fn make(mut cursor: Cursor, calls: &[(&str, Value)]) -> (Vec<String>, Option<String>) {
        let answers = calls
            .iter()
            .map(|(call, about)| text(&cursor.take(call, about)));
        let answers = answers.collect();
        (answers, cursor.divergence().map(|found| found.to_string()))
    }

    #[test]
    fn the_same_calls_have_the_same_answers() {
        let same = [
            (READ, json!({"path": "a"})),
            (SUMMARY, json!({"text": "half"})),
            (READ, json!({"path": "b"})),
        ];
        let (answers, divergence) = make(recorded(), &same);
        assert_eq!(answers, ["\"one\"", "null", "\"two\""]);
        assert_eq!(divergence, None);
    }

    #[test]
    fn another_text_is_told_and_the_trail_goes_on() {
        let other = [
            (READ, json!({"path": "a"})),
            (SUMMARY, json!({"text": "most"})),
            (READ, json!({"path": "b"})),
        ];
        let (answers, divergence) = make(recorded(), &other);
        assert_eq!(answers, ["\"one\"", "done", "\"two\""]);
        assert_eq!(
            divergence.unwrap(),
            "call 2 is another one:\n  recorded: step-status.set-summary {\"text\":\"half\"}\n  \
             now:      step-status.set-summary {\"text\":\"most\"}"
        );
    }

    #[test]
    fn questions_in_another_order_are_answered_as_then() {
        let swapped = [(READ, json!({"path": "b"})), (READ, json!({"path": "a"}))];
        let (answers, divergence) = make(recorded(), &swapped);
        assert_eq!(answers, ["\"two\"", "\"one\""]);
        assert!(divergence.unwrap().starts_with("call 1 is another one"));
    }

    #[test]
    fn a_question_that_was_never_asked_has_no_answer() {
        let (answers, _) = make(recorded(), &[(READ, json!({"path": "c"}))]);
        assert_eq!(
            answers,
            ["the recording has no answer to worker-files.read {\"path\":\"c\"}"]
        );
    }

    #[test]
    fn where_a_recording_was_cut_it_says_so() {
        let mut short = recorded();
        short.calls.truncate(1);
        short.cut = Some("it was full after 1 calls".into());
        let longer = [
            (READ, json!({"path": "a"})),
            (SUMMARY, json!({"text": "half"})),
        ];
        let (_, divergence) = make(short, &longer);
        assert!(
            divergence
                .unwrap()
                .starts_with("call 2 is not in the recording: it was full")
        );
    }
}
