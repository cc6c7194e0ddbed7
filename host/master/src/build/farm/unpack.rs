//! Reads a tar archive as it comes from a worker, which may have made anything of it. Pure: bytes in, entries out; nothing is
//! held but what was pushed last, one header, and extensions up to a limit.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};
use tar::{EntryType, Header, PaxExtensions};

/// Headers and contents come in blocks of so many bytes.
const BLOCK_BYTES: usize = 512;
/// What may be said about an entry beyond its header.
const EXTENSION_BYTES_MAX: u64 = 64 << 10;
/// The largest entry that is no mistake.
const ENTRY_BYTES_MAX: u64 = 1 << 50;

/// What comes out of an archive, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Something begins. For a file, its contents and [`Part::End`] follow.
    Begin(Entry),
    /// More of the file's contents.
    Data(Bytes),
    /// The file is complete.
    End,
}

/// Something in an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As the archive has it; nothing about it is checked.
    pub(super) path: String,
    pub(super) kind: EntryKind,
    /// Permissions.
    pub(super) mode: u32,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Directory,
    /// A symbolic link, or another name of a file.
    Link,
    Other,
}

/// Why an archive cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadArchive {
    #[error("a header is damaged: {0}")]
    Header(String),
    #[error("what is said about one entry has more than {EXTENSION_BYTES_MAX} bytes")]
    Extension,
    #[error("it ends in the middle")]
    Truncated,
}

/// Takes an archive apart.
#[derive(Debug, Default)]
pub(super) struct Unpacker {
    held: VecDeque<Bytes>,
    held_bytes: u64,
    state: State,
    /// Of the next entry, in the place of what its header says.
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Header,
    /// The contents of a file, and what fills its last block.
    Data {
        left: u64,
        fill: u64,
    },
    /// What nobody wants.
    Skip {
        left: u64,
    },
    /// More about the next entry.
    Extension {
        kind: Extension,
        length: u64,
        fill: u64,
    },
    Over,
}

#[derive(Debug, Clone, Copy)]
enum Extension {
    Pax,
    LongName,
}

impl Unpacker {
    /// Takes in what came next.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if !matches!(self.state, State::Over) && !bytes.is_empty() {
            self.held_bytes += bytes.len() as u64;
            self.held.push_back(bytes);
        }
    }

    /// The next part; `None` until more is pushed.
    pub(super) fn next(&mut self) -> Result<Option<Part>, BadArchive> {
        loop {
            match self.state {
                State::Over => return Ok(None),
                State::Header => {
                    let Some(block) = self.take(BLOCK_BYTES as u64) else {
                        return Ok(None);
                    };
                    if let Some(part) = self.header(&block)? {
                        return Ok(Some(part));
                    }
                }
                State::Data { left: 0, fill } => {
                    self.state = State::Skip { left: fill };
                    return Ok(Some(Part::End));
                }
                State::Data { left, fill } => {
                    let Some(bytes) = self.some(left) else {
                        return Ok(None);
                    };
                    let left = left - bytes.len() as u64;
                    self.state = State::Data { left, fill };
                    return Ok(Some(Part::Data(bytes)));
                }
                State::Skip { left: 0 } => self.state = State::Header,
                State::Skip { left } => {
                    let Some(bytes) = self.some(left) else {
                        return Ok(None);
                    };
                    let left = left - bytes.len() as u64;
                    self.state = State::Skip { left };
                }
                State::Extension { kind, length, fill } => {
                    let Some(text) = self.take(length) else {
                        return Ok(None);
                    };
                    self.extend(kind, &text);
                    self.state = State::Skip { left: fill };
                }
            }
        }
    }

    /// There is no more.
    pub(super) fn finish(&self) -> Result<(), BadArchive> {
        match self.state {
            State::Over => Ok(()),
            State::Header if self.held_bytes == 0 => Ok(()),
            _ => Err(BadArchive::Truncated),
        }
    }

    fn header(&mut self, block: &[u8]) -> Result<Option<Part>, BadArchive> {
        if block.iter().all(|byte| *byte == 0) {
            self.state = State::Over;
            self.held.clear();
            self.held_bytes = 0;
            return Ok(None);
        }
        let damaged = |error: std::io::Error| BadArchive::Header(error.to_string());
        let header = Header::from_byte_slice(block);
        if header.cksum().map_err(damaged)? != checksum(block) {
            return Err(BadArchive::Header("its checksum is wrong".into()));
        }
        let entry_type = header.entry_type();
        let extension = match entry_type {
            EntryType::XHeader => Some(Extension::Pax),
            EntryType::GNULongName => Some(Extension::LongName),
            _ => None,
        };
        let said = header.entry_size().map_err(damaged)?;
        let length = match extension {
            Some(_) => said,
            None => self.size.take().unwrap_or(said),
        };
        if length > ENTRY_BYTES_MAX {
            return Err(BadArchive::Header(
                "its entry is too large to be true".into(),
            ));
        }
        let fill = length.next_multiple_of(BLOCK_BYTES as u64) - length;
        if let Some(kind) = extension {
            if length > EXTENSION_BYTES_MAX {
                return Err(BadArchive::Extension);
            }
            self.state = State::Extension { kind, length, fill };
            return Ok(None);
        }
        let kind = match entry_type {
            EntryType::Regular | EntryType::Continuous => EntryKind::File,
            EntryType::Directory => EntryKind::Directory,
            EntryType::Symlink | EntryType::Link => EntryKind::Link,
            // About everything that follows, or about links.
            EntryType::XGlobalHeader | EntryType::GNULongLink => {
                self.state = State::Skip {
                    left: length + fill,
                };
                return Ok(None);
            }
            _ => EntryKind::Other,
        };
        self.state = match kind {
            EntryKind::File => State::Data { left: length, fill },
            _ => State::Skip {
                left: length + fill,
            },
        };
        let path = match self.path.take() {
            Some(path) => path,
            None => header.path_bytes().into_owned(),
        };
        Ok(Some(Part::Begin(Entry {
            path: String::from_utf8_lossy(&path).into_owned(),
            kind,
            mode: header.mode().unwrap_or(0o644) & 0o777,
        })))
    }

    fn extend(&mut self, kind: Extension, text: &[u8]) {
        match kind {
            Extension::LongName => {
                let end = text.iter().position(|byte| *byte == 0);
                self.path = Some(text[..end.unwrap_or(text.len())].to_vec());
            }
            Extension::Pax => {
                for record in PaxExtensions::new(text).flatten() {
                    match record.key_bytes() {
                        b"path" => self.path = Some(record.value_bytes().to_vec()),
                        b"size" => {
                            self.size = record.value().ok().and_then(|size| size.parse().ok());
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// So many bytes in one piece, once they are there.
    fn take(&mut self, length: u64) -> Option<Bytes> {
        if self.held_bytes < length {
            return None;
        }
        let length = usize::try_from(length).ok()?;
        let mut taken = BytesMut::with_capacity(length);
        while taken.len() < length {
            taken.extend_from_slice(&self.some((length - taken.len()) as u64)?);
        }
        Some(taken.freeze())
    }

    /// Up to so many bytes; `None` when nothing is there.
    fn some(&mut self, most: u64) -> Option<Bytes> {
        let first = self.held.front_mut()?;
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(first.len());
        let bytes = first.split_to(length);
        if !first.has_remaining() {
            self.held.pop_front();
        }
        self.held_bytes -= length as u64;
        Some(bytes)
    }
}

/// The sum of a header's bytes, where that itself counts as spaces.
fn checksum(block: &[u8]) -> u32 {
    const ITSELF: std::ops::Range<usize> = 148..156;
    let bytes = block.iter().enumerate();
    bytes
        .map(|(index, byte)| match ITSELF.contains(&index) {
            true => u32::from(b' '),
            false => u32::from(*byte),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tar::Builder;

    use super::*;

    /// All that comes of an archive that arrives in pieces of this size.
    fn unpacked(
        archive: &[u8],
        piece: usize,
    ) -> Result<Vec<(String, EntryKind, String)>, BadArchive> {
        let mut unpacker = Unpacker::default();
        let mut found = Vec::new();
        for piece in archive.chunks(piece.max(1)) {
            unpacker.push(Bytes::copy_from_slice(piece));
            while let Some(part) = unpacker.next()? {
                match part {
                    Part::Begin(entry) => found.push((entry.path, entry.kind, String::new())),
                    Part::Data(bytes) => {
                        let (.., text) = found.last_mut().expect("an entry");
                        text.push_str(&String::from_utf8_lossy(&bytes));
                    }
                    Part::End => {
                        let (.., text) = found.last_mut().expect("an entry");
                        text.push('.');
                    }
                }
            }
            let held: usize = unpacker.held.iter().map(Bytes::len).sum();
            assert_eq!(held as u64, unpacker.held_bytes);
        }
        unpacker.finish().map(|()| found)
    }

    fn archive() -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        let mut add = |path: &str, kind: EntryType, text: &str| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(text.len() as u64);
            header.set_mode(0o755);
            // Long paths become entries of their own.
            builder
                .append_data(&mut header, path, text.as_bytes())
                .expect("added");
        };
        add("dir", EntryType::Directory, "");
        add("dir/empty", EntryType::Regular, "");
        add("dir/file", EntryType::Regular, &"x".repeat(700));
        add(
            &format!("{}é", "long/".repeat(40)),
            EntryType::Regular,
            "long",
        );
        add("device", EntryType::Char, "");
        builder
            .append_pax_extensions([("path", &b"from/pax"[..]), ("mtime", &b"1.5"[..])])
            .expect("added");
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(3);
        header.set_mode(0o600);
        builder
            .append_data(&mut header, "short", &b"pax"[..])
            .expect("added");
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder
            .append_link(&mut header, "link", "dir/file")
            .expect("added");
        builder.into_inner().expect("complete")
    }

    #[test]
    fn an_archive_is_the_same_in_pieces_of_any_size() {
        let long = format!("{}é", "long/".repeat(40));
        let many = format!("{}.", "x".repeat(700));
        let expected = [
            ("dir", EntryKind::Directory, ""),
            ("dir/empty", EntryKind::File, "."),
            ("dir/file", EntryKind::File, &*many),
            (&*long, EntryKind::File, "long."),
            ("device", EntryKind::Other, ""),
            ("from/pax", EntryKind::File, "pax."),
            ("link", EntryKind::Link, ""),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(path, kind, text)| (path.to_owned(), kind, text.to_owned()))
            .collect();
        let archive = archive();
        for piece in [1, 7, 512, 513, archive.len()] {
            let found = unpacked(&archive, piece).expect("it is sound");
            assert_eq!(found, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_archive_is_told() {
        let whole = archive();
        assert_eq!(unpacked(&whole[..600], 100), Err(BadArchive::Truncated));
        let mut damaged = whole;
        damaged[0] ^= 1;
        let wrong = BadArchive::Header("its checksum is wrong".into());
        assert_eq!(unpacked(&damaged, 100), Err(wrong));
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(EXTENSION_BYTES_MAX + 1);
        header.set_cksum();
        assert_eq!(unpacked(header.as_bytes(), 512), Err(BadArchive::Extension));
        assert_eq!(unpacked(b"", 1), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn nothing_that_a_worker_sends_panics_or_is_held(
            changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..8),
            fix in any::<bool>(),
            piece in 1..2_000_usize,
        ) {
            let mut bytes = archive();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
                if fix {
                    // So that what is in the header is looked at.
                    let start = at / BLOCK_BYTES * BLOCK_BYTES;
                    let sum = format!("{:06o}\0 ", checksum(&bytes[start..start + BLOCK_BYTES]));
                    bytes[start + 148..start + 156].copy_from_slice(sum.as_bytes());
                }
            }
            let _ = unpacked(&bytes, piece);
        }
    }
}
