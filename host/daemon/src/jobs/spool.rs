//! Records on disk: written at one end of a file, read at the other. The file has no name, so that nothing is left of it when
//! the program ends, however it ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use toolpost_wire::{CommandId, Frame, Limits, ToMaster};

use super::Record;

/// Each record begins with its length.
const LENGTH_BYTES: usize = 4;

/// A queue of records in a file.
pub(super) struct Spool {
    file: File,
    read_at: u64,
    written_to: u64,
    limits: Limits,
}

impl Spool {
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile_in(dir)?,
            read_at: 0,
            written_to: 0,
            limits: Limits::default(),
        })
    }

    /// How a record is kept: as the message that it becomes, with its length before it.
    pub(super) fn encode(record: &Record) -> Bytes {
        let id = CommandId(String::new());
        let request = match record.clone() {
            Record::Updates(updates) => ToMaster::Update { id, updates },
            Record::Complete(error) => ToMaster::Complete { id, error },
        };
        let frame = Frame::Request { seq: 0, request }.encode();
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        [&length.to_le_bytes(), &*frame].concat().into()
    }

    /// Puts what [`Self::encode`] made at the end. A part that was written before an error is overwritten by the next.
    pub(super) fn put(&mut self, encoded: &[u8]) -> io::Result<()> {
        self.file.write_all_at(encoded, self.written_to)?;
        self.written_to += encoded.len() as u64;
        Ok(())
    }

    /// Takes the first record that was not taken yet.
    pub(super) fn take_first(&mut self) -> io::Result<Option<Record>> {
        if self.read_at == self.written_to {
            return Ok(None);
        }
        let mut length = [0; LENGTH_BYTES];
        self.file.read_exact_at(&mut length, self.read_at)?;
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        let start = self.read_at + LENGTH_BYTES as u64;
        self.file.read_exact_at(&mut frame, start)?;
        self.read_at = start + frame.len() as u64;
        let decoded = Frame::<ToMaster>::decode(&frame.into(), &self.limits);
        match decoded.map_err(io::Error::other)? {
            Frame::Request {
                request: ToMaster::Update { updates, .. },
                ..
            } => Ok(Some(Record::Updates(updates))),
            Frame::Request {
                request: ToMaster::Complete { error, .. },
                ..
            } => Ok(Some(Record::Complete(error))),
            _ => Err(io::Error::other("it is no record")),
        }
    }

    /// What it occupies.
    pub(super) fn bytes(&self) -> u64 {
        self.written_to
    }
}
