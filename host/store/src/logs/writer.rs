//! Writes one log.

use toolpost_core::model::LogType;
use toolpost_core::{LogId, Timestamp};

use super::LogStream;
use crate::{Result, Store};

/// Appends to one log. Storage that fails never fails the build: what cannot be kept is counted and said in the log.
#[derive(Debug)]
pub struct LogWriter {
    store: Store,
    log: LogId,
    log_type: LogType,
}

impl LogWriter {
    pub(super) fn new(store: Store, log: LogId, log_type: LogType) -> Self {
        Self {
            store,
            log,
            log_type,
        }
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.log
    }

    /// Lines so far, with those that are not written yet.
    #[must_use]
    pub fn lines(&self) -> i64 {
        todo!()
    }

    /// Lines that could not be kept.
    #[must_use]
    pub fn lines_lost(&self) -> i64 {
        todo!()
    }

    /// Appends bytes of one stream, cut anywhere. A line is kept when its newline arrives (each stream has its own
    /// unfinished line). Waits for the database when the buffer is full. The stream is ignored for logs that are not stdio.
    pub async fn append(&mut self, stream: LogStream, bytes: &[u8]) {
        todo!("{stream:?} {bytes:?} {:?} {:?}", self.store, self.log_type)
    }

    /// Writes all whole lines, so that everybody sees them. To be called on a timer.
    pub async fn flush(&mut self) {
        todo!()
    }

    /// Ends unfinished lines, writes everything and closes the log.
    ///
    /// # Errors
    /// When the log cannot be closed in the database.
    pub async fn finish(self, now: Timestamp) -> Result<()> {
        todo!("{now:?}")
    }
}
