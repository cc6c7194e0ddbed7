//! What came of a test.

use std::time::Duration;

use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

/// Something that a script expects and that is not so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The line of the script that says so.
    pub line: usize,
    /// What is another, such as `logs.stdio`.
    pub what: String,
    /// What the script says.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// `-` is expected and missing, `+` is there and not expected, a blank is both.
    pub sign: char,
    /// The line.
    pub text: String,
}

impl Mismatch {
    /// The difference, line by line: `-` what was expected, `+` what was seen.
    #[must_use]
    pub fn diff(&self) -> Vec<DiffLine> {
        let expected = format!("{}\n", self.expected.trim_end_matches('\n'));
        let seen = format!("{}\n", self.seen.trim_end_matches('\n'));
        let diff = TextDiff::from_lines(&expected, &seen);
        let lines = diff.iter_all_changes().map(|change| DiffLine {
            sign: match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            },
            text: change.value().trim_end_matches('\n').to_owned(),
        });
        lines.collect()
    }
}

/// What came of a test.
#[derive(Debug)]
pub struct Verdict {
    /// What is not as expected; empty for a test that passed.
    pub mismatches: Vec<Mismatch>,
    /// Everything that was seen, under the names that `expect` has.
    pub seen: Map<String, Value>,
    /// The plugin's stack where it crashed or was stopped, innermost first.
    pub stack: Vec<String>,
    /// How far the clock of the test went.
    pub virtual_time: Duration,
    /// Time that the plugin computed.
    pub cpu: Duration,
    /// Memory that it had at most, in bytes.
    pub memory_peak_bytes: usize,
}

impl Verdict {
    /// Whether everything was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.mismatches.is_empty()
    }
}
