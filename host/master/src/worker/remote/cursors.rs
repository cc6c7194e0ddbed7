//! Reads of a file on a worker that are held for whoever reads on.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use toolpost_wire::{FileStat, Ticket};

use super::port::Outlet;

/// Reads of one worker that may be held.
const CURSORS_MAX: usize = 4;

/// Uploads that stand still until somebody reads on.
#[derive(Default)]
pub(super) struct Cursors(Mutex<VecDeque<Cursor>>);

pub(super) struct Cursor {
    pub(super) path: String,
    /// The file when it was opened.
    pub(super) of: FileStat,
    /// Where the next byte comes from.
    pub(super) at: u64,
    pub(super) outlet: Outlet,
    /// What was read and did not fit.
    pub(super) rest: Bytes,
    /// The piece that the worker waits to have answered.
    pub(super) ticket: Option<Ticket>,
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.outlet.refuse(self.ticket.take());
    }
}

impl Cursor {
    /// Moves what was read to where it is wanted, and forgets what is before that.
    pub(super) fn take(&mut self, offset: u64, length: usize, read: &mut BytesMut) {
        let before = offset.saturating_sub(self.at);
        let skipped = usize::try_from(before).unwrap_or(usize::MAX);
        let skipped = skipped.min(self.rest.len());
        let _ = self.rest.split_to(skipped);
        self.at += skipped as u64;
        let wanted = (length - read.len()).min(self.rest.len());
        if self.at >= offset {
            read.extend_from_slice(&self.rest.split_to(wanted));
            self.at += wanted as u64;
        }
    }
}

impl Cursors {
    pub(super) fn take(&self, path: &str, at: u64) -> Option<Cursor> {
        let mut cursors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = cursors
            .iter()
            .position(|cursor| cursor.path == path && cursor.at == at)?;
        cursors.remove(place)
    }

    /// Holds a read for whoever goes on with it. The oldest is given up for it.
    pub(super) fn hold(&self, cursor: Cursor) {
        let mut cursors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cursors.retain(|other| other.path != cursor.path);
        if cursors.len() == CURSORS_MAX {
            cursors.pop_front();
        }
        cursors.push_back(cursor);
    }

    /// Somebody changes files: nothing that was read before is to be gone on with.
    pub(super) fn forget(&self, path: &str) {
        let mut cursors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cursors.retain(|cursor| !cursor.path.starts_with(path));
    }
}
