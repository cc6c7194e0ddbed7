use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::ids::{DeliveryId, JournalId, ReporterId, WorkerId};
use crate::journal::{Fact, JournalEntry, JournalKind};
use crate::{Results, Timestamp};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

mod crashing {
    use super::*;

    /// How long the reporter waits after each of so many crashes in a row, each when the wait before is over.
    fn waits(crashes: &mut Crashes, count: usize) -> Vec<u64> {
        let mut now = at(0);
        let waits = std::iter::repeat_with(|| {
            crashes.crashed(now);
            let (until, wait) = crashes.waits(now).unwrap_or((now, Duration::ZERO));
            now = until;
            wait.as_secs()
        });
        waits.take(count).collect()
    }

    #[test]
    fn the_first_crashes_are_free_and_then_waits_grow_up_to_a_limit() {
        let mut crashes = Crashes::default();
        assert_eq!(
            waits(&mut crashes, 11),
            [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300]
        );
        assert_eq!((crashes.in_a_row(), crashes.tries_max(8)), (11, 1));
        crashes.went_well();
        assert_eq!(crashes.tries_max(8), 8);
        assert_eq!(waits(&mut crashes, 3), [0, 0, 5]);
    }

    #[test]
    fn tries_that_ran_beside_each_other_count_once_and_another_version_is_not_guilty() {
        let mut crashes = Crashes::default();
        crashes.see_version(Some("old".to_owned()));
        for _ in 0..8 {
            crashes.crashed(at(0));
        }
        assert_eq!(crashes.waits(at(4)), Some((at(5), Duration::from_secs(5))));
        crashes.see_version(Some("old".to_owned()));
        assert_eq!(crashes.in_a_row(), 3);
        crashes.see_version(Some("new".to_owned()));
        assert_eq!((crashes.in_a_row(), crashes.waits(at(4))), (0, None));
    }
}

mod retrying {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts_max: 5,
        first_wait: Duration::from_secs(10),
        longest_wait: Duration::from_secs(30),
    };

    #[test]
    fn waits_grow_up_to_the_longest_and_the_last_try_gives_up() {
        let table = [
            (1, Next::RetryAt(at(110))),
            (2, Next::RetryAt(at(120))),
            (3, Next::RetryAt(at(130))),
            (4, Next::RetryAt(at(130))),
            (5, Next::GiveUp),
            (6, Next::GiveUp),
        ];
        for (attempt, next) in table {
            let decided = POLICY.after(Failure::Retryable, attempt, at(100), 0.0);
            assert_eq!(decided, next, "try {attempt}");
        }
    }

    #[test]
    fn what_cannot_be_helped_is_given_up_at_once() {
        assert_eq!(
            POLICY.after(Failure::Permanent, 1, at(0), 0.0),
            Next::GiveUp
        );
    }

    #[test]
    fn chance_keeps_those_apart_that_failed_together() {
        let waits: BTreeSet<i64> = [0.0, 0.25, 0.5, 1.0]
            .map(
                |random| match POLICY.after(Failure::Retryable, 2, at(0), random) {
                    Next::RetryAt(at) => at.0,
                    Next::GiveUp => panic!("there are tries left"),
                },
            )
            .into();
        assert_eq!(
            waits.into_iter().collect::<Vec<_>>(),
            [15_000, 17_500, 18_750, 20_000]
        );
    }
}

mod rounds {
    use super::*;

    fn head(id: i64, stream: &str, next_at: i64) -> Delivery {
        Delivery {
            id: DeliveryId(id),
            reporter_id: ReporterId(1),
            key: String::new(),
            entry: JournalEntry {
                id: JournalId(id),
                at: at(0),
                fact: Fact::WorkerLost(WorkerId(1)),
            },
            stream: stream.to_owned(),
            status: DeliveryStatus::Pending,
            attempts: 0,
            next_at: at(next_at),
            text: None,
            settled_at: None,
        }
    }

    #[test]
    fn a_round_starts_what_is_due_and_has_room() {
        let heads = [
            head(1, "a", 1),
            head(2, "b", 2),
            head(3, "c", 9),
            head(4, "d", 20),
            head(5, "e", 30),
        ];
        // (running, at most, now) -> (start, wake at)
        type Row = (
            &'static [(i64, &'static str)],
            usize,
            i64,
            &'static [i64],
            Option<i64>,
        );
        let table: [Row; 8] = [
            (&[], 4, 0, &[], Some(1)),
            (&[], 4, 2, &[1, 2], Some(9)),
            (&[], 1, 9, &[1], Some(20)),
            (&[], 4, 9, &[1, 2, 3], Some(20)),
            (&[(1, "a")], 4, 9, &[2, 3], Some(20)),
            (&[(1, "a"), (2, "b")], 2, 9, &[], Some(20)),
            // The delivery that runs is not the head any more, and its stream has to wait nevertheless.
            (&[(7, "b")], 4, 9, &[1, 3], Some(20)),
            (&[(7, "d")], 9, 30, &[1, 2, 3, 5], None),
        ];
        for (n, (running, max, now, start, wake_at)) in table.into_iter().enumerate() {
            let running: BTreeMap<_, _> = running
                .iter()
                .map(|(id, stream)| (DeliveryId(*id), (*stream).to_owned()))
                .collect();
            let expected = Round {
                start: start.iter().copied().map(DeliveryId).collect(),
                wake_at: wake_at.map(at),
            };
            assert_eq!(plan_round(&heads, &running, max, at(now)), expected, "{n}");
        }
    }
}

mod wanting {
    use super::*;

    fn names(names: &[&str]) -> Option<BTreeSet<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn all() -> Wants {
        Wants {
            events: JournalKind::ALL.into(),
            builders: None,
            tags: None,
            schedulers: None,
            branches: None,
            results: [ResultsMode::All].into(),
            silent_about: BTreeSet::new(),
        }
    }

    fn build(results: Option<Results>, previous: Option<Results>) -> About {
        About {
            builder: "linux".to_owned(),
            tags: vec!["fast".to_owned(), "c".to_owned()],
            scheduler: Some("commits".to_owned()),
            branches: vec!["main".to_owned()],
            results,
            previous,
        }
    }

    #[test]
    fn modes_are_buildbots() {
        use Results::{Cancelled, Exception, Failure, Retry, Skipped, Success, Warnings};
        // For each mode: which results it takes after none, a success, and a failure.
        let table: [(ResultsMode, [&[Results]; 3]); 8] = [
            (ResultsMode::All, [&Results::ALL; 3]),
            (
                ResultsMode::Change,
                [
                    &[],
                    &[Warnings, Failure, Skipped, Exception, Retry, Cancelled],
                    &[Success, Warnings, Skipped, Exception, Retry, Cancelled],
                ],
            ),
            (ResultsMode::Failing, [&[Failure]; 3]),
            (ResultsMode::Passing, [&[Success]; 3]),
            (ResultsMode::Problem, [&[], &[Failure], &[]]),
            (ResultsMode::Warnings, [&[Warnings]; 3]),
            (ResultsMode::Exception, [&[Exception]; 3]),
            (ResultsMode::Cancelled, [&[Cancelled]; 3]),
        ];
        for (mode, taken) in table {
            let wants = Wants {
                results: [mode].into(),
                ..all()
            };
            for (previous, taken) in [None, Some(Success), Some(Failure)].into_iter().zip(taken) {
                for results in Results::ALL {
                    assert_eq!(
                        wants.take(
                            JournalKind::BuildFinished,
                            &[build(Some(results), previous)]
                        ),
                        taken.contains(&results),
                        "{} takes {results} after {previous:?}",
                        mode.name()
                    );
                }
            }
            // What has not ended yet has no result to be asked for.
            assert!(wants.take(JournalKind::BuildStarted, &[build(None, None)]));
        }
    }

    #[test]
    fn all_filters_have_to_fit() {
        let about = [build(None, None)];
        let table: [(&str, Wants, bool); 11] = [
            ("all", all(), true),
            (
                "another event",
                Wants {
                    events: [JournalKind::WorkerLost].into(),
                    ..all()
                },
                false,
            ),
            (
                "builder",
                Wants {
                    builders: names(&["mac", "linux"]),
                    ..all()
                },
                true,
            ),
            (
                "another builder",
                Wants {
                    builders: names(&["mac"]),
                    ..all()
                },
                false,
            ),
            (
                "tag",
                Wants {
                    tags: names(&["c", "slow"]),
                    ..all()
                },
                true,
            ),
            (
                "another tag",
                Wants {
                    tags: names(&["slow"]),
                    ..all()
                },
                false,
            ),
            (
                "scheduler",
                Wants {
                    schedulers: names(&["commits"]),
                    ..all()
                },
                true,
            ),
            (
                "another scheduler",
                Wants {
                    schedulers: names(&["nightly"]),
                    ..all()
                },
                false,
            ),
            (
                "branch",
                Wants {
                    branches: names(&["main"]),
                    ..all()
                },
                true,
            ),
            (
                "another branch",
                Wants {
                    branches: names(&["dev"]),
                    ..all()
                },
                false,
            ),
            (
                "one of two",
                Wants {
                    builders: names(&["linux"]),
                    branches: names(&["dev"]),
                    ..all()
                },
                false,
            ),
        ];
        for (what, wants, taken) in table {
            assert_eq!(
                wants.take(JournalKind::BuildStarted, &about),
                taken,
                "{what}"
            );
        }
    }

    #[test]
    fn one_thing_that_fits_is_enough_and_nothing_fits_who_takes_everything() {
        let failing = Wants {
            results: [ResultsMode::Failing].into(),
            ..all()
        };
        let set = [
            build(Some(Results::Success), None),
            build(Some(Results::Failure), None),
        ];
        assert!(failing.take(JournalKind::BuildsetComplete, &set));
        assert!(!failing.take(JournalKind::BuildsetComplete, &set[..1]));
        assert!(!failing.take(JournalKind::BuildsetComplete, &[]));
        assert!(all().take(JournalKind::BuildsetComplete, &[]));
        let of_builder = Wants {
            builders: names(&["linux"]),
            ..all()
        };
        assert!(!of_builder.take(JournalKind::WorkerLost, &[]));
    }

    #[test]
    fn only_what_is_asked_for_has_to_be_known() {
        let needs = |wants: Wants| (wants.needs().previous, wants.needs().origin);
        assert_eq!(needs(all()), (false, false));
        let problem = Wants {
            results: [ResultsMode::Warnings, ResultsMode::Problem].into(),
            ..all()
        };
        assert_eq!(needs(problem), (true, false));
        let branch = Wants {
            branches: names(&["main"]),
            ..all()
        };
        assert_eq!(needs(branch), (false, true));
    }
}
