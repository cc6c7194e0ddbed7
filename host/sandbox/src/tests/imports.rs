//! The host functions, called as a plugin calls them but without one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, Room};
use crate::bindings::toolpost::plugin::commands::{
    Capture, CommandLine, CommandSpec, Exit, ExitStatus, HostRunningCommand, OutputSource,
};
use crate::bindings::toolpost::plugin::step_logs::{HostStepLog, LogKind, LogStream};
use crate::bindings::toolpost::plugin::worker_files::{FileError, WriteMode};
use crate::bindings::toolpost::plugin::{
    build_info, cancellation, log, properties, step_status, types, worker_files,
};
use crate::call::{
    CallState, Caller, Computing, Guard, Hider, Home, LogSink, Means, Meter, Paces, Paying, Stop,
    WallClock,
};
use crate::fair::Party;
use crate::http::{Client, HttpOptions};
use crate::tests::scripted_host::ScriptedHost;
use crate::{CallLimits, Want, Wanted};

/// A call of a plugin that asks for all that there is, as the host functions see it.
pub(super) async fn call(limits: CallLimits) -> (CallState, Arc<ScriptedHost>) {
    let any = || "*".to_owned();
    let wants = [
        Want::Secret(any()),
        Want::Storage,
        Want::Mail,
        Want::Trigger(any()),
        Want::Artifacts(any()),
    ];
    let host = ScriptedHost::new();
    (call_of(host.clone(), &wants, limits).await, host)
}

/// A call of a plugin that asks for this.
pub(super) async fn call_of(
    host: Arc<ScriptedHost>,
    wants: &[Want],
    limits: CallLimits,
) -> CallState {
    let home = Home {
        caller: Caller::Step(host),
        runtime: Handle::current(),
        wanted: Wanted::new("greet", wants),
    };
    state(limits, Some(home)).await
}

async fn state(limits: CallLimits, home: Option<Home>) -> CallState {
    let limits = Arc::new(limits);
    let party = Party::new("greet", "unit");
    let share = Admission::new(Room::default(), Room::default())
        .enter(&party, Room::default())
        .await;
    let clock = Arc::new(WallClock::start(limits.wall));
    let guard = Guard::new(
        share,
        limits.clone(),
        Arc::default(),
        clock,
        Duration::from_secs(1),
    );
    let paying = Paying {
        party,
        meter: Meter::new("greet".into(), Computing::default()),
        threads: Handle::current(),
    };
    let log = LogSink::new(Arc::new(|_, _| ()), Hider::default(), &limits);
    let http = Arc::new(Client::new(HttpOptions::default()));
    CallState::new(
        guard,
        limits,
        log,
        home,
        Means {
            http,
            pace: Paces::default().of(&paying.party, &paying.meter),
            paying,
        },
        CancellationToken::new(),
        None,
    )
}

fn shell(line: &str, capture: Capture) -> CommandSpec {
    CommandSpec {
        command: CommandLine::Shell(line.into()),
        workdir: None,
        env: Vec::new(),
        stdin: None,
        idle_timeout_ms: None,
        total_timeout_ms: None,
        log: None,
        capture,
    }
}

pub(super) fn refusal<T>(answer: wasmtime::Result<Result<T, types::Error>>) -> String {
    match answer.unwrap().err().expect("an error for the plugin") {
        types::Error::Permanent(text) => text,
        types::Error::Retryable(text) | types::Error::Config(text) => {
            panic!("not permanent: {text}")
        }
    }
}

pub(super) fn stopped<T>(answer: wasmtime::Result<T>) -> Stop {
    let error = answer.err().expect("a stop");
    error.downcast_ref::<Stop>().expect("a stop").clone()
}

/// Reads a command to its end: what it printed, and how it ended.
async fn read_all(call: &mut CallState, spec: CommandSpec) -> (String, Exit) {
    let command = call.start(spec).await.unwrap().unwrap();
    let handle = || wasmtime::component::Resource::new_own(command.rep());
    let mut text = String::new();
    while let Some(chunk) = call.read(handle()).await.unwrap() {
        let data = String::from_utf8(chunk.data).unwrap();
        match chunk.source {
            OutputSource::Stdout => text += &data,
            OutputSource::Stderr => text += &format!("<{data}>"),
        }
    }
    let exit = HostRunningCommand::wait(call, handle()).await.unwrap();
    let again = HostRunningCommand::wait(call, handle()).await.unwrap();
    assert_eq!(format!("{exit:?}"), format!("{again:?}"));
    HostRunningCommand::drop(call, handle()).await.unwrap();
    (text, exit)
}

#[tokio::test]
async fn output_is_captured_as_far_as_asked_for() {
    let (mut call, _) = call(CallLimits::default()).await;
    // More chunks than the host sends ahead: the command waits for its reader, or for nobody.
    let script = "out:one err:two out:three out:four out:five out:six 3";
    for (capture, text, truncated) in [
        (Capture::Everything, "one<two>threefourfivesix", false),
        (Capture::First(7), "one<two>t", true),
        (Capture::First(22), "one<two>threefourfivesix", false),
        (Capture::First(0), "", true),
        (Capture::Nothing, "", false),
    ] {
        let (read, exit) = read_all(&mut call, shell(script, capture)).await;
        assert!(matches!(exit.status, ExitStatus::Code(3)), "{exit:?}");
        assert_eq!(
            (read.as_str(), exit.truncated),
            (text, truncated),
            "{capture:?}"
        );
    }
    assert_eq!(call.commands.running.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn waiting_reads_what_the_plugin_did_not() {
    let (mut call, _) = call(CallLimits::default()).await;
    let script = "out:one out:two out:three out:four out:five";
    for (capture, truncated) in [(Capture::Everything, false), (Capture::First(8), true)] {
        let command = call.start(shell(script, capture)).await.unwrap().unwrap();
        let exit = HostRunningCommand::wait(&mut call, command).await.unwrap();
        assert_eq!(exit.truncated, truncated);
    }
}

#[tokio::test]
async fn large_output_comes_in_pieces() {
    let (mut call, _) = call(CallLimits::default()).await;
    let script = format!("out:{}", "x".repeat(150_000));
    let command = call
        .start(shell(&script, Capture::Everything))
        .await
        .unwrap();
    let command = command.unwrap();
    let mut lengths = Vec::new();
    let handle = || wasmtime::component::Resource::new_own(command.rep());
    while let Some(chunk) = call.read(handle()).await.unwrap() {
        lengths.push(chunk.data.len());
    }
    assert_eq!(lengths, [65_536, 65_536, 18_928]);
}

#[tokio::test]
async fn a_command_is_interrupted_when_asked_or_dropped() {
    let (mut call, host) = call(CallLimits::default()).await;
    let command = call.start(shell("hang", Capture::Nothing)).await.unwrap();
    let command = command.unwrap();
    let handle = || wasmtime::component::Resource::new_own(command.rep());
    call.interrupt(handle()).await.unwrap();
    let exit = HostRunningCommand::wait(&mut call, handle()).await.unwrap();
    assert!(matches!(exit.status, ExitStatus::Interrupted));
    HostRunningCommand::drop(&mut call, command).await.unwrap();
    let dropped = call.start(shell("hang 1", Capture::Nothing)).await.unwrap();
    HostRunningCommand::drop(&mut call, dropped.unwrap())
        .await
        .unwrap();
    assert_eq!(
        host.notes(),
        [
            "start hang",
            "interrupt hang",
            "start hang 1",
            "interrupt hang 1"
        ]
    );
}

#[tokio::test]
async fn bad_commands_are_refused_before_the_worker_sees_them() {
    let (mut call, host) = call(CallLimits::default()).await;
    let argv = |argv: &[&str]| CommandSpec {
        command: CommandLine::Argv(argv.iter().map(|&text| text.into()).collect()),
        ..shell("", Capture::Nothing)
    };
    let env = |name: &str| CommandSpec {
        env: vec![(name.into(), None)],
        ..shell("0", Capture::Nothing)
    };
    let log = |name: &str| CommandSpec {
        log: Some(name.into()),
        ..shell("0", Capture::Nothing)
    };
    for (spec, reason) in [
        (argv(&[]), "a command needs at least the name of a program"),
        (
            argv(&["", "x"]),
            "a command needs at least the name of a program",
        ),
        (
            argv(&["a", "b\0"]),
            "a command must not have NUL characters in it",
        ),
        (
            env("A=B"),
            "a variable of the environment must have a name without `=`, and no NUL characters",
        ),
        (
            log("a\nb"),
            "the name of a log must be printable text of at most 64 bytes",
        ),
        (argv(&["no-such-program"]), "no program `no-such-program`"),
    ] {
        assert_eq!(refusal(call.start(spec).await), reason);
    }
    assert_eq!(host.notes(), Vec::<String>::new());
    assert_eq!(call.commands.running.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn logs_are_written_within_limits() {
    let (mut call, host) = call(CallLimits {
        step_logs_max: 2,
        step_log_bytes_max: 10,
        ..CallLimits::default()
    })
    .await;
    let stdio = call
        .open("stdio".into(), LogKind::Stdio)
        .await
        .unwrap()
        .unwrap();
    let text = call
        .open("failures".into(), LogKind::Text)
        .await
        .unwrap()
        .unwrap();
    let handle = |of: &wasmtime::component::Resource<crate::imports::LogHandle>| {
        wasmtime::component::Resource::new_own(of.rep())
    };
    let wrote = call
        .append(handle(&stdio), LogStream::Stderr, b"abc".into())
        .await;
    wrote.unwrap().unwrap();
    let wrote = call
        .append(handle(&text), LogStream::Header, b"abc".into())
        .await;
    assert_eq!(
        refusal(wrote),
        "only logs of kind `stdio` have streams other than `stdout`"
    );
    call.finish(handle(&text)).await.unwrap().unwrap();
    assert_eq!(
        host.notes(),
        [
            "open stdio Stdio",
            "open failures Text",
            "log stdio Stderr abc",
            "finish failures"
        ]
    );
    let flood = call
        .append(handle(&stdio), LogStream::Stdout, vec![b'x'; 8])
        .await;
    let what = "bytes appended to step logs";
    assert_eq!(stopped(flood), Stop::Limit { what, limit: 10 });
    let third = call.open("third".into(), LogKind::Text).await;
    let what = "logs of a step";
    assert_eq!(stopped(third), Stop::Limit { what, limit: 2 });
    let nameless = call.open(String::new(), LogKind::Text).await;
    assert!(refusal(nameless).starts_with("the name of a log must be"));
}

#[tokio::test]
async fn properties_are_json() {
    let (mut call, _) = call(CallLimits::default()).await;
    let set = async |call: &mut CallState, name: &str, value: &str| {
        properties::Host::set(call, name.into(), value.into()).await
    };
    set(&mut call, "passed", "[412, \"of\", null]")
        .await
        .unwrap()
        .unwrap();
    let property = properties::Host::get(&mut call, "passed".into())
        .await
        .unwrap();
    let property = property.unwrap();
    assert_eq!(
        (property.value.as_str(), property.source.as_str()),
        ("[412,\"of\",null]", "step")
    );
    let all = properties::Host::all(&mut call).await.unwrap();
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["branch", "passed"]);
    let unknown = properties::Host::get(&mut call, "nothing".into())
        .await
        .unwrap();
    assert!(unknown.is_none());
    assert!(refusal(set(&mut call, "x", "{").await).contains("is not JSON"));
    assert!(refusal(set(&mut call, "", "1").await).contains("1 to 256 bytes"));
    let long = format!("\"{}\"", "x".repeat(64 << 10));
    assert!(refusal(set(&mut call, "x", &long).await).contains("has 65538 bytes"));
    let trouble = properties::Host::get(&mut call, "store-is-gone".into()).await;
    assert_eq!(stopped(trouble), Stop::Host("the store is gone".into()));
}

#[tokio::test]
async fn files_are_read_and_written() {
    let (mut call, _) = call(CallLimits {
        payload_bytes_max: 4,
        ..CallLimits::default()
    })
    .await;
    let call = &mut call;
    let write = async |call: &mut CallState, path: &str, mode| {
        worker_files::Host::write(call, path.into(), b"0123".into(), mode)
            .await
            .unwrap()
    };
    write(call, "a/b.xml", WriteMode::Replace).await.unwrap();
    write(call, "a/b.xml", WriteMode::Append).await.unwrap();
    let stat = worker_files::Host::stat(call, "a/b.xml".into())
        .await
        .unwrap();
    assert_eq!(stat.unwrap().size, 8);
    let read = worker_files::Host::read(call, "a/b.xml".into(), 2, u32::MAX).await;
    assert_eq!(
        read.unwrap().unwrap(),
        b"2301",
        "no more than the payload limit"
    );
    let found = worker_files::Host::glob(call, "**/*.xml".into())
        .await
        .unwrap();
    assert_eq!(found.unwrap(), ["a/b.xml"]);
    let gone = worker_files::Host::remove(call, "nothing".into(), false).await;
    assert!(matches!(gone.unwrap(), Err(FileError::NotFound)));
    let denied = worker_files::Host::mkdir(call, "a".into()).await.unwrap();
    assert!(matches!(denied, Err(FileError::Denied)));
    for path in ["../../etc/passwd", "", "a\0b"] {
        let outside = write(call, path, WriteMode::Replace).await;
        assert!(matches!(outside, Err(FileError::Outside)), "{path:?}");
    }
}

#[tokio::test]
async fn people_see_the_status() {
    let (mut call, host) = call(CallLimits {
        text_bytes_max: 7,
        urls_max: 1,
        ..CallLimits::default()
    })
    .await;
    let call = &mut call;
    step_status::Host::set_summary(call, "testing\u{20ac}".into())
        .await
        .unwrap();
    step_status::Host::set_progress(call, 3, 9, "tests".into())
        .await
        .unwrap();
    let add = async |call: &mut CallState, url: &str| {
        step_status::Host::add_url(call, "report".into(), url.into()).await
    };
    assert!(refusal(add(call, "javascript:alert(1)").await).starts_with("a link must start"));
    assert!(refusal(add(call, &format!("/{}", "x".repeat(2048))).await).contains("2048 bytes"));
    add(call, "https://example.org/r").await.unwrap().unwrap();
    assert!(matches!(
        stopped(add(call, "/r").await),
        Stop::Limit { limit: 1, .. }
    ));
    assert_eq!(
        host.notes(),
        [
            "summary testing",
            "progress 3/9 tests",
            "url report https://example.org/r"
        ]
    );
}

#[tokio::test]
async fn a_plugin_that_describes_itself_has_no_step() {
    let mut call = state(CallLimits::describe(), None).await;
    let call = &mut call;
    log::Host::write(call, log::Level::Info, "hello".into())
        .await
        .unwrap();
    let no_step = [
        stopped(build_info::Host::get(call).await),
        stopped(cancellation::Host::is_cancelled(call).await),
        stopped(call.start(shell("0", Capture::Nothing)).await),
        stopped(worker_files::Host::stat(call, "a".into()).await),
    ];
    assert_eq!(
        no_step,
        [
            Stop::NotAllowed("build-info.get"),
            Stop::NotAllowed("cancellation.is-cancelled"),
            Stop::NotAllowed("commands.running-command.start"),
            Stop::NotAllowed("worker-files.stat"),
        ]
    );
}

#[tokio::test]
async fn a_step_knows_its_build_and_whether_to_stop() {
    let (mut call, _) = call(CallLimits::default()).await;
    let build = build_info::Host::get(&mut call).await.unwrap();
    assert_eq!((build.builder.as_str(), build.number), ("unit", 7));
    assert_eq!(build.source_stamps.len(), 1);
    assert!(!cancellation::Host::is_cancelled(&mut call).await.unwrap());
    call.cancel.cancel();
    assert!(cancellation::Host::is_cancelled(&mut call).await.unwrap());
}
