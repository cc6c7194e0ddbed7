//! Readers of test output. Pure: text in, a [`Report`] out; no host, no files.
//!
//! Every reader takes its input in lines of any length and any content, keeps a bounded amount of it,
//! and never fails: what does not fit its format is passed over, what is missing is a problem of the report.

mod cargo;
mod junit;
mod location;
mod pytest;
#[cfg(test)]
mod real;
mod report;
mod squeeze;
mod tap;

pub(crate) use junit::read_junit;
pub(crate) use report::{Counts, Report};

use toolpost_sdk::strip_escapes;

/// A text format that is read line by line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// Whichever of the others finds the most tests.
    Auto,
    /// `cargo test` and `cargo nextest`.
    Cargo,
    /// pytest.
    Pytest,
    /// Test Anything Protocol, versions 12 to 14.
    Tap,
}

/// Reads the output of a test run, line by line.
pub(crate) struct TextReader {
    readers: Vec<(Box<dyn LineReader>, Report)>,
}

/// One format.
trait LineReader {
    /// Takes a line without its end.
    fn line(&mut self, line: &str, report: &mut Report);
    /// The output is over.
    fn end(&mut self, report: &mut Report);
}

impl TextReader {
    /// A reader of this format.
    #[must_use]
    pub(crate) fn new(format: TextFormat) -> Self {
        let formats: &[TextFormat] = match format {
            TextFormat::Auto => &[TextFormat::Cargo, TextFormat::Pytest, TextFormat::Tap],
            _ => &[format],
        };
        let readers = formats
            .iter()
            .map(|format| (reader(*format), Report::default()))
            .collect();
        Self { readers }
    }

    /// Takes a line without its end. Colours are passed over.
    pub(crate) fn line(&mut self, line: &str) {
        let line = strip_escapes(line.strip_suffix('\r').unwrap_or(line));
        for (reader, report) in &mut self.readers {
            reader.line(&line, report);
        }
    }

    /// The counts up to now, by the format that has found the most tests.
    #[must_use]
    pub(crate) fn counts(&self) -> Counts {
        let all = self.readers.iter().map(|(_, report)| report.counts);
        all.max_by_key(Counts::total).unwrap_or_default()
    }

    /// The output is over: the report of the format that found the most tests.
    #[must_use]
    pub(crate) fn finish(mut self) -> Report {
        for (reader, report) in &mut self.readers {
            reader.end(report);
        }
        let mut best = Report::default();
        for (_, report) in self.readers {
            if report.counts.total() > best.counts.total()
                || (best.counts.total() == 0 && best.problems.is_empty())
            {
                best = report;
            }
        }
        best
    }
}

fn reader(format: TextFormat) -> Box<dyn LineReader> {
    match format {
        TextFormat::Pytest => Box::<pytest::Pytest>::default(),
        TextFormat::Tap => Box::<tap::Tap>::default(),
        TextFormat::Cargo | TextFormat::Auto => Box::<cargo::Cargo>::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(format: TextFormat, text: &str) -> Report {
        let mut reader = TextReader::new(format);
        for line in text.lines() {
            reader.line(line);
        }
        reader.finish()
    }

    #[test]
    fn auto_takes_the_format_that_finds_tests() {
        let tap = read(TextFormat::Auto, "1..2\nok 1 - a\nnot ok 2 - b\n");
        assert_eq!((tap.counts.passed, tap.counts.failed), (1, 1));
        let pytest = read(
            TextFormat::Auto,
            "===== 3 passed, 1 skipped in 0.12s =====\n",
        );
        assert_eq!((pytest.counts.passed, pytest.counts.skipped), (3, 1));
        let cargo = read(
            TextFormat::Auto,
            "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(cargo.counts.passed, 1);
    }

    #[test]
    fn nothing_is_no_tests_and_no_problem() {
        let report = read(TextFormat::Auto, "make: Nothing to be done for 'check'.\n");
        assert_eq!(report.counts.total(), 0);
        assert!(report.problems.is_empty());
    }

    #[test]
    fn colours_do_not_hide_results() {
        let report = read(
            TextFormat::Cargo,
            "running 1 test\ntest a ... \u{1b}[32mok\u{1b}(B\u{1b}[m\n",
        );
        assert_eq!(report.counts.total(), 1);
    }

    #[test]
    fn hostile_lines_are_passed_over() {
        let long = "x".repeat(1 << 20);
        for text in [
            long.as_str(),
            "1..99999999999999999999",
            "not ok 18446744073709551616",
            "ok ok ok",
            "test  ... ",
            "= =",
            "\u{0}\u{1}\u{1b}[",
        ] {
            for format in [
                TextFormat::Auto,
                TextFormat::Cargo,
                TextFormat::Pytest,
                TextFormat::Tap,
            ] {
                let _ = read(format, text);
            }
        }
    }
}
