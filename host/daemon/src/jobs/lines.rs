//! Output as a master wants it: whole lines with one kind of line ends, or as it was written.

use bytes::{Bytes, BytesMut};
use fancy_regex::Regex;
use toolpost_wire::WorkerSettings;

/// What a master wants.
#[derive(Debug, Default)]
pub(crate) enum Style {
    /// As it was written, cut anywhere.
    #[default]
    AsWritten,
    /// Whole lines of valid UTF-8.
    Lines {
        /// What counts as a line end.
        newline: Option<Box<Regex>>,
        /// A longer line becomes several, in bytes.
        length_max: usize,
    },
}

/// The beginning of a line that is not over yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: BytesMut,
}

impl Style {
    /// Reads what a master says. One whose lines cannot be told by this worker gets them as the system has them.
    pub(crate) fn of(settings: &WorkerSettings) -> Self {
        if settings.newline_re == WorkerSettings::default().newline_re {
            return Self::AsWritten;
        }
        let newline = match Regex::new(&translated(&settings.newline_re)) {
            Ok(newline) => Some(Box::new(newline)),
            Err(error) => {
                tracing::warn!(
                    "the master's `newline_re` is no expression that this worker knows: {error}"
                );
                None
            }
        };
        let length_max = usize::try_from(settings.max_line_length).unwrap_or(usize::MAX);
        Self::Lines {
            newline,
            length_max: length_max.max(1),
        }
    }
}

impl Lines {
    /// What can be sent once these bytes are known.
    pub(super) fn take(&mut self, style: &Style, bytes: Bytes) -> Option<Bytes> {
        let Style::Lines {
            newline,
            length_max,
        } = style
        else {
            return Some(bytes).filter(|bytes| !bytes.is_empty());
        };
        self.rest.extend_from_slice(&bytes);
        let end = match self.rest.iter().rposition(|byte| *byte == b'\n') {
            Some(place) => place + 1,
            None if self.rest.len() > *length_max => character_end(&self.rest),
            None => return None,
        };
        Some(whole(
            &self.rest.split_to(end),
            newline.as_deref(),
            *length_max,
        ))
    }

    /// What is left when there is no more.
    pub(super) fn finish(&mut self, style: &Style) -> Option<Bytes> {
        let rest = self.rest.split();
        match style {
            Style::Lines {
                newline,
                length_max,
            } if !rest.is_empty() => Some(whole(&rest, newline.as_deref(), *length_max)),
            _ => None,
        }
    }
}

/// An expression of Python in the form that is known here: characters by octal number are written by hexadecimal ones.
fn translated(python: &str) -> String {
    let mut translated = String::with_capacity(python.len());
    let mut rest = python;
    while let Some((before, escape)) = rest.split_once('\\') {
        translated.push_str(before);
        let Some(digits) = escape.strip_prefix('0') else {
            // Both characters, so that an escaped backslash escapes nothing.
            let next = escape.chars().next().map_or(0, char::len_utf8);
            translated.push('\\');
            translated.push_str(&escape[..next]);
            rest = &escape[next..];
            continue;
        };
        let octal = digits
            .bytes()
            .take(2)
            .take_while(|byte| matches!(byte, b'0'..=b'7'));
        let (count, number) = octal.fold((0, 0), |(count, number), byte| {
            (count + 1, number * 8 + u32::from(byte - b'0'))
        });
        translated.push_str(&format!("\\x{{{number:x}}}"));
        rest = &digits[count..];
    }
    translated.push_str(rest);
    translated
}

/// Lines, each with its end and no longer than allowed.
fn whole(bytes: &[u8], newline: Option<&Regex>, length_max: usize) -> Bytes {
    let text = String::from_utf8_lossy(bytes);
    // A text on which the expression gives up stays as it is.
    let ended = newline.and_then(|newline| newline.try_replacen(&text, 0, "\n").ok());
    let ended = ended.as_deref().unwrap_or(&text);
    let mut lines = String::with_capacity(ended.len() + 1);
    for line in ended.split_terminator('\n') {
        let mut rest = line;
        while rest.len() > length_max {
            let cut = rest.floor_char_boundary(length_max).max(1);
            let cut = rest.ceil_char_boundary(cut);
            lines.push_str(&rest[..cut]);
            lines.push('\n');
            rest = &rest[cut..];
        }
        lines.push_str(rest);
        lines.push('\n');
    }
    lines.into()
}

/// Where the last character ends that is whole.
fn character_end(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a stock master says.
    const NEWLINE: &str = r"(\r\n|\r(?=.)|\033\[u|\033\[[0-9]+;[0-9]+[Hf]|\033\[2J|\x08+)";

    /// What is sent of these pieces of output.
    fn sent(newline_re: &str, length_max: u64, pieces: &[&[u8]]) -> Vec<String> {
        let style = Style::of(&WorkerSettings {
            newline_re: newline_re.into(),
            max_line_length: length_max,
            ..WorkerSettings::default()
        });
        let mut lines = Lines::default();
        let mut sent = Vec::new();
        for piece in pieces {
            sent.extend(lines.take(&style, Bytes::copy_from_slice(piece)));
        }
        sent.extend(lines.finish(&style));
        sent.iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    #[test]
    fn a_stock_master_gets_whole_lines() {
        let cases: &[(&[&[u8]], &[&str])] = &[
            (&[b"a\nb", b"c\n"], &["a\n", "bc\n"]),
            (&[b"no end"], &["no end\n"]),
            (&[b"a\r\nb\r", b"\nc\n"], &["a\n", "b\nc\n"]),
            (&[b"a\x1b[2Jb\x08\x08c\n"], &["a\nb\nc\n"]),
            (&[b"1%\r2%\r3%\n"], &["1%\n2%\n3%\n"]),
            (&[b"\xc3", b"\xa9\n\xff\n"], &["\u{e9}\n\u{fffd}\n"]),
            (&[b"12345678901234\n"], &["1234567890\n1234\n"]),
            (&[b"1234567890", b"1", b"2\n"], &["1234567890\n1\n", "2\n"]),
            (&[b"\n\n"], &["\n\n"]),
            (&[], &[]),
        ];
        for (pieces, expected) in cases {
            assert_eq!(sent(NEWLINE, 10, pieces), *expected, "{pieces:?}");
        }
        // An expression that means nothing here.
        assert_eq!(sent("(", 10, &[b"a\r\n"]), ["a\r\n"]);
    }

    #[test]
    fn our_own_master_gets_every_byte_as_it_was_written() {
        let own = WorkerSettings::default().newline_re;
        assert_eq!(sent(&own, 3, &[b"abcdef\r", b"\n"]), ["abcdef\r", "\n"]);
    }
}
