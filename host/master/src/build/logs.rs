//! The logs of one running step. Output goes in as it comes; a timer elsewhere makes it visible.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};
use tokio::sync::Mutex;
use toolpost_core::model::LogType;
use toolpost_core::secret::MaskStream;
use toolpost_core::{StepId, Timestamp};
use toolpost_store::{LogStream, LogWriter, Store, StoreError};
use tracing::warn;

use crate::services::Capabilities;

/// Logs that one step may open.
pub(crate) const LOGS_PER_STEP_MAX: usize = 64;

/// Name of the log that says why a step is an exception.
pub(crate) const ERROR_LOG: &str = "err";

/// Why a log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("log `{0}` is finished")]
    Finished(String),
    #[error("log `{0}` was opened with another kind")]
    OtherKind(String),
    #[error("a step has at most {LOGS_PER_STEP_MAX} logs")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How output of commands becomes lines of a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogRules {
    /// A log ends here and says so.
    pub(crate) bytes_max: u64,
    /// What commands write; logs are UTF-8.
    pub(crate) encoding: &'static Encoding,
}

/// One open log. Cheap to clone; all clones write the same log.
#[derive(Clone)]
pub(crate) struct StepLog {
    name: String,
    kind: LogType,
    /// `None` once it is finished.
    writer: Arc<Mutex<Option<Writer>>>,
}

struct Writer {
    lines: LogWriter,
    rules: LogRules,
    bytes: u64,
    /// Hide secrets: in standard output, in standard error, in what the farm says.
    masks: [MaskStream; 3],
    secrets: Arc<Capabilities>,
    /// For standard output and standard error, unless commands write UTF-8 anyway.
    decoders: Option<[Decoder; 2]>,
}

impl StepLog {
    /// Appends bytes, cut anywhere. Waits while the store is slower than the source.
    pub(crate) async fn append(&self, stream: LogStream, bytes: &[u8]) -> Result<(), LogError> {
        match self.writer.lock().await.as_mut() {
            Some(writer) => {
                writer.append(stream, bytes).await;
                Ok(())
            }
            None => Err(LogError::Finished(self.name.clone())),
        }
    }

    /// Appends what a command wrote, in the encoding of the step.
    pub(crate) async fn append_output(
        &self,
        stream: LogStream,
        bytes: &[u8],
    ) -> Result<(), LogError> {
        match self.writer.lock().await.as_mut() {
            Some(writer) => {
                writer.append_output(stream, bytes).await;
                Ok(())
            }
            None => Err(LogError::Finished(self.name.clone())),
        }
    }

    /// Appends a line that the master says about a command.
    pub(crate) async fn header(&self, line: &str) {
        let line = format!("{line}\n");
        if let Err(error) = self.append(LogStream::Header, line.as_bytes()).await {
            warn!(log.name = %self.name, "a header line was lost: {error}");
        }
    }

    /// Writes what was held back because a secret could begin there: the only command that writes to this log has ended.
    pub(crate) async fn output_ended(&self) {
        if let Some(writer) = self.writer.lock().await.as_mut() {
            writer.let_go().await;
        }
    }

    /// Says that nothing more comes. Doing so again changes nothing.
    pub(crate) async fn finish(&self, now: Timestamp) -> Result<(), LogError> {
        match self.writer.lock().await.take() {
            Some(mut writer) => {
                writer.let_go().await;
                Ok(writer.lines.finish(now).await?)
            }
            None => Ok(()),
        }
    }

    async fn flush(&self) {
        if let Some(writer) = self.writer.lock().await.as_mut() {
            writer.lines.flush().await;
        }
    }
}

impl Writer {
    fn new(lines: LogWriter, rules: LogRules, secrets: Arc<Capabilities>) -> Self {
        let decoders = (rules.encoding != UTF_8).then(|| {
            let decoder = || rules.encoding.new_decoder_without_bom_handling();
            [decoder(), decoder()]
        });
        Self {
            lines,
            rules,
            bytes: 0,
            masks: Default::default(),
            secrets,
            decoders,
        }
    }

    async fn append(&mut self, stream: LogStream, bytes: &[u8]) {
        let mask = &mut self.masks[stream_index(stream)];
        mask.set_masker(&self.secrets.secrets.masker());
        match mask.push(bytes) {
            Cow::Borrowed(bytes) => self.write(stream, bytes).await,
            Cow::Owned(bytes) => self.write(stream, &bytes).await,
        }
    }

    /// Writes what was held back because a secret could begin there.
    async fn let_go(&mut self) {
        for stream in [LogStream::Output, LogStream::Error, LogStream::Header] {
            let rest = self.masks[stream_index(stream)].finish();
            if !rest.is_empty() {
                self.write(stream, &rest).await;
            }
        }
    }

    async fn write(&mut self, stream: LogStream, bytes: &[u8]) {
        let room = self.rules.bytes_max.saturating_sub(self.bytes);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let was_open = room > 0;
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        // What the master says about a command is short and is what a reader looks for at the end.
        if bytes.len() <= room || stream == LogStream::Header {
            self.lines.append(stream, bytes).await;
            return;
        }
        self.lines.append(stream, &bytes[..room]).await;
        if was_open {
            let max = self.rules.bytes_max;
            let text =
                format!("\nthe log ends here, at its limit of {max} bytes (`log_size_max`)\n");
            self.lines.append(LogStream::Header, text.as_bytes()).await;
        }
    }

    async fn append_output(&mut self, stream: LogStream, mut bytes: &[u8]) {
        let Some([output, error]) = &mut self.decoders else {
            return self.append(stream, bytes).await;
        };
        let decoder = if stream == LogStream::Error {
            error
        } else {
            output
        };
        let room = decoder.max_utf8_buffer_length(bytes.len());
        let mut text = String::with_capacity(room.unwrap_or(bytes.len() * 3));
        loop {
            let (result, read, _) = decoder.decode_to_string(bytes, &mut text, false);
            bytes = &bytes[read..];
            match result {
                CoderResult::InputEmpty => break,
                CoderResult::OutputFull => text.reserve(bytes.len() * 3 + 16),
            }
        }
        self.append(stream, text.as_bytes()).await;
    }
}

fn stream_index(stream: LogStream) -> usize {
    match stream {
        LogStream::Output => 0,
        LogStream::Error => 1,
        LogStream::Header => 2,
    }
}

/// All logs of one step. Secrets in them are hidden.
pub(crate) struct StepLogs {
    store: Store,
    secrets: Arc<Capabilities>,
    step: StepId,
    rules: LogRules,
    logs: Mutex<BTreeMap<String, StepLog>>,
}

impl StepLogs {
    pub(crate) fn new(
        store: Store,
        secrets: Arc<Capabilities>,
        step: StepId,
        rules: LogRules,
    ) -> Self {
        Self {
            store,
            secrets,
            step,
            rules,
            logs: Mutex::default(),
        }
    }

    /// The log of this name; opened if it is not there yet.
    pub(crate) async fn open(&self, name: &str, kind: LogType) -> Result<StepLog, LogError> {
        let name = &*self.secrets.mask(name);
        let mut logs = self.logs.lock().await;
        if let Some(log) = logs.get(name) {
            return if log.kind == kind {
                Ok(log.clone())
            } else {
                Err(LogError::OtherKind(name.into()))
            };
        }
        // The log that says what went wrong always has room.
        if logs.len() >= LOGS_PER_STEP_MAX && name != ERROR_LOG {
            return Err(LogError::TooMany);
        }
        let id = self.store.add_log(self.step, name, kind).await?;
        let writer = Writer::new(
            self.store.log_writer(id, kind),
            self.rules,
            Arc::clone(&self.secrets),
        );
        let log = StepLog {
            name: name.into(),
            kind,
            writer: Arc::new(Mutex::new(Some(writer))),
        };
        logs.insert(name.into(), log.clone());
        Ok(log)
    }

    /// Makes what was written visible.
    pub(crate) async fn flush(&self) {
        let logs: Vec<StepLog> = self.logs.lock().await.values().cloned().collect();
        for log in logs {
            log.flush().await;
        }
    }

    /// Finishes every log. What cannot be closed is told to the operator: the step goes on.
    pub(crate) async fn finish_all(&self, now: Timestamp) {
        let logs: Vec<StepLog> = self.logs.lock().await.values().cloned().collect();
        for log in logs {
            if let Err(error) = log.finish(now).await {
                warn!(
                    step.id = %self.step,
                    log.name = %log.name,
                    "log `{}` of step {} cannot be closed: {error}", log.name, self.step
                );
            }
        }
    }
}
