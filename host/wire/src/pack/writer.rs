//! Writes a frame.

use bytes::Bytes;
use rmp::encode::{self, ValueWriteError};

/// A frame that grows. Writing to memory does not fail.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    frame: Vec<u8>,
}

/// Memory takes everything; what its writer returns says so in its type only.
fn never<T>(written: &Result<T, ValueWriteError<std::io::Error>>) {
    debug_assert!(written.is_ok());
}

fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Writer {
    pub(crate) fn finish(self) -> Bytes {
        self.frame.into()
    }

    pub(crate) fn map(&mut self, pairs: usize) {
        never(&encode::write_map_len(&mut self.frame, length(pairs)));
    }

    pub(crate) fn list(&mut self, values: usize) {
        never(&encode::write_array_len(&mut self.frame, length(values)));
    }

    pub(crate) fn text(&mut self, text: &str) {
        never(&encode::write_str(&mut self.frame, text));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        never(&encode::write_bin(&mut self.frame, bytes));
    }

    /// A value that was written elsewhere.
    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.frame.extend_from_slice(value);
    }

    /// Bytes that are meant as text: as such when they are UTF-8.
    pub(crate) fn text_or_bytes(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(text),
            Err(_) => self.bytes(bytes),
        }
    }

    pub(crate) fn nil(&mut self) {
        let written = encode::write_nil(&mut self.frame);
        debug_assert!(written.is_ok());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        let written = encode::write_bool(&mut self.frame, value);
        debug_assert!(written.is_ok());
    }

    pub(crate) fn integer(&mut self, value: i64) {
        never(&encode::write_sint(&mut self.frame, value));
    }

    pub(crate) fn count(&mut self, value: u64) {
        never(&encode::write_uint(&mut self.frame, value));
    }

    /// A number: without a fraction where it has none, as the other side may count in whole seconds.
    pub(crate) fn float(&mut self, value: f64) {
        if value.fract() == 0.0 && value.abs() < 1e15 {
            self.integer(value as i64);
        } else {
            never(&encode::write_f64(&mut self.frame, value));
        }
    }

    pub(crate) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.nil(),
        }
    }

    pub(crate) fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) {
        self.list(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    /// A name, to be followed by a value.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self
    }
}
