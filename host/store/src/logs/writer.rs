//! Writes one log.
//!
//! Bytes become lines, lines become frames; frames are compressed off the runtime and appended to the database,
//! from where readers see them at once. What was appended is also kept here until there is a segment's worth of
//! it, so that sealing reads nothing back; it runs beside the writing. What the database refuses is kept for
//! another try within a limit; beyond it, lines are lost, and the log says how many and where.

use std::sync::Arc;

use tokio::task::JoinHandle;
use toolpost_core::model::{Log, LogType};
use toolpost_core::{LogId, Timestamp};

use super::LogStream;
use super::chunk::{self, Append, Run};
use super::frame::{Frame, compress};
use super::lines::{LineSplitter, RawFrame};
use super::seal;
use crate::{Result, Store, StoreError};

/// Inline chunks of one log after which they are joined, however small they are.
const INLINE_CHUNKS_MAX: u64 = 128;

/// Bytes that are split into lines between two looks at the buffer.
const APPEND_PIECE_BYTES: usize = 64 * 1024;

/// Lines of this size are compressed on the spot; handing them to another thread would take longer.
const COMPRESS_HERE_BYTES: usize = 8 * 1024;

/// Lines whose way into the database is not certain yet.
#[derive(Debug, Clone)]
struct Pending {
    append: Append,
    /// Lost lines that its first line is about; zero when that is a line like any other.
    notice_of: i64,
}

/// Appends to one log. Storage that fails never fails the build: what cannot be kept is counted and said in the
/// log.
#[derive(Debug)]
pub struct LogWriter {
    store: Store,
    log: LogId,
    log_type: LogType,
    splitter: LineSplitter,
    /// Lines in the database.
    written: i64,
    /// Was handed to the database, which failed: it may be there or not, so it is tried again as it is before
    /// anything else.
    pending: Option<Pending>,
    /// Compressed, to be written after that.
    unwritten: Vec<Frame>,
    /// The last error of the database, until it works again.
    trouble: Option<String>,
    lost: i64,
    /// Lines lost since the log last said so, and why.
    lost_unsaid: i64,
    lost_reason: String,
    /// In the database and not sealed.
    inline: Run,
    sealing: Option<JoinHandle<Result<Option<Run>>>>,
    /// Whether some chunks stay inline because sealing failed.
    left_inline: bool,
}

impl LogWriter {
    pub(super) fn new(store: Store, log: LogId, log_type: LogType) -> Self {
        let line_bytes_max = store.options().log_line_bytes_max;
        Self {
            store,
            log,
            log_type,
            splitter: LineSplitter::new(log_type, line_bytes_max),
            written: 0,
            pending: None,
            unwritten: Vec::new(),
            trouble: None,
            lost: 0,
            lost_unsaid: 0,
            lost_reason: String::new(),
            inline: Run::default(),
            sealing: None,
            left_inline: false,
        }
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.log
    }

    /// Whole lines so far, with those that are not written yet.
    #[must_use]
    pub fn lines(&self) -> i64 {
        let pending = self
            .pending
            .as_ref()
            .map_or(0, |pending| pending.append.lines());
        self.written + pending + lines_of(&self.unwritten) + self.splitter.lines()
    }

    /// Lines that could not be kept.
    #[must_use]
    pub fn lines_lost(&self) -> i64 {
        self.lost
    }

    /// Appends bytes of one stream, cut anywhere. A line is kept when its newline arrives (each stream has its
    /// own unfinished line). Waits for the database when the buffer is full. The stream is ignored for logs
    /// that are not stdio.
    pub async fn append(&mut self, stream: LogStream, bytes: &[u8]) {
        for piece in bytes.chunks(APPEND_PIECE_BYTES) {
            self.splitter.push(stream, piece);
            if self.splitter.bytes() >= self.store.options().log_buffer_bytes {
                self.write_or_keep().await;
            }
        }
    }

    /// Writes all whole lines, so that everybody sees them. To be called on a timer.
    pub async fn flush(&mut self) {
        self.write_or_keep().await;
    }

    /// Ends unfinished lines, writes everything and closes the log.
    ///
    /// # Errors
    /// When the log cannot be closed in the database; it stays open until its master is recovered.
    pub async fn finish(mut self, now: Timestamp) -> Result<()> {
        self.splitter.end();
        match self.write(Some(now)).await {
            Ok(()) => {}
            // Certainly nothing was written. Perhaps there is room for the fact that lines are missing.
            Err(error @ StoreError::DiskFull { .. }) => {
                self.lose_pending();
                self.lose_unwritten(&error.to_string());
                self.write(Some(now)).await?;
            }
            Err(error) => return Err(error),
        }
        self.await_sealing().await;
        if self.left_inline {
            self.store.tidy_closed_log(self.log).await;
        } else if seal::worth_sealing(&self.store, &self.inline) {
            let run = std::mem::take(&mut self.inline);
            if let Err(error) = seal::seal(&self.store, self.log, run).await {
                self.stays_inline(&error);
            }
        }
        Ok(())
    }

    /// Appends what waits to the database; what it refuses waits for the next time, within the limit.
    async fn write_or_keep(&mut self) {
        let Err(error) = self.write(None).await else {
            return;
        };
        if self.trouble.is_none() {
            tracing::warn!(log.id = %self.log, "log {} cannot be written: {error}", self.log);
        }
        let reason = error.to_string();
        self.trouble = Some(reason.clone());
        let waiting: usize = self
            .unwritten
            .iter()
            .map(|frame| frame.entry.raw_bytes as usize)
            .sum();
        if waiting > self.store.options().log_unwritten_bytes_max {
            self.lose_unwritten(&reason);
        }
    }

    async fn write(&mut self, closed_at: Option<Timestamp>) -> Result<()> {
        self.compress_waiting().await;
        self.write_pending().await?;
        let mut frames = std::mem::take(&mut self.unwritten);
        let notice_of = std::mem::take(&mut self.lost_unsaid);
        if notice_of > 0 {
            frames.splice(0..0, compress(&[self.notice(notice_of)])?);
        }
        if frames.is_empty() && closed_at.is_none() {
            return Ok(());
        }
        self.pending = Some(Pending {
            append: Append {
                log: self.log,
                first: self.written,
                frames: frames.into(),
                lines_lost: self.lost,
                closed_at,
            },
            notice_of,
        });
        self.write_pending().await?;
        if closed_at.is_none() {
            self.seal_when_due().await;
        }
        Ok(())
    }

    async fn write_pending(&mut self) -> Result<()> {
        let Some(Pending { append, .. }) = self.pending.clone() else {
            return Ok(());
        };
        let lines = append.lines();
        self.append_chunk(&append).await?;
        self.pending = None;
        if self.trouble.take().is_some() {
            tracing::info!(log.id = %self.log, "log {} can be written again", self.log);
        }
        self.written += lines;
        if lines > 0 {
            self.inline.extend(Run {
                first: append.first,
                lines,
                frames: append.frames.to_vec(),
                chunks: 1,
            });
        }
        Ok(())
    }

    async fn compress_waiting(&mut self) {
        let raw = self.splitter.take();
        if raw.is_empty() {
            return;
        }
        let lines: i64 = raw.iter().map(|raw| i64::from(raw.lines)).sum();
        let bytes: usize = raw.iter().map(|raw| raw.content.len()).sum();
        let compressed = if bytes <= COMPRESS_HERE_BYTES {
            compress(&raw)
        } else {
            tokio::task::spawn_blocking(move || compress(&raw))
                .await
                .unwrap_or(Err(StoreError::Panicked {
                    operation: "compress_log",
                }))
        };
        match compressed {
            Ok(frames) => self.unwritten.extend(frames),
            Err(error) => {
                tracing::error!(log.id = %self.log, "{lines} lines are lost: {error}");
                self.lose(lines, &error.to_string());
            }
        }
    }

    async fn append_chunk(&self, append: &Append) -> Result<()> {
        let shared = Arc::new(append.clone());
        let outcome = self
            .store
            .write("append_log", move |tx| {
                let append = shared.clone();
                Box::pin(async move { chunk::append(tx, &append).await })
            })
            .await;
        match outcome {
            Err(StoreError::Conflict { .. }) if self.is_there(append).await? => Ok(()),
            outcome => outcome,
        }
    }

    /// Whether an earlier try was committed after all, though its answer was lost with the connection.
    async fn is_there(&self, append: &Append) -> Result<bool> {
        let log: Log = self.store.get(self.log).await?;
        Ok(log.num_lines == append.first + append.lines()
            && log.complete == append.closed_at.is_some())
    }

    /// Gives up lines that are certainly not in the database.
    fn lose_pending(&mut self) {
        let Some(Pending { append, notice_of }) = self.pending.take() else {
            return;
        };
        let notice = usize::from(notice_of > 0);
        let frames = append.frames.iter().skip(notice).cloned();
        self.unwritten.splice(0..0, frames);
        self.lost_unsaid += notice_of;
    }

    fn lose_unwritten(&mut self, reason: &str) {
        let lines = lines_of(&self.unwritten);
        self.unwritten.clear();
        self.lose(lines, reason);
    }

    fn lose(&mut self, lines: i64, reason: &str) {
        self.lost += lines;
        self.lost_unsaid += lines;
        reason.clone_into(&mut self.lost_reason);
    }

    /// What the log says in the place of lost lines.
    fn notice(&self, lines: i64) -> RawFrame {
        let letter = match self.log_type {
            LogType::Stdio => "h",
            LogType::Text | LogType::Html => "",
        };
        let reason = self.lost_reason.replace('\n', " ");
        let text = format!(
            "{letter}toolpost: {lines} lines are missing here, they could not be stored: {reason}\n"
        );
        RawFrame {
            content: text.into_bytes(),
            lines: 1,
        }
    }

    async fn seal_when_due(&mut self) {
        let due = self.inline.chunks >= INLINE_CHUNKS_MAX
            || self.inline.raw_bytes() >= self.store.options().log_segment_bytes;
        if !due {
            return;
        }
        self.await_sealing().await;
        let (store, log) = (self.store.clone(), self.log);
        let run = std::mem::replace(
            &mut self.inline,
            Run {
                first: self.written,
                ..Run::default()
            },
        );
        self.sealing = Some(tokio::spawn(
            async move { seal::seal(&store, log, run).await },
        ));
    }

    pub(crate) async fn await_sealing(&mut self) {
        let Some(sealing) = self.sealing.take() else {
            return;
        };
        let sealed = sealing.await.unwrap_or(Err(StoreError::Panicked {
            operation: "seal_log",
        }));
        match sealed {
            Ok(None) => {}
            // It was small and stays inline, to be joined with what came after it.
            Ok(Some(mut run)) => {
                run.extend(std::mem::take(&mut self.inline));
                self.inline = run;
            }
            Err(error) => self.stays_inline(&error),
        }
    }

    fn stays_inline(&mut self, error: &StoreError) {
        let log = self.log;
        tracing::warn!(log.id = %log, "some lines of log {log} stay in the database: {error}");
        self.left_inline = true;
    }
}

fn lines_of(frames: &[Frame]) -> i64 {
    frames
        .iter()
        .map(|frame| i64::from(frame.entry.lines))
        .sum()
}
