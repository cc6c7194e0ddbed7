//! What a session is for: commands and files, from one end to the other.

use std::collections::BTreeMap;

use bytes::Bytes;
use toolpost_wire::{
    Argv, Command, CommandEvent, Compression, CopyDir, DownloadFile, EnvValue, FailureReason,
    FileStat, LogFile, Payload, RemoveDirs, Shell, Update, UploadDirectory, UploadFile, Usage,
    WorkerEvent,
};

use crate::pair::{PATIENT, Pair, download, shell, text, upload, upload_dir};

fn commands() -> Vec<Command> {
    let full = Shell {
        command: Argv::Words(vec!["make".into(), "ü".into()]),
        workdir: "/srv/worker/b".into(),
        env: BTreeMap::from([
            ("A".into(), EnvValue::Unset),
            ("B".into(), EnvValue::Set("${HOME}/x".into())),
            (
                "PYTHONPATH".into(),
                EnvValue::List(vec!["/a".into(), "/b".into()]),
            ),
        ]),
        want_stdout: false,
        want_stderr: false,
        logfiles: BTreeMap::from([(
            "test".into(),
            LogFile {
                filename: "t.log".into(),
                follow: true,
            },
        )]),
        timeout: Some(1200.0),
        max_time: Some(0.5),
        max_lines: Some(70_000),
        sigterm_time: Some(5.0),
        use_pty: true,
        log_environ: false,
        initial_stdin: Some(Bytes::from_static(b"ab\xff")),
        interrupt_signal: Some("INT".into()),
    };
    let path = || "/srv/worker/b/f".to_owned();
    vec![
        Command::Shell(Box::new(full)),
        shell("echo hello"),
        Command::UploadFile(UploadFile {
            path: path(),
            max_size: Some(5 << 32),
            block_size: 65_536,
            keep_stamp: true,
            offset: 0,
        }),
        Command::UploadFile(UploadFile {
            path: path(),
            max_size: None,
            block_size: 1,
            keep_stamp: false,
            offset: 3 << 32,
        }),
        Command::UploadDirectory(UploadDirectory {
            path: path(),
            max_size: None,
            block_size: 1,
            compress: Some(Compression::Bzip2),
        }),
        Command::DownloadFile(DownloadFile {
            path: path(),
            max_size: None,
            block_size: 65_536,
            mode: Some(0o755),
        }),
        Command::MakeDirs {
            paths: vec![path(), "/srv/worker/c".into()],
        },
        Command::RemoveDirs(RemoveDirs {
            paths: vec![path()],
            log_environ: false,
            timeout: Some(120.0),
            max_time: None,
        }),
        Command::CopyDir(CopyDir {
            from_path: path(),
            to_path: "/srv/worker/b/g".into(),
            log_environ: true,
            timeout: None,
            max_time: Some(9.25),
        }),
        Command::RemoveFile { path: path() },
        Command::Stat { path: path() },
        Command::Glob { path: path() },
        Command::ListDir { path: path() },
    ]
}

#[test]
fn every_command_arrives_as_it_was_sent() {
    let mut pair = Pair::attached();
    for sent in commands() {
        let builder = Some("b".to_owned());
        let number = pair.master.start(pair.now, builder, sent.clone(), PATIENT);
        pair.flow().unwrap();
        let start = pair.take_worker(|event| matches!(event, WorkerEvent::Start { .. }));
        let WorkerEvent::Start {
            id,
            builder,
            command,
            ticket,
        } = start
        else {
            unreachable!()
        };
        assert_eq!((command, builder.as_deref()), (sent, Some("b")));
        pair.worker.answer(&ticket, Ok(()));
        pair.worker.complete(pair.now, &id, None);
        pair.flow().unwrap();
        let told = pair.told(number.unwrap());
        assert_eq!(told, [CommandEvent::Started, CommandEvent::Complete(None)]);
    }
}

#[test]
fn every_update_arrives_as_it_was_sent() {
    let mut pair = Pair::attached();
    let (number, id) = pair.start(shell("x"), PATIENT);
    let sent = vec![
        Update::Header(text("x\n in dir\n")),
        Update::Stdout(text("héllo ✓\nmore\n")),
        Update::Stderr(text("oh\n")),
        Update::Log {
            name: "test".into(),
            text: text("one\n"),
        },
        Update::FailureReason(FailureReason::Timeout),
        Update::FailureReason(FailureReason::TimeoutWithoutOutput),
        Update::FailureReason(FailureReason::MaxLines),
        Update::FailureReason(FailureReason::Other("tired".into())),
        Update::Files(vec!["a".into(), "b".into()]),
        Update::Stat(FileStat {
            mode: 0o100_644,
            size: 5 << 40,
            modified: 1_700_000_000,
            ..FileStat::default()
        }),
        Update::Rc(-1),
        Update::Elapsed(0.125),
        Update::Usage(Usage {
            user_s: 1.25,
            system_s: 3.0,
            memory_peak_bytes: 5 << 32,
            read_bytes: 0,
            written_bytes: 4096,
        }),
        Update::Other("colour".into()),
    ];
    pair.worker.update(pair.now, &id, sent.clone()).unwrap();
    pair.flow().unwrap();
    let [CommandEvent::Updates(updates, ticket)] = &pair.told(number)[..] else {
        panic!("one event")
    };
    assert_eq!(*updates, sent);
    assert_eq!(pair.worker.unanswered(), 1);
    pair.master.answer(ticket, Ok(Payload::nothing()));
    pair.flow().unwrap();
    assert_eq!(pair.worker.unanswered(), 0);
}

#[test]
fn files_go_both_ways_piece_by_piece() {
    let mut pair = Pair::attached();
    let answered = |pair: &mut Pair| {
        let event = pair.take_worker(|event| matches!(event, WorkerEvent::Answered { .. }));
        let WorkerEvent::Answered { answer, .. } = event else {
            unreachable!()
        };
        answer.map(Option::unwrap_or_default)
    };
    let (number, id) = pair.start(upload(64, true), PATIENT);
    let data = Bytes::from_static(b"\x00\xffdata");
    pair.worker
        .upload_file(pair.now, &id, data.clone())
        .unwrap();
    pair.flow().unwrap();
    let [CommandEvent::FileData(came, ticket)] = &pair.told(number)[..] else {
        panic!("one event")
    };
    assert_eq!(*came, data);
    pair.master.answer(ticket, Err("the disk is full".into()));
    pair.flow().unwrap();
    assert_eq!(answered(&mut pair), Err("the disk is full".into()));
    pair.worker.close_file(pair.now, &id).unwrap();
    pair.worker.file_times(pair.now, &id, 1.0, 2.5).unwrap();
    pair.flow().unwrap();
    let told = pair.told(number);
    let [
        CommandEvent::FileEnd(_),
        CommandEvent::FileTimes(1.0, 2.5, _),
    ] = &told[..]
    else {
        panic!("{told:?}")
    };
    let (number, id) = pair.start(upload_dir(64), PATIENT);
    pair.worker.upload_archive(pair.now, &id, data).unwrap();
    pair.worker.close_archive(pair.now, &id).unwrap();
    pair.flow().unwrap();
    let told = pair.told(number);
    let [CommandEvent::ArchiveData(..), CommandEvent::ArchiveEnd(_)] = &told[..] else {
        panic!("{told:?}")
    };
    let (number, id) = pair.start(download(), PATIENT);
    pair.worker.read(pair.now, &id, 3).unwrap();
    pair.worker.close_read(pair.now, &id).unwrap();
    pair.flow().unwrap();
    let told = pair.told(number);
    let [
        CommandEvent::ReadWanted(3, wanted),
        CommandEvent::ReadEnd(_),
    ] = &told[..]
    else {
        panic!("{told:?}")
    };
    pair.master.answer(wanted, Ok(Payload::bytes(b"abc")));
    pair.flow().unwrap();
    assert_eq!(answered(&mut pair), Ok(Bytes::from_static(b"abc")));
}

#[test]
fn what_a_worker_does_not_know_is_refused_and_nothing_else_happens() {
    let mut pair = Pair::attached();
    let unknown = Command::Unknown("brew".into());
    let number = pair.master.start(pair.now, None, unknown, PATIENT).unwrap();
    pair.flow().unwrap();
    let refused = CommandEvent::Refused("this worker has no command `brew`".into());
    assert_eq!(pair.told(number), [refused]);
    assert!(
        pair.at_worker
            .iter()
            .all(|event| !matches!(event, WorkerEvent::Start { .. }))
    );
    assert_eq!(pair.master.running(), []);
}

#[test]
fn a_worker_says_nothing_about_a_command_that_does_not_run() {
    let mut pair = Pair::attached();
    let (_, id) = pair.start(shell("x"), PATIENT);
    pair.worker.complete(pair.now, &id, Some("it broke".into()));
    assert_eq!(pair.worker.update(pair.now, &id, vec![Update::Rc(0)]), None);
    assert_eq!(pair.worker.close_file(pair.now, &id), None);
}

#[test]
fn more_commands_than_may_run_are_not_started() {
    let mut pair = Pair::attached();
    let mut started = 0;
    while pair
        .master
        .start(pair.now, None, shell("x"), PATIENT)
        .is_some()
    {
        started += 1;
    }
    assert_eq!(started, toolpost_wire::Limits::default().commands_max);
}
