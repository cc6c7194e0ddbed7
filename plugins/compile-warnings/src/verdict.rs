//! What the warnings of a build mean for it.

use crate::parameters::Parameters;
use toolpost_sdk::{Exit, ExitStatus, Outcome, Results};

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    /// Different warnings.
    pub(crate) warnings: u64,
    /// Different warnings that were suppressed.
    pub(crate) suppressed: u64,
    /// The earlier count.
    pub(crate) baseline: Option<u64>,
}

/// Weighs the counts, and how the command ended.
pub(crate) fn outcome(counted: Counted, exit: &Exit, parameters: &Parameters) -> Outcome {
    let Counted {
        warnings,
        suppressed,
        baseline,
    } = counted;
    let mut text = match warnings {
        0 => "no warnings".to_owned(),
        1 => "1 warning".to_owned(),
        more => format!("{more} warnings"),
    };
    if suppressed > 0 {
        text.push_str(&format!(", {suppressed} suppressed"));
    }
    if let Some(baseline) = baseline {
        match warnings.checked_sub(baseline) {
            Some(0) => text.push_str(" (as before)"),
            Some(more) => text.push_str(&format!(" ({more} more than before)")),
            None => text.push_str(&format!(" ({} fewer than before)", baseline - warnings)),
        }
    }
    let limit = parameters.fail_above.filter(|limit| warnings > *limit);
    if let Some(limit) = limit {
        text.push_str(&format!("; at most {limit} are allowed"));
    }
    if !exit.is_success() {
        text.push_str(&format!("; {}", exit.status));
    }
    let results = if exit.status == ExitStatus::Interrupted {
        Results::Cancelled
    } else if !exit.is_success()
        || limit.is_some()
        || baseline.is_some_and(|baseline| warnings > baseline)
    {
        Results::Failure
    } else if warnings > parameters.warn_above {
        Results::Warnings
    } else {
        Results::Success
    };
    Outcome::new(results, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;

    #[test]
    fn counts_are_weighed() {
        let check = |rules: Value, counts: [u64; 2], baseline, status, expected: Outcome| {
            let mut parameters = json!({"command": "make"});
            parameters
                .as_object_mut()
                .expect("it is one")
                .extend(rules.as_object().expect("it is one").clone());
            let parameters: Parameters = serde_json::from_value(parameters).expect("they fit");
            let exit = Exit {
                status,
                elapsed: Duration::ZERO,
                truncated: false,
            };
            let [warnings, suppressed] = counts;
            let counted = Counted {
                warnings,
                suppressed,
                baseline,
            };
            assert_eq!(outcome(counted, &exit, &parameters), expected);
        };
        let good = ExitStatus::Code(0);
        let bad = ExitStatus::Code(2);
        check(
            json!({}),
            [0, 0],
            None,
            good,
            Outcome::success("no warnings"),
        );
        check(
            json!({}),
            [1, 3],
            None,
            good,
            Outcome::warnings("1 warning, 3 suppressed"),
        );
        check(
            json!({}),
            [0, 0],
            None,
            bad,
            Outcome::failure("no warnings; exit code 2"),
        );
        let limits = json!({"warn_above": 5, "fail_above": 9});
        check(
            limits.clone(),
            [5, 0],
            None,
            good,
            Outcome::success("5 warnings"),
        );
        check(
            limits.clone(),
            [9, 0],
            None,
            good,
            Outcome::warnings("9 warnings"),
        );
        let above = Outcome::failure("10 warnings; at most 9 are allowed");
        check(limits, [10, 0], None, good, above);
        let same = Outcome::warnings("3 warnings (as before)");
        check(json!({}), [3, 0], Some(3), good, same);
        let fewer = Outcome::warnings("3 warnings (2 fewer than before)");
        check(json!({}), [3, 0], Some(5), good, fewer);
        let more = Outcome::failure("3 warnings (1 more than before)");
        check(json!({"warn_above": 9}), [3, 0], Some(2), good, more);
        let stopped = Outcome::new(Results::Cancelled, "2 warnings; interrupted");
        check(json!({}), [2, 0], None, ExitStatus::Interrupted, stopped);
    }
}
