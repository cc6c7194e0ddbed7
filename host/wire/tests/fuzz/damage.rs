//! Changes to messages: to bytes, and to values, so that what is damaged is still read for the most part.

use std::ops::Range;

use proptest::prelude::*;
use rmp::Marker;

/// A change. Places are taken modulo what there is.
#[derive(Debug, Clone)]
pub(crate) enum Damage {
    Flip(usize, u8),
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    /// Bytes of another message.
    Splice(usize, usize, usize, usize),
    /// Another message's value for one of this.
    Swap(usize, usize, usize),
    /// One of [`ODDITIES`] for a value.
    Odd(usize, usize),
    /// A value in lists, so many.
    Nest(usize, usize),
    /// A value again behind itself.
    Twice(usize),
    /// Another number of bytes, values or pairs than follow.
    Length(usize, u32),
}

pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    let at = || 0..6_000_usize;
    let value = || 0..500_usize;
    prop_oneof![
        2 => (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), 1..20_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (at(), value(), at(), 1..200_usize)
            .prop_map(|(at, other, from, count)| Damage::Splice(at, other, from, count)),
        3 => (value(), value(), value()).prop_map(|(at, other, from)| Damage::Swap(at, other, from)),
        5 => (value(), value()).prop_map(|(at, odd)| Damage::Odd(at, odd)),
        1 => (value(), 1..40_usize).prop_map(|(at, levels)| Damage::Nest(at, levels)),
        1 => value().prop_map(Damage::Twice),
        2 => (value(), prop_oneof![0..300_u32, any::<u32>()])
            .prop_map(|(at, length)| Damage::Length(at, length)),
    ]
}

/// Values that a careless reader trips over.
const ODDITIES: &[&[u8]] = &[
    b"\xc0",
    b"\xc1",
    b"\xc2",
    b"\x01",
    b"\xff",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcb\xff\xf0\x00\x00\x00\x00\x00\x00",
    b"\xcb\x7f\xef\xff\xff\xff\xff\xff\xff",
    b"\xca\x00\x00\x00\x01",
    b"\xa0",
    b"\xa1\x00",
    b"\xa4\r\n\x1b[",
    b"\xa2..",
    b"\xc4\x02\xff\xfe",
    b"\xc4\x00",
    b"\x90",
    b"\x80",
    b"\x91\xc0",
    b"\x81\xa1a\x01",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\x7f\xff\xff\xff",
    b"\xdb\xff\xff\xff\xf0",
    b"\xc6\x00\x10\x00\x00",
    b"\xd4\x01\x00",
    b"\xc7\x03\x01abc",
];

/// The values of a message up to where it can be read, those in others included.
pub(crate) fn values(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    value(bytes, 0, 0, &mut found);
    found
}

/// Goes behind the value that begins here.
fn value(bytes: &[u8], start: usize, depth: usize, found: &mut Vec<Range<usize>>) -> Option<usize> {
    let number = |size: usize| {
        let digits = bytes.get(start + 1..start + 1 + size)?;
        Some(
            digits
                .iter()
                .fold(0, |all, digit| all << 8 | usize::from(*digit)),
        )
    };
    // Bytes of the head, of what follows it, and values in it.
    let (head, body, children) = match Marker::from_u8(*bytes.get(start)?) {
        Marker::U8 | Marker::I8 => (1, 1, 0),
        Marker::U16 | Marker::I16 => (1, 2, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (1, 4, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (1, 8, 0),
        Marker::FixStr(length) => (1, usize::from(length), 0),
        Marker::Str8 | Marker::Bin8 => (2, number(1)?, 0),
        Marker::Str16 | Marker::Bin16 => (3, number(2)?, 0),
        Marker::Str32 | Marker::Bin32 => (5, number(4)?, 0),
        Marker::FixArray(count) => (1, 0, usize::from(count)),
        Marker::Array16 => (3, 0, number(2)?),
        Marker::Array32 => (5, 0, number(4)?),
        Marker::FixMap(count) => (1, 0, 2 * usize::from(count)),
        Marker::Map16 => (3, 0, 2 * number(2)?),
        Marker::Map32 => (5, 0, 2 * number(4)?),
        _ => (1, 0, 0),
    };
    let mut end = start + head + body;
    if depth > 16 || end > bytes.len() {
        return None;
    }
    let at = found.len();
    found.push(start..end);
    for _ in 0..children {
        end = value(bytes, end, depth + 1, found)?;
    }
    found[at].end = end;
    Some(end)
}

/// The message with these changes, some of which are taken from `others`.
pub(crate) fn damaged(message: &[u8], changes: &[Damage], others: &[&[u8]]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for change in changes {
        apply(&mut bytes, change, others);
    }
    bytes
}

fn apply(bytes: &mut Vec<u8>, change: &Damage, others: &[&[u8]]) {
    let length = bytes.len();
    let place = |at: usize| at % (length + 1);
    let spans = values(bytes);
    let span = |at: usize| (!spans.is_empty()).then(|| spans[at % spans.len()].clone());
    match change {
        Damage::Flip(at, bit) => {
            if let Some(byte) = bytes.get_mut(place(*at)) {
                *byte ^= 1 << bit;
            }
        }
        Damage::Set(at, value) => {
            if let Some(byte) = bytes.get_mut(place(*at)) {
                *byte = *value;
            }
        }
        Damage::Cut(at) => bytes.truncate(place(*at)),
        Damage::Remove(at, count) => {
            let start = place(*at);
            bytes.drain(start..(start + count).min(length));
        }
        Damage::Insert(at, more) => {
            let at = place(*at);
            bytes.splice(at..at, more.iter().copied());
        }
        Damage::Splice(at, other, from, count) => {
            let (at, other) = (place(*at), others[other % others.len()]);
            let from = from % other.len();
            let piece = &other[from..(from + count).min(other.len())];
            bytes.splice(at..at, piece.iter().copied());
        }
        Damage::Swap(at, other, from) => {
            let other = others[other % others.len()];
            let theirs = values(other);
            if let Some(span) = span(*at) {
                let value = theirs[from % theirs.len()].clone();
                bytes.splice(span, other[value].iter().copied());
            }
        }
        Damage::Odd(at, odd) => {
            if let Some(span) = span(*at) {
                bytes.splice(span, ODDITIES[odd % ODDITIES.len()].iter().copied());
            }
        }
        Damage::Nest(at, levels) => {
            if let Some(span) = span(*at) {
                bytes.splice(span.start..span.start, std::iter::repeat_n(0x91, *levels));
            }
        }
        Damage::Twice(at) => {
            if let Some(span) = span(*at) {
                let value = bytes[span.clone()].to_vec();
                bytes.splice(span.end..span.end, value);
            }
        }
        Damage::Length(at, length) => {
            if let Some(span) = span(*at) {
                set_length(&mut bytes[span], *length);
            }
        }
    }
}

/// Puts another length into the head of a value, as much of it as has room there.
fn set_length(value: &mut [u8], length: u32) {
    let low = length.to_be_bytes();
    match Marker::from_u8(value[0]) {
        Marker::FixStr(_) => value[0] = 0xa0 | (low[3] & 0x1f),
        Marker::FixArray(_) => value[0] = 0x90 | (low[3] & 0x0f),
        Marker::FixMap(_) => value[0] = 0x80 | (low[3] & 0x0f),
        Marker::Str8 | Marker::Bin8 => value[1] = low[3],
        Marker::Str16 | Marker::Bin16 | Marker::Array16 | Marker::Map16 => {
            value[1..3].copy_from_slice(&low[2..]);
        }
        Marker::Str32 | Marker::Bin32 | Marker::Array32 | Marker::Map32 => {
            value[1..5].copy_from_slice(&low);
        }
        _ => {}
    }
}
