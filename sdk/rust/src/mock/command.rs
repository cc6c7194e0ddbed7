//! Commands that answer from a script.

use super::State;
use crate::{
    Capture, Chunk, CommandSpec, Error, Exit, ExitStatus, HostCommand, LogKind, LogStream,
    OutputSource,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// Output comes in pieces of this size, so that a step that takes pieces for lines fails its test.
const PIECE_BYTES: usize = 7;

/// What a command does when a step runs it.
#[derive(Debug, Clone)]
pub struct MockCommand {
    end: End,
    output: Vec<(OutputSource, Vec<u8>)>,
    elapsed: Duration,
    files: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum End {
    Status(ExitStatus),
    WorkerLost(String),
    NotStarted(Error),
}

impl MockCommand {
    /// Ends by itself with this code.
    #[must_use]
    pub fn exit(code: i32) -> Self {
        Self::ends(ExitStatus::Code(code))
    }

    /// Ends in this way.
    #[must_use]
    pub fn ends(status: ExitStatus) -> Self {
        Self::new(End::Status(status))
    }

    /// The worker is lost while it runs.
    #[must_use]
    pub fn worker_lost(reason: &str) -> Self {
        Self::new(End::WorkerLost(reason.to_owned()))
    }

    /// Cannot be started.
    #[must_use]
    pub fn not_started(error: Error) -> Self {
        Self::new(End::NotStarted(error))
    }

    fn new(end: End) -> Self {
        let elapsed = Duration::from_secs(1);
        Self {
            end,
            output: Vec::new(),
            elapsed,
            files: Vec::new(),
        }
    }

    /// Prints this to standard output, after what it was told to print before.
    #[must_use]
    pub fn stdout(self, bytes: impl AsRef<[u8]>) -> Self {
        self.prints(OutputSource::Stdout, bytes.as_ref())
    }

    /// Prints this to standard error, after what it was told to print before.
    #[must_use]
    pub fn stderr(self, bytes: impl AsRef<[u8]>) -> Self {
        self.prints(OutputSource::Stderr, bytes.as_ref())
    }

    fn prints(mut self, source: OutputSource, bytes: &[u8]) -> Self {
        self.output.push((source, bytes.to_owned()));
        self
    }

    /// Runs for so long; without this, one second.
    #[must_use]
    pub fn elapsed(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }

    /// Leaves this file behind.
    #[must_use]
    pub fn writes(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }
}

/// Takes the next answer for this command from the script.
pub(super) fn start(state: &Rc<State>, spec: &CommandSpec) -> Result<Box<dyn HostCommand>, Error> {
    let answer = {
        let mut script = state.script.borrow_mut();
        let Some(place) = script.iter().position(|(line, _)| *line == spec.line) else {
            let known: Vec<String> = script.iter().map(|(line, _)| format!("{line:?}")).collect();
            panic!(
                "the test has no answer for {:?}, only for {known:?}",
                spec.line
            );
        };
        script.remove(place).1
    };
    state.started.borrow_mut().push(spec.clone());
    if let End::NotStarted(error) = answer.end {
        return Err(error);
    }
    for (path, content) in answer.files {
        state.files.borrow_mut().put(&path, content);
    }
    if let Some(log) = &spec.log {
        state.open_log(log, LogKind::Stdio)?;
        for (source, bytes) in &answer.output {
            let stream = match source {
                OutputSource::Stdout => LogStream::Stdout,
                OutputSource::Stderr => LogStream::Stderr,
            };
            state.append_to_log(log, stream, bytes)?;
        }
    }
    let (pieces, truncated) = captured(&answer.output, spec.capture);
    Ok(Box::new(StartedCommand {
        state: Rc::clone(state),
        pieces: RefCell::new(pieces),
        end: answer.end,
        elapsed: answer.elapsed,
        truncated,
        interrupted: Cell::new(false),
        ended: Cell::new(false),
    }))
}

/// The pieces that the step can read, and whether there would have been more.
fn captured(output: &[(OutputSource, Vec<u8>)], capture: Capture) -> (VecDeque<Chunk>, bool) {
    let mut room = match capture {
        Capture::Nothing => return (VecDeque::new(), false),
        Capture::First(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        Capture::Everything => usize::MAX,
    };
    let mut pieces = VecDeque::new();
    for (source, bytes) in output {
        for piece in bytes.chunks(PIECE_BYTES) {
            let data = piece[..piece.len().min(room)].to_vec();
            let cut = data.len() < piece.len();
            room -= data.len();
            if !data.is_empty() {
                pieces.push_back(Chunk {
                    source: *source,
                    data,
                });
            }
            if cut {
                return (pieces, true);
            }
        }
    }
    (pieces, false)
}

struct StartedCommand {
    state: Rc<State>,
    pieces: RefCell<VecDeque<Chunk>>,
    end: End,
    elapsed: Duration,
    truncated: bool,
    interrupted: Cell<bool>,
    ended: Cell<bool>,
}

impl HostCommand for StartedCommand {
    fn read(&self) -> Option<Chunk> {
        let piece = self.pieces.borrow_mut().pop_front();
        self.ended.set(piece.is_none());
        piece
    }

    fn wait(&self) -> Result<Exit, Error> {
        self.ended.set(true);
        self.pieces.borrow_mut().clear();
        let status = match &self.end {
            _ if self.interrupted.get() => ExitStatus::Interrupted,
            End::Status(status) => *status,
            End::NotStarted(error) => return Err(error.clone()),
            End::WorkerLost(reason) => {
                return Err(Error::retryable(format!("the worker was lost: {reason}")));
            }
        };
        Ok(Exit {
            status,
            elapsed: self.elapsed,
            truncated: self.truncated,
        })
    }

    fn interrupt(&self) {
        if !self.ended.get() && !self.interrupted.replace(true) {
            self.state.interrupted.set(self.state.interrupted.get() + 1);
        }
    }
}

impl Drop for StartedCommand {
    fn drop(&mut self) {
        self.interrupt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::MockHost;

    #[test]
    fn answers_are_given_in_order() {
        let host = MockHost::new()
            .command("flaky", MockCommand::exit(1))
            .command("flaky", MockCommand::exit(0));
        let run = || {
            host.context()
                .shell("flaky")
                .run()
                .expect("it runs")
                .is_success()
        };
        assert_eq!((run(), run()), (false, true));
    }

    #[test]
    #[should_panic(expected = "the test has no answer for Shell(\"make\"), only for")]
    fn a_command_without_an_answer_fails_the_test() {
        let host = MockHost::new().command(["make"], MockCommand::exit(0));
        let _ = host.context().shell("make").run();
    }

    #[test]
    fn a_command_that_is_dropped_is_interrupted() {
        let host = MockHost::new()
            .command(
                "tail -f log",
                MockCommand::exit(0).stdout("one\ntwo\nthree\n"),
            )
            .command("make", MockCommand::exit(0));
        let running = host
            .context()
            .shell("tail -f log")
            .start()
            .expect("it starts");
        assert_eq!(
            running.lines().next().map(|line| line.text).as_deref(),
            Some("one")
        );
        drop(running);
        assert_eq!(host.interrupted(), 1);
        host.context().shell("make").run().expect("it runs");
        assert_eq!(host.interrupted(), 1);
    }

    #[test]
    fn odd_ends_are_told() {
        let run = |answer| {
            MockHost::new()
                .command("x", answer)
                .context()
                .shell("x")
                .run()
        };
        let lost = run(MockCommand::worker_lost("reset")).expect_err("the worker is lost");
        assert_eq!(lost, Error::retryable("the worker was lost: reset"));
        let missing = Error::permanent("no such program");
        assert_eq!(run(MockCommand::not_started(missing.clone())), Err(missing));
        let silent = run(MockCommand::ends(ExitStatus::IdleTimeout)).expect("it ended");
        assert_eq!(silent.results(), crate::Results::Failure);
    }
}
