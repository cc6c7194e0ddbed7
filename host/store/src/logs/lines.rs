//! Cuts bytes into lines. Pure: how the bytes arrive changes nothing, only what they are.
//!
//! Each stream of a stdio log has its own unfinished line, so that output and errors that arrive in turns never
//! mix within a line. Carriage returns and bytes that are no text are kept as they are.

use memchr::memchr;
use toolpost_core::model::LogType;

use super::LogStream;
use super::frame::FRAME_BYTES;

/// Whole lines, each ended by a newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawFrame {
    pub(super) content: Vec<u8>,
    pub(super) lines: u32,
}

const STREAMS: [LogStream; 3] = [LogStream::Output, LogStream::Error, LogStream::Header];

/// Gathers lines into frames.
#[derive(Debug)]
pub(super) struct LineSplitter {
    stdio: bool,
    line_bytes_max: usize,
    /// Unfinished lines, by stream; a log that is not stdio uses the first.
    unfinished: [Vec<u8>; 3],
    frame: RawFrame,
    full: Vec<RawFrame>,
    bytes: usize,
    lines: i64,
}

impl LineSplitter {
    pub(super) fn new(log_type: LogType, line_bytes_max: usize) -> Self {
        Self {
            stdio: log_type == LogType::Stdio,
            // Room for one character, so that a cut always moves on.
            line_bytes_max: line_bytes_max.max(4),
            unfinished: Default::default(),
            frame: empty_frame(),
            full: Vec::new(),
            bytes: 0,
            lines: 0,
        }
    }

    /// Bytes of the whole lines that wait to be taken.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whole lines that wait to be taken.
    pub(super) fn lines(&self) -> i64 {
        self.lines
    }

    pub(super) fn push(&mut self, stream: LogStream, mut bytes: &[u8]) {
        let stream = if self.stdio {
            stream
        } else {
            LogStream::Output
        };
        let slot = stream as usize;
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.unfinished[slot].is_empty() && line.len() <= self.line_bytes_max {
                self.line(stream, line);
            } else {
                self.unfinished[slot].extend_from_slice(line);
                self.cut_long(stream);
                self.end_line(stream);
            }
            bytes = rest;
        }
        if !bytes.is_empty() {
            self.unfinished[slot].extend_from_slice(bytes);
            self.cut_long(stream);
        }
    }

    /// Ends the lines that have no newline yet.
    pub(super) fn end(&mut self) {
        for stream in STREAMS {
            if !self.unfinished[stream as usize].is_empty() {
                self.end_line(stream);
            }
        }
    }

    /// The whole lines so far; they are the caller's from now on.
    pub(super) fn take(&mut self) -> Vec<RawFrame> {
        if self.frame.lines > 0 {
            self.close_frame();
        }
        self.bytes = 0;
        self.lines = 0;
        std::mem::take(&mut self.full)
    }

    fn end_line(&mut self, stream: LogStream) {
        let line = std::mem::take(&mut self.unfinished[stream as usize]);
        self.line(stream, &line);
        self.unfinished[stream as usize] = line;
        self.unfinished[stream as usize].clear();
    }

    /// Cuts pieces off an unfinished line for as long as it is too long.
    fn cut_long(&mut self, stream: LogStream) {
        if self.unfinished[stream as usize].len() <= self.line_bytes_max {
            return;
        }
        let line = std::mem::take(&mut self.unfinished[stream as usize]);
        let mut rest = line.as_slice();
        while rest.len() > self.line_bytes_max {
            let (piece, after) = rest.split_at(cut_before(rest, self.line_bytes_max));
            self.line(stream, piece);
            rest = after;
        }
        self.unfinished[stream as usize] = rest.to_vec();
    }

    fn line(&mut self, stream: LogStream, line: &[u8]) {
        let content = &mut self.frame.content;
        let before = content.len();
        if self.stdio {
            content.push(stream.letter());
        }
        content.extend_from_slice(line);
        content.push(b'\n');
        self.bytes += content.len() - before;
        self.lines += 1;
        self.frame.lines += 1;
        if self.frame.content.len() >= FRAME_BYTES {
            self.close_frame();
        }
    }

    fn close_frame(&mut self) {
        self.full
            .push(std::mem::replace(&mut self.frame, empty_frame()));
    }
}

fn empty_frame() -> RawFrame {
    RawFrame {
        content: Vec::new(),
        lines: 0,
    }
}

/// Where to cut so that at most `max` bytes are before it and no UTF-8 character is torn. Depends on those
/// bytes alone.
fn cut_before(bytes: &[u8], max: usize) -> usize {
    for back in 1..=3 {
        let lead = bytes[max - back];
        if lead & 0b1100_0000 == 0b1000_0000 {
            continue;
        }
        let length = match lead {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            _ => 1,
        };
        return if length > back { max - back } else { max };
    }
    max
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use LogStream::{Error, Header, Output};

    fn lines(log_type: LogType, max: usize, input: &[(LogStream, &[u8])]) -> Vec<String> {
        let mut splitter = LineSplitter::new(log_type, max);
        for (stream, bytes) in input {
            splitter.push(*stream, bytes);
        }
        splitter.end();
        text(&splitter.take())
    }

    fn text(frames: &[RawFrame]) -> Vec<String> {
        frames
            .iter()
            .flat_map(|frame| {
                let lines: Vec<_> = frame
                    .content
                    .strip_suffix(b"\n")
                    .unwrap()
                    .split(|byte| *byte == b'\n')
                    .map(|line| line.escape_ascii().to_string())
                    .collect();
                assert_eq!(lines.len(), frame.lines as usize);
                lines
            })
            .collect()
    }

    #[test]
    fn lines_are_cut_at_newlines_and_marked() {
        type Case<'a> = (&'a str, &'a [(LogStream, &'a [u8])], &'a [&'a str]);
        let table: &[Case<'_>] = &[
            ("nothing", &[], &[]),
            ("an empty line", &[(Output, b"\n")], &["o"]),
            ("one line", &[(Output, b"a\n")], &["oa"]),
            ("two lines at once", &[(Error, b"a\nb\n")], &["ea", "eb"]),
            (
                "a cut line",
                &[(Output, b"a"), (Output, b"b\nc\n")],
                &["oab", "oc"],
            ),
            ("no newline at the end", &[(Header, b"a\nb")], &["ha", "hb"]),
            (
                "a newline that comes alone",
                &[(Output, b"a"), (Output, b"\n"), (Output, b"\n")],
                &["oa", "o"],
            ),
            (
                "streams in turns within lines",
                &[
                    (Output, b"a"),
                    (Error, b"x"),
                    (Output, b"b\n"),
                    (Error, b"y\n"),
                ],
                &["oab", "exy"],
            ),
            (
                "unfinished lines of several streams",
                &[(Header, b"h"), (Error, b"e"), (Output, b"o")],
                &["oo", "ee", "hh"],
            ),
            (
                "carriage returns",
                &[(Output, b"10%\r20%\r\n")],
                &["o10%\\r20%\\r"],
            ),
            (
                "bytes that are no text",
                &[(Output, b"\x00\xff\xfe\n")],
                &["o\\x00\\xff\\xfe"],
            ),
        ];
        for (what, input, expected) in table {
            assert_eq!(lines(LogType::Stdio, 100, input), *expected, "{what}");
        }
    }

    #[test]
    fn other_logs_have_no_letters_and_one_stream() {
        let input: &[(LogStream, &[u8])] = &[(Output, b"a"), (Error, b"b\nc")];
        assert_eq!(lines(LogType::Text, 100, input), ["ab", "c"]);
        assert_eq!(lines(LogType::Html, 100, input), ["ab", "c"]);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let table: [(&[u8], &[&str]); 7] = [
            (b"12345678\n", &["12345678"]),
            (b"123456789\n", &["12345678", "9"]),
            (b"1234567812345678\n", &["12345678", "12345678"]),
            ("1234567ä\n".as_bytes(), &["1234567", "\\xc3\\xa4"]),
            ("123456ä9\n".as_bytes(), &["123456\\xc3\\xa4", "9"]),
            (
                "12345\u{1f600}6\n".as_bytes(),
                &["12345", "\\xf0\\x9f\\x98\\x806"],
            ),
            (
                b"\x80\x80\x80\x80\x80\x80\x80\x80\x80",
                &["\\x80\\x80\\x80\\x80\\x80\\x80\\x80\\x80", "\\x80"],
            ),
        ];
        for (input, expected) in table {
            assert_eq!(
                lines(LogType::Text, 8, &[(Output, input)]),
                expected,
                "{}",
                input.escape_ascii()
            );
        }
    }

    #[test]
    fn full_frames_end_with_a_line() {
        let mut splitter = LineSplitter::new(LogType::Text, 1000);
        let line = [b'x'; 999];
        for _ in 0..1000 {
            splitter.push(Output, &line);
            splitter.push(Output, b"\n");
        }
        assert_eq!((splitter.bytes(), splitter.lines()), (1_000_000, 1000));
        let frames = splitter.take();
        assert!(frames.len() > 10);
        for frame in &frames {
            assert!(frame.content.len() <= FRAME_BYTES + 1000);
            assert_eq!(frame.content.last(), Some(&b'\n'));
        }
        assert_eq!(frames.iter().map(|frame| frame.lines).sum::<u32>(), 1000);
        assert_eq!((splitter.bytes(), splitter.lines()), (0, 0));
        assert_eq!(splitter.take(), []);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_lines(
            content in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'a'), Just(0xC3), Just(0xA4), Just(0xF0), any::<u8>()],
                0..300,
            ),
            cuts in proptest::collection::vec(0usize..300, 0..20),
            max in 4usize..40,
        ) {
            let whole = lines(LogType::Stdio, max, &[(Output, &content)]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(content.len())).collect();
            cuts.extend([0, content.len()]);
            cuts.sort_unstable();
            let pieces: Vec<(LogStream, &[u8])> = cuts
                .windows(2)
                .map(|pair| (Output, &content[pair[0]..pair[1]]))
                .collect();
            prop_assert_eq!(&lines(LogType::Stdio, max, &pieces), &whole);
            // Nothing is lost but newlines.
            let mut splitter = LineSplitter::new(LogType::Text, max);
            splitter.push(Output, &content);
            splitter.end();
            let kept: Vec<u8> = splitter.take().into_iter().flat_map(|frame| frame.content)
                .filter(|byte| *byte != b'\n').collect();
            let given: Vec<u8> = content.iter().copied().filter(|byte| *byte != b'\n').collect();
            prop_assert_eq!(kept, given);
        }
    }
}
