//! The Test Anything Protocol, versions 12 to 14 (testanything.org).
//!
//! Subtests are indented by four spaces for each level. The point that follows a subtest sums it up, so
//! that the subtest's points are counted and that one is not, unless it failed though they all passed.

use super::LineReader;
use super::location::perl_place;
use super::report::{Case, Outcome, Report, seconds_as_ms};

const INDENT: usize = 4;
/// Deeper subtests are counted with this depth.
const DEPTH_MAX: usize = 32;

/// State of the reader.
#[derive(Default)]
pub(super) struct Tap {
    levels: Vec<Level>,
    /// The last point, kept open because its diagnostics follow it.
    open: Option<Case>,
    yaml: Option<Yaml>,
    bailed_out: bool,
    seen_any: bool,
}

/// A block of diagnostics.
struct Yaml {
    /// Of its keys.
    indent: usize,
    /// Inside a key that says nothing about the failure which is not said elsewhere.
    in_noise: bool,
}

/// One level of subtests.
#[derive(Default, Clone)]
struct Level {
    planned: Option<u64>,
    points: u64,
    /// Points of this level and below since the last point of the level above.
    counted: u64,
    bad: u64,
}

impl LineReader for Tap {
    fn line(&mut self, line: &str, report: &mut Report) {
        if self.bailed_out {
            return;
        }
        let body = line.trim_start_matches(' ');
        let depth = ((line.len() - body.len()) / INDENT).min(DEPTH_MAX);
        if self.yaml.is_some() {
            self.yaml_line(line.len() - body.len(), body);
        } else if body == "---" && self.open.is_some() {
            self.yaml = Some(Yaml {
                indent: line.len() - body.len(),
                in_noise: false,
            });
        } else if let Some(point) = Point::read(body) {
            self.point(depth, point, report);
        } else if let Some((planned, skip)) = plan(body) {
            self.plan(depth, planned, skip, report);
        } else if let Some(reason) = body.strip_prefix("Bail out!") {
            self.close(report);
            self.bailed_out = true;
            let reason = reason.trim();
            let separator = if reason.is_empty() { "" } else { ": " };
            report.problem(format!("the run bailed out{separator}{reason}"));
        } else if let (Some(case), Some(comment)) = (&mut self.open, body.strip_prefix('#')) {
            let comment = comment.trim();
            match perl_place(comment) {
                Some(place) if case.location.is_empty() => case.location = place,
                _ => case.add_message(comment),
            }
        }
    }

    fn end(&mut self, report: &mut Report) {
        self.close(report);
        if self.bailed_out || !self.seen_any {
            return;
        }
        if let Some(Level {
            planned: Some(planned),
            points,
            ..
        }) = self.levels.first()
        {
            if planned != points {
                report.problem(format!(
                    "{planned} tests were planned and {points} reported"
                ));
            }
        }
    }
}

impl Tap {
    fn level(&mut self, depth: usize) -> &mut Level {
        if self.levels.len() <= depth {
            self.levels.resize(depth + 1, Level::default());
        }
        &mut self.levels[depth]
    }

    fn plan(&mut self, depth: usize, planned: u64, skip: bool, report: &mut Report) {
        self.seen_any = true;
        self.level(depth).planned = Some(planned);
        if planned == 0 && skip && depth == 0 {
            report.record(Case::new("all", Outcome::Skipped));
        }
    }

    fn point(&mut self, depth: usize, point: Point, report: &mut Report) {
        self.close(report);
        self.seen_any = true;
        let below = self.levels.get(depth + 1).cloned().unwrap_or_default();
        self.levels.truncate(depth + 1);
        let bad = point.case.outcome == Outcome::Failed;
        let sums_up = below.counted > 0 && !(bad && below.bad == 0);
        let level = self.level(depth);
        level.points += 1;
        level.counted += below.counted;
        level.bad += below.bad;
        if sums_up {
            return;
        }
        level.counted += 1;
        level.bad += u64::from(bad);
        self.open = Some(point.case);
    }

    /// Records the open point: its diagnostics are over.
    fn close(&mut self, report: &mut Report) {
        self.yaml = None;
        if let Some(case) = self.open.take() {
            report.record(case);
        }
    }

    /// A line of a block of diagnostics, indented by so many spaces.
    fn yaml_line(&mut self, indent: usize, line: &str) {
        if line == "..." {
            self.yaml = None;
            return;
        }
        let (Some(yaml), Some(case)) = (&mut self.yaml, &mut self.open) else {
            return;
        };
        let nested = indent > yaml.indent;
        let (key, value) = match line.split_once(':') {
            Some((key, value)) if !nested => (key, value.trim().trim_matches(['\'', '"'])),
            _ => ("", ""),
        };
        if !nested {
            yaml.in_noise = matches!(key, "stack" | "failureType" | "code" | "name" | "type");
        }
        match key {
            "duration_ms" => {
                case.duration_ms = seconds_as_ms(value).map(|thousandfold| thousandfold / 1000);
            }
            "at" | "location" => case.location = value.to_owned(),
            _ if yaml.in_noise || case.outcome != Outcome::Failed => {}
            // The text itself, or the mark that it follows in a block.
            "error" | "message" if value.starts_with(['|', '>']) => {}
            "error" | "message" => case.add_message(value),
            _ if !line.is_empty() => case.add_message(line),
            _ => {}
        }
    }
}

/// `ok` or `not ok` and what follows.
struct Point {
    case: Case,
}

impl Point {
    fn read(line: &str) -> Option<Self> {
        let (passed, rest) = match line.strip_prefix("not ok") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("ok")?),
        };
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            return None;
        }
        let rest = rest.trim();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = rest.split_at(digits);
        let rest = rest.trim().strip_prefix("- ").unwrap_or(rest.trim());
        let (description, directive) = split_directive(rest);
        let outcome = match directive {
            Some(Directive::Skip) => Outcome::Skipped,
            Some(Directive::Todo) if !passed => Outcome::Expected,
            _ if passed => Outcome::Passed,
            _ => Outcome::Failed,
        };
        let name = match (description, number) {
            ("", "") => "unnamed".to_owned(),
            ("", number) => format!("test {number}"),
            (description, _) => description.replace("\\#", "#"),
        };
        Some(Self {
            case: Case::new(name, outcome),
        })
    }
}

enum Directive {
    Skip,
    Todo,
}

/// Splits `description # SKIP reason`; a `#` behind a backslash belongs to the description.
fn split_directive(text: &str) -> (&str, Option<Directive>) {
    for (at, _) in text.match_indices('#') {
        if text[..at].ends_with('\\') {
            continue;
        }
        let word = text[at + 1..].trim_start();
        let starts = |prefix: &str| {
            word.get(..prefix.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        if starts("skip") {
            return (text[..at].trim_end(), Some(Directive::Skip));
        }
        if starts("todo") {
            return (text[..at].trim_end(), Some(Directive::Todo));
        }
    }
    (text, None)
}

/// `1..N`, with whether it says that all is skipped.
fn plan(line: &str) -> Option<(u64, bool)> {
    let rest = line.strip_prefix("1..")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let planned = rest[..digits].parse().ok()?;
    let tail = rest[digits..].trim_start();
    if !tail.is_empty() && !tail.starts_with('#') {
        return None;
    }
    let skip = tail.to_ascii_lowercase().contains("skip");
    Some((planned, skip))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::super::{Report, TextFormat};

    fn tap(text: &str) -> Report {
        read(TextFormat::Tap, text)
    }

    #[test]
    fn points_and_directives() {
        let report = tap(
            "TAP version 13\n1..5\nok 1 - starts\nnot ok 2 - faces\n#   Failed test 'faces'\n#   at t/lathe.t line 12.\nok 3 - parts # SKIP no blade\nnot ok 4 - bores # TODO later\nok 5 - colours \\# all\n",
        );
        assert_eq!(
            report.counts.text(),
            "2 passed, 1 failed, 1 skipped, 1 failed as expected"
        );
        assert_eq!(report.failures[0].name, "faces");
        assert_eq!(report.failures[0].message, "Failed test 'faces'");
        assert_eq!(report.failures[0].location, "t/lathe.t:12");
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    }

    #[test]
    fn a_plan_that_does_not_fit_is_a_problem() {
        assert_eq!(
            tap("1..3\nok 1\nok 2\n").problems,
            ["3 tests were planned and 2 reported"]
        );
        assert_eq!(tap("ok 1\nok 2\n1..2\n").problems, [""; 0]);
        assert_eq!(tap("1..0 # SKIP no network\n").counts.skipped, 1);
    }

    #[test]
    fn subtests_are_counted_and_their_sum_is_not() {
        let report = tap(
            "TAP version 14\n1..2\n# Subtest: lathe\n    ok 1 - turns\n    not ok 2 - faces\n      ---\n      message: 'too deep'\n      at: lathe.t:7\n      duration_ms: 12.5\n      ...\n    1..2\nnot ok 1 - lathe\nok 2 - mill\n",
        );
        assert_eq!(report.counts.text(), "2 passed, 1 failed");
        assert_eq!(report.failures[0].location, "lathe.t:7");
        assert!(report.failures[0].message.contains("too deep"));
        assert_eq!(report.slowest, [("faces".to_owned(), 12)]);
        let lonely = tap("    ok 1 - inner\n    1..1\nnot ok 1 - the set-up around it\n1..1\n");
        assert_eq!(lonely.counts.text(), "1 passed, 1 failed");
    }

    #[test]
    fn bailing_out_ends_it() {
        let report = tap("1..9\nok 1\nBail out! no spindle\nok 2\n");
        assert_eq!(report.counts.total(), 1);
        assert_eq!(report.problems, ["the run bailed out: no spindle"]);
    }

    #[test]
    fn ordinary_text_is_no_point() {
        let report = tap("okay then\nnot okay\nok\nnot ok\n");
        assert_eq!(report.counts.text(), "1 passed, 1 failed");
    }
}
