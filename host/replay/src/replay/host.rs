//! The host of a step that is replayed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use toolpost_core::hosts::HostPattern;
use toolpost_core::model::LogType;
use toolpost_core::{Properties, Property};
use toolpost_sandbox::host::{
    BuildInfo, CommandControl, CommandExit, CommandLine, CommandSpec, ExitStatus, FileError,
    FileStat, HostError, LogLevel, LogStream, OutputChunk, PluginServices, StartedCommand,
    StepFarm, WriteMode,
};
use toolpost_sandbox::{StepHost, StepLog};

use super::cursor::{Cursor, Taken, lock};
use super::describe;
use super::farm::ReplayFarm;
use super::services::ReplayServices;
use crate::Collected;
use crate::facts::{self, CommandFacts, Failure};
use crate::recording::{Answer, Recording, calls};

/// Pieces of output that a command is ahead of its reader.
const OUTPUT_QUEUE_PIECES: usize = 16;
/// What one piece of output has at most.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// What the replaying hosts share.
pub(super) struct Trail {
    cursor: Arc<Mutex<Cursor>>,
    pub(super) collected: Mutex<Collected>,
    /// Hosts that may be asked.
    pub(super) hosts: Vec<HostPattern>,
}

impl Trail {
    /// Changes what was collected.
    pub(super) fn collect<T>(&self, change: impl FnOnce(&mut Collected) -> T) -> T {
        let mut collected = self
            .collected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut collected)
    }

    /// The recorded answer.
    pub(super) fn ask<T, E: From<Failure>>(
        &self,
        call: &str,
        about: &Value,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, E> {
        let internal = |text: String| E::from(Failure::new("internal", &text));
        let value = match lock(&self.cursor).take(call, about) {
            Taken::Answer(Answer::Is(value)) => value,
            Taken::Answer(Answer::Failed(failure)) => return Err(failure.into()),
            Taken::Done => Value::Null,
            Taken::Unknown(text) => return Err(internal(text)),
        };
        read(&value).ok_or_else(|| {
            let call = describe(call, about);
            internal(format!("the recorded answer to {call} cannot be read"))
        })
    }

    /// The same for something that is only done.
    pub(super) fn done<E: From<Failure>>(&self, call: &str, about: &Value) -> Result<(), E> {
        self.ask(call, about, |_| Some(()))
    }
}

/// Answers from a recording.
pub(super) struct ReplayHost {
    info: BuildInfo,
    /// At the end of the recorded step.
    properties: Properties,
    /// What this step set.
    set: Mutex<BTreeMap<String, Value>>,
    trail: Arc<Trail>,
}

impl ReplayHost {
    pub(super) fn new(recording: &Recording, cursor: Arc<Mutex<Cursor>>) -> Self {
        Self {
            info: recording.build.clone().into(),
            properties: facts::unproperties(&recording.properties).unwrap_or_default(),
            set: Mutex::default(),
            trail: Arc::new(Trail {
                cursor,
                collected: Mutex::default(),
                hosts: super::services::hosts(recording),
            }),
        }
    }

    pub(super) fn collected(&self) -> Collected {
        self.trail.collect(|collected| collected.clone())
    }

    /// A property that the recorded step did not ask for, but that its build had.
    fn known(&self, name: &str) -> Option<Property> {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = set.get(name) {
            return Some(Property {
                value: value.clone(),
                source: self.info.step.clone(),
            });
        }
        let mut all = self.properties.iter();
        let found = all.find(|(known, _)| *known == name);
        found.map(|(_, property)| property.clone())
    }
}

#[async_trait]
impl StepHost for ReplayHost {
    fn build_info(&self) -> BuildInfo {
        self.info.clone()
    }

    fn log(&self, level: LogLevel, message: &dyn Display) {
        let message = message.to_string();
        let about = json!({ "level": facts::level_name(level), "message": message });
        // What it tells is taken, whatever the recording has.
        let _ = self.trail.done::<HostError>(calls::LOG, &about);
        self.trail
            .collect(|all| all.operator.push((level, message)));
    }

    async fn property(&self, name: &str) -> Result<Option<Property>, HostError> {
        let read = |value: &Value| match value {
            Value::Null => Some(None),
            value => facts::unproperty(value).map(Some),
        };
        let about = json!({ "name": name });
        let asked = self.trail.ask(calls::PROPERTY, &about, read);
        match asked {
            Err(HostError::Internal(_)) => Ok(self.known(name)),
            asked => asked,
        }
    }

    async fn set_property(&self, name: &str, value: Value) -> Result<(), HostError> {
        let about = json!({ "name": name, "value": value });
        self.trail.done::<HostError>(calls::SET_PROPERTY, &about)?;
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.insert(name.to_owned(), value.clone());
        self.trail
            .collect(|all| all.properties.insert(name.to_owned(), value));
        Ok(())
    }

    async fn properties(&self) -> Result<Properties, HostError> {
        let asked = self
            .trail
            .ask(calls::PROPERTIES, &json!({}), facts::unproperties);
        match asked {
            Err(HostError::Internal(_)) => Ok(self.properties.clone()),
            asked => asked,
        }
    }

    async fn open_log(&self, name: &str, log_type: LogType) -> Result<Arc<dyn StepLog>, HostError> {
        let about = json!({ "name": name, "kind": facts::log_type_name(log_type) });
        self.trail.done::<HostError>(calls::OPEN_LOG, &about)?;
        self.trail.collect(|all| all.open_log(name, log_type))?;
        Ok(Arc::new(ReplayLog {
            name: name.to_owned(),
            trail: Arc::clone(&self.trail),
        }))
    }

    async fn start_command(&self, spec: CommandSpec) -> Result<StartedCommand, HostError> {
        let about = calls::command(&spec);
        let read = |value: &Value| serde_json::from_value::<CommandFacts>(value.clone()).ok();
        let asked = self.trail.ask::<_, HostError>(calls::COMMAND, &about, read);
        let command = asked?;
        let line = command_line(&spec.command);
        if command.dropped_bytes > 0 {
            lock(&self.trail.cursor).note_incomplete(line.clone());
        }
        let chunks = chunks(&command);
        if let Some(log) = &spec.log {
            self.trail.collect(|all| {
                all.open_log(log, LogType::Stdio)?;
                all.append(log, LogStream::Header, format!("$ {line}\n").into())?;
                for chunk in &chunks {
                    all.append(log, stream_of(chunk), chunk.data.clone())?;
                }
                Ok::<(), HostError>(())
            })?;
        }
        self.trail.collect(|all| all.commands.push(line));
        Ok(start(&spec, command, chunks))
    }

    async fn read_file(&self, path: &str, offset: u64, limit: usize) -> Result<Bytes, FileError> {
        let about = json!({ "path": path, "offset": offset, "limit": limit });
        self.trail.ask(calls::READ, &about, facts::unblob)
    }

    async fn write_file(&self, path: &str, data: Bytes, mode: WriteMode) -> Result<(), FileError> {
        let mode = match mode {
            WriteMode::Replace => "replace",
            WriteMode::Append => "append",
        };
        let about = json!({ "path": path, "mode": mode, "data": facts::payload(&data) });
        self.trail.done(calls::WRITE, &about)
    }

    async fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        self.trail
            .ask(calls::STAT, &json!({ "path": path }), facts::unstat)
    }

    async fn glob(&self, pattern: &str, _: usize) -> Result<Vec<String>, FileError> {
        self.trail
            .ask(calls::GLOB, &json!({ "pattern": pattern }), facts::texts)
    }

    async fn make_dir(&self, path: &str) -> Result<(), FileError> {
        self.trail.done(calls::MKDIR, &json!({ "path": path }))
    }

    async fn remove(&self, path: &str, recursive: bool) -> Result<(), FileError> {
        let about = json!({ "path": path, "recursive": recursive });
        self.trail.done(calls::REMOVE, &about)
    }

    async fn set_summary(&self, text: &str) -> Result<(), HostError> {
        self.trail
            .done::<HostError>(calls::SUMMARY, &json!({ "text": text }))?;
        self.trail
            .collect(|all| all.summary = Some(text.to_owned()));
        Ok(())
    }

    async fn set_progress(&self, done: u64, total: u64, unit: &str) -> Result<(), HostError> {
        let about = json!({ "done": done, "total": total, "unit": unit });
        self.trail.done::<HostError>(calls::PROGRESS, &about)?;
        self.trail
            .collect(|all| all.progress = Some((done, total, unit.to_owned())));
        Ok(())
    }

    async fn add_url(&self, name: &str, url: &str) -> Result<(), HostError> {
        let about = json!({ "name": name, "url": url });
        self.trail.done::<HostError>(calls::URL, &about)?;
        self.trail
            .collect(|all| all.urls.insert(name.to_owned(), url.to_owned()));
        Ok(())
    }

    fn farm(&self) -> Arc<dyn StepFarm> {
        Arc::new(ReplayFarm::new(&self.trail))
    }

    fn services(&self) -> Arc<dyn PluginServices> {
        Arc::new(ReplayServices::new(&self.trail))
    }
}

struct ReplayLog {
    name: String,
    trail: Arc<Trail>,
}

#[async_trait]
impl StepLog for ReplayLog {
    async fn append(&self, stream: LogStream, data: Bytes) -> Result<(), HostError> {
        let about = json!({
            "log": self.name,
            "stream": facts::stream_name(stream),
            "data": facts::payload(&data),
        });
        self.trail.done::<HostError>(calls::APPEND, &about)?;
        self.trail
            .collect(|all| all.append(&self.name, stream, data))
    }

    async fn finish(&self) -> Result<(), HostError> {
        let about = json!({ "log": self.name });
        self.trail.done::<HostError>(calls::FINISH_LOG, &about)?;
        self.trail.collect(|all| all.finish_log(&self.name));
        Ok(())
    }
}

/// A command as one line, for people.
pub(crate) fn command_line(command: &CommandLine) -> String {
    match command {
        CommandLine::Argv(argv) => argv.join(" "),
        CommandLine::Shell(line) => line.clone(),
    }
}

fn stream_of(chunk: &OutputChunk) -> LogStream {
    match chunk.source {
        toolpost_sandbox::host::OutputSource::Stdout => LogStream::Stdout,
        toolpost_sandbox::host::OutputSource::Stderr => LogStream::Stderr,
    }
}

/// The output in the pieces that it came in.
fn chunks(command: &CommandFacts) -> Vec<OutputChunk> {
    let mut chunks = Vec::new();
    for run in &command.output {
        let mut data = facts::unblob(&run.data).unwrap_or_default();
        let lengths = run.pieces.iter().copied();
        for length in lengths.chain(std::iter::repeat(PIECE_BYTES_MAX)) {
            if data.is_empty() {
                break;
            }
            chunks.push(OutputChunk {
                source: run.from.into(),
                data: data.split_to(length.min(data.len())),
            });
        }
    }
    chunks
}

fn start(spec: &CommandSpec, command: CommandFacts, chunks: Vec<OutputChunk>) -> StartedCommand {
    let (sender, receiver) = mpsc::channel(OUTPUT_QUEUE_PIECES);
    let exit = match command.exit {
        Some(exit) => exit.into(),
        None => CommandExit {
            status: ExitStatus::Interrupted,
            elapsed: std::time::Duration::ZERO,
        },
    };
    let capture = spec.capture;
    tokio::spawn(async move {
        for chunk in chunks {
            if !capture || sender.send(chunk).await.is_err() {
                return;
            }
        }
    });
    StartedCommand {
        output: capture.then_some(receiver),
        exit: Box::pin(std::future::ready(exit)),
        control: Arc::new(Nothing),
    }
}

/// A replayed command has ended already.
struct Nothing;

impl CommandControl for Nothing {
    fn interrupt(&self) {}
}
