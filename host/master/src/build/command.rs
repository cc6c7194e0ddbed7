//! Runs one command of a step: output to the log as it comes, interruption when the step is cancelled.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use toolpost_core::Results;
use toolpost_core::model::LogType;
use toolpost_core::step::CutShort;
use toolpost_store::LogStream;
use toolpost_worker::{
    CommandSpec, EnvValue, Exit, Invocation, Output, OutputStream, StartError, Status, StopCause,
};

use super::logs::{CommandOutput, LogError, StepLog, StepLogs};
use super::outcome::{Fault, StepEnd};
use super::tally::Tally;
use crate::steps::params::{Command, Environment, EnvironmentEntry};
use crate::worker::{LinkCommand, LinkError, WorkerLink};

/// Buildbot's limit for a silent command.
pub(crate) const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1_200);

/// What becomes of a command's output.
pub(crate) struct OutputPlan<'a> {
    /// Where it is logged.
    pub(crate) log: Option<&'a StepLog>,
    /// Whether standard output is logged.
    pub(crate) log_stdout: bool,
    /// Whether standard error is logged.
    pub(crate) log_stderr: bool,
    /// Whether the log says what runs and how it ended.
    pub(crate) headers: bool,
    /// So many bytes of each stream are kept: the first of standard output, the last of standard error.
    pub(crate) keep_bytes_max: usize,
    /// The command is ended when both together have more lines than this.
    pub(crate) lines_max: Option<u64>,
    /// Logs of the files that the command's spec has followed, in the same order.
    pub(crate) files: Vec<FileLog<'a>>,
}

/// The log of a file that is followed.
pub(crate) struct FileLog<'a> {
    logs: &'a StepLogs,
    name: &'a str,
    /// Once there is one.
    output: Option<CommandOutput>,
}

impl<'a> FileLog<'a> {
    /// A log that is opened now, or when something is written to the file.
    pub(crate) async fn new(
        logs: &'a StepLogs,
        name: &'a str,
        lazy: bool,
    ) -> Result<Self, LogError> {
        let mut log = Self {
            logs,
            name,
            output: None,
        };
        if !lazy {
            log.open().await?;
        }
        Ok(log)
    }

    async fn open(&mut self) -> Result<&mut CommandOutput, LogError> {
        let output = match self.output.take() {
            Some(output) => output,
            None => self.logs.open(self.name, LogType::Stdio).await?.output(),
        };
        Ok(self.output.insert(output))
    }

    async fn append(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        self.open().await?.append(LogStream::Output, bytes).await
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// It was ended because of its plan's `lines_max`.
    pub(crate) too_many_lines: bool,
}

/// Runs a command to its end. Cancelling interrupts it; the end is still waited for.
pub(crate) async fn run(
    worker: &dyn WorkerLink,
    spec: CommandSpec,
    mut plan: OutputPlan<'_>,
    cancel: &CancellationToken,
    tally: &Tally,
) -> Result<Ended, Fault> {
    let starting = worker.start(spec);
    let mut command = tokio::select! {
        started = starting => started.map_err(|error| start_fault(&error))?,
        () = cancel.cancelled() => return Err(Fault::Cancelled),
    };
    if let (Some(log), true) = (plan.log, plan.headers) {
        log.header(command.header().trim_end()).await;
    }
    let mut kept = Kept::new(plan.keep_bytes_max);
    let mut output = plan.log.cloned().map(StepLog::output);
    let log = output.as_mut();
    let too_many_lines = pump(command.as_mut(), &mut plan, log, &mut kept, cancel).await?;
    let exit = end(command.as_mut(), cancel).await;
    let files = plan
        .files
        .iter_mut()
        .filter_map(|file| file.output.as_mut());
    for output in files.chain(&mut output) {
        output.flush().await;
    }
    if let (true, Some(most), Some(log)) = (too_many_lines, plan.lines_max, plan.log) {
        log.header(&format!("stopped: it wrote more than {most} lines"))
            .await;
    }
    if let (Ok(exit), Some(log), true) = (&exit, plan.log, plan.headers) {
        log.header(&exit.to_string()).await;
    }
    if let Ok(exit) = &exit {
        tally.add(exit);
    }
    if cancel.is_cancelled() {
        // Also where the worker is gone: whoever stops a build does not want it again.
        return Err(Fault::Cancelled);
    }
    let exit = exit.map_err(|error| start_fault(&error))?;
    if exit.cause == Some(StopCause::Shutdown) {
        return Err(Fault::WorkerLost("it is shutting down".into()));
    }
    if exit.status == Status::Lost {
        return Err(Fault::Exception(
            "the command did not end, not even by SIGKILL".into(),
        ));
    }
    Ok(Ended {
        exit,
        stdout: kept.stdout,
        stderr: kept.stderr,
        too_many_lines,
    })
}

/// Takes the output to its end; whether it had too many lines.
async fn pump(
    command: &mut dyn LinkCommand,
    plan: &mut OutputPlan<'_>,
    mut log: Option<&mut CommandOutput>,
    kept: &mut Kept,
    cancel: &CancellationToken,
) -> Result<bool, Fault> {
    let control = command.control();
    let mut interrupted = false;
    let mut lines_left = plan.lines_max;
    let mut too_many_lines = false;
    loop {
        let output = tokio::select! {
            output = command.next() => output,
            () = cancel.cancelled(), if !interrupted => {
                interrupted = true;
                control.interrupt();
                continue;
            }
        };
        let Some(Output { stream, bytes }) = output else {
            return Ok(too_many_lines);
        };
        if let OutputStream::File(index) = stream {
            if let Some(file) = plan.files.get_mut(index) {
                file.append(&bytes).await?;
            }
            continue;
        }
        kept.take(stream, &bytes);
        if let Some(left) = lines_left {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            lines_left = left.checked_sub(lines);
            if lines_left.is_none() {
                too_many_lines = true;
                control.interrupt();
            }
        }
        let (wanted, letter) = match stream {
            OutputStream::Stderr => (plan.log_stderr, LogStream::Error),
            _ => (plan.log_stdout, LogStream::Output),
        };
        if let (Some(log), true) = (&mut log, wanted) {
            log.append(letter, &bytes).await?;
        }
    }
}

/// Waits for a command that has closed its output, which may go on for long.
async fn end(command: &mut dyn LinkCommand, cancel: &CancellationToken) -> Result<Exit, LinkError> {
    let control = command.control();
    let mut exit = pin!(command.exit());
    tokio::select! {
        exit = &mut exit => exit,
        () = cancel.cancelled() => {
            control.interrupt();
            exit.await
        }
    }
}

/// The ends of output that a step looks at.
struct Kept {
    bytes_max: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Kept {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }

    fn take(&mut self, stream: OutputStream, bytes: &Bytes) {
        match stream {
            OutputStream::Stdout => {
                let room = self.bytes_max - self.stdout.len();
                self.stdout
                    .extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            OutputStream::Stderr => {
                let tail = &bytes[bytes.len().saturating_sub(self.bytes_max)..];
                let excess = (self.stderr.len() + tail.len()).saturating_sub(self.bytes_max);
                self.stderr.drain(..excess.min(self.stderr.len()));
                self.stderr.extend_from_slice(tail);
            }
            OutputStream::File(_) => {}
        }
    }
}

fn start_fault(error: &LinkError) -> Fault {
    match error {
        LinkError::Start(StartError::NotFound { .. } | StartError::NoSuchFile { .. }) => {
            Fault::NoProgram(error.to_string())
        }
        LinkError::Start(error) => Fault::Failed(error.to_string()),
        LinkError::Lost(reason) => Fault::WorkerLost(reason.clone()),
    }
}

/// What a command's end makes of a step whose only work it was.
pub(crate) fn step_end(
    exit: &Exit,
    summary: String,
    decode: impl FnOnce(i64) -> Results,
) -> StepEnd {
    let (results, cut_short, detail) = match (exit.cause, exit.status) {
        (Some(StopCause::IdleTimeout(_) | StopCause::TotalTimeout(_)), _) => {
            (Results::Failure, Some(CutShort::TimedOut), None)
        }
        (_, Status::Code(code)) => (decode(i64::from(code)), None, None),
        (_, status) => (Results::Failure, None, Some(status.to_string())),
    };
    let summary = match detail {
        Some(detail) => format!("{summary}: {detail}"),
        None => summary,
    };
    StepEnd {
        results,
        summary: Some(summary),
        cut_short,
    }
}

/// How a command of the configuration is called.
pub(crate) fn invocation(command: &Command) -> Invocation {
    match command {
        Command::Shell(line) => Invocation::Shell(line.clone()),
        Command::Arguments(words) => Invocation::Argv(words.clone()),
    }
}

/// Changes to the environment as the worker takes them.
pub(crate) fn environment(env: &Environment) -> impl Iterator<Item = (String, EnvValue)> + use<'_> {
    env.iter().map(|(name, entry)| {
        let value = match entry {
            EnvironmentEntry::Set(value) => EnvValue::Set(value.clone()),
            EnvironmentEntry::Unset(_) => EnvValue::Unset,
        };
        (name.clone(), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_stdout_and_the_end_of_stderr_are_kept() {
        let mut kept = Kept::new(5);
        for part in ["abc", "def", "g"] {
            kept.take(OutputStream::Stdout, &Bytes::from(part));
            kept.take(OutputStream::Stderr, &Bytes::from(part));
        }
        assert_eq!(
            (&kept.stdout[..], &kept.stderr[..]),
            (&b"abcde"[..], &b"cdefg"[..])
        );
        kept.take(OutputStream::Stderr, &Bytes::from("0123456789"));
        assert_eq!(kept.stderr, b"56789");
    }

    #[test]
    fn the_end_of_a_command_is_told_in_the_steps_words() {
        let end = |status, cause| {
            let exit = Exit {
                status,
                cause,
                elapsed: Duration::from_secs(1),
                usage: None,
                memory_exceeded: None,
                pipes_left_open: false,
            };
            let end = step_end(&exit, "'make'".into(), |code| match code {
                0 => Results::Success,
                _ => Results::Warnings,
            });
            (end.results, end.summary.unwrap(), end.cut_short)
        };
        assert_eq!(
            end(Status::Code(0), None),
            (Results::Success, "'make'".into(), None)
        );
        assert_eq!(end(Status::Code(3), None).0, Results::Warnings);
        let segv = Status::Signal {
            number: 11,
            core_dumped: false,
        };
        assert_eq!(
            end(segv, None),
            (
                Results::Failure,
                "'make': killed by SIGSEGV (signal 11)".into(),
                None
            )
        );
        let idle = Some(StopCause::IdleTimeout(Duration::from_secs(1)));
        assert_eq!(
            end(segv, idle),
            (Results::Failure, "'make'".into(), Some(CutShort::TimedOut))
        );
    }
}
