//! Compressed messages, which only our own ends send each other, once both have said that they know them.
//!
//! A message of the protocol is a map of MessagePack; a packed one is a frame of zstd that says how long its contents are. Nobody
//! can take one for the other: they begin with different bytes.

use bytes::Bytes;

use crate::error::ProtocolError;
use crate::limits::Limits;

/// How a frame of zstd begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Shorter messages are not worth it.
const PACK_BYTES_MIN: usize = 512;
/// What is faster than every network that is worth it.
const LEVEL: i32 = 1;
/// What it has to spare, in hundredths: unpacking is work as well.
const SPARED_PERCENT_MIN: usize = 10;
/// So many bytes count as one message where it is counted how fast a peer speaks: a few packed bytes may be many.
const BYTES_PER_COUNT: usize = 64 * 1024;

/// The message as it is sent: packed if that makes it clearly shorter.
pub(super) fn pack(frame: Bytes, limits: &Limits) -> Bytes {
    if !(PACK_BYTES_MIN..=limits.unpacked_bytes_max).contains(&frame.len()) {
        return frame;
    }
    let most = frame.len() - frame.len() * SPARED_PERCENT_MIN / 100;
    match zstd::bulk::compress(&frame, LEVEL) {
        Ok(packed) if packed.len() <= most => packed.into(),
        Ok(_) | Err(_) => frame,
    }
}

pub(super) fn is_packed(frame: &[u8]) -> bool {
    frame.starts_with(&MAGIC)
}

/// What a packed message holds, and for how many messages it counts.
pub(super) fn unpack(frame: &[u8], limits: &Limits) -> Result<(Bytes, u32), ProtocolError> {
    let bytes = zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten()
        .ok_or(ProtocolError::BadPacking)?;
    let limit = limits.unpacked_bytes_max;
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= limit);
    let bytes = bytes.ok_or(ProtocolError::TooMuch {
        what: "packed bytes",
        limit: limit as u64,
        limit_name: "unpacked_bytes_max",
    })?;
    // No more than it says, whatever is in it.
    let unpacked = zstd::bulk::decompress(frame, bytes).map_err(|_| ProtocolError::BadPacking)?;
    let count = u32::try_from(bytes / BYTES_PER_COUNT + 1).unwrap_or(u32::MAX);
    Ok((unpacked.into(), count))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_what_gets_shorter_is_packed_and_comes_back_as_it_was() {
        let limits = Limits::default();
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        });
        let noise: Vec<u8> = noise.take(4_096).collect();
        let long = vec![b'x'; limits.unpacked_bytes_max + 1];
        let cases = [
            (vec![b'x'; PACK_BYTES_MIN - 1], false),
            (vec![b'x'; PACK_BYTES_MIN], true),
            (vec![b'x'; 1_000_000], true),
            (noise, false),
            (long, false),
        ];
        for (bytes, expected) in cases {
            let frame = Bytes::from(bytes);
            let sent = pack(frame.clone(), &limits);
            assert_eq!(is_packed(&sent), expected, "{} bytes", frame.len());
            if expected {
                let (back, count) = unpack(&sent, &limits).unwrap();
                assert_eq!(back, frame);
                assert_eq!(count as usize, frame.len() / BYTES_PER_COUNT + 1);
            } else {
                assert_eq!(sent, frame);
            }
        }
    }

    #[test]
    fn what_is_badly_packed_is_refused_within_its_limits() {
        let limits = Limits {
            unpacked_bytes_max: 10_000,
            ..Limits::default()
        };
        let good = zstd::bulk::compress(&[b'x'; 10_000], LEVEL).unwrap();
        let bomb = zstd::bulk::compress(&[b'x'; 10_001], LEVEL).unwrap();
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), LEVEL).unwrap();
        for _ in 0..2 {
            encoder.write_all(b"xx").unwrap();
            encoder.flush().unwrap();
        }
        let stream = encoder.finish().unwrap();
        let twice = [&good[..], &good[..]].concat();
        let cases: [(&[u8], bool); 7] = [
            (&good, true),
            (&bomb, false),
            (&good[..good.len() - 1], false),
            (&good[..4], false),
            // One that does not say how long it is, and one that is longer than it says.
            (&stream, false),
            (&twice, false),
            (&[&MAGIC[..], &[0xff; 100]].concat(), false),
        ];
        for (frame, expected) in cases {
            assert_eq!(unpack(frame, &limits).is_ok(), expected, "{frame:02x?}");
        }
    }
}
