//! Programs: the engine of `toolpost-worker` runs them, this says so in the master's terms.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::time::{Instant as Moment, sleep_until};
use toolpost_wire::{Argv, EnvValue as WireEnv, FailureReason, Shell, Update};
use toolpost_worker::{
    CommandSpec, EnvValue, Exit, INTERRUPT_GRACE_DEFAULT, InterruptSignal, LogFile, Output,
    OutputStream, RunningCommand, StartError, Status, StopCause,
};

use super::lines::{Lines, Style};
use super::outbox::Record;
use super::{Abandoned, Bench, elapsed, said};

/// The code of a command that could not be started, as shells have it.
const NOT_STARTED_RC: i64 = 127;
/// Output of this size is sent at once.
const BATCH_BYTES: usize = 64 * 1024;
/// Less waits this long for more after something was sent.
const BATCH_WAIT: Duration = Duration::from_millis(50);

impl Bench {
    pub(super) async fn shell(&self, shell: Shell) -> Result<Option<String>, Abandoned> {
        let begun = Instant::now();
        let followed = self.followed(&shell);
        let started = tokio::select! {
            started = self.start(&shell, followed.files) => started,
            () = self.job.stop.cancelled() => {
                let text = said("interrupted before it was started\n");
                let updates = vec![Update::Header(text), Update::Rc(-1), elapsed(begun)];
                self.job.outbox.push(Record::Updates(updates)).await?;
                return Ok(None);
            }
        };
        let mut running = match started {
            Ok(running) => running,
            Err(error) => {
                let text = said(format!("{error}\n"));
                let updates = vec![
                    Update::Stderr(text),
                    Update::Rc(NOT_STARTED_RC),
                    elapsed(begun),
                ];
                self.job.outbox.push(Record::Updates(updates)).await?;
                return Ok(None);
            }
        };
        let control = running.control();
        let interrupting = async {
            self.job.stop.cancelled().await;
            control.interrupt();
            std::future::pending::<()>().await;
        };
        let mut talk = Talk::new(self, &shell, followed.names);
        talk.header(running.launch().header(shell.log_environ));
        if shell.use_pty {
            talk.header("a terminal was asked for; this worker has none\n".into());
        }
        for path in followed.refused {
            talk.header(format!(
                "{path} is not followed: it is outside of the base directory\n"
            ));
        }
        tokio::select! {
            done = talk.listen(&mut running) => done?,
            never = interrupting => never,
        }
        let exit = running.exit().await;
        talk.end(&exit, begun).await?;
        Ok(None)
    }

    async fn start(
        &self,
        shell: &Shell,
        log_files: Vec<LogFile>,
    ) -> Result<RunningCommand, StartError> {
        let mut spec = self.spec(shell)?;
        spec.log_files = log_files;
        self.worker.start(spec).await
    }

    fn spec(&self, shell: &Shell) -> Result<CommandSpec, StartError> {
        let mut spec = match &shell.command {
            Argv::Line(line) => CommandSpec::shell("", line),
            Argv::Words(words) => CommandSpec::argv("", words),
        };
        // A program can go anywhere, so that its directory may be anywhere as well.
        match self.beneath(&shell.workdir) {
            Ok(dir) => spec.dir = dir,
            Err(_) => spec.dir.clone_from(&shell.workdir),
        }
        spec.dir_may_leave_build = true;
        let env = shell.env.iter().map(|(name, value)| {
            let value = match value {
                WireEnv::Unset => EnvValue::Unset,
                WireEnv::Set(value) => EnvValue::Set(value.clone()),
                WireEnv::List(values) => EnvValue::List(values.clone()),
            };
            (name.clone(), value)
        });
        spec.env = env.collect();
        spec.idle_timeout = seconds(shell.timeout);
        spec.total_timeout = seconds(shell.max_time);
        spec.stdin.clone_from(&shell.initial_stdin);
        (spec.interrupt_signal, spec.interrupt_grace) = ending(shell)?;
        Ok(spec)
    }

    /// The files that the master wants to follow, as far as they are beneath the base directory.
    fn followed(&self, shell: &Shell) -> Followed {
        let mut followed = Followed::default();
        for (name, file) in &shell.logfiles {
            let path = match file.filename.starts_with('/') {
                true => file.filename.clone(),
                false => format!("{}/{}", shell.workdir, file.filename),
            };
            let Ok(path) = self.beneath(&path) else {
                followed.refused.push(file.filename.clone());
                continue;
            };
            followed.names.push(name.clone());
            followed.files.push(LogFile {
                path,
                new_only: file.follow,
            });
        }
        followed
    }
}

/// Files that are followed.
#[derive(Default)]
struct Followed {
    /// What the master calls them.
    names: Vec<String>,
    files: Vec<LogFile>,
    /// Paths of those that are not.
    refused: Vec<String>,
}

/// The signal that asks it to end, and how long it has then. A master without a time for SIGTERM wants it killed, unless it
/// names a milder signal.
fn ending(shell: &Shell) -> Result<(InterruptSignal, Duration), StartError> {
    let signal = match &shell.interrupt_signal {
        None => InterruptSignal::Kill,
        Some(name) => name
            .parse()
            .map_err(|reason| StartError::InvalidCommand { reason })?,
    };
    Ok(match (seconds(shell.sigterm_time), signal) {
        (Some(grace), InterruptSignal::Kill) => (InterruptSignal::Term, grace),
        (Some(grace), signal) => (signal, grace),
        (None, InterruptSignal::Kill) => (InterruptSignal::Kill, Duration::ZERO),
        (None, signal) => (signal, INTERRUPT_GRACE_DEFAULT),
    })
}

/// A time that means something.
fn seconds(value: Option<f64>) -> Option<Duration> {
    let value = value.filter(|value| *value > 0.0)?;
    Duration::try_from_secs_f64(value).ok()
}

/// What a command says, on its way to the outbox.
struct Talk<'b> {
    bench: &'b Bench,
    style: &'b Style,
    want_stdout: bool,
    want_stderr: bool,
    lines_max: Option<u64>,
    lines: u64,
    stdout: Lines,
    stderr: Lines,
    /// Those of files, with their names.
    files: Vec<(String, Lines)>,
    updates: Vec<Update>,
    bytes: usize,
    sent_at: Moment,
}

impl<'b> Talk<'b> {
    fn new(bench: &'b Bench, shell: &Shell, files: Vec<String>) -> Self {
        let files = files.into_iter().map(|name| (name, Lines::default()));
        Self {
            bench,
            style: &bench.style,
            want_stdout: shell.want_stdout,
            want_stderr: shell.want_stderr,
            lines_max: shell.max_lines,
            lines: 0,
            stdout: Lines::default(),
            stderr: Lines::default(),
            files: files.collect(),
            updates: Vec::new(),
            bytes: 0,
            sent_at: Moment::now(),
        }
    }

    fn header(&mut self, text: String) {
        self.bytes += text.len();
        self.updates.push(Update::Header(said(text)));
    }

    /// Takes what the command says until it says no more.
    async fn listen(&mut self, running: &mut RunningCommand) -> Result<(), Abandoned> {
        loop {
            let send_at = (!self.updates.is_empty()).then(|| self.sent_at + BATCH_WAIT);
            let output = tokio::select! {
                biased;
                () = until(send_at) => {
                    self.send().await?;
                    continue;
                }
                output = running.next() => output,
            };
            let Some(output) = output else { return Ok(()) };
            self.take(output);
            // What is there already goes with it.
            while self.bytes < BATCH_BYTES
                && let Some(Some(output)) = running.next().now_or_never()
            {
                self.take(output);
            }
            if self.lines_max.is_some_and(|most| self.lines > most) {
                running.interrupt();
            }
            if self.bytes >= BATCH_BYTES {
                self.send().await?;
            }
        }
    }

    fn take(&mut self, output: Output) {
        let Output { stream, bytes } = output;
        if !matches!(stream, OutputStream::File(_)) {
            self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        let wanted = match stream {
            OutputStream::Stdout => self.want_stdout.then_some(&mut self.stdout),
            OutputStream::Stderr => self.want_stderr.then_some(&mut self.stderr),
            OutputStream::File(index) => self.files.get_mut(index).map(|(_, lines)| lines),
        };
        if let Some(text) = wanted.and_then(|lines| lines.take(self.style, bytes)) {
            self.say(stream, text);
        }
    }

    fn say(&mut self, stream: OutputStream, text: Bytes) {
        self.bytes += text.len();
        let text = said(text);
        self.updates.extend(match stream {
            OutputStream::Stdout => Some(Update::Stdout(text)),
            OutputStream::Stderr => Some(Update::Stderr(text)),
            OutputStream::File(index) => self.files.get(index).map(|(name, _)| Update::Log {
                name: name.clone(),
                text,
            }),
        });
    }

    async fn send(&mut self) -> Result<(), Abandoned> {
        let updates = std::mem::take(&mut self.updates);
        self.bytes = 0;
        self.bench.job.outbox.push(Record::Updates(updates)).await?;
        self.sent_at = Moment::now();
        Ok(())
    }

    /// Says how it ended.
    async fn end(&mut self, exit: &Exit, begun: Instant) -> Result<(), Abandoned> {
        let mut rests = vec![
            (OutputStream::Stdout, self.stdout.finish(self.style)),
            (OutputStream::Stderr, self.stderr.finish(self.style)),
        ];
        let files = self.files.iter_mut().enumerate();
        rests.extend(
            files.map(|(index, (_, lines))| (OutputStream::File(index), lines.finish(self.style))),
        );
        for (stream, rest) in rests {
            if let Some(text) = rest {
                self.say(stream, text);
            }
        }
        let too_many = self.lines_max.is_some_and(|most| self.lines > most);
        let reason = match exit.cause {
            _ if too_many => Some(FailureReason::MaxLines),
            Some(StopCause::TotalTimeout(_)) => Some(FailureReason::Timeout),
            Some(StopCause::IdleTimeout(_)) => Some(FailureReason::TimeoutWithoutOutput),
            Some(StopCause::Interrupted | StopCause::Shutdown) | None => None,
        };
        self.updates.extend(reason.map(Update::FailureReason));
        let rc = match exit.status {
            Status::Code(code) => i64::from(code),
            Status::Signal { number, .. } => {
                // The words by which masters know it.
                self.header(format!("process killed by signal {number}\n"));
                -1
            }
            Status::Lost => -1,
        };
        if let Some(bytes) = exit.memory_exceeded {
            let text = format!(
                "a command may have {} MiB of memory on this worker (`memory_max_mib`), and this one wanted more\n",
                bytes >> 20
            );
            self.say(OutputStream::Stderr, text.into());
        }
        self.header(format!("{exit}\n"));
        self.updates.extend([Update::Rc(rc), elapsed(begun)]);
        let usage = exit.usage.filter(|_| self.bench.tells_usage);
        self.updates.extend(usage.map(|usage| {
            Update::Usage(toolpost_wire::Usage {
                user_s: usage.user.as_secs_f64(),
                system_s: usage.system.as_secs_f64(),
                memory_peak_bytes: usage.memory_peak_bytes,
                read_bytes: usage.read_bytes,
                written_bytes: usage.written_bytes,
            })
        }));
        self.send().await
    }
}

async fn until(at: Option<Moment>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
