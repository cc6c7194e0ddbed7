//! Shortens what is too long in an XML document, so that a reader which holds one piece at a time
//! needs bounded memory for it. A captured output of a gigabyte inside a report is no reason to fail.

use memchr::{memchr, memmem};
use std::io::{self, BufRead, Read};

/// What is kept of one text, one CDATA section, one comment or one tag.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// Where in the document the filter is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    /// Behind a `<`, before it is known what begins.
    Open,
    /// In a tag, with the quote that an attribute's value will end with.
    Tag(Option<u8>),
    CData,
    Comment,
}

/// Passes a document on, with at most [`PIECE_BYTES_MAX`] of each piece.
pub(super) struct Squeeze<R> {
    input: R,
    place: Place,
    /// How much of the piece was passed on.
    passed: usize,
    /// Whether the last byte of a tag, outside its values, was a slash.
    after_slash: bool,
    /// What is ready to be read, and how much of it was.
    ready: Vec<u8>,
    taken: usize,
    /// The end of the input that was not decided on, because a marker may be cut in two.
    held: Vec<u8>,
}

impl<R: BufRead> Squeeze<R> {
    pub(super) fn new(input: R) -> Self {
        let (ready, held) = (Vec::new(), Vec::new());
        Self {
            input,
            place: Place::Text,
            passed: 0,
            after_slash: false,
            ready,
            taken: 0,
            held,
        }
    }

    /// Takes one buffer of the input in.
    fn advance(&mut self) -> io::Result<bool> {
        let buffer = self.input.fill_buf()?;
        let length = buffer.len();
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(buffer);
        self.input.consume(length);
        self.ready.clear();
        self.taken = 0;
        let at_end = length == 0;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let Some(used) = self.step(rest, at_end) else {
                break;
            };
            rest = &rest[used..];
        }
        self.held = rest.to_vec();
        Ok(!at_end)
    }

    /// Takes in as much of `bytes` as belongs to one place, which may be nothing, and says how much;
    /// none when more has to be known.
    fn step(&mut self, bytes: &[u8], at_end: bool) -> Option<usize> {
        Some(match self.place {
            Place::Text => match memchr(b'<', bytes) {
                Some(end) => {
                    self.pass(&bytes[..end]);
                    self.enter(Place::Open);
                    end
                }
                None => self.pass(bytes),
            },
            Place::Open => return self.open(bytes, at_end),
            Place::CData => return self.until(b"]]>", bytes, at_end),
            Place::Comment => return self.until(b"-->", bytes, at_end),
            Place::Tag(None) => self.tag(bytes),
            Place::Tag(Some(quote)) => match memchr(quote, bytes) {
                Some(end) => {
                    self.pass(&bytes[..end]);
                    self.ready.push(quote);
                    self.place = Place::Tag(None);
                    end + 1
                }
                None => self.pass(bytes),
            },
        })
    }

    /// Goes on in a tag, outside the values of its attributes.
    fn tag(&mut self, bytes: &[u8]) -> usize {
        let special = bytes
            .iter()
            .position(|byte| matches!(byte, b'>' | b'"' | b'\''));
        let end = special.unwrap_or(bytes.len());
        if end > 0 {
            self.after_slash = bytes[end - 1] == b'/';
            self.pass(&bytes[..end]);
        }
        match bytes.get(end) {
            Some(b'>') => {
                // Without its slash, an empty element would stay open for ever.
                if self.after_slash && self.passed >= PIECE_BYTES_MAX {
                    self.ready.push(b'/');
                }
                self.ready.push(b'>');
                self.enter(Place::Text);
            }
            Some(quote) => {
                self.ready.push(*quote);
                self.after_slash = false;
                self.place = Place::Tag(Some(*quote));
            }
            None => return end,
        }
        end + 1
    }

    /// Decides what a `<` begins.
    fn open(&mut self, bytes: &[u8], at_end: bool) -> Option<usize> {
        const CDATA: &[u8] = b"<![CDATA[";
        const COMMENT: &[u8] = b"<!--";
        let (marker, place) = if bytes.starts_with(CDATA) {
            (CDATA, Place::CData)
        } else if bytes.starts_with(COMMENT) {
            (COMMENT, Place::Comment)
        } else if !at_end && (CDATA.starts_with(bytes) || COMMENT.starts_with(bytes)) {
            return None;
        } else {
            (&bytes[..1], Place::Tag(None))
        };
        self.ready.extend_from_slice(marker);
        self.enter(place);
        Some(marker.len())
    }

    fn until(&mut self, marker: &[u8], bytes: &[u8], at_end: bool) -> Option<usize> {
        if let Some(end) = memmem::find(bytes, marker) {
            self.pass(&bytes[..end]);
            self.ready.extend_from_slice(marker);
            self.enter(Place::Text);
            return Some(end + marker.len());
        }
        // The marker may begin in the last bytes and go on in those that come.
        let decided = if at_end {
            bytes.len()
        } else {
            bytes.len().saturating_sub(marker.len())
        };
        (decided > 0).then(|| self.pass(&bytes[..decided]))
    }

    /// Passes on what there is room for, and takes in all.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let room = PIECE_BYTES_MAX.saturating_sub(self.passed);
        let kept = bytes.len().min(room);
        self.ready.extend_from_slice(&bytes[..kept]);
        self.passed += kept;
        bytes.len()
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.passed = 0;
    }
}

impl<R: BufRead> Read for Squeeze<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() {
            if !self.advance()? && self.ready.is_empty() {
                return Ok(0);
            }
        }
        let length = (&self.ready[self.taken..]).read(into)?;
        self.taken += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// What comes out when the input comes in buffers of this size.
    fn squeeze(text: &[u8], buffer_bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let input = BufReader::with_capacity(buffer_bytes, text);
        Squeeze::new(input)
            .read_to_end(&mut out)
            .expect("memory does not fail");
        out
    }

    #[test]
    fn what_is_short_stays_as_it_is() {
        for text in [
            "<a b='>' c=\"'\">x<!-- <d> - -- --><![CDATA[ <e> ]] ]]]>&lt;</a>\n",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
            "<?xml version='1.0'?><a>",
            "<",
            "<![CDATA",
            "<!-- never closed -",
            "text only, ]]> and --> too",
            "",
        ] {
            for buffer_bytes in 1..20 {
                let out = squeeze(text.as_bytes(), buffer_bytes);
                assert_eq!(String::from_utf8_lossy(&out), text, "{buffer_bytes}");
            }
        }
    }

    #[test]
    fn a_buffer_is_taken_in_at_once_however_many_pieces_it_has() {
        let text = "<a><b c='d'/></a><![CDATA[x]]><!-- y -->".repeat(100);
        let mut squeeze = Squeeze::new(text.as_bytes());
        assert!(squeeze.advance().expect("memory does not fail"));
        assert_eq!(squeeze.held.len(), 0);
        assert!(squeeze.ready == text.as_bytes());
    }

    #[test]
    fn every_kind_of_piece_is_shortened() {
        let long = "x".repeat(3 * PIECE_BYTES_MAX);
        for (before, after) in [
            ("<a>", "</a>"),
            ("<a><![CDATA[", "]]></a>"),
            ("<a><!--", "--></a>"),
            ("<a b='", "'/>"),
            ("<a ", ">"),
        ] {
            let out = squeeze(format!("{before}{long}{after}").as_bytes(), 8192);
            let out = String::from_utf8(out).expect("it was text");
            assert!(out.starts_with(before) && out.ends_with(after), "{before}");
            assert!(
                out.len() <= before.len() + PIECE_BYTES_MAX + after.len(),
                "{before}"
            );
        }
    }
}
