//! What a peer must not send: each costs its own session, with a reason.

use bytes::Bytes;
use toolpost_wire::{Frame, Limits, Payload, ProtocolError, ToMaster, Update, WorkerEvent};

use crate::pair::{PATIENT, Pair, shell, text};

fn small() -> Limits {
    Limits {
        frame_bytes_max: 1_000,
        frame_values_max: 100,
        frame_depth_max: 4,
        name_bytes_max: 16,
        ..Limits::default()
    }
}

/// What becomes of a session in which the worker sends this.
fn sent(limits: Limits, frame: &[u8]) -> String {
    let mut pair = Pair::new(limits, Vec::new());
    let taken = pair.master.handle(pair.now, &Bytes::copy_from_slice(frame));
    taken.map_or_else(|error| error.to_string(), |()| "taken".into())
}

#[test]
fn what_is_no_message_ends_the_session_with_a_reason() {
    let long = [0xc0; 1_001];
    let deep = [&b"\x81\xa4args"[..], &[0x91; 10]].concat();
    let many = [&b"\x81\xa4args\xdc\x01\x00"[..], &[0xc0; 256]].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"", "a message ends in the middle"),
        (
            b"\xc0",
            "`the message` of a message is nothing instead of a map",
        ),
        (
            b"GET / HTTP/1.1",
            "`the message` of a message is an integer instead of a map",
        ),
        (b"\x80", "a message of the kind `` has no `op`"),
        (
            b"\x81\xa2op\x01",
            "`op` of a message is an integer instead of a text",
        ),
        (
            b"\x81\xa2op\xa9keepalive",
            "a message of the kind `keepalive` has no `seq_number`",
        ),
        (b"\x80\xc0", "a message has 1 bytes after its end"),
        (
            b"\xdf\xff\xff\xff\xff",
            "a message has more keys than the 32 that are allowed (FIELDS_MAX)",
        ),
        (
            b"\x81\xa2op\xdb\xff\xff\xff\xff",
            "a message ends in the middle",
        ),
        (
            b"\x81\xa4args\xdd\xff\xff\xff\xff",
            "a message ends in the middle",
        ),
        (
            b"\x81\xa2op\xd4\x01\x00",
            "`a value` of a message is an extension instead of one of the protocol's types",
        ),
        (
            &long,
            "a message of 1001 bytes is longer than the 1000 that are allowed (frame_bytes_max)",
        ),
        (
            &deep,
            "a message has more levels than the 4 that are allowed (frame_depth_max)",
        ),
        (
            &many,
            "a message has more values than the 100 that are allowed (frame_values_max)",
        ),
        (
            b"\x82\xa2op\xb3xxxxxxxxxxxxxxxxxxx\xaaseq_number\x00",
            "a message has more bytes in a name than the 16 that are allowed (name_bytes_max)",
        ),
        (
            b"\x83\xa2op\xa8response\xaaseq_number\x63\xa6result\xc0",
            "there is an answer to request 99, which was never made or is answered already",
        ),
        (
            b"\x82\xa2op\xa9keepalive\xaaseq_number\xff",
            "`seq_number` of a message is a negative one instead of a number that is not negative",
        ),
        (
            b"\x84\xa2op\xa6update\xaaseq_number\x01\xaacommand_id\xa1x\xa4args\x91\x91\xa2rc",
            "`an update` of a message is a list of another length instead of a pair",
        ),
    ];
    for (frame, expected) in cases {
        assert_eq!(sent(small(), frame), *expected, "{frame:02x?}");
    }
}

#[test]
fn what_is_only_unknown_is_answered() {
    let mut pair = Pair::attached();
    let unknown = Frame::Request {
        seq: 500,
        request: ToMaster::Unknown("sing".into()),
    };
    pair.master.handle(pair.now, &unknown.encode()).unwrap();
    let keep = Frame::Request {
        seq: 501,
        request: ToMaster::Keepalive,
    };
    pair.master.handle(pair.now, &keep.encode()).unwrap();
    assert_eq!(pair.at_master, []);
}

#[test]
fn a_sequence_number_counts_once() {
    let mut pair = Pair::attached();
    let frame = Frame::Request {
        seq: 500,
        request: ToMaster::Keepalive,
    };
    pair.master.handle(pair.now, &frame.encode()).unwrap();
    let again = pair.master.handle(pair.now, &frame.encode());
    assert_eq!(again, Err(ProtocolError::SequenceReused(500)));
}

#[test]
fn requests_that_nobody_answers_are_bounded() {
    let limits = Limits {
        unanswered_max: 3,
        ..Limits::default()
    };
    let mut pair = Pair::new(limits, Vec::new());
    pair.attach();
    let (_, id) = pair.start(shell("x"), PATIENT);
    let mut taken = 0;
    let error = loop {
        let updates = vec![Update::Stdout(text("x\n"))];
        pair.worker.update(pair.now, &id, updates).unwrap();
        match pair.flow() {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((taken, error), (3, ProtocolError::TooManyRequests(3)));
}

#[test]
fn who_sends_too_fast_is_read_more_slowly() {
    let mut pair = Pair::attached();
    let limits = Limits::default();
    let mut seq = 500;
    let mut keep = |pair: &mut Pair| {
        seq += 1;
        let request = ToMaster::Keepalive;
        let frame = Frame::Request { seq, request }.encode();
        pair.master.handle(pair.now, &frame).unwrap();
        while pair.master.poll().is_some() {}
        pair.master.read_after(pair.now)
    };
    let mut burst = 0;
    while keep(&mut pair).is_none() {
        burst += 1;
    }
    assert!(burst > limits.burst_frames_max - 100, "{burst}");
    let mut sent = 0;
    let start = pair.now;
    while pair.now < start + std::time::Duration::from_secs(10) {
        if let Some(after) = keep(&mut pair) {
            pair.now = after;
        }
        sent += 1;
    }
    let most = limits.frames_per_s_max * 10 + 1;
    assert!(sent <= most, "{sent} frames in 10 s");
}

#[test]
fn an_id_that_runs_is_not_started_again_and_settings_come_first() {
    let mut pair = Pair::attached();
    let (_, id) = pair.start(shell("x"), PATIENT);
    let start = |seq, id| Frame::Request {
        seq,
        request: toolpost_wire::ToWorker::StartCommand {
            id,
            builder: None,
            command: shell("y"),
        },
    };
    pair.worker
        .handle(pair.now, &start(900, id.clone()).encode())
        .unwrap();
    let mut fresh = Pair::new(Limits::default(), Vec::new());
    fresh
        .worker
        .handle(fresh.now, &start(0, id).encode())
        .unwrap();
    for pair in [&mut pair, &mut fresh] {
        while let Some(effect) = pair.worker.poll() {
            let started = toolpost_wire::WorkerEffect::Event;
            assert!(!matches!(&effect, e if *e == started(WorkerEvent::Shutdown)));
            let toolpost_wire::WorkerEffect::Send(frame) = effect else {
                panic!("{effect:?}")
            };
            let answer = Frame::<ToMaster>::decode(&frame, &Limits::default()).unwrap();
            assert!(
                matches!(answer, Frame::Response { answer: Err(_), .. }),
                "{answer:?}"
            );
        }
    }
}

#[test]
fn an_answer_may_be_nothing_where_bytes_are_expected() {
    let mut pair = Pair::attached();
    let (number, id) = pair.start(shell("down"), PATIENT);
    pair.worker.read(pair.now, &id, 10).unwrap();
    pair.flow().unwrap();
    let told = pair.told(number);
    let [toolpost_wire::CommandEvent::ReadWanted(10, ticket)] = &told[..] else {
        panic!("{told:?}")
    };
    pair.master.answer(ticket, Ok(Payload::nothing()));
    pair.flow().unwrap();
    let event = pair.take_worker(|event| matches!(event, WorkerEvent::Answered { .. }));
    let WorkerEvent::Answered { answer, .. } = event else {
        unreachable!()
    };
    assert_eq!(answer, Ok(None));
}
