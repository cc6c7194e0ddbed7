//! Writes logs of the step.

use crate::{Error, HostLog, LogStream};
use std::fmt;

/// Small writes are collected up to this size, because every call of the host has a price.
const BUFFER_BYTES: usize = 32 * 1024;

/// A log of this step. `write!` and `writeln!` write to it:
///
/// ```
/// # use toolpost_sdk::{Context, Error};
/// fn report(ctx: &Context) -> Result<(), Error> {
///     let mut log = ctx.text_log("failures")?;
///     writeln!(log, "{} of {} failed", 3, 415)?;
///     log.finish()
/// }
/// # let host = toolpost_sdk::mock::MockHost::new();
/// # report(&host.context()).unwrap();
/// # assert_eq!(host.log("failures"), "3 of 415 failed\n");
/// ```
///
/// Dropping it writes what was collected; the log is finished when the step ends.
pub struct StepLog {
    log: Box<dyn HostLog>,
    buffer: Vec<u8>,
    stream: LogStream,
}

impl StepLog {
    pub(crate) fn new(log: Box<dyn HostLog>) -> Self {
        Self {
            log,
            buffer: Vec::new(),
            stream: LogStream::Stdout,
        }
    }

    /// Appends bytes to a stream. Logs of text and HTML have [`LogStream::Stdout`] only.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when the log is full or finished.
    pub fn append(&mut self, stream: LogStream, bytes: &[u8]) -> Result<(), Error> {
        if stream != self.stream || self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        self.stream = stream;
        if bytes.len() > BUFFER_BYTES {
            return bytes
                .chunks(BUFFER_BYTES)
                .try_for_each(|bytes| self.log.append(stream, bytes));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// What `write!` and `writeln!` call.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when the log is full or finished.
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), Error> {
        match arguments.as_str() {
            Some(text) => self.append(LogStream::Stdout, text.as_bytes()),
            None => self.append(LogStream::Stdout, arguments.to_string().as_bytes()),
        }
    }

    /// Shows people what was written up to now.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when the log is full or finished.
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let appended = self.log.append(self.stream, &self.buffer);
        self.buffer.clear();
        appended
    }

    /// Says that nothing more comes, so that the log can be stored compactly before the step ends.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when the log is full or was finished before.
    pub fn finish(mut self) -> Result<(), Error> {
        self.flush()?;
        self.log.finish()
    }
}

impl Drop for StepLog {
    fn drop(&mut self) {
        // Who wants to know of a failure calls `flush` or `finish`.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::MockHost;

    #[test]
    fn all_that_is_written_arrives_in_order() {
        let host = MockHost::new();
        let mut log = host.context().stdio_log("stdio").expect("a log");
        let mut expected = String::new();
        for n in 0..5_000 {
            writeln!(log, "line {n}").expect("it is written");
            expected.push_str(&format!("line {n}\n"));
        }
        log.append(LogStream::Stderr, &[b'x'; 2 * BUFFER_BYTES])
            .expect("it is written");
        expected.push_str(&"x".repeat(2 * BUFFER_BYTES));
        drop(log);
        assert_eq!(host.log("stdio"), expected);
    }
}
