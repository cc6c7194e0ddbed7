//! Messages that are well-formed, of every kind.

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use toolpost_wire::{
    Argv, Command, CommandId, Compression, CopyDir, DownloadFile, EnvValue, FailureReason,
    FileStat, Frame, Known, LogFile, Payload, RemoveDirs, Resume, Shell, Text, ToMaster, ToWorker,
    Update, UploadDirectory, UploadFile, Usage, WorkerSettings,
};

/// A message in one of the two directions.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    ToMaster(Frame<ToMaster>),
    ToWorker(Frame<ToWorker>),
}

impl Said {
    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Self::ToMaster(frame) => frame.encode(),
            Self::ToWorker(frame) => frame.encode(),
        }
    }
}

/// What no stock peer says.
pub(crate) fn own() -> Vec<Said> {
    let id = CommandId("7-0".into());
    let known = Known { id, taken: 3 };
    let resume = ToWorker::Resume(Resume {
        commands: vec![known.clone(), known],
        keep: 300.0,
        packs: true,
    });
    let requests = [resume, ToWorker::Keepalive, ToWorker::Shutdown];
    let requests = requests.map(|request| Frame::Request { seq: 9, request });
    requests.into_iter().map(Said::ToWorker).collect()
}

pub(crate) fn frames() -> impl Strategy<Value = Said> {
    prop_oneof![
        (number(), to_master(id()))
            .prop_map(|(seq, request)| { Said::ToMaster(Frame::Request { seq, request }) }),
        (number(), to_worker(id()))
            .prop_map(|(seq, request)| { Said::ToWorker(Frame::Request { seq, request }) }),
        (number(), answer())
            .prop_map(|(seq, answer)| { Said::ToWorker(Frame::Response { seq, answer }) }),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9_. -]{0,12}"
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..200_u64, 0..=i64::MAX as u64]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![(-9..2_000_i32).prop_map(f64::from), any::<f64>()]
}

fn id() -> impl Strategy<Value = CommandId> + Clone {
    "[0-9]{1,2}-[0-9]{1,2}".prop_map(CommandId)
}

pub(crate) fn answer() -> impl Strategy<Value = Result<Payload, String>> {
    prop_oneof![
        3 => Just(Ok(Payload::nothing())),
        1 => vec(any::<u8>(), 0..20).prop_map(|bytes| Ok(Payload::bytes(&bytes))),
        1 => text().prop_map(Err),
    ]
}

fn output() -> impl Strategy<Value = Text> {
    let bytes = prop_oneof![
        "([a-z é✓]{0,9}\n){0,5}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..30),
    ];
    (bytes, float()).prop_map(|(bytes, at)| {
        let has_line = bytes.contains(&b'\n');
        let at = if has_line { at } else { 0.0 };
        Text {
            bytes: bytes.into(),
            at,
        }
    })
}

fn update() -> impl Strategy<Value = Update> {
    let stat = any::<[i64; 4]>().prop_map(|[mode, size, modified, user]| {
        Update::Stat(FileStat {
            mode,
            size,
            modified,
            user,
            ..FileStat::default()
        })
    });
    let reason = prop_oneof![
        Just(FailureReason::Timeout),
        Just(FailureReason::MaxLines),
        name().prop_map(|name| FailureReason::Other(format!("x{name}"))),
    ];
    prop_oneof![
        output().prop_map(Update::Stdout),
        output().prop_map(Update::Stderr),
        output().prop_map(Update::Header),
        (name(), output()).prop_map(|(name, text)| Update::Log { name, text }),
        any::<i64>().prop_map(Update::Rc),
        reason.prop_map(Update::FailureReason),
        vec(text(), 0..4).prop_map(Update::Files),
        stat,
        float().prop_map(Update::Elapsed),
        (float(), number()).prop_map(|(user_s, memory_peak_bytes)| Update::Usage(Usage {
            user_s,
            memory_peak_bytes,
            ..Usage::default()
        })),
        name().prop_map(|name| Update::Other(format!("x{name}"))),
    ]
}

/// What workers ask, about commands with these ids.
pub(crate) fn to_master(
    id: impl Strategy<Value = CommandId> + Clone + 'static,
) -> impl Strategy<Value = ToMaster> {
    let bytes = || vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    prop_oneof![
        6 => (id.clone(), vec(update(), 0..4)).prop_map(|(id, updates)| ToMaster::Update { id, updates }),
        3 => (id.clone(), option::of(text())).prop_map(|(id, error)| ToMaster::Complete { id, error }),
        2 => (id.clone(), bytes()).prop_map(|(id, data)| ToMaster::UploadFileWrite { id, data }),
        1 => id.clone().prop_map(|id| ToMaster::UploadFileClose { id }),
        1 => (id.clone(), float(), float()).prop_map(|(id, accessed, modified)| {
            ToMaster::UploadFileTimes { id, accessed, modified }
        }),
        2 => (id.clone(), number()).prop_map(|(id, length)| ToMaster::ReadFile { id, length }),
        1 => id.clone().prop_map(|id| ToMaster::ReadFileClose { id }),
        2 => (id.clone(), bytes())
            .prop_map(|(id, data)| ToMaster::UploadDirectoryWrite { id, data }),
        1 => id.prop_map(|id| ToMaster::UploadDirectoryUnpack { id }),
        1 => Just(ToMaster::Keepalive),
        1 => Just(ToMaster::Leave),
        1 => option::of(text()).prop_map(|reason| ToMaster::Pause { reason }),
        1 => name().prop_map(|name| ToMaster::Unknown(format!("x{name}"))),
    ]
}

/// What masters ask, about commands with these ids.
pub(crate) fn to_worker(
    id: impl Strategy<Value = CommandId> + Clone + 'static,
) -> impl Strategy<Value = ToWorker> {
    let known = (id.clone(), number()).prop_map(|(id, taken)| Known { id, taken });
    let resume = (vec(known, 0..4), float(), any::<bool>());
    let resume = resume.prop_map(|(commands, keep, packs)| Resume {
        commands,
        keep,
        packs,
    });
    let settings = (text(), number(), float(), number());
    let settings = settings.prop_map(
        |(newline_re, max_line_length, buffer_timeout, buffer_size)| WorkerSettings {
            newline_re,
            max_line_length,
            buffer_timeout,
            buffer_size,
        },
    );
    let start = (id.clone(), option::of(text()), command());
    prop_oneof![
        1 => text().prop_map(|message| ToWorker::Print { message }),
        1 => Just(ToWorker::Keepalive),
        1 => Just(ToWorker::GetWorkerInfo),
        1 => settings.prop_map(ToWorker::SetWorkerSettings),
        4 => start.prop_map(|(id, builder, command)| ToWorker::StartCommand { id, builder, command }),
        2 => (id, text()).prop_map(|(id, why)| ToWorker::InterruptCommand { id, why }),
        1 => Just(ToWorker::Shutdown),
        1 => resume.prop_map(ToWorker::Resume),
        1 => name().prop_map(|name| ToWorker::Unknown(format!("x{name}"))),
    ]
}

/// A command of any kind.
pub(crate) fn command() -> impl Strategy<Value = Command> {
    let upload = (
        text(),
        option::of(number()),
        1..64_u64,
        any::<bool>(),
        number(),
    );
    let compress = prop_oneof![
        Just(None),
        Just(Some(Compression::Gzip)),
        Just(Some(Compression::Bzip2)),
    ];
    let directory = (text(), option::of(number()), 1..64_u64, compress);
    let download = (
        text(),
        option::of(number()),
        number(),
        option::of(0..0o10000_u32),
    );
    let times = || (any::<bool>(), option::of(float()), option::of(float()));
    prop_oneof![
        4 => shell().prop_map(|shell| Command::Shell(Box::new(shell))),
        2 => upload.prop_map(|(path, max_size, block_size, keep_stamp, offset)| {
            Command::UploadFile(UploadFile { path, max_size, block_size, keep_stamp, offset })
        }),
        1 => directory.prop_map(|(path, max_size, block_size, compress)| {
            Command::UploadDirectory(UploadDirectory { path, max_size, block_size, compress })
        }),
        2 => download.prop_map(|(path, max_size, block_size, mode)| {
            Command::DownloadFile(DownloadFile { path, max_size, block_size, mode })
        }),
        1 => vec(text(), 0..3).prop_map(|paths| Command::MakeDirs { paths }),
        1 => (vec(text(), 0..3), times()).prop_map(|(paths, (log_environ, timeout, max_time))| {
            Command::RemoveDirs(RemoveDirs { paths, log_environ, timeout, max_time })
        }),
        1 => (text(), text(), times()).prop_map(
            |(from_path, to_path, (log_environ, timeout, max_time))| {
                Command::CopyDir(CopyDir { from_path, to_path, log_environ, timeout, max_time })
            }
        ),
        1 => text().prop_map(|path| Command::Stat { path }),
        1 => text().prop_map(|path| Command::Glob { path }),
        1 => text().prop_map(|path| Command::ListDir { path }),
        1 => text().prop_map(|path| Command::RemoveFile { path }),
        1 => name().prop_map(|name| Command::Unknown(format!("x{name}"))),
    ]
}

fn shell() -> impl Strategy<Value = Shell> {
    let argv = prop_oneof![
        text().prop_map(Argv::Line),
        vec(text(), 0..4).prop_map(Argv::Words),
    ];
    let value = prop_oneof![
        Just(EnvValue::Unset),
        text().prop_map(EnvValue::Set),
        vec(text(), 0..3).prop_map(EnvValue::List),
    ];
    let file = (text(), any::<bool>()).prop_map(|(filename, follow)| LogFile { filename, follow });
    let stdin = option::of(vec(any::<u8>(), 0..20).prop_map(Bytes::from));
    (
        (argv, text(), btree_map(text(), value, 0..3)),
        btree_map(name(), file, 0..3),
        (
            option::of(float()),
            option::of(float()),
            option::of(number()),
        ),
        (any::<[bool; 4]>(), stdin, option::of(name())),
    )
        .prop_map(|((command, workdir, env), logfiles, times, rest)| {
            let (timeout, sigterm_time, max_lines) = times;
            let ([want_stdout, want_stderr, use_pty, log_environ], initial_stdin, signal) = rest;
            Shell {
                env,
                want_stdout,
                want_stderr,
                logfiles,
                timeout,
                max_lines,
                sigterm_time,
                use_pty,
                log_environ,
                initial_stdin,
                interrupt_signal: signal,
                ..Shell::new(command, workdir)
            }
        })
}
