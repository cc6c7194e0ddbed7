use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn build(number: u64) -> Holder {
    Holder::build(number)
}

fn one(lock: &str) -> Vec<LockAccess> {
    vec![LockAccess::counting(lock, 1)]
}

fn table(locks: &[(&str, u32)]) -> LockTable {
    LockTable::new(
        locks
            .iter()
            .map(|(name, max)| LockSpec::new(*name, LockScope::Master).with_max_count(*max)),
    )
}

/// Asks and says whether the locks were granted.
#[track_caller]
fn asks(table: &mut LockTable, holder: Holder, accesses: &[LockAccess]) -> bool {
    match table.request(holder, accesses, "w").unwrap() {
        Acquisition::Granted => true,
        Acquisition::Blocked(_) => false,
    }
}

#[test]
fn counting_units_are_shared_up_to_the_limit() {
    let mut locks = table(&[("db", 3)]);
    assert!(asks(&mut locks, build(1), &[LockAccess::counting("db", 2)]));
    assert!(asks(&mut locks, build(2), &one("db")));
    assert!(!asks(&mut locks, build(3), &one("db")));
    assert!(!asks(
        &mut locks,
        build(4),
        &[LockAccess::counting("db", 2)]
    ));
    assert_eq!(locks.release(build(1)), [build(3)]);
    assert_eq!(locks.release(build(2)), [build(4)]);
    assert_eq!(locks.release(build(2)), [], "releasing twice does no harm");
}

#[test]
fn an_exclusive_request_waits_for_all_and_is_not_overtaken() {
    let mut locks = table(&[("db", 5)]);
    assert!(asks(&mut locks, build(1), &one("db")));
    assert!(!asks(&mut locks, build(2), &[LockAccess::exclusive("db")]));
    assert!(
        !asks(&mut locks, build(3), &one("db")),
        "behind the exclusive one"
    );
    let blocked = locks.waits_for(build(3)).unwrap();
    assert_eq!(
        (blocked.key.to_string(), blocked.by),
        ("`db`".to_owned(), vec![build(1), build(2)])
    );
    assert_eq!(locks.release(build(1)), [build(2)]);
    assert_eq!(locks.release(build(2)), [build(3)]);
}

#[test]
fn a_large_count_is_not_overtaken_by_small_ones() {
    let mut locks = table(&[("db", 3)]);
    assert!(asks(&mut locks, build(1), &one("db")));
    assert!(!asks(
        &mut locks,
        build(2),
        &[LockAccess::counting("db", 3)]
    ));
    assert!(!asks(&mut locks, build(3), &one("db")));
    assert_eq!(locks.release(build(1)), [build(2)]);
}

#[test]
fn all_locks_are_had_at_once_or_none() {
    let mut locks = table(&[("a", 1), ("b", 1)]);
    assert!(asks(&mut locks, build(1), &one("a")));
    let both = [one("a"), one("b")].concat();
    assert!(!asks(&mut locks, build(2), &both));
    assert!(!locks.is_held_by(build(2)));
    assert!(
        !asks(&mut locks, build(3), &one("b")),
        "build 2 asked for b first"
    );
    assert_eq!(locks.release(build(1)), [build(2)]);
    assert_eq!(locks.release(build(2)), [build(3)]);
}

#[test]
fn whoever_stops_waiting_lets_the_next_in() {
    let mut locks = table(&[("db", 2)]);
    assert!(asks(&mut locks, build(1), &one("db")));
    assert!(!asks(&mut locks, build(2), &[LockAccess::exclusive("db")]));
    assert!(!asks(&mut locks, build(3), &one("db")));
    assert_eq!(locks.release(build(2)), [build(3)]);
}

#[test]
fn a_worker_lock_is_another_one_on_each_worker() {
    let mut locks = LockTable::new([LockSpec {
        max_count_for_worker: [("big".to_owned(), 2)].into(),
        ..LockSpec::new("disk", LockScope::Worker)
    }]);
    let mut asks = |number, worker| {
        locks.request(build(number), &one("disk"), worker) == Ok(Acquisition::Granted)
    };
    assert_eq!(
        [asks(1, "w1"), asks(2, "w2"), asks(3, "w1")],
        [true, true, false]
    );
    assert_eq!(
        [asks(4, "big"), asks(5, "big"), asks(6, "big")],
        [true, true, false]
    );
    assert_eq!(
        locks.waits_for(build(6)).unwrap().key.to_string(),
        "`disk` of worker `big`"
    );
}

#[test]
fn waits_that_cannot_end_are_refused() {
    let mut locks = table(&[("db", 2), ("none", 0)]);
    let mut error = |holder, accesses: &[LockAccess]| {
        locks
            .request(holder, accesses, "w")
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(error(build(1), &[LockAccess::counting("db", 3)]), @"lock `db` has 2 units and can never give 3; raise its `max_count` or ask for less");
    insta::assert_snapshot!(error(build(1), &[LockAccess::exclusive("none")]), @"lock `none` has 0 units and can never give 1; raise its `max_count` or ask for less");
    insta::assert_snapshot!(error(build(1), &one("nosuch")), @"there is no lock `nosuch`; configure it or take it out of `locks`");
    insta::assert_snapshot!(error(build(1), &[one("db"), one("db")].concat()), @"lock `db` is asked for twice at once; name it once");
    assert!(asks(&mut locks, build(1), &one("db")));
    let again = locks.request(build(1), &one("db"), "w");
    assert_eq!(again, Err(LockError::Busy));
    let step = locks
        .request(Holder::step(1, 0), &one("db"), "w")
        .unwrap_err();
    insta::assert_snapshot!(step, @"lock `db` is held by the build of this very step; take it out of one of them");
    assert!(
        asks(&mut locks, Holder::step(2, 0), &one("db")),
        "of another build"
    );
}

#[test]
fn a_count_of_zero_takes_nothing() {
    let mut locks = table(&[("db", 1)]);
    assert!(asks(&mut locks, build(1), &[LockAccess::exclusive("db")]));
    assert!(asks(&mut locks, build(2), &[LockAccess::counting("db", 0)]));
    assert!(asks(&mut locks, build(3), &[]));
    assert!(locks.is_held_by(build(3)));
}

#[test]
fn a_build_gives_up_for_its_steps() {
    let mut locks = table(&[("a", 1), ("b", 1)]);
    assert!(asks(&mut locks, build(1), &one("a")));
    assert!(asks(&mut locks, Holder::step(1, 0), &one("b")));
    assert!(!asks(&mut locks, Holder::step(1, 1), &one("b")));
    assert!(!asks(&mut locks, build(2), &one("b")));
    assert!(!asks(&mut locks, build(3), &one("a")));
    let mut granted = locks.release(build(1));
    granted.sort();
    assert_eq!(granted, [build(2), build(3)]);
    assert_eq!(locks.waiting().count(), 0);
}

#[test]
fn trying_takes_no_place_in_the_queue() {
    let mut locks = table(&[("db", 1)]);
    assert!(asks(&mut locks, build(1), &one("db")));
    let tried = locks.try_acquire(build(2), &one("db"), "w").unwrap();
    assert!(matches!(tried, Acquisition::Blocked(Blocked { by, .. }) if by == [build(1)]));
    assert_eq!(locks.release(build(1)), []);
    assert_eq!(
        locks.try_acquire(build(2), &one("db"), "w"),
        Ok(Acquisition::Granted)
    );
}

#[test]
fn a_new_configuration_wakes_and_refuses() {
    let spec = |name: &str, max| LockSpec::new(name, LockScope::Master).with_max_count(max);
    let mut locks = LockTable::new([spec("db", 2), spec("gone", 1)]);
    assert!(asks(&mut locks, build(1), &[LockAccess::counting("db", 2)]));
    assert!(asks(&mut locks, build(2), &one("gone")));
    assert!(!asks(&mut locks, build(3), &one("gone")));
    assert!(!asks(
        &mut locks,
        build(4),
        &[LockAccess::counting("db", 2)]
    ));
    assert!(!asks(&mut locks, build(5), &one("db")));

    let wider = locks.configure([spec("db", 5)]);
    assert_eq!(wider.granted, [build(4), build(5)]);
    let unknown = LockError::Unknown {
        lock: "gone".into(),
    };
    assert_eq!(wider.impossible, [(build(3), unknown)]);

    assert!(!asks(
        &mut locks,
        build(6),
        &[LockAccess::counting("db", 2)]
    ));
    assert!(!asks(&mut locks, build(7), &one("db")));
    let narrower = locks.configure([spec("db", 1)]);
    assert_eq!(narrower.granted, []);
    assert_eq!(narrower.impossible.len(), 1, "{narrower:?}");
    // What is held beyond the new limit stays held; the next is granted once there is room again.
    assert_eq!(locks.release(build(1)), []);
    assert_eq!(locks.release(build(4)), []);
    assert_eq!(locks.release(build(5)), [build(7)]);
}

#[test]
fn a_deadlock_of_builds_is_found() {
    let mut locks = table(&[("a", 1), ("b", 1), ("c", 2)]);
    assert!(asks(&mut locks, build(1), &one("a")));
    assert!(asks(&mut locks, build(2), &one("b")));
    assert!(asks(&mut locks, build(3), &one("c")));
    assert!(asks(&mut locks, build(4), &one("c")));
    assert!(!asks(&mut locks, Holder::step(1, 0), &one("b")));
    assert!(!asks(&mut locks, Holder::step(3, 0), &one("a")));
    assert!(!asks(&mut locks, build(5), &[LockAccess::exclusive("c")]));
    assert_eq!(locks.deadlocked(), BTreeSet::new());
    assert!(!asks(&mut locks, Holder::step(2, 0), &one("a")));
    // Build 3 is in no circle, but what it waits for never comes; build 5 waits for build 3.
    assert_eq!(locks.deadlocked(), [1, 2, 3, 5].into());
    locks.release(build(1));
    assert_eq!(locks.deadlocked(), BTreeSet::new());
}

#[derive(Debug, Clone)]
enum Op {
    Request(u64, Vec<LockAccess>, &'static str),
    Release(u64),
    Configure(u32, u32),
}

fn accesses() -> impl Strategy<Value = Vec<LockAccess>> {
    let access = (0..3_usize, 0..4_u32).prop_map(|(lock, count)| {
        let name = ["a", "b", "disk"][lock];
        match count {
            0 => LockAccess::exclusive(name),
            count => LockAccess::counting(name, count),
        }
    });
    prop::collection::vec(access, 0..4).prop_map(|mut list| {
        let mut seen = BTreeSet::new();
        list.retain(|access| seen.insert(access.lock.clone()));
        list
    })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0..12_u64, accesses(), prop::sample::select(vec!["w1", "w2"]))
            .prop_map(|(holder, accesses, worker)| Op::Request(holder, accesses, worker)),
        6 => (0..12_u64).prop_map(Op::Release),
        1 => (1..5_u32, 1..5_u32).prop_map(|(a, disk)| Op::Configure(a, disk)),
    ];
    prop::collection::vec(op, 0..60)
}

fn specs(a: u32, disk: u32) -> [LockSpec; 3] {
    [
        LockSpec::new("a", LockScope::Master).with_max_count(a),
        LockSpec::new("b", LockScope::Master).with_max_count(2),
        LockSpec::new("disk", LockScope::Worker).with_max_count(disk),
    ]
}

type Wish = (Vec<LockAccess>, &'static str);

/// Keeps account beside the table, in the plainest way there is.
#[derive(Default)]
struct Model {
    held: BTreeMap<u64, Wish>,
    waiting: Vec<(u64, Wish)>,
}

impl Model {
    fn grant(&mut self, holders: &[Holder]) {
        for holder in holders {
            let at = self.waiting.iter().position(|(h, _)| *h == holder.build);
            let (holder, wish) = self.waiting.remove(at.expect("who is granted waited"));
            self.held.insert(holder, wish);
        }
    }

    /// Uses of each real lock: counting units and exclusive holders.
    fn usage<'a>(
        wishes: impl Iterator<Item = &'a Wish>,
    ) -> BTreeMap<(String, &'static str), (u32, u32)> {
        let mut usage = BTreeMap::<_, (u32, u32)>::new();
        for (accesses, worker) in wishes {
            for access in accesses {
                let on = if access.lock == "disk" { worker } else { "" };
                let (counting, exclusive) = usage.entry((access.lock.clone(), on)).or_default();
                match access.mode {
                    LockMode::Counting { count } => *counting += count,
                    LockMode::Exclusive => *exclusive += 1,
                }
            }
        }
        usage
    }
}

proptest! {
    #[test]
    fn never_over_committed_and_no_waiter_lost(ops in ops()) {
        let mut limits = (3, 2);
        let mut locks = LockTable::new(specs(limits.0, limits.1));
        let mut model = Model::default();
        // A lowered limit may leave more in use than it allows, until that is given back.
        let mut lowered = false;
        for op in ops {
            match op {
                Op::Request(number, accesses, worker) => {
                    let wish = (accesses.clone(), worker);
                    let known = model.held.contains_key(&number)
                        || model.waiting.iter().any(|(h, _)| *h == number);
                    match locks.request(build(number), &accesses, worker) {
                        Ok(Acquisition::Granted) => { model.held.insert(number, wish); }
                        Ok(Acquisition::Blocked(_)) => model.waiting.push((number, wish)),
                        Err(LockError::Busy) => prop_assert!(known),
                        Err(LockError::NeverAvailable { count, max, .. }) => prop_assert!(count > max),
                        Err(error) => prop_assert!(false, "{error}"),
                    }
                }
                Op::Release(number) => {
                    model.held.remove(&number);
                    model.waiting.retain(|(h, _)| *h != number);
                    model.grant(&locks.release(build(number)));
                }
                Op::Configure(a, disk) => {
                    lowered |= a < limits.0 || disk < limits.1;
                    limits = (a, disk);
                    let outcome = locks.configure(specs(a, disk));
                    for (holder, _) in outcome.impossible {
                        model.waiting.retain(|(h, _)| *h != holder.build);
                    }
                    model.grant(&outcome.granted);
                }
            }
            let waiting: Vec<u64> = locks.waiting().map(|h| h.build).collect();
            let expected: Vec<u64> = model.waiting.iter().map(|(h, _)| *h).collect();
            prop_assert_eq!(waiting, expected, "waiters and their order");
            for ((lock, _), (counting, exclusive)) in Model::usage(model.held.values()) {
                let max = match lock.as_str() { "a" => limits.0, "b" => 2, _ => limits.1 };
                prop_assert!(exclusive == 0 || (exclusive == 1 && counting == 0), "{lock}");
                prop_assert!(lowered || counting <= max, "{lock}: {counting} of {max}");
            }
            // The first waiter waits for a holder, not for nothing.
            if let Some((first, _)) = model.waiting.first() {
                let blocked = locks.waits_for(build(*first)).expect("it waits for something");
                prop_assert!(blocked.by.iter().any(|h| model.held.contains_key(&h.build)));
            }
        }
        // When all who hold give back, again and again, everybody has had a turn.
        while let Some((&number, _)) = model.held.first_key_value() {
            model.held.remove(&number);
            model.grant(&locks.release(build(number)));
        }
        prop_assert!(model.waiting.is_empty(), "lost: {:?}", model.waiting);
        prop_assert_eq!(locks.waiting().count(), 0);
    }
}
