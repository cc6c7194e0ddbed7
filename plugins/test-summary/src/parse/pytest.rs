//! Output of pytest.
//!
//! The numbers come from its last line; names and reasons from the short summary, the places from the
//! sections of the failures, durations from `--durations`.

use super::LineReader;
use super::location::file_line;
use super::report::{Case, Counts, Outcome, Report, seconds_as_ms};

/// Failures that are kept until the end.
const FAILURES_MAX: usize = 1000;

/// State of the reader.
#[derive(Default)]
pub(super) struct Pytest {
    section: Section,
    /// From the headings of the failures' sections.
    failures: Vec<Case>,
    /// From the short summary, which has the full names.
    summarised: Vec<Case>,
    counts: Option<Counts>,
    started: bool,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Section {
    #[default]
    Other,
    Failures,
    Errors,
    Summary,
    Durations,
}

impl LineReader for Pytest {
    fn line(&mut self, line: &str, report: &mut Report) {
        if let Some(counts) = final_line(line) {
            self.counts = Some(counts);
            self.section = Section::Other;
        } else if let Some(title) = ruled(line, '=') {
            self.section = match title {
                "FAILURES" => Section::Failures,
                "ERRORS" => Section::Errors,
                "short test summary info" => Section::Summary,
                title if title.starts_with("slowest ") => Section::Durations,
                _ => Section::Other,
            };
            self.started |= title == "test session starts";
        } else {
            match self.section {
                Section::Failures => self.section_line(line, Outcome::Failed),
                Section::Errors => self.section_line(line, Outcome::Errored),
                Section::Summary => self.summary_line(line),
                Section::Durations => duration_line(line, report),
                Section::Other => {}
            }
        }
    }

    fn end(&mut self, report: &mut Report) {
        match self.counts {
            Some(counts) => report.counts = counts,
            None if self.started => report.problem("pytest ended before its summary"),
            None => return,
        }
        let counts = report.counts;
        for case in self.described() {
            report.record(case);
        }
        if self.counts.is_some() {
            report.counts = counts;
        }
    }
}

impl Pytest {
    fn section_line(&mut self, line: &str, outcome: Outcome) {
        if let Some(name) = ruled(line, '_') {
            // `ERROR at setup of test_x`, `ERROR collecting test_x.py`
            let name = name
                .strip_prefix("ERROR at ")
                .and_then(|rest| rest.split_once(" of "))
                .map_or(name, |(_, name)| name);
            let name = name.strip_prefix("ERROR collecting ").unwrap_or(name);
            if self.failures.len() < FAILURES_MAX {
                self.failures.push(Case::new(name, outcome));
            }
            return;
        }
        let Some(case) = self.failures.last_mut() else {
            return;
        };
        if let Some(reason) = line.strip_prefix("E   ") {
            case.add_message(reason.trim_start());
        } else if let Some(place) = file_line(line) {
            // The first one is in the test; for a file that cannot be collected, the file's own.
            if case.location.is_empty() || place.starts_with(&case.name) {
                case.location = place;
            }
        }
    }

    fn summary_line(&mut self, line: &str) {
        let (outcome, rest) = match line.split_once(' ') {
            Some(("FAILED", rest)) => (Outcome::Failed, rest),
            Some(("ERROR", rest)) => (Outcome::Errored, rest),
            _ => return,
        };
        let (name, reason) = rest.split_once(" - ").unwrap_or((rest, ""));
        if self.summarised.len() < FAILURES_MAX {
            let mut case = Case::new(name, outcome);
            case.add_message(reason);
            self.summarised.push(case);
        }
    }

    /// The failures with the full names of the summary and the details of their sections.
    fn described(&mut self) -> Vec<Case> {
        if self.summarised.is_empty() {
            return std::mem::take(&mut self.failures);
        }
        let mut details = std::mem::take(&mut self.failures);
        let mut cases = std::mem::take(&mut self.summarised);
        for case in &mut cases {
            // `tests/test_a.py::TestLathe::test_turns` has the heading `TestLathe.test_turns`.
            let heading = match case.name.split_once("::") {
                Some((_, inside)) => inside.replace("::", "."),
                None => case.name.clone(),
            };
            if let Some(index) = details.iter().position(|d| d.name == heading) {
                let detail = details.swap_remove(index);
                case.location = detail.location;
                if !detail.message.is_empty() {
                    case.message = detail.message;
                }
            }
        }
        cases
    }
}

/// The text between two runs of the same character.
fn ruled(line: &str, rule: char) -> Option<&str> {
    let inner = line.trim_end().strip_prefix(rule)?.trim_matches(rule);
    let title = inner.strip_prefix(' ')?.strip_suffix(' ')?;
    (!title.is_empty()).then_some(title)
}

/// `=== 3 failed, 412 passed, 2 skipped in 1.23s ===`, also without the rules (`-q`).
fn final_line(line: &str) -> Option<Counts> {
    let line = line.trim_matches(['=', ' ']);
    let (numbers, time) = line.rsplit_once(" in ")?;
    let seconds = time.split_once('s').map_or(time, |(seconds, _)| seconds);
    seconds_as_ms(seconds)?;
    if numbers == "no tests ran" {
        return Some(Counts::default());
    }
    let mut counts = Counts::default();
    for part in numbers.split(", ") {
        let (number, what) = part.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        let outcome = match what {
            "passed" | "xpassed" => Outcome::Passed,
            "failed" => Outcome::Failed,
            "error" | "errors" => Outcome::Errored,
            "skipped" => Outcome::Skipped,
            "xfailed" => Outcome::Expected,
            "deselected" | "warning" | "warnings" | "rerun" | "reruns" => continue,
            _ => return None,
        };
        counts.add(outcome, number);
    }
    Some(counts)
}

/// `0.12s call     tests/test_a.py::test_x`
fn duration_line(line: &str, report: &mut Report) {
    let mut words = line.split_whitespace();
    let (Some(seconds), Some("call"), Some(name)) = (words.next(), words.next(), words.next())
    else {
        return;
    };
    if let Some(ms) = seconds.strip_suffix('s').and_then(seconds_as_ms) {
        report.record_duration(name, ms);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::super::{Report, TextFormat};

    fn pytest(text: &str) -> Report {
        read(TextFormat::Pytest, text)
    }

    const RUN: &str =
        "============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-8.4.0, pluggy-1.6.0
collected 6 items

tests/test_lathe.py .F.sx                                                [ 83%]
tests/test_mill.py E                                                     [100%]

==================================== ERRORS ====================================
_________________________ ERROR at setup of test_mills _________________________

    @pytest.fixture
    def mill():
>       raise RuntimeError('no mill')
E       RuntimeError: no mill

tests/test_mill.py:5: RuntimeError
=================================== FAILURES ===================================
____________________________ TestLathe.test_faces _____________________________

    def test_faces(self):
>       assert 1 == 2
E       assert 1 == 2

tests/test_lathe.py:9: AssertionError
============================= slowest 10 durations =============================
1.20s call     tests/test_lathe.py::test_turns
0.30s setup    tests/test_mill.py::test_mills
=========================== short test summary info ============================
FAILED tests/test_lathe.py::TestLathe::test_faces - assert 1 == 2
ERROR tests/test_mill.py::test_mills - RuntimeError: no mill
========= 1 failed, 2 passed, 1 skipped, 1 xfailed, 1 error in 0.05s ==========
";

    #[test]
    fn a_run_with_everything() {
        let report = pytest(RUN);
        assert_eq!(
            report.counts.text(),
            "2 passed, 1 failed, 1 error, 1 skipped, 1 failed as expected"
        );
        let failures: Vec<_> = report
            .failures
            .iter()
            .map(|c| (c.name.as_str(), c.location.as_str()))
            .collect();
        assert_eq!(
            failures,
            [
                (
                    "tests/test_lathe.py::TestLathe::test_faces",
                    "tests/test_lathe.py:9"
                ),
                ("tests/test_mill.py::test_mills", "tests/test_mill.py:5"),
            ]
        );
        assert_eq!(report.failures[1].message, "RuntimeError: no mill");
        assert_eq!(
            report.slowest,
            [("tests/test_lathe.py::test_turns".to_owned(), 1200)]
        );
    }

    #[test]
    fn the_last_line_counts() {
        for (line, text) in [
            ("3 passed in 0.01s", "3 passed"),
            (
                "===== 1 failed, 412 passed, 3 warnings in 61.20s (0:01:01) =====",
                "412 passed, 1 failed",
            ),
            ("==== no tests ran in 0.01s ====", "no tests"),
            ("5 deselected in 0.01s", "no tests"),
        ] {
            let report = pytest(line);
            assert_eq!(report.counts.text(), text, "{line}");
            assert!(report.problems.is_empty());
        }
        assert_eq!(pytest("I passed my exam in 2 s").counts.total(), 0);
    }

    #[test]
    fn a_run_that_is_cut_off_says_so() {
        let cut = &RUN[..RUN.find("short test").unwrap()];
        let report = pytest(cut);
        assert_eq!(report.problems, ["pytest ended before its summary"]);
        assert_eq!(report.counts.text(), "1 failed, 1 error");
    }

    #[test]
    fn without_a_summary_the_headings_name_the_failures() {
        let text = RUN
            .replace("FAILED tests", "passed over")
            .replace("ERROR tests", "passed over");
        let names: Vec<_> = pytest(&text).failures.into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["test_mills", "TestLathe.test_faces"]);
    }
}
