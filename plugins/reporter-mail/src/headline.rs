//! What happened, in one line. Pure.

use toolpost_sdk::reporter::{Event, WorkerReport};
use toolpost_sdk::{Delivery, Results};

/// What happened, such as `Build 12 of linux failed again`.
pub(crate) fn headline(delivery: &Delivery) -> String {
    match &delivery.event {
        Event::RequestAdded(request) => {
            format!("Request {} for {}", request.id, request.builder)
        }
        Event::BuildStarted(build) => {
            format!("Build {} of {} has started", build.number, build.builder)
        }
        Event::BuildFinished(build) => format!(
            "Build {} of {} {}",
            build.number,
            build.builder,
            ended(build.results.unwrap_or_default(), build.previous_results)
        ),
        Event::BuildsetComplete(buildset) => {
            format!(
                "Build set {} {}",
                buildset.id,
                ended(buildset.results, None)
            )
        }
        Event::WorkerLost(worker) => format!("Worker {} is lost", worker.name),
        Event::WorkerFound(worker) | Event::WorkerBack(worker) => {
            format!("Worker {} is back", worker.name)
        }
        Event::WorkerMissing(worker) => missing(worker, delivery.at_ms),
    }
}

fn missing(worker: &WorkerReport, at_ms: u64) -> String {
    let name = &worker.name;
    let Some(seen_ms) = worker.last_seen_ms else {
        return format!("Worker {name} is missing: it has never come");
    };
    match at_ms.saturating_sub(seen_ms) / 60_000 {
        minutes @ ..120 => format!("Worker {name} is missing: it has been away for {minutes} min"),
        minutes => format!(
            "Worker {name} is missing: it has been away for {} h",
            minutes / 60
        ),
    }
}

fn ended(results: Results, previous: Option<Results>) -> &'static str {
    let worked = matches!(previous, Some(Results::Success | Results::Warnings));
    let failed = previous == Some(Results::Failure);
    match results {
        Results::Success if failed => "works again",
        Results::Success => "succeeded",
        Results::Warnings if failed => "works again, with warnings",
        Results::Warnings => "succeeded with warnings",
        Results::Failure if failed => "failed again",
        Results::Failure if worked => "failed, and has worked before",
        Results::Failure => "failed",
        Results::Skipped => "was skipped",
        Results::Exception => "could not be run properly",
        Results::Retry => "is run again",
        Results::Cancelled => "was cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toolpost_sdk::reporter::{BuildReport, BuildsetReport, RequestReport};

    #[test]
    fn a_headline_says_what_is_new() {
        let check = |results, previous_results, expected| {
            let build = BuildReport {
                builder: "linux".to_owned(),
                number: 12,
                results: Some(results),
                previous_results,
                ..BuildReport::default()
            };
            assert_eq!(
                headline(&Delivery::of(Event::BuildFinished(build))),
                format!("Build 12 of linux {expected}")
            );
        };
        use Results::{Cancelled, Exception, Failure, Success, Warnings};
        check(Failure, Some(Success), "failed, and has worked before");
        check(Failure, Some(Failure), "failed again");
        check(Failure, Some(Exception), "failed");
        check(Failure, None, "failed");
        check(Success, Some(Failure), "works again");
        check(Success, Some(Warnings), "succeeded");
        check(Warnings, Some(Failure), "works again, with warnings");
        check(Exception, Some(Success), "could not be run properly");
        check(Cancelled, Some(Success), "was cancelled");
    }

    #[test]
    fn every_event_has_a_headline() {
        let worker = || WorkerReport {
            name: "w1".to_owned(),
            ..WorkerReport::default()
        };
        let check = |event, expected| assert_eq!(headline(&Delivery::of(event)), expected);
        check(
            Event::RequestAdded(RequestReport::default()),
            "Request 0 for ",
        );
        check(
            Event::BuildStarted(BuildReport::default()),
            "Build 0 of  has started",
        );
        check(
            Event::BuildsetComplete(BuildsetReport::default()),
            "Build set 0 succeeded",
        );
        check(Event::WorkerLost(worker()), "Worker w1 is lost");
        let since = |ms: u64| {
            let at = Delivery::of(Event::WorkerLost(worker())).at_ms;
            Event::WorkerMissing(WorkerReport {
                last_seen_ms: Some(at - ms),
                ..worker()
            })
        };
        check(
            since(60 * 60_000),
            "Worker w1 is missing: it has been away for 60 min",
        );
        check(
            since(150 * 60_000),
            "Worker w1 is missing: it has been away for 2 h",
        );
        check(
            Event::WorkerMissing(worker()),
            "Worker w1 is missing: it has never come",
        );
        check(Event::WorkerBack(worker()), "Worker w1 is back");
        check(Event::WorkerFound(worker()), "Worker w1 is back");
    }
}
