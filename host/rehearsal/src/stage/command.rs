//! A command as a script has it, in the time of the test.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toolpost_sandbox::host::{
    CommandControl, CommandExit, ExitStatus, LogStream, OutputChunk, OutputSource, StartedCommand,
};

use super::Notes;
use super::clock::show;

/// Pieces of output that a command is ahead of its reader.
const OUTPUT_QUEUE_PIECES: usize = 16;
/// What one piece of output has at most.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// What a command does, read from the script.
pub(super) struct Course {
    /// Output by the time since the start, in order.
    pub(super) output: Vec<(Duration, OutputChunk)>,
    pub(super) takes: Duration,
    pub(super) ends: ExitStatus,
    pub(super) stops_after: Duration,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) total_timeout: Option<Duration>,
}

/// Where a command is noted.
pub(super) struct Place {
    pub(super) notes: Arc<Notes>,
    /// Which of the commands it is.
    pub(super) number: usize,
    pub(super) log: Option<String>,
}

struct Interrupt(CancellationToken);

impl CommandControl for Interrupt {
    fn interrupt(&self) {
        self.0.cancel();
    }
}

/// Starts it; `at_end` is done when it ends by itself.
pub(super) fn start(
    course: Course,
    place: Place,
    capture: bool,
    at_end: impl FnOnce() + Send + 'static,
) -> StartedCommand {
    let (sender, receiver) = mpsc::channel(OUTPUT_QUEUE_PIECES);
    let (told, end) = oneshot::channel();
    let interrupted = CancellationToken::new();
    let control = Arc::new(Interrupt(interrupted.clone()));
    let sender = capture.then_some(sender);
    tokio::spawn(async move {
        let began = Instant::now();
        let status = run(&course, &place, sender, &interrupted, began).await;
        if matches!(status, ExitStatus::Code(_) | ExitStatus::Signal(_)) {
            at_end();
        }
        let elapsed = began.elapsed();
        place.ended(&status, elapsed);
        // Nobody waits for the end of a command whose step has ended.
        let _ = told.send(CommandExit { status, elapsed });
    });
    StartedCommand {
        output: capture.then_some(receiver),
        exit: Box::pin(async move {
            let lost = || CommandExit {
                status: ExitStatus::Interrupted,
                elapsed: Duration::ZERO,
            };
            end.await.unwrap_or_else(|_| lost())
        }),
        control,
    }
}

/// Runs to the end, or to what ends it before.
async fn run(
    course: &Course,
    place: &Place,
    mut sender: Option<mpsc::Sender<OutputChunk>>,
    interrupted: &CancellationToken,
    began: Instant,
) -> ExitStatus {
    let mut spoke = began;
    for (at, chunk) in &course.output {
        if let Some(status) = course.wait(*at, began, spoke, interrupted).await {
            return status;
        }
        spoke = Instant::now();
        place.say(chunk);
        for piece in pieces(chunk) {
            let open = sender.as_ref();
            let sending = async {
                match open {
                    Some(sender) => sender.send(piece).await.is_ok(),
                    None => false,
                }
            };
            tokio::select! {
                biased;
                is_heard = sending => if !is_heard { sender = None },
                () = interrupted.cancelled() => return course.stop().await,
            }
        }
    }
    match course.wait(course.takes, began, spoke, interrupted).await {
        Some(status) => status,
        None => course.ends.clone(),
    }
}

impl Course {
    /// Waits until so long after the start; tells what ended the command before.
    async fn wait(
        &self,
        until: Duration,
        began: Instant,
        spoke: Instant,
        interrupted: &CancellationToken,
    ) -> Option<ExitStatus> {
        let after = |from: Instant, limit: Option<Duration>| async move {
            match limit {
                Some(limit) => tokio::time::sleep_until(from + limit).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = interrupted.cancelled() => Some(self.stop().await),
            () = tokio::time::sleep_until(began + until) => None,
            () = after(began, self.total_timeout) => Some(ExitStatus::TotalTimeout),
            () = after(spoke, self.idle_timeout) => Some(ExitStatus::IdleTimeout),
        }
    }

    async fn stop(&self) -> ExitStatus {
        tokio::time::sleep(self.stops_after).await;
        ExitStatus::Interrupted
    }
}

fn pieces(chunk: &OutputChunk) -> impl Iterator<Item = OutputChunk> {
    let (source, mut rest) = (chunk.source, chunk.data.clone());
    std::iter::from_fn(move || {
        let data: Bytes = rest.split_to(rest.len().min(PIECE_BYTES_MAX));
        (!data.is_empty()).then_some(OutputChunk { source, data })
    })
}

impl Place {
    fn say(&self, chunk: &OutputChunk) {
        let Some(log) = &self.log else { return };
        let stream = match chunk.source {
            OutputSource::Stdout => LogStream::Stdout,
            OutputSource::Stderr => LogStream::Stderr,
        };
        let mut noted = self.notes.lock();
        // A log that the step has finished meanwhile takes no more.
        let _ = noted.collected.append(log, stream, chunk.data.clone());
    }

    fn ended(&self, status: &ExitStatus, elapsed: Duration) {
        let text = match status {
            ExitStatus::Code(code) => format!("exit code {code}"),
            ExitStatus::Signal(signal) => format!("signal {signal}"),
            ExitStatus::IdleTimeout => "idle timeout".into(),
            ExitStatus::TotalTimeout => "total timeout".into(),
            ExitStatus::Interrupted => "interrupted".into(),
            ExitStatus::WorkerLost(text) => format!("worker lost: {text}"),
        };
        let mut noted = self.notes.lock();
        if let Some(command) = noted.commands.get_mut(self.number) {
            command.insert("ended".into(), Value::from(text));
            command.insert("took".into(), Value::from(show(elapsed)));
        }
    }
}
