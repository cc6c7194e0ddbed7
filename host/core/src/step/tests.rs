use std::time::Duration;

use super::*;
use crate::Results::{self, Cancelled, Exception, Failure, Retry, Skipped, Success, Warnings};
use crate::Timestamp;

const D: ResultFlags = ResultFlags::DEFAULT;

fn planned(flags: ResultFlags) -> PlannedStep {
    PlannedStep {
        flags,
        ..PlannedStep::default()
    }
}

/// Runs a build whose steps have these flags and end so. Gives which ran and how the build ended.
fn run(steps: &[(ResultFlags, Results)]) -> (Vec<usize>, Results) {
    let mut build = BuildProgress::new(steps.iter().map(|(flags, _)| planned(*flags)).collect());
    let mut ran = Vec::new();
    loop {
        match build.next_step() {
            Next::Start(index) => {
                assert_eq!(build.next_step(), Next::Wait(index));
                ran.push(index);
                build.step_finished(steps[index].1, "");
            }
            Next::Wait(index) => panic!("step {index} was reported"),
            Next::Finish(results) => {
                assert_eq!(build.left_out().len() + ran.len(), steps.len());
                return (ran, results);
            }
        }
    }
}

#[test]
fn flags_say_how_a_result_counts() {
    let no_flunk = ResultFlags {
        flunk_on_failure: false,
        ..D
    };
    let warn = ResultFlags {
        warn_on_failure: true,
        ..no_flunk
    };
    let both = ResultFlags {
        warn_on_failure: true,
        ..D
    };
    let warn_warn = ResultFlags {
        warn_on_warnings: true,
        ..D
    };
    let flunk_warn = ResultFlags {
        flunk_on_warnings: true,
        ..D
    };
    let flunk_and_warn = ResultFlags {
        warn_on_warnings: true,
        ..flunk_warn
    };
    for (flags, step, expected) in [
        (D, Success, (Success, false)),
        (D, Warnings, (Success, false)),
        (D, Failure, (Failure, false)),
        (D, Skipped, (Success, false)),
        (D, Exception, (Exception, true)),
        (D, Retry, (Retry, true)),
        (D, Cancelled, (Cancelled, true)),
        (ResultFlags::HALTING, Failure, (Failure, true)),
        (ResultFlags::HALTING, Warnings, (Success, false)),
        (no_flunk, Failure, (Success, false)),
        (warn, Failure, (Warnings, false)),
        (both, Failure, (Failure, false)),
        (warn_warn, Warnings, (Warnings, false)),
        (flunk_warn, Warnings, (Failure, false)),
        (flunk_and_warn, Warnings, (Failure, false)),
        (
            ResultFlags {
                halt_on_failure: true,
                ..no_flunk
            },
            Failure,
            (Success, true),
        ),
        (
            ResultFlags {
                always_run: true,
                ..D
            },
            Exception,
            (Exception, true),
        ),
    ] {
        assert_eq!(flags.apply(Success, step), expected, "{flags:?} {step}");
    }
    assert_eq!(
        D.apply(Failure, Success),
        (Failure, false),
        "never better again"
    );
}

#[test]
fn a_halt_leaves_out_all_but_the_steps_that_always_run() {
    let always = ResultFlags {
        always_run: true,
        ..D
    };
    assert_eq!(run(&[]), (vec![], Success));
    assert_eq!(
        run(&[(D, Success), (D, Failure), (D, Success)]),
        (vec![0, 1, 2], Failure)
    );
    assert_eq!(
        run(&[
            (ResultFlags::HALTING, Failure),
            (D, Success),
            (always, Warnings),
            (D, Success)
        ]),
        (vec![0, 2], Failure)
    );
    assert_eq!(
        run(&[(D, Exception), (always, Failure), (D, Success)]),
        (vec![0, 1], Exception)
    );
    assert_eq!(run(&[(D, Skipped), (D, Skipped)]), (vec![0, 1], Success));
    assert_eq!(run(&[(D, Retry), (D, Success)]), (vec![0], Retry));
}

#[test]
fn a_stopped_build_interrupts_its_step_and_ends_as_asked() {
    let always = ResultFlags {
        always_run: true,
        ..D
    };
    let mut build = BuildProgress::new(vec![planned(D), planned(D), planned(always)]);
    let stop = |results| Stop {
        results,
        reason: "not needed".into(),
    };
    assert_eq!(build.next_step(), Next::Start(0));
    assert_eq!(build.stop(stop(Cancelled)), Some(0));
    build.step_finished(Cancelled, "make (cancelled)");
    assert_eq!(build.next_step(), Next::Start(2));
    assert_eq!(
        build.stop(stop(Retry)),
        Some(2),
        "a second stop reaches that one too"
    );
    build.step_finished(Success, "cleaned");
    assert_eq!(build.next_step(), Next::Finish(Cancelled));
    assert_eq!(build.left_out(), [1]);
    assert_eq!(
        build.finished_text(),
        "cancelled (not needed) make (cancelled)"
    );

    let mut idle = BuildProgress::new(vec![planned(D)]);
    assert_eq!(idle.stop(stop(Retry)), None);
    assert_eq!(idle.next_step(), Next::Finish(Retry));
}

#[test]
fn a_build_that_lost_its_worker_runs_nothing_more_and_is_tried_again() {
    let always = ResultFlags {
        always_run: true,
        ..D
    };
    let mut build = BuildProgress::new(vec![planned(D), planned(always)]);
    assert_eq!(build.next_step(), Next::Start(0));
    assert_eq!(build.worker_lost(), Some(0));
    build.step_finished(Retry, "make (retry)");
    assert_eq!(build.next_step(), Next::Finish(Retry));
    assert_eq!(build.finished_text(), "retry lost connection");
    assert_eq!(build.worker_lost(), None);

    let mut stopped = BuildProgress::new(vec![planned(D)]);
    let _ = stopped.stop(Stop {
        results: Cancelled,
        reason: String::new(),
    });
    let _ = stopped.worker_lost();
    assert_eq!(
        stopped.next_step(),
        Next::Finish(Cancelled),
        "a person wanted no other attempt"
    );
}

#[test]
fn the_build_is_summed_up_by_the_steps_that_matter() {
    let mut build = BuildProgress::new(vec![
        planned(D),
        planned(D),
        PlannedStep {
            summary_policy: BuildSummaryPolicy::fixed(true),
            ..planned(D)
        },
        PlannedStep {
            summary_policy: BuildSummaryPolicy::fixed(false),
            ..planned(D)
        },
    ]);
    assert_eq!(build.running_text(), "building");
    let ends = [
        (Success, "checkout"),
        (Failure, "3 failed (failure)"),
        (Success, "uploaded"),
        (Exception, "quiet (exception)"),
    ];
    for (results, summary) in ends {
        assert!(matches!(build.next_step(), Next::Start(_)));
        build.step_finished(results, summary);
    }
    assert_eq!(build.running_text(), "3 failed (failure) uploaded");
    assert_eq!(build.next_step(), Next::Finish(Exception));
    assert_eq!(
        build.finished_text(),
        "exception 3 failed (failure) uploaded"
    );
    let mut good = BuildProgress::new(vec![]);
    assert_eq!(good.next_step(), Next::Finish(Success));
    assert_eq!(good.finished_text(), "build successful");
    good.fail(Exception);
    assert_eq!(good.finished_text(), "exception");
}

#[test]
fn the_automatic_summary_policy_follows_the_flags() {
    let shown = |flags: ResultFlags| {
        let policy = BuildSummaryPolicy::Automatic;
        Results::ALL
            .into_iter()
            .filter(|r| policy.includes(*r, flags))
            .collect::<Vec<_>>()
    };
    let silent = ResultFlags {
        flunk_on_failure: false,
        ..D
    };
    assert_eq!(shown(D), [Failure, Exception, Retry, Cancelled]);
    assert_eq!(shown(silent), [Exception, Retry, Cancelled]);
    assert_eq!(
        shown(ResultFlags {
            warn_on_warnings: true,
            ..silent
        }),
        [Warnings, Exception, Retry, Cancelled]
    );
    assert!(BuildSummaryPolicy::of([Success]).includes(Success, D));
}

#[test]
fn steps_can_be_added_while_the_build_runs() {
    let mut build = BuildProgress::new(vec![planned(D), planned(D)]);
    assert_eq!(build.next_step(), Next::Start(0));
    assert_eq!(build.add_after_current(vec![planned(D), planned(D)]), 2..4);
    assert_eq!(build.add_at_end(vec![planned(D)]), 4..5);
    let mut order = Vec::new();
    loop {
        build.step_finished(Success, "");
        match build.next_step() {
            Next::Start(index) => order.push(index),
            Next::Wait(index) => panic!("step {index} was reported"),
            Next::Finish(_) => break,
        }
    }
    assert_eq!(order, [2, 3, 1, 4]);
}

#[test]
fn options_that_are_not_given_are_the_step_types() {
    let options = StepOptions {
        halt_on_failure: Some(false),
        always_run: Some(true),
        ..StepOptions::default()
    };
    let flags = options.result_flags(ResultFlags {
        warn_on_warnings: true,
        ..ResultFlags::HALTING
    });
    assert_eq!(
        flags,
        ResultFlags {
            always_run: true,
            warn_on_warnings: true,
            ..D
        }
    );
    assert_eq!(
        StepOptions::default().result_flags(ResultFlags::HALTING),
        ResultFlags::HALTING
    );
}

#[test]
fn exit_codes_mean_what_was_said() {
    let plain = StepOptions::default();
    assert_eq!(
        [0, 1, -9].map(|code| plain.decode_exit_code(code)),
        [Success, Failure, Failure]
    );
    let decoded = StepOptions {
        decode_rc: Some([(0, Success), (2, Warnings)].into()),
        ..plain
    };
    assert_eq!(
        [0, 2, 3].map(|code| decoded.decode_exit_code(code)),
        [Success, Warnings, Failure]
    );
    let without_zero = StepOptions {
        decode_rc: Some([(1, Success)].into()),
        ..decoded
    };
    assert_eq!(without_zero.decode_exit_code(0), Failure);
}

#[test]
fn a_step_goes_from_waiting_to_running_to_its_end() {
    let at = |seconds| Timestamp::from_seconds(seconds);
    let (mut step, action) = StepProgress::start(at(10), true, true);
    assert_eq!(
        (step.phase(), action),
        (StepPhase::WaitingForLocks, StepAction::RequestLocks)
    );
    assert_eq!(step.lock_wait(at(13)), Duration::from_secs(3));
    assert_eq!(step.locks_granted(at(15)), StepAction::Run);
    assert_eq!(step.locks_granted(at(16)), StepAction::Nothing);
    assert_eq!(step.lock_wait(at(99)), Duration::from_secs(5));
    assert_eq!(
        (step.started_at(), step.locks_acquired_at()),
        (at(10), Some(at(15)))
    );
    assert_eq!(step.ended(Warnings), StepAction::Finish(Warnings));
    assert_eq!(step.ended(Failure), StepAction::Nothing);
    assert_eq!(step.interrupt(Interruption::Stopped), StepAction::Nothing);
    assert_eq!(step.phase(), StepPhase::Finished(Warnings));

    let (free, action) = StepProgress::start(at(1), true, false);
    assert_eq!(
        (action, free.locks_acquired_at()),
        (StepAction::Run, Some(at(1)))
    );
    let (skipped, action) = StepProgress::start(at(1), false, true);
    assert_eq!(action, StepAction::Finish(Skipped));
    assert_eq!(
        (skipped.locks_acquired_at(), skipped.lock_wait(at(9))),
        (None, Duration::ZERO)
    );
}

#[test]
fn an_interrupted_step_ends_as_the_interruption_says() {
    for (why, own_end, expected) in [
        (Interruption::Stopped, Success, Cancelled),
        (Interruption::Stopped, Failure, Cancelled),
        (Interruption::Stopped, Retry, Retry),
        (Interruption::WorkerLost, Failure, Retry),
        (Interruption::WorkerLost, Exception, Retry),
    ] {
        let (mut step, _) = StepProgress::start(Timestamp(0), true, false);
        assert_eq!(step.interrupt(why), StepAction::Interrupt);
        assert_eq!(
            step.ended(own_end),
            StepAction::Finish(expected),
            "{why:?} {own_end}"
        );

        let (mut waiting, _) = StepProgress::start(Timestamp(0), true, true);
        let at_once = waiting.interrupt(why);
        assert!(matches!(at_once, StepAction::Finish(Cancelled | Retry)));
        assert_eq!(waiting.locks_granted(Timestamp(1)), StepAction::Nothing);
    }
}
