//! What stands for a secret until it leaves for somebody who may have it.
//!
//! All placeholders have one length, and letters, digits and hyphens only: they pass unchanged through URLs, JSON, shells
//! and templates. Whoever knows a placeholder knows nothing; whether it is filled in is decided where it arrives.

use std::borrow::Cow;
use std::fmt::Write as _;

const PREFIX: &str = "toolpost-secret-";
/// Bytes of the token in a placeholder, which nobody can guess.
pub const TOKEN_BYTES: usize = 16;
/// Length of every placeholder.
pub const PLACEHOLDER_BYTES: usize = PREFIX.len() + 2 * TOKEN_BYTES;

/// The placeholder with this token.
#[must_use]
pub fn placeholder(token: [u8; TOKEN_BYTES]) -> String {
    let mut text = String::with_capacity(PLACEHOLDER_BYTES);
    text.push_str(PREFIX);
    for byte in token {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What looks like a placeholder, in the order in which it stands there.
pub fn placeholders(bytes: &[u8]) -> impl Iterator<Item = &str> {
    places(bytes).map(|(_, text)| text)
}

/// The bytes with `value` in the place of each placeholder that it knows; the others stay.
pub fn fill<'b, 'v>(
    bytes: &'b [u8],
    mut value: impl FnMut(&str) -> Option<&'v str>,
) -> Cow<'b, [u8]> {
    let mut filled: Option<Vec<u8>> = None;
    let mut done = 0;
    for (start, text) in places(bytes) {
        if let Some(value) = value(text) {
            let out = filled.get_or_insert_with(Vec::new);
            out.extend_from_slice(&bytes[done..start]);
            out.extend_from_slice(value.as_bytes());
            done = start + PLACEHOLDER_BYTES;
        }
    }
    match filled {
        None => Cow::Borrowed(bytes),
        Some(mut out) => {
            out.extend_from_slice(&bytes[done..]);
            Cow::Owned(out)
        }
    }
}

/// As [`fill`], for a text.
pub fn fill_text<'v>(text: &str, mut value: impl FnMut(&str) -> Option<&'v str>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut done = 0;
    for (start, placeholder) in places(text.as_bytes()) {
        if let Some(value) = value(placeholder) {
            filled.push_str(&text[done..start]);
            filled.push_str(value);
            done = start + PLACEHOLDER_BYTES;
        }
    }
    filled.push_str(&text[done..]);
    filled
}

fn places(bytes: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(from..)?;
            let found = rest
                .windows(PREFIX.len())
                .position(|window| window == PREFIX.as_bytes())?;
            let start = from + found;
            from = start + 1;
            let text = bytes.get(start..start + PLACEHOLDER_BYTES)?;
            let token = &text[PREFIX.len()..];
            let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
            if token.iter().all(is_hex)
                && let Ok(text) = std::str::from_utf8(text)
            {
                from = start + PLACEHOLDER_BYTES;
                return Some((start, text));
            }
        }
    })
}
