//! A host that notes what it is asked for. Commands are little scripts.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use toolpost_core::model::{LogType, SourceStampSpec};
use toolpost_core::{Properties, Property};

use crate::host::{
    BuildInfo, CommandControl, CommandExit, CommandLine, CommandSpec, ExitStatus, FileError,
    FileKind, FileStat, HostError, LogLevel, LogStream, NoServices, OutputChunk, OutputSource,
    PluginServices, StartedCommand, StepFarm, WriteMode,
};
use crate::tests::farm::ScriptedFarm;
use crate::{StepHost, StepLog};

/// Chunks that a command may be ahead of its reader.
const AHEAD: usize = 2;

#[derive(Default)]
pub(super) struct ScriptedHost {
    notes: Arc<Mutex<Vec<String>>>,
    properties: Mutex<Properties>,
    files: Mutex<BTreeMap<String, Bytes>>,
    services: Option<Arc<dyn PluginServices>>,
}

impl ScriptedHost {
    pub(super) fn new() -> Arc<Self> {
        let host = Self::default();
        host.properties
            .lock()
            .unwrap()
            .set("branch", "main", "Force");
        Arc::new(host)
    }

    /// One whose plugins may ask for these.
    pub(super) fn with_services(services: impl PluginServices) -> Arc<Self> {
        Arc::new(Self {
            services: Some(Arc::new(services)),
            ..Self::default()
        })
    }

    fn note(&self, text: impl Into<String>) {
        self.notes.lock().unwrap().push(text.into());
    }

    /// What was asked for since the last time.
    pub(super) fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap())
    }
}

struct Log {
    name: String,
    notes: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl StepLog for Log {
    async fn append(&self, stream: LogStream, data: Bytes) -> Result<(), HostError> {
        let text = String::from_utf8_lossy(&data);
        let note = format!("log {} {stream:?} {text}", self.name);
        self.notes.lock().unwrap().push(note);
        Ok(())
    }

    async fn finish(&self) -> Result<(), HostError> {
        self.notes
            .lock()
            .unwrap()
            .push(format!("finish {}", self.name));
        Ok(())
    }
}

struct Control {
    name: String,
    notes: Arc<Mutex<Vec<String>>>,
    interrupted: Arc<Notify>,
}

impl CommandControl for Control {
    fn interrupt(&self) {
        self.notes
            .lock()
            .unwrap()
            .push(format!("interrupt {}", self.name));
        self.interrupted.notify_one();
    }
}

#[async_trait]
impl StepHost for ScriptedHost {
    fn farm(&self) -> Arc<dyn StepFarm> {
        Arc::new(ScriptedFarm)
    }

    fn services(&self) -> Arc<dyn PluginServices> {
        match &self.services {
            Some(services) => Arc::clone(services),
            None => Arc::new(NoServices),
        }
    }

    fn build_info(&self) -> BuildInfo {
        BuildInfo {
            builder: "unit".into(),
            number: 7,
            source_stamps: vec![SourceStampSpec::default()],
            ..BuildInfo::default()
        }
    }

    fn log(&self, level: LogLevel, message: &dyn Display) {
        self.note(format!("{level:?} {message}"));
    }

    async fn property(&self, name: &str) -> Result<Option<Property>, HostError> {
        if name == "store-is-gone" {
            return Err(HostError::Internal("the store is gone".into()));
        }
        let properties = self.properties.lock().unwrap();
        let found = properties.iter().find(|(known, _)| *known == name);
        Ok(found.map(|(_, property)| property.clone()))
    }

    async fn set_property(&self, name: &str, value: Value) -> Result<(), HostError> {
        self.properties.lock().unwrap().set(name, value, "step");
        Ok(())
    }

    async fn properties(&self) -> Result<Properties, HostError> {
        Ok(self.properties.lock().unwrap().clone())
    }

    async fn open_log(&self, name: &str, log_type: LogType) -> Result<Arc<dyn StepLog>, HostError> {
        self.note(format!("open {name} {log_type:?}"));
        Ok(Arc::new(Log {
            name: name.into(),
            notes: self.notes.clone(),
        }))
    }

    /// The words of a script: `out:TEXT` and `err:TEXT` print, `hang` and `sleep` wait for an interrupt, `no-such-program` cannot
    /// be started, a number is the exit code.
    async fn start_command(&self, spec: CommandSpec) -> Result<StartedCommand, HostError> {
        let script = match spec.command {
            CommandLine::Shell(line) => line,
            CommandLine::Argv(argv) => argv.join(" "),
        };
        if script == "no-such-program" {
            return Err(HostError::Permanent("no program `no-such-program`".into()));
        }
        self.note(format!("start {script}"));
        let interrupted = Arc::new(Notify::new());
        let control = Control {
            name: script.clone(),
            notes: self.notes.clone(),
            interrupted: interrupted.clone(),
        };
        let (sender, receiver) = mpsc::channel(AHEAD);
        let pump = tokio::spawn(play(script, sender, interrupted));
        Ok(StartedCommand {
            output: spec.capture.then_some(receiver),
            exit: Box::pin(async move { pump.await.unwrap() }),
            control: Arc::new(control),
        })
    }

    async fn read_file(&self, path: &str, offset: u64, limit: usize) -> Result<Bytes, FileError> {
        let files = self.files.lock().unwrap();
        let file = files.get(path).ok_or(FileError::NotFound)?;
        let start = usize::try_from(offset).unwrap().min(file.len());
        Ok(file.slice(start..(start + limit).min(file.len())))
    }

    async fn write_file(&self, path: &str, data: Bytes, mode: WriteMode) -> Result<(), FileError> {
        if path.starts_with("..") {
            return Err(FileError::Outside);
        }
        let mut files = self.files.lock().unwrap();
        let file = files.entry(path.into()).or_default();
        *file = match mode {
            WriteMode::Replace => data,
            WriteMode::Append => [file.clone(), data].concat().into(),
        };
        Ok(())
    }

    async fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        let files = self.files.lock().unwrap();
        let file = files.get(path).ok_or(FileError::NotFound)?;
        Ok(FileStat {
            kind: FileKind::File,
            size: file.len() as u64,
            modified_ms: 1,
        })
    }

    async fn glob(&self, _: &str, limit: usize) -> Result<Vec<String>, FileError> {
        let files = self.files.lock().unwrap();
        if files.len() > limit {
            return Err(FileError::Other("too many".into()));
        }
        Ok(files.keys().cloned().collect())
    }

    async fn make_dir(&self, _: &str) -> Result<(), FileError> {
        Err(FileError::Denied)
    }

    async fn remove(&self, path: &str, _: bool) -> Result<(), FileError> {
        let removed = self.files.lock().unwrap().remove(path);
        removed.map(|_| ()).ok_or(FileError::NotFound)
    }

    async fn set_summary(&self, text: &str) -> Result<(), HostError> {
        self.note(format!("summary {text}"));
        Ok(())
    }

    async fn set_progress(&self, done: u64, total: u64, unit: &str) -> Result<(), HostError> {
        self.note(format!("progress {done}/{total} {unit}"));
        Ok(())
    }

    async fn add_url(&self, name: &str, url: &str) -> Result<(), HostError> {
        self.note(format!("url {name} {url}"));
        Ok(())
    }
}

async fn play(
    script: String,
    sender: mpsc::Sender<OutputChunk>,
    interrupted: Arc<Notify>,
) -> CommandExit {
    let mut status = ExitStatus::Code(0);
    for word in script.split_whitespace() {
        let (source, text) = match word.split_once(':') {
            Some(("out", text)) => (OutputSource::Stdout, text),
            Some(("err", text)) => (OutputSource::Stderr, text),
            _ if word == "hang" || word == "sleep" => {
                interrupted.notified().await;
                status = ExitStatus::Interrupted;
                break;
            }
            _ => {
                status = ExitStatus::Code(word.parse().unwrap_or(0));
                continue;
            }
        };
        let data = Bytes::copy_from_slice(text.as_bytes());
        // Without a reader the command just goes on.
        let _ = sender.send(OutputChunk { source, data }).await;
    }
    CommandExit {
        status,
        elapsed: Duration::from_millis(5),
    }
}

/// Parameters that every step takes.
pub(super) fn no_parameters() -> Value {
    json!({})
}
