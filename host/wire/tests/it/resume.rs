//! Sessions that go on over another connection: nothing of a command is lost or said twice.

use std::time::Duration;

use toolpost_wire::{
    CommandEvent, CommandId, CommandNumber, Former, Known, Limits, MasterEvent, Payload, Suspended,
    Update, WorkerEffect, WorkerEvent, WorkerInfo,
};

use crate::pair::{PATIENT, Pair, info, shell, text, upload};

/// What a worker tells that offers sessions which outlive their connection.
fn offering(instance: &str) -> WorkerInfo {
    WorkerInfo {
        instance: Some(instance.into()),
        offsets: true,
        packs: true,
        ..info()
    }
}

fn former(suspended: Option<(String, Vec<Suspended>)>) -> Former {
    Former {
        suspended,
        keep: Some(Duration::from_secs(60)),
        ..Former::default()
    }
}

/// Two ends of a connection that goes on from another; what the worker was asked to go on with. It has `held`.
fn next(
    suspended: Option<(String, Vec<Suspended>)>,
    instance: &str,
    held: &[CommandId],
) -> (Pair, Vec<Known>) {
    let mut pair = Pair::with(Limits::default(), former(suspended));
    pair.flow().unwrap();
    let wanted = pair.take_worker(|event| matches!(event, WorkerEvent::InfoWanted(_)));
    let WorkerEvent::InfoWanted(ticket) = wanted else {
        unreachable!()
    };
    pair.worker.answer_info(&ticket, &offering(instance));
    pair.flow().unwrap();
    let resume = pair.take_worker(|event| matches!(event, WorkerEvent::Resume(..)));
    let WorkerEvent::Resume(resume, ticket) = resume else {
        unreachable!()
    };
    assert!((resume.keep - 60.0).abs() < f64::EPSILON);
    pair.worker.answer_resume(&ticket, held.iter().cloned());
    pair.flow().unwrap();
    pair.take_master(|event| matches!(event, MasterEvent::Attached(_)));
    (pair, resume.commands)
}

fn stdout(line: &str) -> Vec<Update> {
    vec![Update::Stdout(text(line))]
}

/// The worker says something, and the master takes it or is cut off before.
fn say(pair: &mut Pair, number: CommandNumber, id: &CommandId, line: &str, taken: bool) {
    pair.worker.update(pair.now, id, stdout(line)).unwrap();
    pair.flow().unwrap();
    let told = pair.told(number);
    let [CommandEvent::Updates(updates, ticket)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(*updates, stdout(line));
    if taken {
        pair.master.answer(ticket, Ok(Payload::nothing()));
    }
}

#[test]
fn a_command_goes_on_where_the_master_was() {
    let (mut pair, known) = next(None, "a", &[]);
    assert_eq!(known, []);
    let (number, id) = pair.start(shell("x"), PATIENT);
    say(&mut pair, number, &id, "one\n", true);
    say(&mut pair, number, &id, "two\n", true);
    say(&mut pair, number, &id, "three\n", false);
    let (mut pair, known) = next(pair.master.suspend(), "a", std::slice::from_ref(&id));
    let expected = Known {
        id: id.clone(),
        taken: 2,
    };
    assert_eq!(known, [expected]);
    assert_eq!(pair.told(number), [CommandEvent::Started]);
    say(&mut pair, number, &id, "three\n", true);
    pair.worker.complete(pair.now, &id, None).unwrap();
    pair.flow().unwrap();
    assert_eq!(pair.told(number), [CommandEvent::Complete(None)]);
    // A later command is another one.
    let (second, other) = pair.start(shell("y"), PATIENT);
    assert!(second != number && other != id);
}

#[test]
fn a_worker_says_when_nothing_new_is_to_begin_and_when_it_wants_to_end() {
    let (mut pair, _) = next(None, "a", &[]);
    for reason in [Some("the disk is full".to_owned()), None] {
        pair.worker.pause(pair.now, reason.clone());
        pair.flow().unwrap();
        let paused = pair.take_master(|event| matches!(event, MasterEvent::Paused(_)));
        assert_eq!(paused, MasterEvent::Paused(reason));
    }
    pair.worker.leave(pair.now);
    pair.flow().unwrap();
    pair.take_master(|event| *event == MasterEvent::Leaving);
    assert_eq!(pair.worker.unanswered(), 0);
}

#[test]
fn an_end_that_nobody_was_told_of_is_told_again() {
    let (mut pair, _) = next(None, "a", &[]);
    let (number, id) = pair.start(shell("x"), PATIENT);
    pair.worker.complete(pair.now, &id, None).unwrap();
    while let Some(effect) = pair.worker.poll() {
        if let WorkerEffect::Send(frame) = effect {
            pair.master.handle(pair.now, &frame).unwrap();
        }
    }
    let (mut pair, known) = next(pair.master.suspend(), "a", std::slice::from_ref(&id));
    assert_eq!(known.len(), 1);
    pair.worker.complete(pair.now, &id, None).unwrap();
    pair.flow().unwrap();
    let told = [CommandEvent::Started, CommandEvent::Complete(None)];
    assert_eq!(pair.told(number), told);
    // One that was told is not asked for any more.
    assert_eq!(pair.master.suspend().unwrap().1.len(), 0);
}

#[test]
fn what_was_to_stop_is_asked_again() {
    let (mut pair, _) = next(None, "a", &[]);
    let (number, id) = pair.start(shell("x"), PATIENT);
    pair.cut = true;
    pair.master.interrupt(pair.now, number);
    pair.flow().unwrap();
    let (mut pair, _) = next(pair.master.suspend(), "a", std::slice::from_ref(&id));
    let interrupt = pair.take_worker(|event| matches!(event, WorkerEvent::Interrupt { .. }));
    assert!(matches!(interrupt, WorkerEvent::Interrupt { id: of, .. } if of == id));
}

#[test]
fn what_the_worker_does_not_have_is_gone() {
    // Never begun, as far as is known; begun; and with another process of the worker.
    for (begun, instance, expected) in [(false, "a", false), (true, "a", true), (false, "b", true)]
    {
        let (mut pair, _) = next(None, "a", &[]);
        let number = match begun {
            true => pair.start(shell("x"), PATIENT).0,
            false => {
                pair.cut = true;
                let number = pair.master.start(pair.now, None, shell("x"), PATIENT);
                pair.flow().unwrap();
                number.unwrap()
            }
        };
        let (mut pair, known) = next(pair.master.suspend(), instance, &[]);
        assert_eq!(known.len(), usize::from(instance == "a"));
        let told = [CommandEvent::Gone { begun: expected }];
        assert_eq!(pair.told(number), told, "{begun} {instance}");
        assert_eq!(pair.master.running(), []);
    }
}

#[test]
fn transfers_do_not_outlive_a_connection() {
    let (mut pair, _) = next(None, "a", &[]);
    pair.start(upload(1, false), PATIENT);
    let (_, commands) = pair.master.suspend().unwrap();
    assert!(commands.is_empty());
}

#[test]
fn a_connection_that_is_lost_before_the_worker_says_who_it_is_changes_nothing() {
    let (mut pair, _) = next(None, "a", &[]);
    let (number, id) = pair.start(shell("x"), PATIENT);
    say(&mut pair, number, &id, "one\n", true);
    let mut pair = Pair::with(Limits::default(), former(pair.master.suspend()));
    pair.cut = true;
    pair.flow().unwrap();
    let (mut pair, known) = next(pair.master.suspend(), "a", std::slice::from_ref(&id));
    assert_eq!(known, [Known { id, taken: 1 }]);
    assert_eq!(pair.told(number), [CommandEvent::Started]);
}

#[test]
fn a_worker_that_does_not_offer_it_is_asked_to_end_what_was_left() {
    let (mut pair, _) = next(None, "a", &[]);
    let (number, _) = pair.start(shell("x"), PATIENT);
    let mut pair = Pair::with(Limits::default(), former(pair.master.suspend()));
    pair.attach();
    assert_eq!(pair.told(number), [CommandEvent::Gone { begun: true }]);
    assert!(pair.master.suspend().is_none());
}

#[test]
fn what_is_given_up_or_stopped_before_the_worker_was_asked_about_it_is_so() {
    let (mut pair, _) = next(None, "a", &[]);
    let (given_up, _) = pair.start(shell("x"), PATIENT);
    let (stopped, id) = pair.start(shell("y"), PATIENT);
    let mut pair = Pair::with(Limits::default(), former(pair.master.suspend()));
    pair.master.abandon(pair.now, given_up);
    pair.master.interrupt(pair.now, stopped);
    let held = std::slice::from_ref(&id);
    let (mut pair, known) = next(pair.master.suspend(), "a", held);
    let known: Vec<CommandId> = known.into_iter().map(|known| known.id).collect();
    assert_eq!(known, held);
    let interrupt = pair.take_worker(|event| matches!(event, WorkerEvent::Interrupt { .. }));
    assert!(matches!(interrupt, WorkerEvent::Interrupt { id: of, .. } if of == id));
}

#[test]
fn long_output_goes_packed_if_both_ends_know_that_and_as_it_is_otherwise() {
    let line = "all work and no play makes a log\n".repeat(3_000);
    let (mut ours, _) = next(None, "a", &[]);
    let mut stock = Pair::attached();
    for (pair, packed) in [(&mut ours, true), (&mut stock, false)] {
        let (number, id) = pair.start(shell("x"), PATIENT);
        pair.worker.update(pair.now, &id, stdout(&line)).unwrap();
        let Some(WorkerEffect::Send(frame)) = pair.worker.poll() else {
            panic!("it sends what it was told")
        };
        assert_eq!(
            frame.len() < line.len() / 5,
            packed,
            "{} bytes",
            frame.len()
        );
        pair.master.handle(pair.now, &frame).unwrap();
        pair.flow().unwrap();
        let told = pair.told(number);
        let [CommandEvent::Updates(updates, _)] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(*updates, stdout(&line));
    }
}

#[test]
fn what_is_given_up_before_the_worker_goes_on_with_it_is_told_to_end_and_nobody_hears_of_it() {
    let (mut pair, _) = next(None, "a", &[]);
    let (number, id) = pair.start(shell("x"), PATIENT);
    let mut pair = Pair::with(Limits::default(), former(pair.master.suspend()));
    pair.flow().unwrap();
    let wanted = pair.take_worker(|event| matches!(event, WorkerEvent::InfoWanted(_)));
    let WorkerEvent::InfoWanted(ticket) = wanted else {
        unreachable!()
    };
    pair.master.interrupt(pair.now, number);
    pair.worker.answer_info(&ticket, &offering("a"));
    pair.flow().unwrap();
    let resume = pair.take_worker(|event| matches!(event, WorkerEvent::Resume(..)));
    let WorkerEvent::Resume(_, ticket) = resume else {
        unreachable!()
    };
    pair.master.abandon(pair.now, number);
    pair.worker.answer_resume(&ticket, [id.clone()]);
    pair.flow().unwrap();
    assert_eq!(pair.told(number), []);
    pair.take_worker(|event| matches!(event, WorkerEvent::Interrupt { id: of, .. } if *of == id));
}
