//! Output of `cargo test` (libtest's pretty and terse formats) and of `cargo nextest`, also one after
//! the other.
//!
//! Tests are taken from their own lines; a binary's `test result:` line has the last word on the
//! numbers, because the output of a test may run into its line.

mod lines;

use super::LineReader;
use super::report::{Case, Counts, Outcome, Report, seconds_as_ms};
use lines::{
    announced, is_frame, libtest_result, nextest_line, nextest_starts, nextest_summary,
    no_panic_place, panicked,
};

/// Failures whose messages may still come.
const OPEN_FAILURES_MAX: usize = 1000;

/// State of the reader.
#[derive(Default)]
pub(super) struct Cargo {
    /// Tests of the binary that runs now.
    binary: Option<Binary>,
    /// Failures whose details come later.
    failures: Vec<Case>,
    /// Which of them the lines now belong to.
    detail: Option<usize>,
    /// The lines now are a backtrace, which says less than it is long.
    in_backtrace: bool,
    nextest: Nextest,
}

/// Where a run of nextest is. While it runs, what looks like libtest is the output of its tests.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Nextest {
    #[default]
    Unseen,
    Running,
    /// It repeats its failures behind its summary.
    Over,
}

#[derive(Default)]
struct Binary {
    announced: u64,
    counts: Counts,
}

impl LineReader for Cargo {
    fn line(&mut self, line: &str, report: &mut Report) {
        if nextest_starts(line) {
            self.unfinished(report);
            self.nextest = Nextest::Running;
            self.detail = None;
        } else if let Some((status, rest)) = nextest_line(line) {
            self.nextest_case(status, rest, report);
        } else if let (Nextest::Running, Some(skipped)) = (self.nextest, nextest_summary(line)) {
            report.counts.add(Outcome::Skipped, skipped);
            self.nextest = Nextest::Over;
            self.detail = None;
        } else if self.nextest == Nextest::Running || !self.libtest_line(line, report) {
            self.detail_line(line);
        }
    }

    fn end(&mut self, report: &mut Report) {
        self.unfinished(report);
        if self.nextest == Nextest::Running {
            report.problem("the run ended before its summary");
        }
        // Counted when they were seen; what was missing are the messages.
        let counts = report.counts;
        for case in self.failures.drain(..) {
            report.record(case);
        }
        report.counts = counts;
    }
}

impl Cargo {
    /// Gives whether the line was one of libtest's.
    fn libtest_line(&mut self, line: &str, report: &mut Report) -> bool {
        if let Some(announced) = announced(line) {
            self.unfinished(report);
            self.detail = None;
            self.binary = Some(Binary {
                announced,
                counts: Counts::default(),
            });
        } else if let Some(counts) = libtest_result(line) {
            self.binary_over(counts, report);
        } else if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|l| l.strip_suffix(" ----"))
        {
            self.detail_heading(name.strip_suffix(" stdout").unwrap_or(name), report);
        } else if line == "failures:" {
            self.detail = None;
        } else {
            return self.binary.is_some() && self.libtest_case(line, report);
        }
        true
    }

    /// What follows is the output of this failed test.
    fn detail_heading(&mut self, name: &str, report: &mut Report) {
        self.in_backtrace = false;
        let known = self.failures.iter().rposition(|case| case.name == name);
        let Some(binary) = self.binary.as_mut().filter(|_| known.is_none()) else {
            self.detail = known;
            return;
        };
        // The terse format names its failures here only.
        binary.counts.add(Outcome::Failed, 1);
        self.take(Case::new(name, Outcome::Failed), report);
        self.detail = self.failures.len().checked_sub(1);
    }

    /// `test path::name ... ok`; gives whether the line was one.
    fn libtest_case(&mut self, line: &str, report: &mut Report) -> bool {
        let Some(rest) = line.strip_prefix("test ") else {
            return false;
        };
        let Some((name, said)) = rest.split_once(" ... ") else {
            return false;
        };
        let word = said.split([' ', ',']).next().unwrap_or_default();
        let outcome = match word {
            "ok" | "bench:" => Outcome::Passed,
            "FAILED" => Outcome::Failed,
            "ignored" => Outcome::Skipped,
            _ => return false,
        };
        let mut case = Case::new(name.trim_end_matches(" - should panic"), outcome);
        case.duration_ms = said
            .rsplit_once('<')
            .and_then(|(_, time)| time.strip_suffix("s>"))
            .and_then(seconds_as_ms);
        if let Some(binary) = &mut self.binary {
            binary.counts.add(outcome, 1);
        }
        self.take(case, report);
        true
    }

    /// Counts a test; a failed one waits for its message.
    fn take(&mut self, case: Case, report: &mut Report) {
        let bad = matches!(case.outcome, Outcome::Failed | Outcome::Errored);
        if bad && self.failures.len() < OPEN_FAILURES_MAX {
            report.counts.add(case.outcome, 1);
            self.failures.push(case);
        } else {
            report.record(case);
        }
    }

    /// The binary's own numbers: tests whose lines were not recognised are counted now.
    fn binary_over(&mut self, result: Counts, report: &mut Report) {
        let seen = self.binary.take().unwrap_or_default().counts;
        for (outcome, said, seen) in [
            (Outcome::Passed, result.passed, seen.passed),
            (Outcome::Failed, result.failed, seen.failed),
            (Outcome::Skipped, result.skipped, seen.skipped),
        ] {
            report.counts.add(outcome, said.saturating_sub(seen));
        }
        self.detail = None;
    }

    /// The binary ended without its `test result:` line.
    fn unfinished(&mut self, report: &mut Report) {
        let Some(binary) = self.binary.take() else {
            return;
        };
        let seen = binary.counts.total();
        if seen < binary.announced {
            report.problem(format!(
                "a test binary ended early: {} tests were announced and {seen} reported",
                binary.announced
            ));
        }
    }

    fn nextest_case(&mut self, status: &str, rest: &str, report: &mut Report) {
        if self.nextest == Nextest::Over {
            return;
        }
        let outcome = match status {
            "PASS" | "LEAK" => Outcome::Passed,
            "FAIL" => Outcome::Failed,
            "SKIP" => Outcome::Skipped,
            _ => Outcome::Errored,
        };
        let Some((seconds, name)) = rest.split_once("s]") else {
            return;
        };
        self.nextest = Nextest::Running;
        let mut name = name.trim();
        // `(12/345)` before the name in newer versions.
        if name.starts_with('(') {
            name = name.split_once(')').map_or(name, |(_, name)| name.trim());
        }
        let mut case = Case::new(name, outcome);
        case.duration_ms = seconds_as_ms(seconds.trim().trim_start_matches('['));
        let before = self.failures.len();
        self.take(case, report);
        // Its output follows it.
        self.detail = (self.failures.len() > before).then_some(before);
        self.in_backtrace = false;
    }

    /// A line of a failure's output.
    fn detail_line(&mut self, line: &str) {
        let place = match panicked(line) {
            Some((thread, place)) => {
                // Where several tests print at once, the thread is the link to the test.
                let owner = self.failures.iter().rposition(|case| {
                    case.name == thread || case.name.rsplit(' ').next() == Some(thread)
                });
                self.detail = owner.or(self.detail);
                Some(place)
            }
            None => no_panic_place(line),
        };
        let Some(case) = self.detail.and_then(|index| self.failures.get_mut(index)) else {
            return;
        };
        if let Some(place) = place {
            case.location = place.to_owned();
        }
        self.in_backtrace &= !line.trim_start().starts_with("note: ");
        self.in_backtrace |= line.trim() == "stack backtrace:";
        let test = case.name.rsplit(' ').next().unwrap_or(&case.name);
        let is_noise = panicked(line).is_some()
            || line
                .trim_start()
                .starts_with("note: Some details are omitted")
            || is_frame(line, test);
        if !self.in_backtrace && !is_noise {
            // nextest indents the output of its tests.
            let line = line.strip_prefix("    ").unwrap_or(line);
            case.add_message(line.trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::super::{Report, TextFormat};

    fn cargo(text: &str) -> Report {
        read(TextFormat::Cargo, text)
    }

    const FAILING: &str = "
running 4 tests
test tests::faces ... FAILED
test tests::turns ... ok
test tests::bores ... ignored, needs a lathe
test tests::slips - should panic ... ok

failures:

---- tests::faces stdout ----

thread 'tests::faces' (4242) panicked at src/lib.rs:41:9:
assertion `left == right` failed
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace


failures:
    tests::faces

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

error: test failed, to rerun pass `--lib`
";

    #[test]
    fn a_failure_has_its_place_and_message() {
        let report = cargo(FAILING);
        assert_eq!(report.counts.text(), "2 passed, 1 failed, 1 skipped");
        assert_eq!(report.failures.len(), 1);
        assert_eq!(report.failures[0].name, "tests::faces");
        assert_eq!(report.failures[0].location, "src/lib.rs:41:9");
        assert_eq!(
            report.failures[0].message,
            "assertion `left == right` failed\n  left: 1\n right: 2"
        );
        assert!(report.problems.is_empty());
    }

    #[test]
    fn several_binaries_add_up() {
        let two = format!(
            "{FAILING}\n   Doc-tests spindle\n\nrunning 1 test\ntest src/lib.rs - a (line 3) ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n"
        );
        assert_eq!(cargo(&two).counts.text(), "3 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn the_result_line_has_the_last_word() {
        let terse = "running 3 tests\n...\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(cargo(terse).counts.text(), "3 passed");
        let mixed = "running 2 tests\ntest a ... printed by the test\nok\ntest b ... ok\n\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(cargo(mixed).counts.text(), "2 passed");
    }

    #[test]
    fn a_crash_is_a_problem() {
        let report = cargo(
            "running 3 tests\ntest a ... ok\nerror: test failed, to rerun pass `--lib`\n\nCaused by:\n  process didn't exit successfully (signal: 6, SIGABRT)\n",
        );
        assert_eq!(report.counts.passed, 1);
        assert_eq!(
            report.problems,
            ["a test binary ended early: 3 tests were announced and 1 reported"]
        );
    }

    #[test]
    fn report_time_gives_the_slowest() {
        let report = cargo(
            "running 2 tests\ntest a ... ok <0.120s>\ntest b ... ok <1.500s>\n\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.5s\n",
        );
        assert_eq!(
            report.slowest,
            [("b".to_owned(), 1500), ("a".to_owned(), 120)]
        );
    }

    #[test]
    fn nextest_is_read_once() {
        let report = cargo(
            "
 Nextest run ID 1 with nextest profile: default
    Starting 3 tests across 1 binary (1 test skipped)
        PASS [   0.004s] (1/3) spindle tests::turns
        FAIL [   0.005s] (2/3) spindle tests::faces
  stdout ───
    running 1 test
  stderr ───

    thread 'tests::faces' (77) panicked at src/lib.rs:41:9:
    too deep

     TIMEOUT [  60.000s] (3/3) spindle tests::hangs
────────────
     Summary [   0.009s] 3 tests run: 1 passed, 1 failed, 1 timed out, 1 skipped
        FAIL [   0.005s] (2/3) spindle tests::faces
     TIMEOUT [  60.000s] (3/3) spindle tests::hangs
error: test run failed
",
        );
        assert_eq!(
            report.counts.text(),
            "1 passed, 1 failed, 1 error, 1 skipped"
        );
        assert_eq!(report.failures[0].location, "src/lib.rs:41:9");
        assert!(report.failures[0].message.contains("too deep"));
        assert_eq!(report.slowest[0].1, 60_000);
    }
}
