//! What a test run means for the build.

use crate::parameters::{Parameters, Verdict};
use crate::parse::Report;
use toolpost_sdk::{Exit, ExitStatus, Outcome, Results};

/// Weighs a report, and how the command ended if there was one.
pub(crate) fn outcome(report: &Report, exit: Option<&Exit>, parameters: &Parameters) -> Outcome {
    let counts = report.counts;
    let mut verdict = Verdict::Success;
    let mut text = counts.text();
    let mut add = |weight: Verdict, remark: Option<String>| {
        verdict = verdict.max(weight);
        if let Some(remark) = remark {
            text.push_str("; ");
            text.push_str(&remark);
        }
    };
    if counts.bad() > parameters.max_failures {
        add(parameters.on_failures, None);
    } else if counts.bad() > 0 {
        add(Verdict::Warnings.min(parameters.on_failures), None);
    }
    if counts.total() == 0 {
        add(parameters.on_no_tests, None);
    }
    if counts.ran() < parameters.min_tests {
        let remark = format!("at least {} tests should have run", parameters.min_tests);
        add(Verdict::Failure, Some(remark));
    }
    if let [first, others @ ..] = report.problems.as_slice() {
        let more = match others.len() {
            0 => String::new(),
            1 => " (and another problem)".to_owned(),
            more => format!(" (and {more} more problems)"),
        };
        add(Verdict::Failure, Some(format!("{first}{more}")));
    }
    match exit.map(|exit| exit.status) {
        None | Some(ExitStatus::Code(0)) => {}
        // That is how a command says that tests failed, which is weighed above.
        Some(ExitStatus::Code(_)) if counts.bad() > 0 => {}
        Some(ExitStatus::Interrupted) => {
            return Outcome::new(Results::Cancelled, format!("{text}; interrupted"));
        }
        Some(status) => add(Verdict::Failure, Some(status.to_string())),
    }
    let results = match verdict {
        Verdict::Success => Results::Success,
        Verdict::Warnings => Results::Warnings,
        Verdict::Failure => Results::Failure,
    };
    Outcome::new(results, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::Counts;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn check(parameters: Value, report: &Report, status: ExitStatus, expected: &Outcome) {
        let parameters: Parameters = serde_json::from_value(parameters).expect("they fit");
        let exit = Exit {
            status,
            elapsed: Duration::ZERO,
            truncated: false,
        };
        assert_eq!(outcome(report, Some(&exit), &parameters), *expected);
    }

    fn report(passed: u64, failed: u64, problems: &[&str]) -> Report {
        let problems = problems
            .iter()
            .map(|problem| (*problem).to_owned())
            .collect();
        let counts = Counts {
            passed,
            failed,
            ..Counts::default()
        };
        Report {
            counts,
            problems,
            ..Report::default()
        }
    }

    const GOOD: ExitStatus = ExitStatus::Code(0);

    #[test]
    fn failed_tests_weigh_what_the_configuration_says() {
        let bad = ExitStatus::Code(101);
        check(
            json!({}),
            &report(4, 0, &[]),
            GOOD,
            &Outcome::success("4 passed"),
        );
        check(
            json!({}),
            &report(4, 1, &[]),
            bad,
            &Outcome::failure("4 passed, 1 failed"),
        );
        let warn = json!({"on_failures": "warnings"});
        check(
            warn,
            &report(4, 1, &[]),
            bad,
            &Outcome::warnings("4 passed, 1 failed"),
        );
        let ignore = json!({"on_failures": "success", "max_failures": 9});
        check(
            ignore,
            &report(4, 1, &[]),
            bad,
            &Outcome::success("4 passed, 1 failed"),
        );
        let some = json!({"max_failures": 2});
        check(
            some.clone(),
            &report(4, 2, &[]),
            bad,
            &Outcome::warnings("4 passed, 2 failed"),
        );
        check(
            some,
            &report(4, 3, &[]),
            bad,
            &Outcome::failure("4 passed, 3 failed"),
        );
    }

    #[test]
    fn too_few_tests_are_noticed() {
        check(
            json!({}),
            &report(0, 0, &[]),
            GOOD,
            &Outcome::failure("no tests"),
        );
        let fine = json!({"on_no_tests": "success"});
        check(
            fine,
            &report(0, 0, &[]),
            GOOD,
            &Outcome::success("no tests"),
        );
        check(
            json!({"min_tests": 5}),
            &report(4, 0, &[]),
            GOOD,
            &Outcome::failure("4 passed; at least 5 tests should have run"),
        );
    }

    #[test]
    fn a_run_that_broke_is_never_good() {
        check(
            json!({"on_failures": "success"}),
            &report(4, 0, &[]),
            ExitStatus::Code(2),
            &Outcome::failure("4 passed; exit code 2"),
        );
        check(
            json!({}),
            &report(4, 0, &["cut off", "b", "c"]),
            GOOD,
            &Outcome::failure("4 passed; cut off (and 2 more problems)"),
        );
        check(
            json!({"on_failures": "warnings"}),
            &report(4, 1, &[]),
            ExitStatus::IdleTimeout,
            &Outcome::failure("4 passed, 1 failed; ended because it was silent for too long"),
        );
        check(
            json!({}),
            &report(4, 0, &[]),
            ExitStatus::Interrupted,
            &Outcome::new(Results::Cancelled, "4 passed; interrupted"),
        );
    }
}
