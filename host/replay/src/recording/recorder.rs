//! A host between a step and its real host that notes what passes.

use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toolpost_core::model::LogType;
use toolpost_core::{Properties, Property};
use toolpost_sandbox::host::{
    BuildInfo, CommandSpec, FileError, FileStat, HostError, LogLevel, LogStream, OutputChunk,
    PluginServices, StartedCommand, StepFarm, WriteMode,
};
use toolpost_sandbox::{CallLimits, SandboxError, StepHost, StepLog, StepOutcome, StepType};

use super::calls;
use super::farm::RecordedFarm;
use super::services::RecordedServices;
use super::tape::{CurrentMasker, RecordingLimits, RecordingRoom, Slot, Tape};
use super::{End, LimitFacts, PluginFacts, RECORDING_VERSION, Recording};
use crate::facts;

/// Notes what a step asks of its host. Costs little memory, and gives up recording, not the step, when there is too much.
pub struct Recorder {
    inner: Arc<dyn StepHost>,
    tape: Arc<Tape>,
}

impl Recorder {
    /// Between a step and this host. What passes is masked before it is noted, and again at the end: a secret may have got another value meanwhile.
    #[must_use]
    pub fn new(
        inner: Arc<dyn StepHost>,
        limits: RecordingLimits,
        room: Arc<RecordingRoom>,
        masker: CurrentMasker,
    ) -> Arc<Self> {
        let tape = Arc::new(Tape::new(limits, room, masker));
        Arc::new(Self { inner, tape })
    }

    /// Runs a step and notes when it is cancelled.
    ///
    /// # Errors
    /// As [`StepType::run`].
    pub async fn run(
        self: &Arc<Self>,
        step_type: &StepType,
        parameters: &Value,
        limits: CallLimits,
        cancel: CancellationToken,
    ) -> Result<StepOutcome, SandboxError> {
        let host = Arc::clone(self) as Arc<dyn StepHost>;
        let cancelled = cancel.clone();
        let mut running = std::pin::pin!(step_type.run(parameters, host, limits, cancel));
        tokio::select! {
            biased;
            ended = &mut running => return ended,
            () = cancelled.cancelled() => self.tape.cancelled(),
        }
        running.await
    }

    /// What was noted of a run that ended like this.
    pub async fn finish(
        &self,
        step_type: &StepType,
        parameters: &Value,
        limits: &CallLimits,
        ended: &Result<StepOutcome, SandboxError>,
    ) -> Recording {
        let plugin = step_type.plugin();
        // A host that is in trouble has no properties; the recording is of use without.
        let properties = self.inner.properties().await.unwrap_or_default();
        let (calls, cut, cancelled_after) = self.tape.take_all();
        let mut build = super::BuildFacts::from(self.inner.build_info());
        build.reason = self.tape.mask_text(&build.reason);
        Recording {
            version: RECORDING_VERSION,
            plugin: PluginFacts {
                name: plugin.name().to_owned(),
                version: plugin.version().to_owned(),
                digest: plugin.digest().to_owned(),
                step_type: step_type.info().name().to_owned(),
            },
            parameters: self.tape.mask(parameters.clone()),
            limits: LimitFacts::from(limits),
            build,
            properties: self.tape.mask(facts::properties(&properties)),
            calls,
            cancelled_after,
            cut,
            end: self.end(ended),
        }
    }

    fn end(&self, ended: &Result<StepOutcome, SandboxError>) -> End {
        match End::from(ended) {
            End::Outcome { results, summary } => End::Outcome {
                results,
                summary: self.tape.mask_text(&summary),
            },
            End::Error { word, text, stack } => End::Error {
                word,
                text: self.tape.mask_text(&text),
                stack,
            },
        }
    }
}

impl From<&CallLimits> for LimitFacts {
    fn from(limits: &CallLimits) -> Self {
        Self {
            cpu_ms: facts::millis(limits.cpu),
            wall_ms: facts::millis(limits.wall),
            memory_bytes: limits.memory_bytes_max as u64,
            step_log_bytes: limits.step_log_bytes_max,
        }
    }
}

impl From<&Result<StepOutcome, SandboxError>> for End {
    fn from(ended: &Result<StepOutcome, SandboxError>) -> Self {
        match ended {
            Ok(outcome) => Self::Outcome {
                results: outcome.results.name().to_owned(),
                summary: outcome.summary.clone(),
            },
            Err(error) => Self::Error {
                word: error.word().to_owned(),
                text: error.to_string(),
                stack: error.stack().0.clone(),
            },
        }
    }
}

fn nothing((): &()) -> Value {
    Value::Null
}

#[async_trait]
impl StepHost for Recorder {
    fn build_info(&self) -> BuildInfo {
        self.inner.build_info()
    }

    fn log(&self, level: LogLevel, message: &dyn Display) {
        if self.tape.has_room() {
            let message = message.to_string();
            let about = json!({ "level": facts::level_name(level), "message": message });
            self.tape.tell(calls::LOG, about);
        }
        self.inner.log(level, message);
    }

    async fn property(&self, name: &str) -> Result<Option<Property>, HostError> {
        let question = self.inner.property(name);
        let keep = |found: &Option<Property>| found.as_ref().map_or(Value::Null, facts::property);
        let about = json!({ "name": name });
        self.tape.ask(calls::PROPERTY, about, question, keep).await
    }

    async fn set_property(&self, name: &str, value: Value) -> Result<(), HostError> {
        let about = json!({ "name": name, "value": value });
        let question = self.inner.set_property(name, value);
        self.tape.done(calls::SET_PROPERTY, about, question).await
    }

    async fn properties(&self) -> Result<Properties, HostError> {
        let question = self.inner.properties();
        self.tape
            .ask(calls::PROPERTIES, json!({}), question, facts::properties)
            .await
    }

    async fn open_log(&self, name: &str, log_type: LogType) -> Result<Arc<dyn StepLog>, HostError> {
        let about = json!({ "name": name, "kind": facts::log_type_name(log_type) });
        let question = self.inner.open_log(name, log_type);
        let opened = self
            .tape
            .ask(calls::OPEN_LOG, about, question, |_| Value::Null);
        Ok(Arc::new(RecordedLog {
            inner: opened.await?,
            name: name.to_owned(),
            tape: Arc::clone(&self.tape),
        }))
    }

    async fn start_command(&self, spec: CommandSpec) -> Result<StartedCommand, HostError> {
        let slot = self.tape.begin(calls::COMMAND, calls::command(&spec));
        match self.inner.start_command(spec).await {
            Ok(started) => {
                self.tape.command(slot);
                Ok(record_command(started, &self.tape, slot))
            }
            Err(error) => {
                self.tape.fail(slot, (&error).into());
                Err(error)
            }
        }
    }

    async fn read_file(&self, path: &str, offset: u64, limit: usize) -> Result<Bytes, FileError> {
        let about = json!({ "path": path, "offset": offset, "limit": limit });
        let question = self.inner.read_file(path, offset, limit);
        self.tape.ask_bytes(calls::READ, about, question).await
    }

    async fn write_file(&self, path: &str, data: Bytes, mode: WriteMode) -> Result<(), FileError> {
        let mode_name = match mode {
            WriteMode::Replace => "replace",
            WriteMode::Append => "append",
        };
        let about = json!({ "path": path, "mode": mode_name, "data": facts::payload(&data) });
        let question = self.inner.write_file(path, data, mode);
        self.tape.ask(calls::WRITE, about, question, nothing).await
    }

    async fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        let question = self.inner.stat(path);
        let about = json!({ "path": path });
        self.tape
            .ask(calls::STAT, about, question, facts::stat)
            .await
    }

    async fn glob(&self, pattern: &str, limit: usize) -> Result<Vec<String>, FileError> {
        let question = self.inner.glob(pattern, limit);
        let about = json!({ "pattern": pattern });
        self.tape
            .ask(calls::GLOB, about, question, |paths| json!(paths))
            .await
    }

    async fn make_dir(&self, path: &str) -> Result<(), FileError> {
        let question = self.inner.make_dir(path);
        let about = json!({ "path": path });
        self.tape.ask(calls::MKDIR, about, question, nothing).await
    }

    async fn remove(&self, path: &str, recursive: bool) -> Result<(), FileError> {
        let question = self.inner.remove(path, recursive);
        let about = json!({ "path": path, "recursive": recursive });
        self.tape.ask(calls::REMOVE, about, question, nothing).await
    }

    async fn set_summary(&self, text: &str) -> Result<(), HostError> {
        let about = json!({ "text": text });
        let question = self.inner.set_summary(text);
        self.tape.done(calls::SUMMARY, about, question).await
    }

    async fn set_progress(&self, done: u64, total: u64, unit: &str) -> Result<(), HostError> {
        let about = json!({ "done": done, "total": total, "unit": unit });
        let question = self.inner.set_progress(done, total, unit);
        self.tape.done(calls::PROGRESS, about, question).await
    }

    async fn add_url(&self, name: &str, url: &str) -> Result<(), HostError> {
        let about = json!({ "name": name, "url": url });
        let question = self.inner.add_url(name, url);
        self.tape.done(calls::URL, about, question).await
    }

    fn farm(&self) -> Arc<dyn StepFarm> {
        Arc::new(RecordedFarm::new(self.inner.farm(), &self.tape))
    }

    fn services(&self) -> Arc<dyn PluginServices> {
        Arc::new(RecordedServices::new(self.inner.services(), &self.tape))
    }
}

struct RecordedLog {
    inner: Arc<dyn StepLog>,
    name: String,
    tape: Arc<Tape>,
}

#[async_trait]
impl StepLog for RecordedLog {
    async fn append(&self, stream: LogStream, data: Bytes) -> Result<(), HostError> {
        let about = json!({
            "log": self.name,
            "stream": facts::stream_name(stream),
            "data": facts::payload(&data),
        });
        let question = self.inner.append(stream, data);
        self.tape.done(calls::APPEND, about, question).await
    }

    async fn finish(&self) -> Result<(), HostError> {
        let about = json!({ "log": self.name });
        self.tape
            .done(calls::FINISH_LOG, about, self.inner.finish())
            .await
    }
}

/// Notes output and end of a command on their way.
fn record_command(started: StartedCommand, tape: &Arc<Tape>, slot: Slot) -> StartedCommand {
    let output = started.output.map(|inner| {
        // One piece at a time, so that the command still waits for its reader.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(relay(inner, sender, Arc::clone(tape), slot));
        receiver
    });
    let (exit, tape) = (started.exit, Arc::clone(tape));
    StartedCommand {
        output,
        exit: Box::pin(async move {
            let exit = exit.await;
            tape.exit(slot, &exit);
            exit
        }),
        control: started.control,
    }
}

async fn relay(
    mut inner: mpsc::Receiver<OutputChunk>,
    outer: mpsc::Sender<OutputChunk>,
    tape: Arc<Tape>,
    slot: Slot,
) {
    while let Some(chunk) = inner.recv().await {
        tape.output(slot, &chunk);
        // Nobody reads any more: the inner receiver is dropped, and the command goes on without.
        if outer.send(chunk).await.is_err() {
            return;
        }
    }
}
