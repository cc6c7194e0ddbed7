//! Logs: lines go in as bytes in any cut and come out by number or as a stream.

mod reader;
mod writer;

use bytes::Bytes;
use toolpost_core::model::LogType;
use toolpost_core::{LogId, StepId};

use crate::{Result, Store};

pub use writer::LogWriter;

/// Where a line of a stdio log comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output, `o`.
    Output,
    /// Standard error, `e`.
    Error,
    /// What the master says about the command, `h`.
    Header,
}

impl LogStream {
    /// The letter in front of its lines.
    #[must_use]
    pub fn letter(self) -> u8 {
        match self {
            Self::Output => b'o',
            Self::Error => b'e',
            Self::Header => b'h',
        }
    }
}

/// Some lines of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLines {
    /// Number of the first line.
    pub first: i64,
    /// How many lines.
    pub count: i64,
    /// The lines, each ended by a newline; those of a stdio log begin with their stream letter.
    pub content: Bytes,
}

impl LogLines {
    /// The lines without their newlines.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.content
            .strip_suffix(b"\n")
            .map(|content| content.split(|byte| *byte == b'\n'))
            .into_iter()
            .flatten()
    }
}

impl Store {
    /// Opens a log of a step. Its slug is made from the name and is unique in the step.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn add_log(&self, step: StepId, name: &str, log_type: LogType) -> Result<LogId> {
        todo!("{step} {name} {log_type:?}")
    }

    /// The writer of a log that was just opened. One writer per log.
    #[must_use]
    pub fn log_writer(&self, log: LogId, log_type: LogType) -> LogWriter {
        LogWriter::new(self.clone(), log, log_type)
    }
}
