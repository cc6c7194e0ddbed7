//! What a test run said, in bounded space.

/// Failed tests whose names and messages are kept; all are counted.
const FAILURES_MAX: usize = 1000;
/// Bytes kept of one failure's message.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Bytes kept of a name or location.
const NAME_BYTES_MAX: usize = 512;
/// Slow tests that are kept.
const SLOWEST_MAX: usize = 20;
/// Tests whose results are kept one by one. With names as long as in large projects they take 20 MB.
const RESULTS_MAX: usize = 50_000;
/// Problems of the run itself that are kept.
const PROBLEMS_MAX: usize = 20;

/// How one test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It passed.
    Passed,
    /// It ran and a check failed.
    Failed,
    /// It could not be run to its end (a crash, a broken set-up, a time-out).
    Errored,
    /// It was not run.
    Skipped,
    /// It failed, as its authors expect for now.
    Expected,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    /// Its full name.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// What it said when it did not pass.
    pub(crate) message: String,
    /// Where, as `file:line` or what the tool says.
    pub(crate) location: String,
    /// How long it took, milliseconds.
    pub(crate) duration_ms: Option<u64>,
}

impl Case {
    /// A test of this name.
    #[must_use]
    pub(crate) fn new(name: impl Into<String>, outcome: Outcome) -> Self {
        let mut name = name.into();
        // Here already, because readers keep cases that wait for their details.
        truncate(&mut name, NAME_BYTES_MAX);
        Self {
            name,
            outcome,
            message: String::new(),
            location: String::new(),
            duration_ms: None,
        }
    }

    /// Appends a line to the message, up to a limit.
    pub(crate) fn add_message(&mut self, line: &str) {
        if !self.message.is_empty() {
            self.append_message("\n");
        }
        self.append_message(line);
    }

    /// Appends text to the message as it is, up to a limit.
    pub(crate) fn append_message(&mut self, text: &str) {
        if self.message.len() < MESSAGE_BYTES_MAX {
            self.message.push_str(text);
            truncate(&mut self.message, MESSAGE_BYTES_MAX);
        }
    }
}

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Passed.
    pub(crate) passed: u64,
    /// Failed.
    pub(crate) failed: u64,
    /// Could not be run to their end.
    pub(crate) errors: u64,
    /// Not run.
    pub(crate) skipped: u64,
    /// Failed as expected.
    pub(crate) expected: u64,
}

impl Counts {
    /// All tests, skipped ones too.
    #[must_use]
    pub(crate) fn total(&self) -> u64 {
        self.ran().saturating_add(self.skipped)
    }

    /// All tests that ran.
    #[must_use]
    pub(crate) fn ran(&self) -> u64 {
        [self.passed, self.failed, self.errors, self.expected]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Tests that did not pass and should have.
    #[must_use]
    pub(crate) fn bad(&self) -> u64 {
        self.failed.saturating_add(self.errors)
    }

    /// Counts so many more of an outcome.
    pub(crate) fn add(&mut self, outcome: Outcome, count: u64) {
        let slot = match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Failed => &mut self.failed,
            Outcome::Errored => &mut self.errors,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Expected => &mut self.expected,
        };
        *slot = slot.saturating_add(count);
    }

    /// As people say it: `412 passed, 3 failed, 2 skipped`.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        let parts = [
            (self.passed, "passed"),
            (self.failed, "failed"),
            (
                self.errors,
                if self.errors == 1 { "error" } else { "errors" },
            ),
            (self.skipped, "skipped"),
            (self.expected, "failed as expected"),
        ];
        let said: Vec<String> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}"))
            .collect();
        if said.is_empty() {
            "no tests".to_owned()
        } else {
            said.join(", ")
        }
    }
}

/// The result of a test that ran and whose name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaseResult {
    /// Its full name.
    pub(crate) name: String,
    /// Where it failed.
    pub(crate) location: String,
    /// How long it took, milliseconds.
    pub(crate) duration_ms: Option<u64>,
    /// Whether it ended as it should.
    pub(crate) is_good: bool,
}

/// A test run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// All tests by outcome.
    pub(crate) counts: Counts,
    /// The first tests that did not pass, up to a limit.
    pub(crate) failures: Vec<Case>,
    /// The slowest tests, slowest first: name and milliseconds.
    pub(crate) slowest: Vec<(String, u64)>,
    /// The tests that ran, as far as their names are known, up to a limit.
    pub(crate) results: Vec<CaseResult>,
    /// What is wrong with the run itself (it was cut off, its plan does not fit ...).
    pub(crate) problems: Vec<String>,
}

impl Report {
    /// Counts a test and keeps what is worth keeping of it.
    pub(crate) fn record(&mut self, mut case: Case) {
        self.counts.add(case.outcome, 1);
        truncate(&mut case.name, NAME_BYTES_MAX);
        truncate(&mut case.location, NAME_BYTES_MAX);
        truncate(&mut case.message, MESSAGE_BYTES_MAX);
        if let Some(duration_ms) = case.duration_ms {
            self.record_duration(&case.name, duration_ms);
        }
        let bad = matches!(case.outcome, Outcome::Failed | Outcome::Errored);
        if case.outcome != Outcome::Skipped && self.results.len() < RESULTS_MAX {
            self.results.push(CaseResult {
                name: case.name.clone(),
                location: case.location.clone(),
                duration_ms: case.duration_ms,
                is_good: !bad,
            });
        }
        if bad && self.failures.len() < FAILURES_MAX {
            self.failures.push(case);
        }
    }

    /// Keeps the duration of a test if it is one of the slowest.
    pub(crate) fn record_duration(&mut self, name: &str, duration_ms: u64) {
        let place = self
            .slowest
            .partition_point(|(_, other)| *other >= duration_ms);
        if place < SLOWEST_MAX {
            self.slowest.insert(place, (name.to_owned(), duration_ms));
            self.slowest.truncate(SLOWEST_MAX);
        }
    }

    /// Notes that something is wrong with the run itself.
    pub(crate) fn problem(&mut self, text: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            let mut text = text.into();
            truncate(&mut text, NAME_BYTES_MAX);
            self.problems.push(text);
        }
    }

    /// Whether the result of each test that ran is kept.
    #[must_use]
    pub(crate) fn has_all_results(&self) -> bool {
        self.results.len() as u64 == self.counts.ran()
    }

    /// Takes in another report (of another file of the same run).
    pub(crate) fn merge(&mut self, other: Self) {
        for (outcome, count) in [
            (Outcome::Passed, other.counts.passed),
            (Outcome::Failed, other.counts.failed),
            (Outcome::Errored, other.counts.errors),
            (Outcome::Skipped, other.counts.skipped),
            (Outcome::Expected, other.counts.expected),
        ] {
            self.counts.add(outcome, count);
        }
        let room = FAILURES_MAX.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.into_iter().take(room));
        let room = RESULTS_MAX.saturating_sub(self.results.len());
        self.results.extend(other.results.into_iter().take(room));
        for (name, duration_ms) in other.slowest {
            self.record_duration(&name, duration_ms);
        }
        for problem in other.problems {
            self.problem(problem);
        }
    }
}

/// Seconds as tools print them, as milliseconds.
pub(super) fn seconds_as_ms(text: &str) -> Option<u64> {
    let seconds: f64 = text.trim().replace(',', "").parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds * 1000.0).round() as u64)
}

/// Cuts a text to so many bytes, at a character.
fn truncate(text: &mut String, bytes_max: usize) {
    if text.len() <= bytes_max {
        return;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_said_as_people_say_them() {
        let counts = Counts {
            passed: 412,
            failed: 3,
            skipped: 2,
            ..Counts::default()
        };
        assert_eq!(counts.text(), "412 passed, 3 failed, 2 skipped");
        assert_eq!(Counts::default().text(), "no tests");
        assert_eq!(
            Counts {
                errors: 1,
                ..Counts::default()
            }
            .text(),
            "1 error"
        );
    }

    #[test]
    fn a_report_stays_small() {
        let mut report = Report::default();
        for n in 0..5000 {
            let mut case = Case::new("ä".repeat(1000), Outcome::Failed);
            case.add_message(&"x".repeat(100_000));
            case.add_message("more");
            case.duration_ms = Some(n);
            report.record(case);
            report.problem("something");
        }
        assert_eq!(report.counts.failed, 5000);
        assert_eq!(report.failures.len(), FAILURES_MAX);
        assert!(report.failures[0].message.len() <= MESSAGE_BYTES_MAX + 3);
        assert!(report.failures[0].name.len() <= NAME_BYTES_MAX + 3);
        assert_eq!(report.slowest.len(), SLOWEST_MAX);
        assert_eq!(report.slowest[0].1, 4999);
        assert_eq!(report.problems.len(), PROBLEMS_MAX);
    }

    #[test]
    fn odd_durations_are_none() {
        assert_eq!(seconds_as_ms("1.5"), Some(1500));
        assert_eq!(seconds_as_ms("1,234.5"), Some(1_234_500));
        for odd in ["", "-1", "NaN", "inf", "soon"] {
            assert_eq!(seconds_as_ms(odd), None, "{odd}");
        }
    }
}
