//! Where calls are noted while a step runs: little memory, and never more than was agreed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use toolpost_core::secret::Masker;
use toolpost_sandbox::host::{CommandExit, HostError, OutputChunk, OutputSource};

use super::{Answer, Call};
use crate::facts::{CommandFacts, ExitFacts, Failure, OutputFacts, blob};

/// How much of one step is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordingLimits {
    /// Calls.
    pub calls_max: usize,
    /// Bytes of what calls are about and of answers.
    pub bytes_max: usize,
}

impl Default for RecordingLimits {
    fn default() -> Self {
        Self {
            calls_max: 20_000,
            bytes_max: 4 << 20,
        }
    }
}

/// Memory that all recordings of a master share.
#[derive(Debug)]
pub struct RecordingRoom {
    used: AtomicUsize,
    bytes_max: usize,
}

impl RecordingRoom {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            bytes_max,
        })
    }

    /// Bytes that running steps use of it.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let grown = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Gives what hides all secrets that are known at that moment.
pub type CurrentMasker = Box<dyn Fn() -> Arc<Masker> + Send + Sync>;

/// The calls of one step.
pub(super) struct Tape {
    limits: RecordingLimits,
    room: Arc<RecordingRoom>,
    masker: CurrentMasker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    noted: Vec<Noted>,
    bytes: usize,
    cut: Option<String>,
    cancelled_after: Option<usize>,
}

struct Noted {
    call: &'static str,
    /// JSON text, which takes a fraction of the memory of a value.
    about: Box<str>,
    answer: Kept,
}

enum Kept {
    Nothing,
    /// JSON text.
    Value(Box<str>),
    Failed(Failure),
    Command(CommandTape),
}

#[derive(Default)]
struct CommandTape {
    output: Vec<(OutputSource, Bytes)>,
    dropped_bytes: u64,
    exit: Option<CommandExit>,
}

/// A call that was noted; `None` when there was no room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot(Option<usize>);

impl Slot {
    /// Its place among the calls.
    pub(super) fn number(self) -> Option<usize> {
        self.0
    }
}

impl Tape {
    pub(super) fn new(
        limits: RecordingLimits,
        room: Arc<RecordingRoom>,
        masker: CurrentMasker,
    ) -> Self {
        Self {
            limits,
            room,
            masker,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for so many more bytes, which are taken then.
    fn take(&self, state: &mut State, bytes: usize) -> bool {
        if state.cut.is_some() {
            return false;
        }
        let limit = self.limits.bytes_max;
        let number = state.noted.len();
        if state.bytes.saturating_add(bytes) > limit {
            state.cut = Some(format!(
                "it was full after {number} calls: a step keeps {limit} bytes"
            ));
            return false;
        }
        if !self.room.take(bytes) {
            state.cut = Some(format!(
                "it was full after {number} calls: all steps that ran together kept {} bytes",
                self.room.bytes_max
            ));
            return false;
        }
        state.bytes += bytes;
        true
    }

    /// Whether anything is still noted. Who would have to work for what is told asks first.
    pub(super) fn has_room(&self) -> bool {
        self.state().cut.is_none()
    }

    /// Notes that a call began.
    pub(super) fn begin(&self, call: &'static str, about: Value) -> Slot {
        if !self.has_room() {
            return Slot(None);
        }
        let about = self.text(about);
        let mut state = self.state();
        let number = state.noted.len();
        if number >= self.limits.calls_max {
            let limit = self.limits.calls_max;
            let full = || format!("it was full: a step keeps {limit} calls");
            state.cut.get_or_insert_with(full);
        }
        if !self.take(&mut state, about.len()) {
            return Slot(None);
        }
        state.noted.push(Noted {
            call,
            about,
            answer: Kept::Nothing,
        });
        Slot(Some(number))
    }

    /// Notes a call that is answered with nothing.
    pub(super) fn tell(&self, call: &'static str, about: Value) {
        let slot = self.begin(call, about);
        self.answer(slot, Value::Null);
    }

    /// Notes what was answered.
    pub(super) fn answer(&self, slot: Slot, answer: Value) {
        if slot.0.is_some() {
            let text = self.text(answer);
            self.keep(slot, text.len(), Kept::Value(text));
        }
    }

    /// Notes bytes as an answer, which are masked as a whole.
    pub(super) fn answer_bytes(&self, slot: Slot, bytes: &[u8]) {
        if slot.0.is_some() {
            let text: Box<str> = blob(&(self.masker)().mask(bytes)).to_string().into();
            self.keep(slot, text.len(), Kept::Value(text));
        }
    }

    /// Notes why there was no answer.
    pub(super) fn fail(&self, slot: Slot, failure: Failure) {
        let text = (self.masker)().mask_text(&failure.text).into_owned();
        let failure = Failure { text, ..failure };
        self.keep(slot, failure.text.len(), Kept::Failed(failure));
    }

    /// Notes that a command runs; its output and end come later.
    pub(super) fn command(&self, slot: Slot) {
        self.keep(slot, 0, Kept::Command(CommandTape::default()));
    }

    fn keep(&self, slot: Slot, bytes: usize, answer: Kept) {
        let mut state = self.state();
        let Some(number) = slot.0 else {
            return;
        };
        if self.take(&mut state, bytes)
            && let Some(noted) = state.noted.get_mut(number)
        {
            noted.answer = answer;
        }
    }

    pub(super) fn output(&self, slot: Slot, chunk: &OutputChunk) {
        let mut state = self.state();
        let has_room = slot.0.is_some() && self.take(&mut state, chunk.data.len());
        if let Some(tape) = command_of(&mut state, slot) {
            if has_room {
                // A copy, so that not a large buffer is kept for the sake of a small piece.
                let data = Bytes::copy_from_slice(&chunk.data);
                tape.output.push((chunk.source, data));
            } else {
                tape.dropped_bytes += chunk.data.len() as u64;
            }
        }
    }

    pub(super) fn exit(&self, slot: Slot, exit: &CommandExit) {
        if let Some(tape) = command_of(&mut self.state(), slot) {
            tape.exit = Some(exit.clone());
        }
    }

    pub(super) fn cancelled(&self) {
        let mut state = self.state();
        let number = state.noted.len();
        state.cancelled_after.get_or_insert(number);
    }

    fn text(&self, value: Value) -> Box<str> {
        self.mask(value).to_string().into()
    }

    pub(super) fn mask(&self, value: Value) -> Value {
        (self.masker)().mask_value(value)
    }

    pub(super) fn mask_text(&self, text: &str) -> String {
        (self.masker)().mask_text(text).into_owned()
    }

    /// Everything that was noted: the calls, why later ones are missing, and after how many it was cancelled.
    pub(super) fn take_all(&self) -> (Vec<Call>, Option<String>, Option<usize>) {
        let mut state = self.state();
        let noted = std::mem::take(&mut state.noted);
        self.room.give_back(std::mem::take(&mut state.bytes));
        let calls = noted.into_iter().map(|noted| self.call(noted)).collect();
        (calls, state.cut.clone(), state.cancelled_after)
    }

    fn call(&self, noted: Noted) -> Call {
        // The text was made from a value a moment ago.
        let value = |text: &str| self.mask(serde_json::from_str(text).unwrap_or(Value::Null));
        let answer = match noted.answer {
            Kept::Nothing => None,
            Kept::Value(text) => Some(Answer::Is(value(&text))),
            Kept::Failed(failure) => Some(Answer::Failed(Failure {
                text: self.mask_text(&failure.text),
                ..failure
            })),
            Kept::Command(tape) => {
                let facts = CommandFacts {
                    output: self.runs(&tape.output),
                    dropped_bytes: tape.dropped_bytes,
                    exit: tape.exit.as_ref().map(ExitFacts::from),
                };
                serde_json::to_value(facts).ok().map(Answer::Is)
            }
        };
        Call {
            call: noted.call.to_owned(),
            about: value(&noted.about),
            answer,
        }
    }

    /// Joins pieces of the same stream, so that nothing hides at their borders, and keeps their lengths where
    /// masking has left them.
    fn runs(&self, output: &[(OutputSource, Bytes)]) -> Vec<OutputFacts> {
        let masker = (self.masker)();
        let same_stream = |a: &(OutputSource, Bytes), b: &(OutputSource, Bytes)| a.0 == b.0;
        let joined = output.chunk_by(same_stream).map(|pieces| {
            let whole: Vec<u8> = pieces.iter().flat_map(|(_, data)| data.to_vec()).collect();
            let masked = masker.mask(&whole);
            let lengths: Vec<usize> = pieces.iter().map(|(_, data)| data.len()).collect();
            let kept = lengths.len() > 1 && *masked == *whole;
            OutputFacts {
                from: pieces[0].0.into(),
                data: blob(&masked),
                pieces: if kept { lengths } else { Vec::new() },
            }
        });
        joined.collect()
    }

    /// Waits for an answer and notes it.
    pub(super) async fn ask<T, E>(
        &self,
        call: &'static str,
        about: Value,
        question: impl Future<Output = Result<T, E>>,
        keep: impl FnOnce(&T) -> Value,
    ) -> Result<T, E>
    where
        for<'e> Failure: From<&'e E>,
    {
        let slot = self.begin(call, about);
        let answer = question.await;
        match &answer {
            Ok(value) => self.answer(slot, keep(value)),
            Err(error) => self.fail(slot, Failure::from(error)),
        }
        answer
    }

    /// The same for bytes, which are masked as a whole.
    pub(super) async fn ask_bytes<E>(
        &self,
        call: &'static str,
        about: Value,
        question: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Bytes, E>
    where
        for<'e> Failure: From<&'e E>,
    {
        let slot = self.begin(call, about);
        let answer = question.await;
        match &answer {
            Ok(bytes) => self.answer_bytes(slot, bytes),
            Err(error) => self.fail(slot, Failure::from(error)),
        }
        answer
    }

    /// The same for something that is only done.
    pub(super) async fn done(
        &self,
        call: &'static str,
        about: Value,
        question: impl Future<Output = Result<(), HostError>>,
    ) -> Result<(), HostError> {
        self.ask(call, about, question, |()| Value::Null).await
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        let bytes = self.state().bytes;
        self.room.give_back(bytes);
    }
}

fn command_of(state: &mut State, slot: Slot) -> Option<&mut CommandTape> {
    match &mut state.noted.get_mut(slot.0?)?.answer {
        Kept::Command(tape) => Some(tape),
        _ => None,
    }
}
