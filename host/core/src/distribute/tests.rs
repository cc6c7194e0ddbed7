use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::locks::{Acquisition, Holder, LockScope, LockSpec};

/// Owns what a snapshot borrows.
#[derive(Debug, Clone, Default)]
struct Farm {
    builders: Vec<Builder>,
    workers: Vec<WorkerState<'static>>,
    locks: LockTable,
    master_free: Option<u32>,
    draining: bool,
}

#[derive(Debug, Clone)]
struct Builder {
    pending: Vec<Pending>,
    workers: Vec<WorkerId>,
    builds_max: Option<u32>,
    served_at: Option<Timestamp>,
    locks: Vec<LockAccess>,
}

fn builder(workers: &[i64], pending: Vec<Pending>) -> Builder {
    Builder {
        pending,
        workers: workers.iter().copied().map(WorkerId).collect(),
        builds_max: None,
        served_at: None,
        locks: Vec::new(),
    }
}

fn request(id: i64, priority: i32, submitted_at: i64) -> Pending {
    Pending {
        id: RequestId(id),
        priority,
        submitted_at: Timestamp(submitted_at),
        waited_for: false,
        chosen: None,
    }
}

fn worker(id: i64, builds_max: u32) -> WorkerState<'static> {
    const NAMES: [&str; 4] = ["w0", "w1", "w2", "w3"];
    WorkerState {
        id: WorkerId(id),
        name: usize::try_from(id)
            .ok()
            .and_then(|id| NAMES.get(id))
            .unwrap_or(&"w"),
        connected: true,
        paused: false,
        running: 0,
        builds_max: Some(builds_max),
        idle_since: None,
    }
}

impl Farm {
    fn run(&self) -> Distribution {
        self.explain(None, |_| true)
    }

    /// A round of some of the builders.
    fn explain(
        &self,
        explain: Option<BuilderId>,
        takes_part: impl Fn(BuilderId) -> bool,
    ) -> Distribution {
        let builders = self
            .builders
            .iter()
            .zip(1..)
            .map(|(builder, id)| BuilderState {
                id: BuilderId(id),
                pending: builder.pending.clone(),
                workers: &builder.workers,
                running: 0,
                builds_max: builder.builds_max,
                served_at: builder.served_at,
                locks: &builder.locks,
            })
            .filter(|builder| takes_part(builder.id));
        distribute(Snapshot {
            builders: builders.collect(),
            workers: self.workers.clone(),
            locks: &self.locks,
            master_free: self.master_free,
            draining: self.draining,
            explain,
        })
    }

    /// `request>worker` for each claim, in order.
    fn claims(&self) -> String {
        let claims = self.run().claims;
        let shown = claims.iter().map(|c| format!("{}>{}", c.request, c.worker));
        shown.collect::<Vec<_>>().join(" ")
    }

    /// Why each builder waits.
    fn reasons(&self) -> BTreeMap<i64, WaitReason> {
        let waiting = self.run().waiting.into_iter();
        waiting.map(|w| (w.builder.0, w.reason)).collect()
    }
}

#[test]
fn priority_comes_first_then_age_then_id() {
    let farm = Farm {
        builders: vec![
            builder(&[1], vec![request(1, 0, 10), request(2, 5, 90)]),
            builder(&[1], vec![request(4, 0, 5), request(3, 0, 5)]),
        ],
        workers: vec![worker(1, 9)],
        ..Farm::default()
    };
    assert_eq!(farm.claims(), "2>1 3>1 4>1 1>1");
}

#[test]
fn a_chosen_worker_is_the_only_one() {
    let chosen = |id, worker| Pending {
        chosen: Some(WorkerId(worker)),
        ..request(id, 0, id)
    };
    let mut farm = Farm {
        builders: vec![builder(
            &[1, 2],
            vec![chosen(1, 2), chosen(2, 2), request(3, 0, 3)],
        )],
        workers: vec![worker(1, 2), worker(2, 3)],
        ..Farm::default()
    };
    assert_eq!(farm.claims(), "1>2 2>2 3>1");
    // Others of its builder do not overtake it.
    farm.workers[1].paused = true;
    assert_eq!(farm.claims(), "");
    assert_eq!(farm.reasons()[&1], WaitReason::Chosen);
    farm.workers[1].paused = false;
    farm.builders[0].pending = vec![chosen(1, 3)];
    assert_eq!(farm.reasons()[&1], WaitReason::Chosen);
}

#[test]
fn builders_take_turns_when_requests_are_alike() {
    let requests = |first: i64| (first..first + 3).map(|id| request(id, 0, 7)).collect();
    let mut farm = Farm {
        builders: vec![builder(&[1], requests(10)), builder(&[1], requests(20))],
        workers: vec![worker(1, 4)],
        ..Farm::default()
    };
    assert_eq!(farm.claims(), "10>1 20>1 11>1 21>1");
    farm.builders[0].served_at = Some(Timestamp(50));
    farm.builders[1].served_at = Some(Timestamp(40));
    assert_eq!(farm.claims(), "20>1 10>1 21>1 11>1");
    farm.builders[0].served_at = None;
    assert_eq!(farm.claims(), "10>1 20>1 11>1 21>1");
}

#[test]
fn the_least_loaded_worker_is_taken_then_the_longest_idle() {
    let mut farm = Farm {
        builders: vec![builder(
            &[1, 2, 3],
            (1..=6).map(|id| request(id, 0, id)).collect(),
        )],
        workers: vec![worker(1, 3), worker(2, 3), worker(3, 3)],
        ..Farm::default()
    };
    farm.workers[0].running = 1;
    farm.workers[1].idle_since = Some(Timestamp(20));
    farm.workers[2].idle_since = Some(Timestamp(10));
    assert_eq!(farm.claims(), "1>3 2>2 3>1 4>3 5>2 6>1");
}

#[test]
fn a_builder_that_cannot_run_keeps_no_one_waiting() {
    let farm = Farm {
        builders: vec![
            builder(&[2], vec![request(1, 9, 0)]),
            builder(&[1], vec![request(2, 0, 0)]),
        ],
        workers: vec![
            worker(1, 1),
            WorkerState {
                paused: true,
                ..worker(2, 1)
            },
        ],
        ..Farm::default()
    };
    assert_eq!(farm.claims(), "2>1");
    assert_eq!(farm.reasons(), [(1, WaitReason::Paused)].into());
}

#[test]
fn whoever_waits_is_told_why() {
    let one = || vec![request(1, 0, 0)];
    let mut farm = Farm {
        builders: vec![
            builder(&[], one()),
            builder(&[2, 77], one()),
            builder(&[3, 2], one()),
            builder(&[1, 2, 3], one()),
            Builder {
                builds_max: Some(0),
                ..builder(&[1], one())
            },
        ],
        workers: vec![
            worker(1, 0),
            WorkerState {
                connected: false,
                ..worker(2, 1)
            },
            WorkerState {
                paused: true,
                ..worker(3, 1)
            },
        ],
        ..Farm::default()
    };
    let expected = [
        (1, WaitReason::NoWorkers),
        (2, WaitReason::NotConnected),
        (3, WaitReason::Paused),
        (4, WaitReason::WorkersBusy),
        (5, WaitReason::BuilderFull),
    ];
    assert_eq!(farm.reasons(), expected.into());
    farm.master_free = Some(0);
    assert!(
        farm.reasons()
            .values()
            .all(|r| *r == WaitReason::MasterFull)
    );
    farm.draining = true;
    assert!(farm.reasons().values().all(|r| *r == WaitReason::Draining));
}

#[test]
fn a_builder_that_is_explained_says_how_each_of_its_workers_stands() {
    let lock = |name| LockKey {
        lock: "disk".into(),
        worker: Some(String::from(name)),
    };
    let mut farm = Farm {
        builders: vec![Builder {
            locks: vec![LockAccess::exclusive("disk")],
            ..builder(&[0, 1, 2, 3, 77], vec![request(1, 0, 0)])
        }],
        workers: vec![
            worker(0, 0),
            WorkerState {
                paused: true,
                ..worker(1, 9)
            },
            worker(2, 9),
            WorkerState {
                connected: false,
                ..worker(3, 9)
            },
        ],
        locks: LockTable::new([LockSpec::new("disk", LockScope::Worker)]),
        ..Farm::default()
    };
    let wanted = [LockAccess::exclusive("disk")];
    let held = farm.locks.request(Holder::build(1), &wanted, "w2");
    assert_eq!(held, Ok(Acquisition::Granted));
    let explained = farm.explain(Some(BuilderId(1)), |_| true).waiting;
    let standings: Vec<_> = explained[0]
        .workers
        .iter()
        .map(|(id, s)| (id.0, s))
        .collect();
    assert_eq!(
        standings,
        [
            (0, &Standing::Full),
            (1, &Standing::Paused),
            (2, &Standing::Lock(lock("w2"))),
            (3, &Standing::NotConnected),
            (77, &Standing::NotConnected),
        ]
    );
    assert_eq!(explained[0].reason, WaitReason::Lock(lock("w2")));
    assert!(farm.run().waiting[0].workers.is_empty(), "nobody asked");
}

#[test]
fn a_full_master_stops_after_the_most_urgent() {
    let farm = Farm {
        builders: vec![builder(
            &[1],
            (1..=5).map(|id| request(id, 0, id)).collect(),
        )],
        workers: vec![worker(1, 9)],
        master_free: Some(2),
        ..Farm::default()
    };
    assert_eq!(farm.claims(), "1>1 2>1");
    let waiting = farm.run().waiting;
    assert_eq!((waiting[0].first, waiting[0].count), (RequestId(3), 3));
}

#[test]
fn a_draining_master_runs_only_what_its_builds_wait_for() {
    let farm = Farm {
        builders: vec![builder(
            &[1],
            vec![
                request(1, 9, 0),
                Pending {
                    waited_for: true,
                    ..request(2, 0, 0)
                },
            ],
        )],
        workers: vec![worker(1, 9)],
        draining: true,
        ..Farm::default()
    };
    assert_eq!(farm.claims(), "2>1");
    assert_eq!(farm.reasons(), [(1, WaitReason::Draining)].into());
}

#[test]
fn locks_bound_a_round_as_a_whole() {
    let locked = |access: LockAccess| Builder {
        locks: vec![access],
        ..builder(&[1, 2], vec![request(1, 0, 0), request(2, 0, 0)])
    };
    let mut farm = Farm {
        builders: vec![locked(LockAccess::counting("db", 2))],
        workers: vec![worker(1, 9), worker(2, 9)],
        locks: LockTable::new([
            LockSpec::new("db", LockScope::Master).with_max_count(3),
            LockSpec::new("disk", LockScope::Worker),
        ]),
        ..Farm::default()
    };
    let db = || LockKey {
        lock: "db".into(),
        worker: None,
    };
    assert_eq!(farm.claims(), "1>1");
    assert_eq!(farm.reasons(), [(1, WaitReason::Lock(db()))].into());

    // One for each worker.
    farm.builders = vec![locked(LockAccess::exclusive("disk"))];
    assert_eq!(farm.claims(), "1>1 2>2");

    // Somebody else has the lock, then waits for it: both keep newcomers out.
    farm.builders = vec![locked(LockAccess::counting("db", 1))];
    let exclusive = [LockAccess::exclusive("db")];
    let held = farm.locks.request(Holder::build(1), &exclusive, "w1");
    assert_eq!(held, Ok(Acquisition::Granted));
    assert_eq!(farm.claims(), "");
    assert_eq!(farm.reasons(), [(1, WaitReason::Lock(db()))].into());

    farm.builders = vec![locked(LockAccess::counting("db", 4))];
    assert!(matches!(farm.reasons()[&1], WaitReason::LockNever(_)));
    assert_eq!(WaitReason::Lock(db()).to_string(), "lock `db` is not free");
}

#[test]
fn a_hundred_thousand_requests_are_distributed() {
    let mut farm = Farm {
        workers: (0..500).map(|id| worker(id, 4)).collect(),
        ..Farm::default()
    };
    for b in 0..1000_i64 {
        let requests = (0..100).map(|n| request(b * 100 + n, i32::try_from(n % 7).unwrap(), b + n));
        let workers: Vec<i64> = (0..10).map(|n| (b * 7 + n * 13) % 500).collect();
        farm.builders.push(builder(&workers, requests.collect()));
    }
    let done = farm.run();
    assert_eq!(done.claims.len(), 2000, "every slot is used");
    let waiting: usize = done.waiting.iter().map(|w| w.count).sum();
    assert_eq!(waiting, 100_000 - 2000);
    assert!(done.waiting.len() <= 1000, "one reason for each builder");
}

fn farms() -> impl Strategy<Value = Farm> {
    let request_parts = (0..3_i32, 0..4_i64, any::<bool>());
    let builder_parts = (
        prop::collection::vec(request_parts, 0..6),
        prop::collection::vec(0..4_i64, 0..4),
        prop::option::of(0..4_u32),
        prop::option::of(0..9_i64),
        prop::option::of((0..4_u32, 0..2_usize)),
    );
    let worker_parts = (
        0..3_u32,
        0..3_u32,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.8),
    );
    (
        prop::collection::vec(builder_parts, 0..6),
        prop::collection::vec(worker_parts, 0..4),
        prop::option::of(0..8_u32),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(builders, workers, master_free, draining)| {
            let mut next = 0;
            let builders = builders
                .into_iter()
                .map(|(pending, workers, max, served, lock)| {
                    let pending = pending.into_iter().map(|(priority, at, waited_for)| {
                        next += 1;
                        Pending {
                            waited_for,
                            ..request(next, priority, at)
                        }
                    });
                    Builder {
                        builds_max: max,
                        served_at: served.map(Timestamp),
                        locks: lock
                            .map(|(count, which)| match count {
                                0 => LockAccess::exclusive(["farm", "disk"][which]),
                                count => LockAccess::counting(["farm", "disk"][which], count),
                            })
                            .into_iter()
                            .collect(),
                        ..builder(&workers, pending.collect())
                    }
                });
            let workers = workers.into_iter().zip(0..);
            Farm {
                builders: builders.collect(),
                workers: workers
                    .map(|((max, running, paused, connected), id)| WorkerState {
                        running,
                        paused,
                        connected,
                        ..worker(id, max)
                    })
                    .collect(),
                locks: LockTable::new([
                    LockSpec::new("farm", LockScope::Master).with_max_count(2),
                    LockSpec::new("disk", LockScope::Worker).with_max_count(2),
                ]),
                master_free,
                draining,
            }
        })
}

proptest! {
    #[test]
    fn claims_are_within_every_limit_and_nobody_is_passed_over(farm in farms()) {
        let done = farm.run();
        let mut slots: BTreeMap<WorkerId, i64> = farm.workers.iter().map(|w| {
            let usable = w.connected && !w.paused;
            let max = if usable { w.builds_max.unwrap_or(99) } else { 0 };
            (w.id, i64::from(max) - i64::from(w.running))
        }).collect();
        let mut locks = farm.locks.clone();
        let mut seen = BTreeSet::new();
        let mut per_builder: BTreeMap<BuilderId, u32> = BTreeMap::new();

        for (number, claim) in done.claims.iter().enumerate() {
            prop_assert!(seen.insert(claim.request), "{} twice", claim.request);
            let index = usize::try_from(claim.builder.0 - 1).unwrap();
            let builder = &farm.builders[index];
            let request = builder.pending.iter().find(|p| p.id == claim.request);
            prop_assert!(request.is_some_and(|r| !farm.draining || r.waited_for));
            prop_assert!(builder.workers.contains(&claim.worker));
            let left = slots.get_mut(&claim.worker).unwrap();
            *left -= 1;
            prop_assert!(*left >= 0, "worker {} is over-committed", claim.worker);
            let count = per_builder.entry(claim.builder).or_default();
            *count += 1;
            prop_assert!(builder.builds_max.is_none_or(|max| *count <= max));
            // The real table agrees with what was taken in thought.
            let name = farm.workers.iter().find(|w| w.id == claim.worker).unwrap().name;
            let holder = Holder::build(u64::try_from(number).unwrap());
            prop_assert_eq!(locks.request(holder, &builder.locks, name), Ok(Acquisition::Granted));
        }
        prop_assert!(farm.master_free.is_none_or(|free| done.claims.len() <= free as usize));

        // Nothing is lost: each request is claimed or counted as waiting.
        let waiting: usize = done.waiting.iter().map(|w| w.count).sum();
        let pending: usize = farm.builders.iter().map(|b| b.pending.len()).sum();
        prop_assert_eq!(done.claims.len() + waiting, pending);

        // Nobody waits without need: for each builder that gave up, no worker of it could take one more.
        let master_full = farm.master_free == Some(u32::try_from(done.claims.len()).unwrap());
        for wait in done.waiting.iter().filter(|w| w.reason != WaitReason::Draining) {
            let builder = &farm.builders[usize::try_from(wait.builder.0 - 1).unwrap()];
            let full = builder.builds_max
                .is_some_and(|max| per_builder.get(&wait.builder).copied().unwrap_or(0) >= max);
            for id in &builder.workers {
                let room = slots.get(id).is_some_and(|left| *left > 0);
                if room && !full && !master_full {
                    let name = farm.workers.iter().find(|w| w.id == *id).unwrap().name;
                    let more = locks.clone().request(Holder::build(9999), &builder.locks, name);
                    prop_assert_ne!(more, Ok(Acquisition::Granted), "{:?}", wait);
                }
            }
        }
    }

    #[test]
    fn at_rest_a_builder_alone_waits_for_the_same_as_among_all(farm in farms()) {
        let done = farm.run();
        prop_assume!(done.claims.is_empty());
        for builder in done.waiting.iter().map(|waiting| waiting.builder) {
            let among_all: Vec<_> = done.waiting.iter().filter(|w| w.builder == builder).collect();
            let alone = farm.explain(Some(builder), |id| id == builder);
            prop_assert!(alone.claims.is_empty());
            prop_assert_eq!(alone.waiting.len(), among_all.len());
            for (alone, among) in alone.waiting.iter().zip(among_all) {
                prop_assert_eq!(&alone.reason, &among.reason);
                prop_assert_eq!((alone.first, alone.count), (among.first, among.count));
                // What is said of the workers is no second opinion.
                let is_free = alone.workers.iter().any(|(_, standing)| *standing == Standing::Free);
                let by_worker = !matches!(
                    alone.reason,
                    WaitReason::BuilderFull
                        | WaitReason::MasterFull
                        | WaitReason::Draining
                        // Others may be free while the one that was chosen is not.
                        | WaitReason::Chosen
                );
                prop_assert!(!(by_worker && is_free), "{:?}", alone);
            }
        }
    }

    #[test]
    fn a_more_urgent_request_is_never_behind_one_with_the_same_workers(farm in farms()) {
        // With one set of workers and no other limit, claims are in the order of urgency.
        let mut farm = farm;
        for builder in &mut farm.builders {
            builder.workers = (0..4).map(WorkerId).collect();
            builder.builds_max = None;
            builder.locks.clear();
        }
        farm.draining = false;
        let all: BTreeMap<RequestId, Pending> =
            farm.builders.iter().flat_map(|b| &b.pending).map(|p| (p.id, *p)).collect();
        let rank = |id: &RequestId| (-all[id].priority, all[id].submitted_at);
        let claimed: Vec<RequestId> = farm.run().claims.iter().map(|c| c.request).collect();
        let ranks: Vec<_> = claimed.iter().map(rank).collect();
        prop_assert!(ranks.is_sorted());
        let best_left = all.keys().filter(|id| !claimed.contains(id)).map(rank).min();
        if let (Some(last), Some(left)) = (ranks.last(), best_left) {
            prop_assert!(*last <= left);
        }
    }
}
