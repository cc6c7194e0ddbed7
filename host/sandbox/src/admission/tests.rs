use futures::FutureExt;

use super::pool::PASSES_MAX;
use super::*;

/// So that nobody is small.
const MIB: usize = 1 << 20;
const BIG: usize = 10 * MIB;

fn admission(calls: usize, bytes: usize) -> Admission {
    let room = Room {
        calls,
        bytes,
        ..unlimited()
    };
    Admission::new(room, Room::default())
}

fn unlimited() -> Room {
    Room {
        calls: usize::MAX,
        memories: usize::MAX,
        tables: usize::MAX,
        bytes: usize::MAX,
    }
}

fn call(bytes: usize) -> Room {
    Room {
        calls: 1,
        bytes,
        ..Room::default()
    }
}

fn enter(admission: &Admission, bytes: usize) -> impl Future<Output = Share> + use<> {
    enter_as(admission, "a", bytes)
}

fn enter_as(
    admission: &Admission,
    plugin: &str,
    bytes: usize,
) -> impl Future<Output = Share> + use<> {
    let party = Party::new(plugin, "builder");
    enter_for(admission, party, call(bytes))
}

fn enter_for(
    admission: &Admission,
    party: Party,
    room: Room,
) -> impl Future<Output = Share> + use<> {
    let admission = admission.clone();
    async move { admission.enter(&party, room).await }
}

fn numbers(admission: &Admission) -> (usize, usize, usize) {
    let now = admission.occupancy();
    (now.used.calls, now.used.bytes, now.waiting)
}

#[test]
fn a_full_pool_makes_callers_wait_in_order() {
    let admission = admission(2, 100);
    let first = enter(&admission, 10).now_or_never().unwrap();
    let second = enter(&admission, 10).now_or_never().unwrap();
    let (mut third, mut fourth) = (
        Box::pin(enter(&admission, 10)),
        Box::pin(enter(&admission, 10)),
    );
    assert!(third.as_mut().now_or_never().is_none());
    assert!(fourth.as_mut().now_or_never().is_none());
    assert_eq!(numbers(&admission), (2, 20, 2));
    drop(first);
    assert!(fourth.as_mut().now_or_never().is_none());
    let third = third.now_or_never().unwrap();
    drop((second, third));
    drop(fourth.now_or_never().unwrap());
    assert_eq!(numbers(&admission), (0, 0, 0));
}

#[test]
fn memory_is_shared_and_growth_goes_first() {
    let admission = admission(10, 100);
    let mut a = enter(&admission, 40).now_or_never().unwrap();
    let b = enter(&admission, 50).now_or_never().unwrap();
    let mut entering = Box::pin(enter(&admission, 20));
    assert!(entering.as_mut().now_or_never().is_none());
    {
        let mut growing = Box::pin(a.grow(20));
        assert!(growing.as_mut().now_or_never().is_none());
        drop(b);
        assert!(growing.now_or_never().is_some());
    }
    assert_eq!(a.bytes(), 60);
    drop(entering.now_or_never().unwrap());
    a.shrink(15);
    assert_eq!(numbers(&admission), (1, 45, 0));
}

#[test]
fn when_all_wait_to_grow_one_gets_on() {
    let admission = admission(10, 100);
    let mut a = enter(&admission, 50).now_or_never().unwrap();
    let mut b = enter(&admission, 50).now_or_never().unwrap();
    let mut first = Box::pin(a.grow(10));
    assert!(first.as_mut().now_or_never().is_none());
    let mut second = Box::pin(b.grow(10));
    assert!(second.as_mut().now_or_never().is_none());
    assert!(first.now_or_never().is_some(), "above the limit");
    assert!(second.as_mut().now_or_never().is_none());
    drop(a);
    assert!(second.now_or_never().is_some());
}

#[test]
fn a_call_larger_than_the_pool_runs_alone() {
    let admission = admission(10, 100);
    let small = enter(&admission, 1).now_or_never().unwrap();
    let mut large = Box::pin(enter(&admission, 1_000));
    assert!(large.as_mut().now_or_never().is_none());
    drop(small);
    assert!(large.now_or_never().is_some());
}

#[test]
fn who_gives_up_makes_room() {
    let admission = admission(10, 10 * BIG);
    let held = enter(&admission, 9 * BIG).now_or_never().unwrap();
    let mut large = Box::pin(enter(&admission, 5 * BIG));
    let mut small = Box::pin(enter(&admission, BIG));
    assert!(large.as_mut().now_or_never().is_none());
    assert!(small.as_mut().now_or_never().is_none());
    drop(large);
    assert!(small.now_or_never().is_some());
    drop(held);
    let (mut granted, held) = {
        let held = enter(&admission, 10 * BIG).now_or_never().unwrap();
        (Box::pin(enter(&admission, 10 * BIG)), held)
    };
    assert!(granted.as_mut().now_or_never().is_none());
    drop(held);
    // Granted, but given up before it was looked at.
    drop(granted);
    assert_eq!(numbers(&admission), (0, 0, 0));
}

#[test]
fn plugins_take_turns_and_those_who_wait_are_told_why() {
    let admission = admission(1, 100);
    let held = enter(&admission, 10).now_or_never().unwrap();
    let mut crowd: Vec<_> = (0..3).map(|_| Box::pin(enter(&admission, 10))).collect();
    for waiting in &mut crowd {
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    let mut other = Box::pin(enter_as(&admission, "b", 10));
    assert!(other.as_mut().now_or_never().is_none());
    let waits = admission.waits();
    let told: Vec<_> = waits
        .iter()
        .map(|wait| (wait.plugin.as_str(), wait.calls, wait.reason))
        .collect();
    assert_eq!(
        told,
        [("a", 3, WaitReason::Calls), ("b", 1, WaitReason::Calls)]
    );
    drop(held);
    drop(crowd.remove(0).now_or_never().unwrap());
    drop(
        other
            .now_or_never()
            .expect("its turn before the second of the crowd"),
    );
    drop(crowd.remove(0).now_or_never().unwrap());
    drop(crowd.remove(0).now_or_never().unwrap());
    assert_eq!(numbers(&admission), (0, 0, 0));
}

#[test]
fn who_waits_for_memory_is_told_so() {
    let admission = admission(9, 10);
    let _all = enter(&admission, 10).now_or_never().unwrap();
    let mut waiting = Box::pin(enter(&admission, 10));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(admission.waits()[0].reason, WaitReason::Memory);
}

#[test]
fn small_ones_pass_one_that_does_not_fit_but_not_for_ever() {
    let admission = admission(1_000, 10 * BIG);
    let mut grown = enter(&admission, 5 * BIG).now_or_never().unwrap();
    let held = enter(&admission, 4 * BIG).now_or_never().unwrap();
    let mut growing = Box::pin(grown.grow(4 * BIG));
    assert!(growing.as_mut().now_or_never().is_none());
    let mut large = Box::pin(enter(&admission, BIG));
    assert!(
        large.as_mut().now_or_never().is_none(),
        "it fits, but is not small"
    );
    for _ in 0..PASSES_MAX {
        drop(
            enter_as(&admission, "b", MIB)
                .now_or_never()
                .expect("it is small"),
        );
    }
    let mut small = Box::pin(enter_as(&admission, "b", MIB));
    assert!(
        small.as_mut().now_or_never().is_none(),
        "enough have passed"
    );
    drop(held);
    assert!(growing.now_or_never().is_some());
    assert!(large.now_or_never().is_some());
    assert!(small.now_or_never().is_some());
}

#[test]
fn steps_leave_a_reserve_for_what_keeps_the_farm_going() {
    let room = Room {
        calls: 10,
        bytes: 10 * BIG,
        ..unlimited()
    };
    let admission = Admission::new(room, room.part(10));
    let service = || Party::service("mail", "reporter");
    let held: Vec<_> = (0..9)
        .map(|_| enter(&admission, BIG).now_or_never().unwrap())
        .collect();
    let mut tenth = Box::pin(enter(&admission, BIG));
    assert!(tenth.as_mut().now_or_never().is_none());
    assert_eq!(admission.waits()[0].reason, WaitReason::Calls);
    let report = enter_for(&admission, service(), call(BIG)).now_or_never();
    let mut next = Box::pin(enter_for(&admission, service(), call(BIG)));
    assert!(next.as_mut().now_or_never().is_none());
    drop(held);
    assert!(next.now_or_never().is_some());
    assert!(tenth.now_or_never().is_some());
    drop(report);
    assert_eq!(numbers(&admission), (0, 0, 0));
}

#[test]
fn tables_and_memories_are_counted_as_places() {
    let room = Room {
        tables: 30,
        ..unlimited()
    };
    let admission = Admission::new(room, Room::default());
    let python = Room {
        tables: 20,
        ..call(BIG)
    };
    let enter = || enter_for(&admission, Party::new("python", "b"), python);
    let mut first = enter().now_or_never().unwrap();
    let mut second = Box::pin(enter());
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(admission.waits()[0].reason, WaitReason::Calls);
    drop(first.take_memory());
    assert!(
        second.as_mut().now_or_never().is_none(),
        "the place is kept"
    );
    drop(first);
    assert!(second.now_or_never().is_some());
}
