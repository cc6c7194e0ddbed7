//! The course on a clock of its own.

use super::*;
use crate::command::spec::InterruptSignal::{Kill, Term};

const IDLE: Duration = Duration::from_secs(20);
const TOTAL: Duration = Duration::from_secs(100);
const GRACE: Duration = Duration::from_secs(5);

/// A command on a clock of its own, which stands at `seconds`.
struct Run {
    course: Course,
    start: Instant,
    view: View,
}

fn run(plan: impl FnOnce(&mut Plan)) -> Run {
    let start = Instant::now();
    let mut times = Plan {
        idle_timeout: None,
        total_timeout: None,
        signal: Term,
        grace: GRACE,
        pipe_close_wait: secs(2),
        kill_wait: secs(30),
    };
    plan(&mut times);
    Run {
        course: Course::new(times, start),
        start,
        view: View {
            now: start,
            last_output: start,
            reader_waits: false,
            group_alive: true,
        },
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Run {
    /// Lets the clock go to the next deadline; when that is, and the signal that is sent.
    fn next(&mut self) -> (u64, Option<InterruptSignal>) {
        let deadline = self.course.deadline().expect("a deadline");
        self.view.now = self.view.now.max(deadline);
        let signal = self.course.tick(self.view);
        ((self.view.now - self.start).as_secs(), signal)
    }

    /// Lets deadlines pass until one sends a signal or the command is over.
    fn until_signal(&mut self) -> (u64, Option<InterruptSignal>) {
        loop {
            let (at, signal) = self.next();
            if signal.is_some() || self.course.over(false) {
                return (at, signal);
            }
        }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.view.now = self.start + secs(seconds);
        self
    }

    fn interrupt(&mut self, grace: Option<Duration>) -> Option<InterruptSignal> {
        self.course
            .stop(self.view.now, StopCause::Interrupted, grace)
    }

    fn leader_ends(&mut self) {
        self.course.leader_ended(self.view.now);
    }
}

#[test]
fn without_limits_there_is_nothing_to_wait_for() {
    let run = run(|_| {});
    assert_eq!(run.course.deadline(), None);
    assert!(!run.course.over(true));
}

#[test]
fn an_end_with_closed_pipes_is_the_end() {
    let mut run = run(|_| {});
    run.at(3).leader_ends();
    assert!(run.course.over(true));
    assert_eq!(run.course.cause(), None);
    assert_eq!(run.course.elapsed(run.start + secs(9)), secs(3));
    assert!(!run.course.group_may_live());
}

#[test]
fn pipes_in_other_hands_are_given_up_after_a_while() {
    let mut run = run(|_| {});
    run.at(3).leader_ends();
    assert!(!run.course.over(false));
    assert_eq!(run.next(), (5, None));
    assert!(run.course.over(false));
}

#[test]
fn the_total_timeout_stops_then_kills() {
    let mut run = run(|plan| plan.total_timeout = Some(TOTAL));
    assert_eq!(run.next(), (100, Some(Term)));
    assert_eq!(run.until_signal(), (105, Some(Kill)));
    assert_eq!(run.course.cause(), Some(StopCause::TotalTimeout(TOTAL)));
    run.leader_ends();
    run.view.group_alive = false;
    assert_eq!(run.next(), (105, None));
    assert!(run.course.over(true));
}

#[test]
fn output_puts_the_idle_timeout_off() {
    let mut run = run(|plan| plan.idle_timeout = Some(IDLE));
    run.view.last_output = run.start + secs(15);
    assert_eq!(run.next(), (20, None));
    assert_eq!(run.next(), (35, Some(Term)));
    assert_eq!(run.course.cause(), Some(StopCause::IdleTimeout(IDLE)));
}

#[test]
fn silence_does_not_count_while_nobody_listens() {
    let mut run = run(|plan| plan.idle_timeout = Some(IDLE));
    run.view.reader_waits = true;
    assert_eq!(run.next(), (20, None));
    assert_eq!(run.next(), (40, None));
    run.view.reader_waits = false;
    run.view.last_output = run.start + secs(50);
    assert_eq!(run.next(), (60, None));
    assert_eq!(run.next(), (70, Some(Term)));
}

#[test]
fn the_earlier_of_two_timeouts_is_the_cause() {
    let mut run = run(|plan| {
        plan.idle_timeout = Some(IDLE);
        plan.total_timeout = Some(secs(10));
    });
    assert_eq!(run.next(), (10, Some(Term)));
    assert_eq!(run.course.cause(), Some(StopCause::TotalTimeout(secs(10))));
}

#[test]
fn the_rest_of_the_group_has_its_grace_and_is_killed() {
    let mut run = run(|_| {});
    assert_eq!(run.at(1).interrupt(None), Some(Term));
    run.at(2).leader_ends();
    assert!(run.course.group_may_live());
    assert_eq!(run.until_signal(), (6, Some(Kill)));
    run.view.group_alive = false;
    run.next();
    assert!(run.course.over(true));
    assert!(!run.course.over(false));
    assert!(!run.course.group_may_live());
}

#[test]
fn a_group_that_goes_in_time_is_not_killed() {
    let mut run = run(|_| {});
    run.at(1).interrupt(None);
    run.at(2).leader_ends();
    run.next();
    run.view.group_alive = false;
    let (at, signal) = run.next();
    assert_eq!((at, signal), (2, None));
    assert!(run.course.over(true));
}

#[test]
fn zombies_that_nobody_reaps_do_not_hold_the_end() {
    let mut run = run(|_| {});
    run.at(1).interrupt(Some(Duration::ZERO));
    run.at(2).leader_ends();
    assert_eq!(run.until_signal(), (6, None));
    assert!(run.course.over(false));
}

#[test]
fn asking_again_only_shortens_the_grace() {
    let mut run = run(|_| {});
    assert_eq!(run.interrupt(Some(secs(50))), Some(Term));
    assert_eq!(run.at(1).interrupt(Some(secs(10))), None);
    assert_eq!(run.at(2).interrupt(Some(secs(40))), None);
    assert_eq!(run.next(), (11, Some(Kill)));
    assert_eq!(run.interrupt(Some(secs(1))), None);
}

#[test]
fn no_grace_kills_at_once() {
    let mut first = run(|_| {});
    assert_eq!(first.interrupt(Some(Duration::ZERO)), Some(Kill));
    let mut second = run(|_| {});
    second.interrupt(None);
    assert_eq!(second.interrupt(Some(Duration::ZERO)), Some(Kill));
    let mut third = run(|plan| plan.signal = Kill);
    assert_eq!(third.interrupt(None), Some(Kill));
}

#[test]
fn what_survives_sigkill_is_given_up() {
    let mut run = run(|_| {});
    run.interrupt(Some(Duration::ZERO));
    assert_eq!(run.next(), (30, None));
    assert!(run.course.over(false));
}

#[test]
fn an_ended_command_with_open_pipes_can_be_stopped() {
    let mut run = run(|_| {});
    run.at(3).leader_ends();
    assert_eq!(run.interrupt(None), Some(Term));
    assert_eq!(run.course.cause(), Some(StopCause::Interrupted));
    run.view.group_alive = false;
    run.next();
    assert!(run.course.over(true));
}

#[test]
fn endless_times_do_not_overflow() {
    let mut run = run(|plan| {
        plan.idle_timeout = Some(Duration::MAX);
        plan.total_timeout = Some(Duration::MAX);
        plan.grace = Duration::MAX;
    });
    assert_eq!(run.course.deadline(), None);
    assert_eq!(run.interrupt(None), Some(Term));
    assert_eq!(run.course.deadline(), None);
}
