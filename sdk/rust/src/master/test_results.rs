//! Results of single tests.

use super::HostTestResults;
use crate::Error;
use std::time::Duration;

/// Results are handed over in portions, because every call of the host has a price. It takes 10,000.
const RESULTS_PER_CALL: usize = 1_000;

/// One result. Its name, its code path or both say what it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct TestResult {
    /// The name of the test.
    pub name: Option<String>,
    /// The file with the code of the test, or that the finding is about.
    pub code_path: Option<String>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// How long it took.
    pub duration: Option<Duration>,
    /// The result in the unit of its set: `1` and `0` for `boolean`, a number, a message.
    pub value: String,
}

impl TestResult {
    /// The result of a test with this name.
    pub fn named(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            value: value.into(),
            ..Self::default()
        }
    }

    /// A result about a place in the code.
    pub fn at(code_path: impl Into<String>, line: u32, value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            ..Self::default()
        }
        .place(code_path, line)
    }

    /// Says where the code is.
    pub fn place(mut self, code_path: impl Into<String>, line: u32) -> Self {
        self.code_path = Some(code_path.into());
        self.line = Some(line).filter(|line| *line > 0);
        self
    }

    /// Says how long it took.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }
}

/// Results of one kind, from one run of a program.
///
/// ```
/// # use toolpost_sdk::mock::MockHost;
/// # let host = MockHost::new();
/// # let ctx = host.context();
/// use toolpost_sdk::TestResult;
///
/// let mut results = ctx.test_results("unit tests", "pass_fail", "boolean")?;
/// results.add(TestResult::named("parses", "1"))?;
/// results.add(TestResult::named("prints", "0").place("src/print.c", 12))?;
/// results.complete(Some(1), Some(1))?;
/// assert_eq!(host.test_results("unit tests").len(), 2);
/// # Ok::<(), toolpost_sdk::Error>(())
/// ```
///
/// A set that is dropped without [`complete`](Self::complete) stays incomplete, which tells readers that results
/// are missing.
#[must_use = "a set is incomplete until it is completed"]
pub struct TestResultSet {
    set: Box<dyn HostTestResults>,
    waiting: Vec<TestResult>,
}

impl TestResultSet {
    pub(crate) fn new(set: Box<dyn HostTestResults>) -> Self {
        Self {
            set,
            waiting: Vec::new(),
        }
    }

    /// Adds a result.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when it says neither name nor code path, or there are too many; perhaps only at a later call.
    pub fn add(&mut self, result: TestResult) -> Result<(), Error> {
        self.waiting.push(result);
        if self.waiting.len() < RESULTS_PER_CALL {
            return Ok(());
        }
        self.flush()
    }

    /// Says that all results are there, with the numbers of passed and failed tests where these words make sense.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn complete(mut self, passed: Option<u64>, failed: Option<u64>) -> Result<(), Error> {
        self.flush()?;
        self.set.complete(passed, failed)
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let added = self.set.add(&self.waiting);
        self.waiting.clear();
        added
    }
}

impl Drop for TestResultSet {
    fn drop(&mut self) {
        // What was found until something went wrong is worth keeping; the set is incomplete in any case.
        let _ = self.flush();
    }
}
