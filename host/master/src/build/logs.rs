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
const ERROR_LOG: &str = "err";
/// The same where the step has a log of that name that takes nothing more.
const OTHER_ERROR_LOG: &str = "err of the master";

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
    encoding: &'static Encoding,
    secrets: Arc<Capabilities>,
    /// `None` once it is finished.
    writer: Arc<Mutex<Option<Writer>>>,
}

struct Writer {
    lines: LogWriter,
    bytes_max: u64,
    bytes: u64,
    /// Hide secrets in what is not output of a command: standard output, standard error, what the farm says.
    masks: [MaskStream; 3],
}

impl StepLog {
    /// Appends bytes, cut anywhere. Waits while the store is slower than the source.
    pub(crate) async fn append(&self, stream: LogStream, bytes: &[u8]) -> Result<(), LogError> {
        let mut writer = self.writer.lock().await;
        let writer = writer.as_mut().ok_or_else(|| self.finished())?;
        let mask = &mut writer.masks[stream_index(stream)];
        mask.set_masker(&self.secrets.secrets.masker());
        match mask.push(bytes) {
            Cow::Borrowed(bytes) => writer.write(stream, bytes).await,
            Cow::Owned(bytes) => writer.write(stream, &bytes).await,
        }
        Ok(())
    }

    /// Appends a line that the master says about a command.
    pub(crate) async fn header(&self, line: &str) {
        let line = format!("{line}\n");
        if let Err(error) = self.append(LogStream::Header, line.as_bytes()).await {
            warn!(log.name = %self.name, "a header line was lost: {error}");
        }
    }

    /// Where one command writes to this log, in the encoding of the step.
    pub(crate) fn output(self) -> CommandOutput {
        let decoders = (self.encoding != UTF_8).then(|| {
            let decoder = || self.encoding.new_decoder_without_bom_handling();
            [decoder(), decoder()]
        });
        CommandOutput {
            log: self,
            masks: Default::default(),
            decoders,
        }
    }

    /// Says that nothing more comes. Doing so again changes nothing.
    pub(crate) async fn finish(&self, now: Timestamp) -> Result<(), LogError> {
        match self.writer.lock().await.take() {
            Some(mut writer) => {
                for stream in [LogStream::Output, LogStream::Error, LogStream::Header] {
                    let rest = writer.masks[stream_index(stream)].finish();
                    writer.write(stream, &rest).await;
                }
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

    fn finished(&self) -> LogError {
        LogError::Finished(self.name.clone())
    }
}

/// What one command writes to a log. Characters and secrets that come in pieces are put together here, apart from what other
/// commands write to the same log meanwhile.
pub(crate) struct CommandOutput {
    log: StepLog,
    /// For standard output and standard error.
    masks: [MaskStream; 2],
    /// Unless commands write UTF-8 anyway.
    decoders: Option<[Decoder; 2]>,
}

impl CommandOutput {
    /// Appends bytes, cut anywhere. Waits while the store is slower than the command.
    pub(crate) async fn append(&mut self, stream: LogStream, bytes: &[u8]) -> Result<(), LogError> {
        let index = stream_index(stream);
        match &mut self.decoders {
            Some(decoders) => {
                let text = decode(&mut decoders[index], bytes, false);
                self.mask(stream, text.as_bytes()).await
            }
            None => self.mask(stream, bytes).await,
        }
    }

    /// Appends a line that the master says about the command.
    pub(crate) async fn header(&self, line: &str) {
        self.log.header(line).await;
    }

    /// Writes what was held back because a character or a secret could begin there: the command has ended.
    pub(crate) async fn flush(&mut self) {
        for stream in [LogStream::Output, LogStream::Error] {
            let index = stream_index(stream);
            if let Some(decoders) = &mut self.decoders {
                let text = decode(&mut decoders[index], &[], true);
                // A log that is finished takes no more; the step goes on.
                let _ = self.mask(stream, text.as_bytes()).await;
            }
            let rest = self.masks[index].finish();
            let _ = self.write(stream, &rest).await;
        }
    }

    /// The same, with a last line that says how the command ended. The log may be finished by now.
    pub(crate) async fn end(mut self, line: &str) {
        self.flush().await;
        let line = format!("{line}\n");
        let _ = self.log.append(LogStream::Header, line.as_bytes()).await;
    }

    async fn mask(&mut self, stream: LogStream, bytes: &[u8]) -> Result<(), LogError> {
        let mask = &mut self.masks[stream_index(stream)];
        mask.set_masker(&self.log.secrets.secrets.masker());
        let bytes = mask.push(bytes);
        write(&self.log, stream, &bytes).await
    }

    async fn write(&self, stream: LogStream, bytes: &[u8]) -> Result<(), LogError> {
        write(&self.log, stream, bytes).await
    }
}

async fn write(log: &StepLog, stream: LogStream, masked: &[u8]) -> Result<(), LogError> {
    let mut writer = log.writer.lock().await;
    let writer = writer.as_mut().ok_or_else(|| log.finished())?;
    writer.write(stream, masked).await;
    Ok(())
}

fn decode(decoder: &mut Decoder, mut bytes: &[u8], is_last: bool) -> String {
    let room = decoder.max_utf8_buffer_length(bytes.len());
    let mut text = String::with_capacity(room.unwrap_or(bytes.len() * 3));
    loop {
        let (result, read, _) = decoder.decode_to_string(bytes, &mut text, is_last);
        bytes = &bytes[read..];
        match result {
            CoderResult::InputEmpty => return text,
            CoderResult::OutputFull => text.reserve(bytes.len() * 3 + 16),
        }
    }
}

impl Writer {
    /// Writes what has no secrets in it.
    async fn write(&mut self, stream: LogStream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let room = self.bytes_max.saturating_sub(self.bytes);
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
            let max = self.bytes_max;
            let text =
                format!("\nthe log ends here, at its limit of {max} bytes (`log_size_max`)\n");
            self.lines.append(LogStream::Header, text.as_bytes()).await;
        }
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
    logs: Mutex<Opened>,
}

struct Opened {
    /// From 1. Logs of later ones have names of their own.
    attempt: u32,
    by_name: BTreeMap<String, StepLog>,
    /// Says why the step, or an attempt, did not work.
    reasons: Option<StepLog>,
}

impl Opened {
    fn all(&self) -> Vec<StepLog> {
        let logs = self.by_name.values().chain(&self.reasons);
        logs.cloned().collect()
    }
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
            logs: Mutex::new(Opened {
                attempt: 1,
                by_name: BTreeMap::new(),
                reasons: None,
            }),
        }
    }

    /// The log of this name; opened if it is not there yet.
    pub(crate) async fn open(&self, name: &str, kind: LogType) -> Result<StepLog, LogError> {
        self.open_in(&mut *self.logs.lock().await, name, kind).await
    }

    async fn open_in(
        &self,
        logs: &mut Opened,
        name: &str,
        kind: LogType,
    ) -> Result<StepLog, LogError> {
        let name = &*self.secrets.mask(name);
        if let Some(log) = logs.by_name.get(name) {
            return if log.kind == kind {
                Ok(log.clone())
            } else {
                Err(LogError::OtherKind(name.into()))
            };
        }
        // The log that says what went wrong always has room.
        if logs.by_name.len() >= LOGS_PER_STEP_MAX && name != ERROR_LOG {
            return Err(LogError::TooMany);
        }
        let shown = match logs.attempt {
            1 => name.to_owned(),
            attempt => format!("{name} (attempt {attempt})"),
        };
        let id = self.store.add_log(self.step, &shown, kind).await?;
        let writer = Writer {
            lines: self.store.log_writer(id, kind),
            bytes_max: self.rules.bytes_max,
            bytes: 0,
            masks: Default::default(),
        };
        let log = StepLog {
            name: shown,
            kind,
            encoding: self.rules.encoding,
            secrets: Arc::clone(&self.secrets),
            writer: Arc::new(Mutex::new(Some(writer))),
        };
        logs.by_name.insert(name.into(), log.clone());
        Ok(log)
    }

    /// Says why the step, or an attempt, did not work, in a log of its own.
    pub(crate) async fn explain(&self, text: &str) -> Result<(), LogError> {
        let mut logs = self.logs.lock().await;
        if let Some(log) = &logs.reasons {
            return log.append(LogStream::Output, text.as_bytes()).await;
        }
        // The step may have a log of that name already.
        for name in [ERROR_LOG, OTHER_ERROR_LOG] {
            let written = match self.open_in(&mut logs, name, LogType::Text).await {
                Ok(log) => {
                    let appended = log.append(LogStream::Output, text.as_bytes()).await;
                    appended.map(|()| logs.reasons = Some(log))
                }
                Err(error) => Err(error),
            };
            match written {
                Err(LogError::Finished(_) | LogError::OtherKind(_)) => {}
                written => return written,
            }
        }
        Err(LogError::Finished(OTHER_ERROR_LOG.into()))
    }

    /// Logs that are opened from now on are those of another attempt; those until now are finished.
    pub(crate) async fn begin_attempt(&self, attempt: u32, now: Timestamp) {
        let mut logs = self.logs.lock().await;
        logs.attempt = attempt;
        let reasons = logs.reasons.clone();
        let is_kept = |log: &StepLog| {
            let kept = reasons.as_ref();
            kept.is_some_and(|kept| Arc::ptr_eq(&kept.writer, &log.writer))
        };
        for log in std::mem::take(&mut logs.by_name).into_values() {
            if !is_kept(&log) {
                self.finish(&log, now).await;
            }
        }
    }

    /// Makes what was written visible.
    pub(crate) async fn flush(&self) {
        let logs = self.logs.lock().await.all();
        for log in logs {
            log.flush().await;
        }
    }

    /// Finishes every log.
    pub(crate) async fn finish_all(&self, now: Timestamp) {
        let logs = self.logs.lock().await.all();
        for log in logs {
            self.finish(&log, now).await;
        }
    }

    /// What cannot be closed is told to the operator: the step goes on.
    async fn finish(&self, log: &StepLog, now: Timestamp) {
        if let Err(error) = log.finish(now).await {
            warn!(
                step.id = %self.step,
                log.name = %log.name,
                "log `{}` of step {} cannot be closed: {error}", log.name, self.step
            );
        }
    }
}
