//! Reads logs.

use bytes::Bytes;
use futures::stream::BoxStream;
use toolpost_core::LogId;

use super::LogLines;
use crate::{Result, Store};

impl Store {
    /// Lines of a log from number `first` (from 0) on. Fewer than `limit` at the end, and where one answer would be
    /// too large: go on from `first + count`.
    ///
    /// # Errors
    /// When the log is unknown or storage fails.
    pub async fn log_lines(&self, log: LogId, first: i64, limit: u32) -> Result<LogLines> {
        todo!("{log} {first} {limit}")
    }

    /// The whole log as it is now, without stream letters, in pieces of bounded size.
    ///
    /// # Errors
    /// When the log is unknown or storage fails, at once or in the stream.
    pub async fn raw_stream(&self, log: LogId) -> Result<BoxStream<'static, Result<Bytes>>> {
        todo!("{log}")
    }
}
