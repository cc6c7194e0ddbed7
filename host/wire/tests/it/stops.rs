//! Everything ends: commands that are to stop, peers that are gone, sessions that come back.

use std::time::Duration;

use toolpost_wire::{
    CommandEvent, CommandId, Limits, MasterEvent, MasterSession, Patience, ProtocolError, Update,
    WorkerEvent,
};

use crate::pair::{EPOCH, PATIENT, Pair, shell, text};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// How often the worker was asked to end this command.
fn interrupts(pair: &mut Pair, wanted: &CommandId) -> usize {
    let before = pair.at_worker.len();
    pair.at_worker
        .retain(|event| !matches!(event, WorkerEvent::Interrupt { id, .. } if id == wanted));
    before - pair.at_worker.len()
}

#[test]
fn a_command_that_is_interrupted_ends_when_the_worker_says_so() {
    let mut pair = Pair::attached();
    let (number, id) = pair.start(shell("sleep 60"), PATIENT);
    pair.master.interrupt(pair.now, number);
    pair.master.interrupt(pair.now, number);
    pair.flow().unwrap();
    assert_eq!(interrupts(&mut pair, &id), 1);
    pair.worker.complete(pair.now, &id, None);
    pair.pass(secs(3600)).unwrap();
    assert_eq!(pair.told(number), [CommandEvent::Complete(None)]);
}

#[test]
fn a_command_that_does_not_stop_is_asked_again_and_then_given_up() {
    let mut pair = Pair::attached();
    let (number, id) = pair.start(shell("sleep 60"), PATIENT);
    pair.master.interrupt(pair.now, number);
    pair.pass(secs(34)).unwrap();
    assert_eq!(interrupts(&mut pair, &id), 1);
    pair.pass(secs(2)).unwrap();
    assert_eq!(interrupts(&mut pair, &id), 1);
    assert_eq!(pair.told(number), []);
    pair.pass(secs(30)).unwrap();
    assert_eq!(pair.told(number), [CommandEvent::Abandoned]);
    // What it says afterwards is for nobody, and no other command gets its id meanwhile.
    let (_, other) = pair.start(shell("true"), PATIENT);
    assert_ne!(other, id);
    let late = vec![Update::Stdout(text("late\n")), Update::Rc(0)];
    pair.worker.update(pair.now, &id, late).unwrap();
    pair.worker.complete(pair.now, &id, None);
    pair.flow().unwrap();
    let late = pair.take_master(|event| matches!(event, MasterEvent::EndedLate { .. }));
    let expected = MasterEvent::EndedLate {
        id: id.clone(),
        overdue: true,
    };
    assert_eq!(late, expected);
    assert_eq!(pair.at_master, []);
    let (_, third) = pair.start(shell("true"), PATIENT);
    assert_eq!(third, id);
}

#[test]
fn a_command_that_takes_too_long_is_stopped_though_the_worker_does_not() {
    let mut pair = Pair::attached();
    let patience = Patience {
        within: Some(secs(100)),
        ..PATIENT
    };
    let (number, id) = pair.start(shell("sleep 60"), patience);
    pair.pass(secs(99)).unwrap();
    assert_eq!(interrupts(&mut pair, &id), 0);
    pair.pass(secs(2)).unwrap();
    assert_eq!(interrupts(&mut pair, &id), 1);
    pair.pass(secs(100)).unwrap();
    assert_eq!(pair.told(number), [CommandEvent::Abandoned]);
}

#[test]
fn a_command_that_nobody_waits_for_tells_nothing_and_its_transfer_ends() {
    let mut pair = Pair::attached();
    let (number, id) = pair.start(shell("up"), PATIENT);
    pair.master.abandon(pair.now, number);
    let data = bytes::Bytes::from_static(b"x");
    pair.worker.upload_file(pair.now, &id, data).unwrap();
    pair.flow().unwrap();
    assert_eq!(interrupts(&mut pair, &id), 1);
    let answered = pair.take_worker(|event| matches!(event, WorkerEvent::Answered { .. }));
    assert!(matches!(
        answered,
        WorkerEvent::Answered { answer: Err(_), .. }
    ));
    pair.worker.complete(pair.now, &id, None);
    pair.pass(secs(3600)).unwrap();
    let late = MasterEvent::EndedLate { id, overdue: false };
    assert_eq!(pair.at_master, [late]);
    assert_eq!(pair.master.running(), []);
}

#[test]
fn idle_ends_keep_each_other_alive() {
    let mut pair = Pair::attached();
    pair.pass(secs(24 * 3600)).unwrap();
    assert_eq!(pair.at_master, []);
}

#[test]
fn a_peer_that_is_gone_is_noticed_by_both_ends_within_the_limits() {
    let limits = Limits::default();
    let most = limits.quiet_max + limits.answer_wait_max;
    let mut pair = Pair::attached();
    pair.cut = true;
    pair.pass(most.checked_sub(secs(1)).unwrap()).unwrap();
    let error = pair.pass(secs(2)).unwrap_err();
    assert!(
        matches!(
            error,
            ProtocolError::NoAnswer {
                op: "keepalive",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_probe_finds_out_sooner() {
    let mut pair = Pair::attached();
    pair.master.probe(pair.now, "somebody else has your name");
    pair.master.probe(pair.now, "somebody else has your name");
    pair.flow().unwrap();
    assert_eq!(pair.at_master, [MasterEvent::ProbeAnswered]);
    pair.cut = true;
    pair.master.probe(pair.now, "somebody else has your name");
    pair.pass(secs(9)).unwrap();
    let error = pair.pass(secs(2)).unwrap_err();
    assert!(
        matches!(error, ProtocolError::NoAnswer { op: "print", .. }),
        "{error}"
    );
}

#[test]
fn a_worker_that_never_attaches_is_given_up() {
    let mut pair = Pair::new(Limits::default(), Vec::new());
    pair.flow().unwrap();
    // It answers all but what it is.
    let error = pair.pass(secs(61)).unwrap_err();
    assert!(matches!(error, ProtocolError::NoAnswer { .. }), "{error}");
    assert_eq!(pair.master.start(pair.now, None, shell("x"), PATIENT), None);
}

#[test]
fn what_a_former_session_left_running_is_interrupted_before_the_worker_is_used() {
    let former = MasterSession::command_id(EPOCH - 1, 0);
    let mut pair = Pair::new(Limits::default(), vec![former]);
    pair.attach();
    // A worker of ours does not know it any more; a stock one does and ends it. Either answers.
    assert_eq!(pair.at_master, []);
}

#[test]
fn words_of_a_former_session_are_for_nobody_and_end_what_says_them() {
    // The worker's commands have the ids of another epoch.
    let mut other = Pair::attached();
    let (number, _) = other.start(shell("x"), PATIENT);
    let mut pair = Pair::new(Limits::default(), Vec::new());
    pair.master = other.master;
    pair.worker = other.worker;
    let stranger = toolpost_wire::Frame::Request {
        seq: 1_000,
        request: toolpost_wire::ToMaster::Complete {
            id: MasterSession::command_id(EPOCH - 1, 0),
            error: None,
        },
    };
    pair.master.handle(pair.now, &stranger.encode()).unwrap();
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    while let Some(effect) = pair.master.poll() {
        match effect {
            toolpost_wire::Effect::Send(frame) => sent.push(frame),
            toolpost_wire::Effect::Event(event) => told.push(event),
        }
    }
    let stranger = MasterSession::command_id(EPOCH - 1, 0);
    assert_eq!(told, [MasterEvent::Stranger(stranger)]);
    let sent = sent.iter().map(|frame| {
        toolpost_wire::Frame::<toolpost_wire::ToWorker>::decode(frame, &Limits::default()).unwrap()
    });
    let interrupted = sent.filter(|frame| {
        matches!(frame, toolpost_wire::Frame::Request {
            request: toolpost_wire::ToWorker::InterruptCommand { id, .. }, ..
        } if *id == MasterSession::command_id(EPOCH - 1, 0))
    });
    assert_eq!(interrupted.count(), 1);
    assert_eq!(pair.master.running(), [MasterSession::command_id(EPOCH, 0)]);
    assert_eq!(pair.told(number), []);
}
