//! Messages as they were on the line, for tests that read them whole and for tests that damage them.
//!
//! `recorded.txt` is what a stock master and a stock worker said, written down by a proxy between them while builds ran
//! every command, and failed in every way that was thought of. `regressions.txt` is what once did harm. A line is a message
//! in hexadecimal, `>` to the worker or `<` to the master; `#` begins a remark.

use bytes::Bytes;

/// One message.
pub(crate) struct Message {
    /// Whether it goes to the worker.
    pub(crate) to_worker: bool,
    pub(crate) bytes: Bytes,
}

/// What stock peers said.
pub(crate) fn recorded() -> Vec<Message> {
    read(include_str!("recorded.txt"))
}

/// What once did harm.
pub(crate) fn regressions() -> Vec<Message> {
    read(include_str!("regressions.txt"))
}

fn read(text: &str) -> Vec<Message> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let messages = lines.map(|line| {
        let (direction, hex) = line.split_once(' ').unwrap();
        let pairs = hex.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap();
            u8::from_str_radix(pair, 16).unwrap()
        });
        Message {
            to_worker: direction == ">",
            bytes: bytes.collect::<Vec<u8>>().into(),
        }
    });
    messages.collect()
}
