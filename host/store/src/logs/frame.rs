//! Compressed pieces of a log: small enough that reading a few lines anywhere decompresses little, large enough to
//! compress well.

use bytes::Bytes;

use super::lines::RawFrame;
use crate::{Result, StoreError};

/// A frame is closed when its lines reach this size, bytes.
pub(super) const FRAME_BYTES: usize = 64 * 1024;

/// Fast: a log is written once, and its text compresses well at any level.
const ZSTD_LEVEL: i32 = 1;

/// Bytes of one entry of the index.
const ENTRY_BYTES: usize = 12;

/// Whole lines, compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) entry: Entry,
    pub(super) compressed: Bytes,
}

/// What the index knows of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) lines: u32,
    pub(super) raw_bytes: u32,
    pub(super) compressed_bytes: u32,
}

/// Compresses lines. To be called where blocking is allowed.
pub(super) fn compress(raw: &[RawFrame]) -> Result<Vec<Frame>> {
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(|e| failed(&e))?;
    raw.iter()
        .map(|raw| {
            let compressed = compressor.compress(&raw.content).map_err(|e| failed(&e))?;
            Ok(Frame {
                entry: Entry {
                    lines: raw.lines,
                    raw_bytes: number(raw.content.len())?,
                    compressed_bytes: number(compressed.len())?,
                },
                compressed: compressed.into(),
            })
        })
        .collect()
}

/// Decompresses the frames of `entries`, which lie one after the other in `compressed`.
pub(super) fn decompress(entries: &[Entry], compressed: &[u8]) -> Result<Vec<u8>> {
    let mut decompressor = zstd::bulk::Decompressor::new().map_err(|e| failed(&e))?;
    let total = entries.iter().map(|entry| entry.raw_bytes as usize).sum();
    let mut content = Vec::with_capacity(total);
    let mut rest = compressed;
    for entry in entries {
        let (frame, after) = rest
            .split_at_checked(entry.compressed_bytes as usize)
            .ok_or_else(|| failed(&"a segment is shorter than its index says"))?;
        let raw = decompressor
            .decompress(frame, entry.raw_bytes as usize)
            .map_err(|e| failed(&e))?;
        content.extend_from_slice(&raw);
        rest = after;
    }
    Ok(content)
}

/// Joins small frames into full ones; frames of a good size stay as they are. To be called where blocking is
/// allowed.
pub(super) fn join(frames: Vec<Frame>) -> Result<Vec<Frame>> {
    let mut joined = Vec::new();
    let mut small: Vec<Frame> = Vec::new();
    let mut small_bytes = 0;
    for frame in frames {
        let bytes = frame.entry.raw_bytes as usize;
        if bytes >= FRAME_BYTES / 2 {
            close(&mut small, &mut joined)?;
            small_bytes = 0;
            joined.push(frame);
            continue;
        }
        small.push(frame);
        small_bytes += bytes;
        if small_bytes >= FRAME_BYTES {
            close(&mut small, &mut joined)?;
            small_bytes = 0;
        }
    }
    close(&mut small, &mut joined)?;
    Ok(joined)
}

fn close(small: &mut Vec<Frame>, joined: &mut Vec<Frame>) -> Result<()> {
    if small.len() < 2 {
        joined.append(small);
        return Ok(());
    }
    let mut raw = RawFrame {
        content: Vec::new(),
        lines: 0,
    };
    for frame in small.drain(..) {
        let content = decompress(&[frame.entry], &frame.compressed)?;
        raw.content.extend_from_slice(&content);
        raw.lines += frame.entry.lines;
    }
    joined.append(&mut compress(&[raw])?);
    Ok(())
}

/// The frames one after the other, as they are stored.
pub(super) fn concatenate(frames: &[Frame]) -> Bytes {
    match frames {
        [frame] => frame.compressed.clone(),
        frames => {
            let total = frames.iter().map(|frame| frame.compressed.len()).sum();
            let mut content = Vec::with_capacity(total);
            for frame in frames {
                content.extend_from_slice(&frame.compressed);
            }
            content.into()
        }
    }
}

/// The index of frames, as it is stored.
pub(super) fn encode_index(frames: &[Frame]) -> Bytes {
    let mut index = Vec::with_capacity(frames.len() * ENTRY_BYTES);
    for Frame { entry, .. } in frames {
        index.extend_from_slice(&entry.lines.to_le_bytes());
        index.extend_from_slice(&entry.raw_bytes.to_le_bytes());
        index.extend_from_slice(&entry.compressed_bytes.to_le_bytes());
    }
    index.into()
}

/// Reads what [`encode_index`] wrote.
pub(super) fn decode_index(index: &[u8]) -> Result<Vec<Entry>> {
    let (entries, rest) = index.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() {
        return Err(failed(&"the index of a chunk is cut off"));
    }
    Ok(entries
        .iter()
        .map(|entry| {
            let word = |at: usize| {
                u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
            };
            Entry {
                lines: word(0),
                raw_bytes: word(4),
                compressed_bytes: word(8),
            }
        })
        .collect())
}

/// Splits stored frames again.
pub(super) fn split(index: &[u8], content: &Bytes) -> Result<Vec<Frame>> {
    let mut at = 0;
    decode_index(index)?
        .into_iter()
        .map(|entry| {
            let end = at + entry.compressed_bytes as usize;
            if end > content.len() {
                return Err(failed(&"a chunk is shorter than its index says"));
            }
            let compressed = content.slice(at..end);
            at = end;
            Ok(Frame { entry, compressed })
        })
        .collect()
}

fn number(bytes: usize) -> Result<u32> {
    u32::try_from(bytes).map_err(|e| failed(&e))
}

fn failed(reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        what: "log".to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(lines: u32, byte: u8, bytes: usize) -> RawFrame {
        RawFrame {
            content: vec![byte; bytes],
            lines,
        }
    }

    #[test]
    fn frames_come_back_from_their_stored_form() {
        let frames = compress(&[raw(1, b'a', 10), raw(2, b'b', FRAME_BYTES)]).unwrap();
        let (index, content) = (encode_index(&frames), concatenate(&frames));
        assert_eq!(split(&index, &content).unwrap(), frames);
        let entries = decode_index(&index).unwrap();
        let all = decompress(&entries, &content).unwrap();
        assert_eq!(all.len(), 10 + FRAME_BYTES);
        assert!(all.starts_with(b"aaaaaaaaaab"));
    }

    #[test]
    fn small_frames_are_joined_and_large_ones_kept() {
        let mut sizes = vec![10; 20];
        sizes.push(FRAME_BYTES);
        sizes.extend([7, 7]);
        let frames: Vec<RawFrame> = sizes.iter().map(|size| raw(1, b'x', *size)).collect();
        let frames = compress(&frames).unwrap();
        let joined = join(frames.clone()).unwrap();
        let shape: Vec<(u32, u32)> = joined
            .iter()
            .map(|frame| (frame.entry.lines, frame.entry.raw_bytes))
            .collect();
        assert_eq!(shape, [(20, 200), (1, 65536), (2, 14)]);
        assert_eq!(joined[1], frames[20]);
    }

    #[test]
    fn broken_chunks_are_errors() {
        let frames = compress(&[raw(1, b'a', 1000)]).unwrap();
        let (index, content) = (encode_index(&frames), concatenate(&frames));
        assert!(decode_index(&index[1..]).is_err());
        assert!(split(&index, &content.slice(1..)).is_err());
        let entries = decode_index(&index).unwrap();
        assert!(decompress(&entries, &content[1..]).is_err());
        assert!(decompress(&entries, &[b'!'; 1000]).is_err());
    }
}
