//! What a plugin says to the operator: the `log` interface, standard output and standard error, within one
//! limit.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::CallLimits;
use crate::call::hide::BEYOND_CUT_BYTES;
use crate::call::{Hider, Stop};
use crate::host::LogLevel;

/// Where the lines go that a plugin writes for the operator. Must not block. A line is made when it is displayed, and not before:
/// to hide secrets in it takes long, and of a flood most lines go nowhere.
pub type LineTarget = Arc<dyn Fn(LogLevel, &dyn Display) + Send + Sync>;

/// Bytes of standard error that are kept to explain a crash.
const LAST_WORDS_BYTES_MAX: usize = 2 << 10;
/// Bytes that a stream takes in one piece.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// The operator's log of one call. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogSink(Arc<Mutex<Sink>>);

struct Sink {
    target: LineTarget,
    hider: Hider,
    used_bytes: u64,
    bytes_max: u64,
    line_bytes_max: usize,
    /// Lines of standard error, the newest last.
    last_words: VecDeque<String>,
    last_words_bytes: usize,
    /// Output without its end of line yet, per stream.
    partial: [Vec<u8>; 2],
}

/// Standard output or standard error of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdStream {
    Out = 0,
    Err = 1,
}

impl StdStream {
    fn level(self) -> LogLevel {
        match self {
            Self::Out => LogLevel::Info,
            Self::Err => LogLevel::Warn,
        }
    }
}

impl LogSink {
    pub(crate) fn new(target: LineTarget, hider: Hider, limits: &CallLimits) -> Self {
        Self(Arc::new(Mutex::new(Sink {
            target,
            hider,
            used_bytes: 0,
            bytes_max: limits.log_bytes_max,
            line_bytes_max: limits.log_line_bytes_max,
            last_words: VecDeque::new(),
            last_words_bytes: 0,
            partial: [Vec::new(), Vec::new()],
        })))
    }

    /// A message of the `log` interface.
    pub(crate) fn write(&self, level: LogLevel, message: &str) -> Result<(), Stop> {
        self.with(|sink| {
            sink.count(message.len())?;
            sink.line(level, message);
            Ok(())
        })
    }

    /// Bytes that the plugin printed.
    fn print(&self, stream: StdStream, bytes: &[u8]) -> Result<(), Stop> {
        self.with(|sink| {
            sink.count(bytes.len())?;
            for &byte in bytes {
                let partial = &mut sink.partial[stream as usize];
                match byte {
                    b'\n' => sink.end_line(stream),
                    // The rest of an overlong line is dropped.
                    _ if partial.len() < sink.line_bytes_max + BEYOND_CUT_BYTES => {
                        partial.push(byte);
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// Ends lines without an end, and tells what was printed to standard error last: the message of a
    /// panic, if there was one.
    pub(crate) fn finish(&self) -> Option<String> {
        self.with(|sink| {
            sink.end_line(StdStream::Out);
            sink.end_line(StdStream::Err);
            let words: Vec<&str> = sink.last_words.iter().map(String::as_str).collect();
            let panic = words
                .iter()
                .rposition(|line| line.contains("panicked at"))
                .unwrap_or(words.len().saturating_sub(1));
            let kept: Vec<&str> = words[panic.min(words.len())..]
                .iter()
                .copied()
                .filter(|line| !line.starts_with("note: "))
                .collect();
            // Hidden before the lines are joined to one, in which a secret of several lines would not be found.
            let kept = sink.hider.text(&kept.join("\n"));
            (!kept.is_empty()).then(|| kept.replace('\n', " "))
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Sink) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The stream for WASI.
    pub(crate) fn stream(&self, stream: StdStream) -> PrintStream {
        PrintStream {
            sink: self.clone(),
            stream,
        }
    }
}

impl Sink {
    fn count(&mut self, bytes: usize) -> Result<(), Stop> {
        // An empty line is not free.
        self.used_bytes = self.used_bytes.saturating_add(bytes.max(1) as u64);
        if self.used_bytes > self.bytes_max {
            return Err(Stop::Limit {
                what: "bytes written to the operator's log",
                limit: self.bytes_max,
            });
        }
        Ok(())
    }

    fn line(&self, level: LogLevel, text: &str) {
        let line = Line {
            hider: &self.hider,
            text,
            bytes_max: self.line_bytes_max,
        };
        (self.target)(level, &line);
    }

    fn end_line(&mut self, stream: StdStream) {
        let bytes = std::mem::take(&mut self.partial[stream as usize]);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        self.line(stream.level(), text);
        if stream == StdStream::Err {
            self.last_words_bytes += text.len();
            self.last_words.push_back(text.to_owned());
            while self.last_words_bytes > LAST_WORDS_BYTES_MAX && self.last_words.len() > 1 {
                self.last_words_bytes -= self.last_words.pop_front().map_or(0, |line| line.len());
            }
        }
    }
}

/// What a plugin wrote for the operator. Displays the one line, within its limit, that others may see of it.
struct Line<'a> {
    hider: &'a Hider,
    text: &'a str,
    bytes_max: usize,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.hider.short(self.text, self.bytes_max)))
    }
}

/// A text in which nothing ends the line or moves the cursor, so that it cannot be taken for records of somebody else.
fn one_line(text: &str) -> Cow<'_, str> {
    let is_harmful =
        |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_harmful(c) {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    Cow::Owned(line)
}

/// The longest part from the front that has at most so many bytes and ends between characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Standard output or standard error as WASI wants it.
#[derive(Clone)]
pub(crate) struct PrintStream {
    sink: LogSink,
    stream: StdStream,
}

impl IsTerminal for PrintStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for PrintStream {
    // Only WASI 0.3 asks for this one, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for PrintStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.sink
            .print(self.stream, &bytes)
            .map_err(|stop| StreamError::Trap(stop.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for PrintStream {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(limits: &CallLimits) -> (LogSink, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let inside = lines.clone();
        let target: LineTarget = Arc::new(move |level, line| {
            inside.lock().unwrap().push(format!("{level:?} {line}"));
        });
        (LogSink::new(target, Hider::default(), limits), lines)
    }

    #[test]
    fn printed_bytes_become_lines() {
        let (sink, lines) = sink(&CallLimits {
            log_line_bytes_max: 5,
            ..CallLimits::default()
        });
        for piece in ["ab", "c\n\nd", "e\nabcdefgh\nabcd\u{20ac}\nlast"] {
            sink.print(StdStream::Out, piece.as_bytes()).unwrap();
        }
        sink.write(LogLevel::Error, "123456").unwrap();
        assert_eq!(sink.finish(), None);
        let lines = lines.lock().unwrap().clone();
        assert_eq!(
            lines,
            [
                "Info abc",
                "Info de",
                "Info abcde",
                "Info abcd",
                "Error 12345",
                "Info last"
            ]
        );
    }

    #[test]
    fn a_line_stays_one_line() {
        let (sink, lines) = sink(&CallLimits::default());
        let forged = "done\n2026-01-01T00:00:00Z ERROR the farm burns\r\u{1b}[2K\tnot";
        sink.write(LogLevel::Info, forged).unwrap();
        assert_eq!(
            lines.lock().unwrap()[..],
            ["Info done\\n2026-01-01T00:00:00Z ERROR the farm burns\\r\\u{1b}[2K\tnot"]
        );
    }

    #[test]
    fn a_flood_is_stopped() {
        let (sink, lines) = sink(&CallLimits {
            log_bytes_max: 10,
            ..CallLimits::default()
        });
        sink.write(LogLevel::Info, "12345").unwrap();
        sink.print(StdStream::Err, b"1234\n").unwrap();
        let stopped = sink.write(LogLevel::Info, "").unwrap_err();
        assert!(matches!(stopped, Stop::Limit { limit: 10, .. }));
        assert_eq!(lines.lock().unwrap().len(), 2);
    }

    #[test]
    fn last_words_are_the_panic() {
        let (sink, _) = sink(&CallLimits::default());
        let text = "warming up\n\nthread 'main' panicked at src/lib.rs:7:5:\nno such index\nnote: run with `RUST_BACKTRACE=1`\n";
        sink.print(StdStream::Err, text.as_bytes()).unwrap();
        assert_eq!(
            sink.finish().unwrap(),
            "thread 'main' panicked at src/lib.rs:7:5: no such index"
        );
    }

    #[test]
    fn last_words_are_bounded() {
        let (sink, _) = sink(&CallLimits::default());
        for number in 0..10_000 {
            let line = format!("line {number}\n");
            sink.print(StdStream::Err, line.as_bytes()).unwrap();
        }
        assert_eq!(sink.finish().unwrap(), "line 9999");
        sink.with(|sink| assert!(sink.last_words_bytes <= LAST_WORDS_BYTES_MAX));
    }
}
