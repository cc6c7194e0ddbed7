//! Runs programs on the worker.

#[cfg(target_family = "wasm")]
use crate::Host;
use crate::host::HostRef;
use crate::{Capture, CommandSpec, Error, Exit, HostCommand, OutputSource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// What [`Command::output`] keeps unless told otherwise.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;
/// What [`Lines`] keeps of one line.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What to run. Steps can have it as a parameter: the configuration then writes either form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CommandLine {
    /// One line for the worker's shell (`/bin/sh -c`).
    Shell(String),
    /// A program and its arguments, passed as they are, without a shell.
    Argv(#[schemars(length(min = 1))] Vec<String>),
}

impl From<&str> for CommandLine {
    fn from(line: &str) -> Self {
        Self::Shell(line.to_owned())
    }
}

impl From<String> for CommandLine {
    fn from(line: String) -> Self {
        Self::Shell(line)
    }
}

impl<A: Into<String>, const N: usize> From<[A; N]> for CommandLine {
    fn from(words: [A; N]) -> Self {
        Self::Argv(words.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(line) => formatter.write_str(line),
            Self::Argv(words) => formatter.write_str(&words.join(" ")),
        }
    }
}

/// A command that is being put together; [`run`](Self::run), [`output`](Self::output) and
/// [`start`](Self::start) start it.
#[must_use = "a command does nothing until it is run"]
pub struct Command {
    host: HostRef,
    spec: CommandSpec,
}

impl Command {
    pub(crate) fn new(host: HostRef, line: CommandLine) -> Self {
        let spec = CommandSpec {
            line,
            workdir: None,
            env: Vec::new(),
            stdin: None,
            idle_timeout: None,
            total_timeout: None,
            log: None,
            capture: Capture::Nothing,
        };
        Self { host, spec }
    }

    /// Runs it in this directory, relative to the working directory of the step and inside that of
    /// the build. It is made if it is not there.
    pub fn workdir(mut self, directory: impl Into<String>) -> Self {
        self.spec.workdir = Some(directory.into());
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.env.push((name.into(), Some(value.into())));
        self
    }

    /// Takes a variable out of its environment.
    pub fn env_remove(mut self, name: impl Into<String>) -> Self {
        self.spec.env.push((name.into(), None));
        self
    }

    /// Gives it these bytes as standard input; at most 4 MiB.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.spec.stdin = Some(bytes.into());
        self
    }

    /// Ends it when it prints nothing for so long, instead of after what the configuration says.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.spec.idle_timeout = Some(limit);
        self
    }

    /// Ends it when it runs for so long, instead of after what the configuration says.
    pub fn total_timeout(mut self, limit: Duration) -> Self {
        self.spec.total_timeout = Some(limit);
        self
    }

    /// Streams its output to a log of this step, which people can follow. The output does not pass
    /// through the plugin, so that it costs nothing.
    pub fn log(mut self, name: impl Into<String>) -> Self {
        self.spec.log = Some(name.into());
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when the program does not exist, [`Error::Retryable`] when the worker is
    /// lost. How the program ended is no error.
    pub fn run(self) -> Result<Exit, Error> {
        self.begin(Capture::Nothing)?.wait()
    }

    /// Runs it to its end and returns the first MiB of what it printed.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run).
    pub fn output(self) -> Result<Output, Error> {
        self.output_up_to(OUTPUT_BYTES_MAX)
    }

    /// Runs it to its end and returns the first bytes of what it printed, both streams together.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run).
    pub fn output_up_to(self, bytes_max: u64) -> Result<Output, Error> {
        let command = self.begin(Capture::First(bytes_max))?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(chunk) = command.read() {
            match chunk.source {
                OutputSource::Stdout => stdout.extend_from_slice(&chunk.data),
                OutputSource::Stderr => stderr.extend_from_slice(&chunk.data),
            }
        }
        Ok(Output {
            exit: command.wait()?,
            stdout,
            stderr,
        })
    }

    /// Starts it, to read its output while it runs. Read it to the end or call
    /// [`Running::wait`], else the command waits for the step.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run).
    pub fn start(self) -> Result<Running, Error> {
        Ok(Running {
            command: self.begin(Capture::Everything)?,
        })
    }

    fn begin(mut self, capture: Capture) -> Result<Box<dyn HostCommand>, Error> {
        self.spec.capture = capture;
        self.host.start_command(self.spec)
    }
}

/// A command that has ended, with what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended; [`Exit::truncated`] says whether it printed more.
    pub exit: Exit,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text without white space around it; what is no UTF-8 becomes `�`.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

/// A command that runs; dropping it interrupts it.
pub struct Running {
    command: Box<dyn HostCommand>,
}

impl Running {
    /// Its output, line by line, as it comes.
    ///
    /// ```
    /// # use toolpost_sdk::{Context, Error, Outcome};
    /// fn count_todos(ctx: &Context) -> Result<Outcome, Error> {
    ///     let command = ctx.argv(["grep", "-rn", "TODO", "src"]).log("stdio").start()?;
    ///     let count = command.lines().count();
    ///     let exit = command.wait()?;
    ///     Ok(Outcome::success(format!("{count} left, {}", exit.status)))
    /// }
    /// # let host = toolpost_sdk::mock::MockHost::new().command(
    /// #     ["grep", "-rn", "TODO", "src"],
    /// #     toolpost_sdk::mock::MockCommand::exit(0).stdout("a:1:TODO\nb:2:TODO\n"),
    /// # );
    /// # assert_eq!(count_todos(&host.context()), Ok(Outcome::success("2 left, exit code 0")));
    /// ```
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            command: self.command.as_ref(),
            partial: [PartialLine::default(), PartialLine::default()],
            ready: VecDeque::new(),
            at_end: false,
        }
    }

    /// Waits until it has ended; output that was not read is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Retryable`] when the worker is lost.
    pub fn wait(&self) -> Result<Exit, Error> {
        self.command.wait()
    }

    /// Ends it and everything that it started; [`wait`](Self::wait) tells the end.
    pub fn interrupt(&self) {
        self.command.interrupt();
    }
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it was written to.
    pub source: OutputSource,
    /// The line without its end; what is no UTF-8 becomes `�`.
    pub text: String,
    /// Whether it was longer than 64 KiB and was cut.
    pub truncated: bool,
}

/// The lines of a command's output, in the order in which they were completed. A last line without an
/// end counts too.
pub struct Lines<'a> {
    command: &'a dyn HostCommand,
    partial: [PartialLine; 2],
    ready: VecDeque<Line>,
    at_end: bool,
}

/// The beginning of a line of one stream, until its end comes.
#[derive(Default)]
struct PartialLine {
    bytes: Vec<u8>,
    truncated: bool,
}

impl PartialLine {
    fn push(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.bytes.len();
        self.truncated |= bytes.len() > room;
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&mut self, source: OutputSource) -> Line {
        if self.bytes.last() == Some(&b'\r') {
            self.bytes.pop();
        }
        let line = Line {
            source,
            text: String::from_utf8_lossy(&self.bytes).into_owned(),
            truncated: self.truncated,
        };
        self.bytes.clear();
        self.truncated = false;
        line
    }
}

impl Lines<'_> {
    fn feed(&mut self, source: OutputSource, data: &[u8]) {
        let partial = &mut self.partial[index(source)];
        let mut pieces = data.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            partial.push(piece);
            if pieces.peek().is_some() {
                self.ready.push_back(partial.take(source));
            }
        }
    }

    fn end(&mut self) {
        self.at_end = true;
        for source in [OutputSource::Stdout, OutputSource::Stderr] {
            let partial = &mut self.partial[index(source)];
            if !partial.bytes.is_empty() {
                self.ready.push_back(partial.take(source));
            }
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        while self.ready.is_empty() && !self.at_end {
            match self.command.read() {
                Some(chunk) => self.feed(chunk.source, &chunk.data),
                None => self.end(),
            }
        }
        self.ready.pop_front()
    }
}

fn index(source: OutputSource) -> usize {
    match source {
        OutputSource::Stdout => 0,
        OutputSource::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{MockCommand, MockHost};

    fn lines(command: MockCommand) -> Vec<Line> {
        let host = MockHost::new().command("x", command);
        let running = host.context().shell("x").start().expect("it starts");
        running.lines().collect()
    }

    fn texts(stdout: &[u8]) -> Vec<String> {
        lines(MockCommand::exit(0).stdout(stdout))
            .into_iter()
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn lines_are_joined_from_any_cut() {
        assert_eq!(
            texts(b"one\ntwo\r\n\nlast without end"),
            ["one", "two", "", "last without end"]
        );
        assert_eq!(
            texts("größer als ein Stück\n".as_bytes()),
            ["größer als ein Stück"]
        );
        assert_eq!(texts(b"\xff\xfe\x00\n"), ["\u{fffd}\u{fffd}\0"]);
        assert!(texts(b"").is_empty());
    }

    #[test]
    fn the_streams_do_not_mix() {
        let command = MockCommand::exit(0)
            .stdout("half ")
            .stderr("error\n")
            .stdout("line\n");
        let lines = lines(command);
        let said: Vec<_> = lines
            .iter()
            .map(|line| (line.source, line.text.as_str()))
            .collect();
        let expected = [
            (OutputSource::Stderr, "error"),
            (OutputSource::Stdout, "half line"),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_huge_line_is_cut_and_says_so() {
        let mut output = vec![b'x'; 3 * LINE_BYTES_MAX];
        output.extend_from_slice(b"\nshort\n");
        let lines = lines(MockCommand::exit(0).stdout(output));
        let [huge, short] = lines.as_slice() else {
            panic!("two lines, not {}", lines.len())
        };
        assert_eq!((huge.text.len(), huge.truncated), (LINE_BYTES_MAX, true));
        assert_eq!((short.text.as_str(), short.truncated), ("short", false));
    }

    #[test]
    fn captured_output_is_limited() {
        let host = MockHost::new().command("x", MockCommand::exit(3).stdout("  0123456789\n"));
        let output = host.context().shell("x").output_up_to(6).expect("it runs");
        assert_eq!(output.text(), "0123");
        assert!(output.exit.truncated);
        assert_eq!(output.exit.status.to_string(), "exit code 3");
    }
}
