//! A program that a worker runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use toolpost_wire::{
    Argv, Command, CommandEvent, EnvValue as WireEnv, FailureReason, LogFile, Patience, Shell,
    Update,
};
use toolpost_worker::{
    CommandSpec, EnvValue, Exit, InterruptSignal, Invocation, Output, OutputStream, StartError,
    Status, StopCause, Usage,
};

use super::link::Connection;
use super::oddities::Oddities;
use super::paths::Paths;
use super::port::{Heard, Outlet, Wish};
use crate::worker::link::{LinkCommand, LinkControl, LinkError};

/// What a worker may need beyond the time that it gives a command itself, before the master stops the command.
const OWN_LIMIT_SLACK: Duration = Duration::from_secs(60);

/// What a worker's clock may be off while a command runs.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

/// How the worker begins the line that tells of a signal.
const KILLED_BY: &str = "process killed by signal ";

/// A command that was started.
pub(super) struct RemoteCommand {
    outlet: Outlet,
    odd: Arc<Oddities>,
    header: String,
    started: Instant,
    idle_timeout: Option<Duration>,
    total_timeout: Option<Duration>,
    /// How many files are followed.
    log_files: usize,
    /// Output that was heard and not taken yet.
    queued: std::collections::VecDeque<Output>,
    heard: Ending,
    end: Option<Result<Exit, String>>,
}

/// What is known about the end.
#[derive(Debug, Default)]
struct Ending {
    rc: Option<i64>,
    signal: Option<i32>,
    failure: Option<FailureReason>,
    elapsed: Option<f64>,
    usage: Option<Usage>,
}

impl RemoteCommand {
    pub(super) async fn start(
        connection: &Connection,
        spec: CommandSpec,
    ) -> Result<Self, LinkError> {
        let workdir = match spec.dir_may_leave_build {
            true => connection.paths.anywhere(&spec.build_dir, &spec.dir),
            false => connection
                .paths
                .within(&spec.build_dir, &spec.dir)
                .map_err(|error| LinkError::Start(error.into()))?,
        };
        let header = header(&spec, &workdir);
        let logfiles = log_files(&spec, &connection.paths)?;
        let shell = Shell {
            logfiles,
            ..shell(&spec, workdir)?
        };
        let patience = Patience {
            within: spec.total_timeout.map(|total| total + OWN_LIMIT_SLACK),
            grace: spec.interrupt_grace,
        };
        let shell = Command::Shell(Box::new(shell));
        loop {
            let outlet = connection.start(&spec.build_dir, &shell, patience).await?;
            let mut command = Self {
                outlet,
                odd: Arc::clone(&connection.odd),
                header: header.clone(),
                started: Instant::now(),
                idle_timeout: spec.idle_timeout,
                total_timeout: spec.total_timeout,
                log_files: spec.log_files.len(),
                queued: std::collections::VecDeque::new(),
                heard: Ending::default(),
                end: None,
            };
            if command.begin().await? {
                return Ok(command);
            }
        }
    }

    /// Waits until it is known whether it runs; `false` when the worker never heard of it, because the connection was lost.
    async fn begin(&mut self) -> Result<bool, LinkError> {
        loop {
            match self.outlet.next().await {
                Some(Heard::Event(CommandEvent::Refused(reason))) => {
                    return Err(refused(&reason));
                }
                Some(Heard::Event(CommandEvent::Complete(Some(error))))
                    if self.heard.rc.is_none() =>
                {
                    return Err(refused(&error));
                }
                Some(Heard::Event(CommandEvent::Started)) => return Ok(true),
                Some(Heard::Event(CommandEvent::Gone { begun: false })) | None => return Ok(false),
                Some(heard) => {
                    self.take(heard);
                    if self.end.is_some() {
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Updates(updates) => {
                for update in updates {
                    self.update(update);
                }
            }
            Heard::Event(CommandEvent::Complete(error)) => {
                if let (Some(error), None) = (error, self.heard.rc) {
                    self.say(&error);
                }
                self.end = Some(Ok(self.exit_heard()));
            }
            Heard::Event(CommandEvent::Abandoned) => {
                self.end = Some(Ok(Exit {
                    status: Status::Lost,
                    ..self.exit_heard()
                }));
            }
            Heard::Event(CommandEvent::Gone { .. }) => {
                self.end = Some(Err("it came back without the command".into()));
            }
            Heard::Event(CommandEvent::Refused(reason)) => {
                self.say(&reason);
                self.end = Some(Ok(self.exit_heard()));
            }
            Heard::Event(_) => {}
        }
    }

    fn update(&mut self, update: Update) {
        let mut output = |stream, bytes| self.queued.push_back(Output { stream, bytes });
        match update {
            Update::Stdout(text) => output(OutputStream::Stdout, text.bytes),
            Update::Stderr(text) => output(OutputStream::Stderr, text.bytes),
            Update::Log { name, text } => {
                // A worker may name files that nobody follows.
                let index = name.parse().ok().filter(|index| *index < self.log_files);
                if let Some(index) = index {
                    output(OutputStream::File(index), text.bytes);
                }
            }
            Update::Header(text) => {
                let text = String::from_utf8_lossy(&text.bytes);
                let mut signals = text.lines().filter_map(|line| line.strip_prefix(KILLED_BY));
                if let Some(signal) = signals.next_back() {
                    self.heard.signal = signal.trim().parse().ok();
                }
            }
            Update::Rc(rc) => self.heard.rc = Some(rc),
            Update::FailureReason(reason) => self.heard.failure = Some(reason),
            Update::Elapsed(seconds) => {
                let is_first = self.heard.elapsed.replace(seconds).is_none();
                if is_first {
                    self.look_at_clock(seconds);
                }
            }
            Update::Usage(usage) => self.heard.usage = Some(used(&usage)),
            _ => {}
        }
    }

    /// A command cannot have taken longer than it was waited for.
    fn look_at_clock(&self, seconds: f64) {
        let here = self.started.elapsed();
        let most = (here + CLOCK_SLACK).as_secs_f64();
        if !(0.0..=most).contains(&seconds) {
            let (said, here) = (seconds.clamp(-1e12, 1e12), here.as_secs_f64());
            self.odd.tell(&format!(
                "says that a command took {said:.1} s for which the master waited {here:.1} s: its clock is wrong"
            ));
        }
    }

    /// What went wrong on the worker, for the reader of the log.
    fn say(&mut self, text: &str) {
        let line = text.lines().next().unwrap_or_default();
        self.queued.push_back(Output {
            stream: OutputStream::Stderr,
            bytes: Bytes::from(format!("the worker could not go on: {line}\n")),
        });
    }

    fn exit_heard(&self) -> Exit {
        let cause = match &self.heard.failure {
            Some(FailureReason::TimeoutWithoutOutput) => {
                self.idle_timeout.map(StopCause::IdleTimeout)
            }
            Some(FailureReason::Timeout) => self.total_timeout.map(StopCause::TotalTimeout),
            _ if self.outlet.wish.is_interrupt() => Some(StopCause::Interrupted),
            _ => None,
        };
        let status = match (self.heard.rc, self.heard.signal) {
            (Some(-1) | None, Some(number)) => Status::Signal {
                number,
                core_dumped: false,
            },
            (Some(code), _) => Status::Code(i32::try_from(code).unwrap_or(-1)),
            (None, None) => Status::Code(-1),
        };
        let here = self.started.elapsed();
        let elapsed = self.heard.elapsed.and_then(|seconds| {
            let elapsed = Duration::try_from_secs_f64(seconds);
            elapsed.ok()
        });
        Exit {
            status,
            cause,
            // A worker's clock may be wrong; it did not take longer than it was waited for.
            elapsed: elapsed.map_or(here, |elapsed| elapsed.min(here)),
            usage: self.heard.usage,
            // The worker says it in the log.
            memory_exceeded: None,
            pipes_left_open: false,
        }
    }
}

#[async_trait]
impl LinkCommand for RemoteCommand {
    fn header(&self) -> String {
        self.header.clone()
    }

    async fn next(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.queued.pop_front() {
                return Some(output);
            }
            if self.end.is_some() {
                return None;
            }
            match self.outlet.next().await {
                Some(heard) => self.take(heard),
                None => self.end = Some(Err(self.outlet.reason())),
            }
        }
    }

    async fn exit(&mut self) -> Result<Exit, LinkError> {
        while self.next().await.is_some() {}
        match &self.end {
            Some(Ok(exit)) => Ok(*exit),
            Some(Err(reason)) => Err(LinkError::Lost(reason.clone())),
            None => Err(LinkError::Lost(self.outlet.reason())),
        }
    }

    fn control(&self) -> Arc<dyn LinkControl> {
        Arc::clone(&self.outlet.wish) as Arc<dyn LinkControl>
    }
}

impl LinkControl for Wish {
    fn interrupt(&self) {
        Self::interrupt(self);
    }
}

fn used(said: &toolpost_wire::Usage) -> Usage {
    // What is no time is not told.
    let time = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Usage {
        user: time(said.user_s),
        system: time(said.system_s),
        memory_peak_bytes: said.memory_peak_bytes,
        read_bytes: said.read_bytes,
        written_bytes: said.written_bytes,
    }
}

fn refused(reason: &str) -> LinkError {
    let line = reason.lines().next().unwrap_or_default();
    LinkError::Start(StartError::InvalidCommand {
        reason: format!("the worker says: {line}"),
    })
}

fn shell(spec: &CommandSpec, workdir: String) -> Result<Shell, LinkError> {
    let command = match &spec.invocation {
        Invocation::Argv(words) if words.is_empty() => {
            return Err(LinkError::Start(StartError::InvalidCommand {
                reason: "it is empty".into(),
            }));
        }
        Invocation::Argv(words) => Argv::Words(words.clone()),
        Invocation::Shell(line) => Argv::Line(line.clone()),
    };
    if let Some(stdin) = &spec.stdin
        && std::str::from_utf8(stdin).is_err()
    {
        // What a stock worker cannot take.
        return Err(LinkError::Start(StartError::InvalidCommand {
            reason: "what it is to read is not UTF-8, which the worker's protocol requires".into(),
        }));
    }
    let env = spec.env.iter().map(|(name, value)| {
        let value = match value {
            EnvValue::Unset => WireEnv::Unset,
            EnvValue::Set(value) => WireEnv::Set(value.clone()),
            EnvValue::List(values) => WireEnv::List(values.clone()),
        };
        (name.clone(), value)
    });
    let (sigterm_time, interrupt_signal) = ending(spec);
    Ok(Shell {
        env: env.collect(),
        timeout: spec.idle_timeout.map(|time| time.as_secs_f64()),
        max_time: spec.total_timeout.map(|time| time.as_secs_f64()),
        sigterm_time: sigterm_time.map(|time| time.as_secs_f64()),
        log_environ: false,
        initial_stdin: spec.stdin.clone(),
        interrupt_signal: Some(interrupt_signal.name().to_owned()),
        ..Shell::new(command, workdir)
    })
}

/// The files that are followed, each named by its place.
fn log_files(spec: &CommandSpec, paths: &Paths) -> Result<BTreeMap<String, LogFile>, LinkError> {
    let files = spec.log_files.iter().enumerate().map(|(index, file)| {
        let filename = paths
            .within(&spec.build_dir, &file.path)
            .map_err(|error| LinkError::Start(StartError::LogFile(error)))?;
        let file = LogFile {
            filename,
            follow: file.new_only,
        };
        Ok((index.to_string(), file))
    });
    files.collect()
}

/// How long a command has after SIGTERM, and the signal after that, or at once without such a time. A stock worker takes the
/// second for its last word: a milder one than SIGKILL would leave running who does not listen.
fn ending(spec: &CommandSpec) -> (Option<Duration>, InterruptSignal) {
    let grace = spec.interrupt_grace;
    match spec.interrupt_signal {
        InterruptSignal::Kill => (None, InterruptSignal::Kill),
        _ if grace.is_zero() => (None, InterruptSignal::Kill),
        InterruptSignal::Term => (Some(grace), InterruptSignal::Kill),
        other => (Some(grace), other),
    }
}

/// The lines that tell a reader of the log what runs, as for a worker of this process.
fn header(spec: &CommandSpec, workdir: &str) -> String {
    let mut text = match &spec.invocation {
        Invocation::Shell(line) => format!("{line}\n"),
        Invocation::Argv(words) => format!("{}\n", toolpost_worker::quoted_words(words)),
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, " in directory {workdir}");
    if let Some(limit) = spec.idle_timeout {
        let _ = writeln!(
            text,
            " stopped after {} s without output",
            limit.as_secs_f64()
        );
    }
    if let Some(limit) = spec.total_timeout {
        let _ = writeln!(text, " stopped after {} s", limit.as_secs_f64());
    }
    text
}
