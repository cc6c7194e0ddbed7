//! The handle of a command that was started.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::command::exit::{Exit, Status};
use crate::command::launch::Launch;
use crate::command::output::{Output, OutputReceiver, OutputStream};

/// A command that runs. Take its output with [`RunningCommand::next`] until `None`, then its end
/// with [`RunningCommand::exit`]. Dropping it kills the command and all that descends from it.
#[derive(Debug)]
pub struct RunningCommand {
    launch: Launch,
    started: Instant,
    output: OutputReceiver,
    control: CommandControl,
    ending: Option<oneshot::Receiver<Exit>>,
    exit: Option<Exit>,
}

/// Stops a command from elsewhere. Cheap to clone; does nothing once the command has ended.
#[derive(Debug, Clone)]
pub struct CommandControl {
    requests: watch::Sender<StopRequest>,
    /// The grace of the command's spec.
    grace: Duration,
}

/// The shortest grace with which a command was asked to stop, if it was.
pub(crate) type StopRequest = Option<Duration>;

/// The whole output of a command and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes of standard output, up to the limit that was asked for.
    pub stdout: Bytes,
    /// The first bytes of standard error, up to the same limit.
    pub stderr: Bytes,
    /// Some output is missing because of the limit.
    pub truncated: bool,
    /// How the command ended.
    pub exit: Exit,
}

impl RunningCommand {
    pub(crate) fn new(
        launch: Launch,
        started: Instant,
        output: OutputReceiver,
        control: CommandControl,
        ending: oneshot::Receiver<Exit>,
    ) -> Self {
        Self {
            launch,
            started,
            output,
            control,
            ending: Some(ending),
            exit: None,
        }
    }

    /// What was started, where and with what.
    #[must_use]
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// The next piece of output; `None` when the command is over. As long as nobody calls this, the
    /// command can write no more than the worker's queue holds, and then waits. Nothing is lost when
    /// the future is dropped.
    pub async fn next(&mut self) -> Option<Output> {
        self.output.next().await
    }

    /// Waits for the end; output that was not taken before is thrown away. Can be called again.
    pub async fn exit(&mut self) -> Exit {
        while self.next().await.is_some() {}
        if let Some(exit) = self.exit {
            return exit;
        }
        let ended = match &mut self.ending {
            Some(ending) => ending.await.ok(),
            None => None,
        };
        // The task is gone only when the runtime shuts down, and took the command with it.
        let exit = ended.unwrap_or_else(|| Exit {
            status: Status::Lost,
            cause: None,
            elapsed: self.started.elapsed(),
            usage: None,
            memory_exceeded: None,
            pipes_left_open: false,
        });
        self.ending = None;
        self.exit = Some(exit);
        exit
    }

    /// Takes all output, keeps the first `limit_bytes` of each stream, and waits for the end.
    pub async fn capture(mut self, limit_bytes: usize) -> Captured {
        let (mut stdout, mut stderr) = (BytesMut::new(), BytesMut::new());
        let mut truncated = false;
        while let Some(Output { stream, bytes }) = self.next().await {
            let kept = match stream {
                OutputStream::Stdout => &mut stdout,
                OutputStream::Stderr => &mut stderr,
                OutputStream::File(_) => continue,
            };
            let room = limit_bytes - kept.len();
            truncated |= bytes.len() > room;
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        Captured {
            stdout: stdout.freeze(),
            stderr: stderr.freeze(),
            truncated,
            exit: self.exit().await,
        }
    }

    /// Asks the command to stop, with the signal and the grace of its spec.
    pub fn interrupt(&self) {
        self.control.interrupt();
    }

    /// Asks the command to stop, with the signal of its spec and this grace; zero kills at once.
    pub fn interrupt_within(&self, grace: Duration) {
        self.control.interrupt_within(grace);
    }

    /// Stops this command from elsewhere.
    #[must_use]
    pub fn control(&self) -> CommandControl {
        self.control.clone()
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        self.control.interrupt_within(Duration::ZERO);
    }
}

impl CommandControl {
    pub(crate) fn new(grace: Duration) -> (Self, watch::Receiver<StopRequest>) {
        let (requests, requested) = watch::channel(None);
        (Self { requests, grace }, requested)
    }

    /// Asks the command to stop, with the signal and the grace of its spec.
    pub fn interrupt(&self) {
        self.interrupt_within(self.grace);
    }

    /// Asks the command to stop, with the signal of its spec and this grace; zero kills at once.
    /// Asking again can only shorten the grace.
    pub fn interrupt_within(&self, grace: Duration) {
        self.requests.send_modify(|request| {
            *request = Some(request.map_or(grace, |earlier| earlier.min(grace)));
        });
    }
}
