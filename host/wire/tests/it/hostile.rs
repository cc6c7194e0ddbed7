//! What a peer must not send: each costs its own session, with a reason.

use bytes::Bytes;
use toolpost_wire::{
    Command, CommandId, Frame, Limits, Payload, ProtocolError, ToMaster, ToWorker, Update,
    WorkerEvent, WorkerInfo,
};

use crate::pair::{PATIENT, Pair, download, info, shell, text, upload, upload_dir};

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

/// Something that is said about a command.
type Word = fn(CommandId) -> ToMaster;

fn write(id: CommandId, bytes: usize) -> ToMaster {
    let data = vec![0; bytes].into();
    ToMaster::UploadFileWrite { id, data }
}

#[test]
fn a_transfer_says_what_it_was_asked_for_and_waits_for_answers() {
    let times: Word = |id| ToMaster::UploadFileTimes {
        id,
        accessed: 0.0,
        modified: 0.0,
    };
    let read: Word = |id| ToMaster::ReadFile { id, length: 8 };
    let close: Word = |id| ToMaster::UploadFileClose { id };
    let archive: Word = |id| ToMaster::UploadDirectoryWrite {
        id,
        data: vec![0; 9].into(),
    };
    let one: Word = |id| write(id, 1);
    let ahead =
        "`update_upload_file_write` comes before the answer to what the transfer said before";
    let long =
        "a message has more bytes in a piece of a file than the 8 that are allowed (blocksize)";
    let none = |op: &str| format!("`{op}` is about a command that is no such transfer");
    let cases: [(Command, &[Word], String); 9] = [
        (
            upload(8, false),
            &[|id| write(id, 8), close],
            "taken".into(),
        ),
        (upload(8, true), &[times], "taken".into()),
        (upload(8, false), &[times], none("update_upload_file_utime")),
        (upload(8, false), &[read], none("update_read_file")),
        (upload(8, false), &[|id| write(id, 9)], long.into()),
        (upload(8, false), &[one, one, one], ahead.into()),
        (upload_dir(8), &[archive], long.into()),
        (download(), &[close], none("update_upload_file_close")),
        (
            shell("x"),
            &[|id| write(id, 1)],
            none("update_upload_file_write"),
        ),
    ];
    for (command, words, expected) in cases {
        let mut pair = Pair::attached();
        let (_, id) = pair.start(command.clone(), PATIENT);
        let said = words.iter().zip(500..).try_for_each(|(word, seq)| {
            let request = word(id.clone());
            let frame = Frame::Request { seq, request }.encode();
            pair.master.handle(pair.now, &frame)
        });
        let became = said.map_or_else(|error| error.to_string(), |()| "taken".into());
        assert_eq!(became, expected, "{command:?}");
    }
}

/// What becomes of a session whose worker tells this about itself.
fn told(info: &WorkerInfo) -> String {
    let mut pair = Pair::new(Limits::default(), Vec::new());
    pair.flow().unwrap();
    let wanted = pair.take_worker(|event| matches!(event, WorkerEvent::InfoWanted(_)));
    let WorkerEvent::InfoWanted(ticket) = wanted else {
        unreachable!()
    };
    pair.worker.answer_info(&ticket, info);
    let said = pair.flow();
    said.map_or_else(|error| error.to_string(), |()| "taken".into())
}

#[test]
fn what_a_worker_tells_about_itself_is_short_and_has_its_directory() {
    let with = |base_dir: String, instance: &str, admin: usize| WorkerInfo {
        base_dir,
        instance: Some(instance.into()),
        texts: [("admin".to_owned(), "x".repeat(admin))].into(),
        ..info()
    };
    let dir = || "/srv".to_owned();
    let cases = [
        (with(dir(), "a", 200_000), "taken"),
        (
            with(String::new(), "a", 1),
            "a message of the kind `get_worker_info` has no `basedir`",
        ),
        (
            with("/d".repeat(5_000), "a", 1),
            "a message has more bytes in `basedir` than the 8192 that are allowed (reason_bytes_max)",
        ),
        (
            with(dir(), &"a".repeat(200), 1),
            "a message has more bytes in a name than the 128 that are allowed (name_bytes_max)",
        ),
        (
            with(dir(), "a", 300_000),
            "a message has more bytes about the worker than the 262144 that are allowed (info_bytes_max)",
        ),
    ];
    for (info, expected) in cases {
        assert_eq!(told(&info), expected);
    }
}

#[test]
fn a_reason_is_one_line_whatever_the_worker_says() {
    let mut pair = Pair::new(Limits::default(), Vec::new());
    let answer = Err(format!("no\r\nroot: \x1b[31mhello{}", "!".repeat(5_000)));
    let frame = Frame::<ToWorker>::Response { seq: 1, answer }.encode();
    let error = pair
        .master
        .handle(pair.now, &frame)
        .unwrap_err()
        .to_string();
    let begin = "`get_worker_info` was refused: no  root:  [31mhello!!!";
    assert!(error.starts_with(begin) && error.len() < 300, "{error}");
    assert!(!error.contains(char::is_control), "{error}");
}

#[test]
fn a_worker_does_not_go_on_with_more_commands_than_there_may_be() {
    let mut pair = Pair::with(
        Limits::default(),
        toolpost_wire::Former {
            keep: Some(std::time::Duration::from_secs(60)),
            ..Default::default()
        },
    );
    pair.flow().unwrap();
    let wanted = pair.take_worker(|event| matches!(event, WorkerEvent::InfoWanted(_)));
    let WorkerEvent::InfoWanted(ticket) = wanted else {
        unreachable!()
    };
    let instance = Some("a".to_owned());
    let info = WorkerInfo { instance, ..info() };
    pair.worker.answer_info(&ticket, &info);
    pair.flow().unwrap();
    let wanted = pair.take_worker(|event| matches!(event, WorkerEvent::Resume(..)));
    let WorkerEvent::Resume(_, ticket) = wanted else {
        unreachable!()
    };
    let ids = (0..300).map(|n| CommandId(format!("1-{n}")));
    pair.worker.answer_resume(&ticket, ids);
    assert_eq!(
        pair.flow().unwrap_err().to_string(),
        "a message has more commands that go on than the 256 that are allowed (commands_max)"
    );
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
        request: ToWorker::StartCommand {
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
    let (number, id) = pair.start(download(), PATIENT);
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
