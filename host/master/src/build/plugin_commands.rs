//! Commands of a plugin's step: their output goes to the log and to the plugin, each at its own pace.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use toolpost_core::secret::MaskStream;
use toolpost_sandbox::host::{
    CommandControl, CommandExit, CommandLine, CommandSpec, ExitStatus, HostError, OutputChunk,
    OutputSource, StartedCommand,
};
use toolpost_store::LogStream;
use toolpost_worker::{EnvValue, Exit, Invocation, Output, OutputStream, Status, StopCause};

use super::context::StepContext;
use super::logs::{CommandOutput, StepLog};
use super::plugin_work::{Begun, Work, has_ended};
use super::secrets;
use super::tally::Tally;
use crate::services::Capabilities;
use crate::worker::{LinkCommand, LinkControl, LinkError};

/// Pieces of output, of at most 64 KiB each, that wait for the plugin to read them: the contract's 1 MiB.
const OUTPUT_QUEUE_PIECES: usize = 16;

/// Starts a command and a task that moves its output.
pub(super) async fn start(
    step: &StepContext,
    work: &Work,
    spec: CommandSpec,
    log: Option<StepLog>,
) -> Result<StartedCommand, HostError> {
    let begun = work.begin()?;
    let capture = spec.capture;
    let spec = secrets::filled(step, worker_spec(step, spec)).await;
    let spec = spec.map_err(|fault| HostError::Config(fault.to_string()))?;
    let started = tokio::select! {
        started = step.build.worker.start(spec) => started,
        () = begun.ending.cancelled() => return Err(has_ended()),
    };
    let command = match started {
        Ok(command) => command,
        Err(error) => {
            let text = step.build.mask(&error.to_string());
            if let Some(log) = &log {
                log.header(&text).await;
            }
            return Err(match error {
                LinkError::Start(_) => HostError::Permanent(text),
                LinkError::Lost(_) => HostError::Retryable(text),
            });
        }
    };
    let control = command.control();
    let (output, receiver) = mpsc::channel(OUTPUT_QUEUE_PIECES);
    let (ended, ending) = oneshot::channel();
    let running = Running {
        command,
        log: log.map(StepLog::output),
        captured: capture.then(|| Captured::new(output, Arc::clone(&step.build.capabilities))),
        // A command that is started to clean up after a cancellation is left alone.
        cancel: Some(step.cancel.clone()).filter(|cancel| !cancel.is_cancelled()),
        begun,
        used: Arc::clone(&step.used),
    };
    tokio::spawn(async move {
        // The plugin may have ended without waiting.
        let _ = ended.send(running.finish().await);
    });
    Ok(StartedCommand {
        output: capture.then_some(receiver),
        exit: Box::pin(async move {
            ending.await.unwrap_or_else(|_| CommandExit {
                status: ExitStatus::WorkerLost("the command was lost with its task".into()),
                elapsed: Duration::ZERO,
            })
        }),
        control: Arc::new(Control(control)),
    })
}

/// A command, and where its output goes.
struct Running {
    command: Box<dyn LinkCommand>,
    log: Option<CommandOutput>,
    captured: Option<Captured>,
    /// When it is interrupted beside the end of the call.
    cancel: Option<CancellationToken>,
    begun: Begun,
    used: Arc<Tally>,
}

impl Running {
    async fn finish(self) -> CommandExit {
        let Self {
            mut command,
            mut log,
            captured,
            cancel,
            begun,
            used,
        } = self;
        let control = command.control();
        let stop = async {
            match &cancel {
                Some(cancel) => tokio::select! {
                    () = cancel.cancelled() => {}
                    () = begun.ending.cancelled() => {}
                },
                None => begun.ending.cancelled().await,
            }
        };
        let exit = {
            let mut running = pin!(async {
                transfer(command.as_mut(), log.as_mut(), captured).await;
                command.exit().await
            });
            tokio::select! {
                exit = &mut running => exit,
                () = stop => {
                    control.interrupt();
                    running.await
                }
            }
        };
        if let Ok(exit) = &exit {
            used.add(exit);
        }
        if matches!(&exit, Ok(exit) if exit.status == Status::Lost) {
            begun.is_left();
        }
        if let Some(log) = log {
            let text = exit
                .as_ref()
                .map_or_else(ToString::to_string, ToString::to_string);
            log.end(&text).await;
        }
        exit.as_ref().map_or_else(lost, command_exit)
    }
}

fn worker_spec(step: &StepContext, spec: CommandSpec) -> toolpost_worker::CommandSpec {
    let mut command = step.command(match spec.command {
        CommandLine::Argv(words) => Invocation::Argv(words),
        CommandLine::Shell(line) => Invocation::Shell(line),
    });
    if let Some(dir) = &spec.workdir {
        command.dir = step.path(dir);
    }
    for (name, value) in spec.env {
        command
            .env
            .insert(name, value.map_or(EnvValue::Unset, EnvValue::Set));
    }
    command.stdin = spec.stdin;
    command.idle_timeout = Some(step.idle_timeout(spec.idle_timeout));
    command.total_timeout = step.total_timeout(spec.total_timeout);
    command
}

/// Moves output to the log and to the plugin until there is no more.
async fn transfer(
    command: &mut dyn LinkCommand,
    mut log: Option<&mut CommandOutput>,
    mut plugin: Option<Captured>,
) {
    if let Some(log) = &mut log {
        log.header(command.header().trim_end()).await;
    }
    while let Some(Output { stream, bytes }) = command.next().await {
        let (letter, source) = match stream {
            OutputStream::Stdout => (LogStream::Output, OutputSource::Stdout),
            OutputStream::Stderr => (LogStream::Error, OutputSource::Stderr),
            // No command of a plugin has any.
            OutputStream::File(_) => continue,
        };
        if let Some(log) = &mut log {
            // The plugin may have finished the log; the command goes on without.
            let _ = log.append(letter, &bytes).await;
        }
        if let Some(captured) = &mut plugin
            && !captured.send(source, bytes).await
        {
            plugin = None;
        }
    }
    if let Some(captured) = plugin {
        captured.finish().await;
    }
}

/// Output on its way to the plugin, which does not see secrets.
struct Captured {
    sender: mpsc::Sender<OutputChunk>,
    capabilities: Arc<Capabilities>,
    masks: [MaskStream; 2],
}

impl Captured {
    fn new(sender: mpsc::Sender<OutputChunk>, capabilities: Arc<Capabilities>) -> Self {
        Self {
            sender,
            capabilities,
            masks: Default::default(),
        }
    }

    /// Whether the plugin still reads.
    async fn send(&mut self, source: OutputSource, bytes: Bytes) -> bool {
        let mask = &mut self.masks[usize::from(source == OutputSource::Stderr)];
        mask.set_masker(&self.capabilities.secrets.masker());
        let data = match mask.push(&bytes) {
            Cow::Borrowed(_) => bytes.clone(),
            Cow::Owned(masked) => masked.into(),
        };
        data.is_empty() || self.sender.send(OutputChunk { source, data }).await.is_ok()
    }

    /// Gives the plugin what was held back because a secret could begin there.
    async fn finish(mut self) {
        for (mask, source) in self
            .masks
            .iter_mut()
            .zip([OutputSource::Stdout, OutputSource::Stderr])
        {
            let data = Bytes::from(mask.finish());
            // The plugin may have ended before.
            if !data.is_empty()
                && self
                    .sender
                    .send(OutputChunk { source, data })
                    .await
                    .is_err()
            {
                return;
            }
        }
    }
}

struct Control(Arc<dyn LinkControl>);

impl CommandControl for Control {
    fn interrupt(&self) {
        self.0.interrupt();
    }
}

fn command_exit(exit: &Exit) -> CommandExit {
    let status = match (exit.cause, exit.status) {
        (Some(StopCause::IdleTimeout(_)), _) => ExitStatus::IdleTimeout,
        (Some(StopCause::TotalTimeout(_)), _) => ExitStatus::TotalTimeout,
        (Some(StopCause::Interrupted), _) => ExitStatus::Interrupted,
        (Some(StopCause::Shutdown), _) => ExitStatus::WorkerLost("it is shutting down".into()),
        (None, Status::Code(code)) => ExitStatus::Code(code),
        (None, Status::Signal { number, .. }) => ExitStatus::Signal(number),
        (None, Status::Lost) => ExitStatus::WorkerLost("the command did not end".into()),
    };
    CommandExit {
        status,
        elapsed: exit.elapsed,
    }
}

/// What a plugin hears of a command whose worker is gone.
fn lost(error: &LinkError) -> CommandExit {
    CommandExit {
        status: ExitStatus::WorkerLost(error.to_string()),
        elapsed: Duration::ZERO,
    }
}
