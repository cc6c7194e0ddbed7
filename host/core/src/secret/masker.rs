//! Finds secrets in bytes that come in pieces, and puts their names there.
//!
//! All forms of all secrets are one automaton, which reads every byte once and leaves line ends out. A [`MaskStream`] gives a
//! byte away as soon as no secret can begin with it any more. Invariant: what comes out does not depend on how the bytes
//! were cut into pieces.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use serde_json::{Map, Value};

use super::forms::{LOST_CHARS_MAX, forms};
use super::value::SecretValue;

/// Line ends in a row that may stand within a secret: one, as two bytes.
const BREAK_BYTES_MAX: u32 = 2;

/// What is hidden under one name.
#[derive(Debug, Clone)]
pub struct Masked<'a> {
    /// The name that is shown instead, as `<NAME>`.
    pub name: &'a str,
    /// What stands for the secret.
    pub placeholder: &'a str,
    /// The values that it has, and had as long as they may still come out.
    pub values: &'a [SecretValue],
}

/// Secrets cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are too many secrets, or too long ones, to hide them: {0}")]
pub struct MaskerError(String);

/// Hides certain secrets. Made once, used by many streams.
#[derive(Default)]
pub struct Masker {
    found: Option<Automat>,
}

struct Automat {
    automaton: NFA,
    start: StateID,
    /// How many bytes of a form that may go on have been read in each state.
    depths: HashMap<StateID, usize>,
    /// What is shown in the place of each form.
    labels: Vec<Arc<str>>,
    longest: usize,
}

/// For each state, how many bytes were read of the longest form that is not at its end there.
fn depths<'f>(
    automaton: &NFA,
    start: StateID,
    forms: impl Iterator<Item = &'f str>,
) -> HashMap<StateID, usize> {
    let walk = |text: &[u8]| {
        let step = |state, byte: &u8| automaton.next_state(Anchored::No, state, *byte);
        text.iter().fold(start, step)
    };
    let mut depths = HashMap::new();
    let mut forms: Vec<&[u8]> = forms.map(str::as_bytes).collect();
    for form in &forms {
        let mut state = start;
        for (index, byte) in form[..form.len() - 1].iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, *byte);
            depths.insert(state, index + 1);
        }
    }
    // Where a form ends and none goes on, what counts is the longest end of it that another begins with; shorter forms
    // come first, because such an end may be the end of one of them.
    forms.sort_unstable_by_key(|form| form.len());
    for form in forms {
        let end = walk(form);
        if !depths.contains_key(&end) {
            let shorter = walk(&form[1..]);
            depths.insert(end, depths.get(&shorter).copied().unwrap_or(0));
        }
    }
    depths
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms = self.found.as_ref().map_or(0, |found| found.labels.len());
        f.debug_struct("Masker").field("forms", &forms).finish()
    }
}

impl Masker {
    /// Hides these secrets. Where one value has two names, the first is shown.
    ///
    /// # Errors
    /// When there is too much to look for.
    pub fn new<'a>(secrets: impl IntoIterator<Item = Masked<'a>>) -> Result<Self, MaskerError> {
        let mut labels: BTreeMap<String, Arc<str>> = BTreeMap::new();
        for secret in secrets {
            let label: Arc<str> = format!("<{}>", secret.name).into();
            let values = secret.values.iter().map(SecretValue::expose);
            let all = values
                .flat_map(forms)
                .chain([secret.placeholder.to_owned()]);
            for form in all.filter(|form| !form.is_empty()) {
                labels.entry(form).or_insert_with(|| Arc::clone(&label));
            }
        }
        if labels.is_empty() {
            return Ok(Self::default());
        }
        let failed = |error: &dyn fmt::Display| MaskerError(error.to_string());
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(labels.keys())
            .map_err(|error| failed(&error))?;
        let start = automaton
            .start_state(Anchored::No)
            .map_err(|error| failed(&error))?;
        let depths = depths(&automaton, start, labels.keys().map(String::as_str));
        Ok(Self {
            found: Some(Automat {
                automaton,
                start,
                depths,
                longest: labels.keys().map(String::len).max().unwrap_or(0),
                labels: labels.into_values().collect(),
            }),
        })
    }

    /// Whether there is nothing to hide.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_none()
    }

    /// The most bytes that a stream holds back.
    #[must_use]
    pub fn held_bytes_max(&self) -> usize {
        let each = 1 + BREAK_BYTES_MAX as usize;
        self.found.as_ref().map_or(0, |found| found.longest * each)
    }

    /// Bytes without secrets.
    #[must_use]
    pub fn mask<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let Some(found) = &self.found else {
            return Cow::Borrowed(bytes);
        };
        let mut scan = Scan::default();
        scan.held.extend_from_slice(bytes);
        scan.read(found);
        if scan.spans.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        scan.give(bytes.len(), &mut out);
        Cow::Owned(out)
    }

    /// A text without secrets.
    #[must_use]
    pub fn mask_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.mask(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// A value without secrets in its texts and keys.
    #[must_use]
    pub fn mask_value(&self, value: Value) -> Value {
        if self.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.mask_text(&text).into_owned()),
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.mask_value(item))
                .collect(),
            Value::Object(fields) => {
                let masked = fields.into_iter().map(|(name, field)| {
                    (self.mask_text(&name).into_owned(), self.mask_value(field))
                });
                Value::Object(masked.collect::<Map<_, _>>())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }
}

/// Hides secrets in bytes that come in pieces.
#[derive(Debug, Default)]
pub struct MaskStream {
    masker: Arc<Masker>,
    scan: Scan,
}

impl MaskStream {
    /// A stream whose secrets are those of `masker`.
    #[must_use]
    pub fn new(masker: Arc<Masker>) -> Self {
        Self {
            masker,
            scan: Scan::default(),
        }
    }

    /// From the next piece on, these secrets are looked for, also in what is held back.
    pub fn set_masker(&mut self, masker: &Arc<Masker>) {
        if !Arc::ptr_eq(&self.masker, masker) {
            self.masker = Arc::clone(masker);
            self.scan.again();
        }
    }

    /// Takes a piece and gives what can be given by now.
    pub fn push<'b>(&mut self, piece: &'b [u8]) -> Cow<'b, [u8]> {
        let Some(found) = &self.masker.found else {
            if self.scan.held.is_empty() {
                return Cow::Borrowed(piece);
            }
            let mut out = self.finish();
            out.extend_from_slice(piece);
            return Cow::Owned(out);
        };
        let scan = &mut self.scan;
        scan.held.extend_from_slice(piece);
        scan.read(found);
        let mut out = Vec::with_capacity(scan.held.len());
        scan.give(scan.undecided(found), &mut out);
        Cow::Owned(out)
    }

    /// How many bytes are held back now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.scan.held.len()
    }

    /// Gives what was held back; nothing more will come.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.scan.held.len());
        self.scan.give(self.scan.held.len(), &mut out);
        self.scan.again();
        out
    }
}

/// Where a stream is.
#[derive(Debug, Default)]
struct Scan {
    /// Bytes that were not given yet; the first `read` of them have been read.
    held: Vec<u8>,
    read: usize,
    /// `None` before the first byte.
    state: Option<StateID>,
    /// Bytes of line ends just before here.
    breaks: u32,
    /// What is to be hidden of the held bytes, in order, without overlaps.
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    start: usize,
    end: usize,
    /// `None` when it was given already, with the beginning of what it stands for.
    label: Option<Arc<str>>,
}

impl Scan {
    fn again(&mut self) {
        self.read = 0;
        self.state = None;
        self.breaks = 0;
    }

    /// Reads what was not read yet.
    fn read(&mut self, found: &Automat) {
        let mut state = self.state.unwrap_or(found.start);
        for index in self.read..self.held.len() {
            let byte = self.held[index];
            if is_break(byte) {
                self.breaks += 1;
                // A line that ends as a secret begins is not held back for that.
                if self.breaks > BREAK_BYTES_MAX || found.depth(state) <= LOST_CHARS_MAX {
                    state = found.start;
                }
                continue;
            }
            self.breaks = 0;
            state = found.automaton.next_state(Anchored::No, state, byte);
            if state != found.start && found.automaton.is_match(state) {
                let (length, label) = found.longest_at(state);
                let start = back(&self.held[..=index], length);
                self.hide(start, index + 1, label);
            }
        }
        self.read = self.held.len();
        self.state = Some(state);
    }

    fn hide(&mut self, mut start: usize, end: usize, label: Arc<str>) {
        let mut label = Some(label);
        while let Some(last) = self.spans.pop_if(|last| last.end > start) {
            // Of two that begin together, the later one is the longer.
            if last.start < start || last.label.is_none() {
                start = last.start;
                label = last.label;
            }
        }
        self.spans.push(Span { start, end, label });
    }

    /// How many of the held bytes no later secret can begin with.
    fn undecided(&self, found: &Automat) -> usize {
        let depth = self.state.map_or(0, |state| found.depth(state));
        back(&self.held, depth)
    }

    /// Gives the first bytes away, hidden where they are to be.
    fn give(&mut self, count: usize, out: &mut Vec<u8>) {
        let mut done = 0;
        let mut left = Vec::new();
        for span in self.spans.drain(..) {
            if span.start >= count {
                left.push(Span {
                    start: span.start - count,
                    end: span.end - count,
                    label: span.label,
                });
                continue;
            }
            out.extend_from_slice(&self.held[done..span.start]);
            out.extend_from_slice(span.label.as_deref().unwrap_or_default().as_bytes());
            done = span.end.min(count);
            if span.end > count {
                left.push(Span {
                    start: 0,
                    end: span.end - count,
                    label: None,
                });
            }
        }
        out.extend_from_slice(&self.held[done..count]);
        self.spans = left;
        self.held.drain(..count);
        self.read = self.read.saturating_sub(count);
    }
}

impl Automat {
    fn depth(&self, state: StateID) -> usize {
        self.depths.get(&state).copied().unwrap_or(0)
    }

    /// The longest form that ends in this state.
    fn longest_at(&self, state: StateID) -> (usize, Arc<str>) {
        let all = (0..self.automaton.match_len(state)).map(|index| {
            let pattern = self.automaton.match_pattern(state, index);
            (self.automaton.pattern_len(pattern), pattern)
        });
        all.max_by_key(|(length, _)| *length).map_or_else(
            || (0, Arc::from("")),
            |(length, pattern)| (length, Arc::clone(&self.labels[pattern.as_usize()])),
        )
    }
}

fn is_break(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// Where the last `count` bytes that are no line ends begin.
fn back(bytes: &[u8], count: usize) -> usize {
    if count == 0 {
        return bytes.len();
    }
    let places = bytes.iter().enumerate().rev();
    let mut places = places.filter(|(_, byte)| !is_break(**byte));
    places.nth(count - 1).map_or(0, |(index, _)| index)
}
