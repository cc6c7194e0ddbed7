//! The host of a step, as a script has it.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::{Map, Value};
use toolpost_core::model::LogType;
use toolpost_core::{Properties, Property};
use toolpost_sandbox::host::{
    BuildInfo, CommandSpec, ExitStatus, FileError, FileStat, HostError, LogLevel, LogStream,
    OutputChunk, OutputSource, PluginServices, StartedCommand, StepFarm, WriteMode,
};
use toolpost_sandbox::{StepHost, StepLog};

use super::command::{Course, Place, start};
use super::farm::{Around, ScriptedFarm};
use super::files::Files;
use super::{Notes, ScriptedServices};
use crate::script::step::{CommandTable, OutputTable, StepScript, line};
use crate::script::values::{Content, Time};
use crate::script::{Answers, Source};

/// What a command may be silent for, unless somebody says so: as in the configuration.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// Everything that a step meets.
pub(crate) struct StepStage {
    info: BuildInfo,
    notes: Arc<Notes>,
    services: Arc<ScriptedServices>,
    properties: Mutex<Properties>,
    files: Arc<Mutex<Files>>,
    commands: Answers<CommandTable>,
    farm: Arc<ScriptedFarm>,
    /// Of commands that say none: idle, total.
    timeouts: (Option<Duration>, Option<Duration>),
    folder: PathBuf,
}

/// Locks what is as it was also after a panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Contents by name, read from where the script says.
pub(super) fn contents(
    folder: &Path,
    table: &IndexMap<String, Content>,
) -> Result<IndexMap<String, Bytes>, String> {
    let read = |(name, content): (&String, &Content)| Ok((name.clone(), content.read(folder)?));
    table.iter().map(read).collect()
}

impl StepStage {
    /// Sets the stage; the error says what is wrong with the script.
    pub(crate) fn new(
        script: &mut StepScript,
        source: &Source,
        type_name: &str,
        notes: &Arc<Notes>,
        services: Arc<ScriptedServices>,
    ) -> Result<Self, String> {
        let folder = source.folder().to_owned();
        let mut files = Files::default();
        for (path, data) in contents(&folder, &script.files)? {
            files
                .put(&path, &data)
                .map_err(|error| format!("the file `{path}`: {error}"))?;
        }
        let mut properties = Properties::new();
        for (name, value) in &script.properties {
            properties.set(name.clone(), value.clone(), "Build");
        }
        let commands = std::mem::take(&mut script.command);
        let span = |time: Option<Time>| time.map(|time| time.0);
        let info = script.build.info(type_name);
        let files = Arc::new(Mutex::new(files));
        let around = Around {
            step: info.step.clone(),
            notes: Arc::clone(notes),
            services: Arc::clone(&services),
            files: Arc::clone(&files),
        };
        Ok(Self {
            farm: Arc::new(ScriptedFarm::new(script, source, around)?),
            info,
            notes: Arc::clone(notes),
            services,
            properties: Mutex::new(properties),
            files,
            commands: Answers::new(source, commands, |table| table.times),
            timeouts: (
                span(script.idle_timeout).or(Some(IDLE_TIMEOUT)),
                span(script.total_timeout),
            ),
            folder,
        })
    }

    pub(crate) fn commands(&self) -> &Answers<CommandTable> {
        &self.commands
    }

    pub(crate) fn farm_of_test(&self) -> &ScriptedFarm {
        &self.farm
    }

    /// The files on the worker, by path.
    pub(crate) fn files(&self) -> Map<String, Value> {
        let files = locked(&self.files);
        let all = files.all().map(|(path, data)| (path, super::text_of(data)));
        all.collect()
    }

    /// Notes a command and gives its number.
    fn note_command(&self, spec: &CommandSpec) -> usize {
        let secrets = &self.notes.secrets;
        let env = spec.env.iter().map(|(name, value)| {
            let value = value.as_ref().map(|value| secrets.fill_text(value));
            (name.clone(), Value::from(value))
        });
        let mut noted = Map::new();
        let run = secrets.fill_text(&line(&spec.command));
        noted.insert("run".into(), Value::from(run));
        noted.insert("env".into(), Value::Object(env.collect()));
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                noted.insert(name.into(), value);
            }
        };
        set("workdir", spec.workdir.clone().map(Value::from));
        set("log", spec.log.clone().map(Value::from));
        set(
            "stdin",
            spec.stdin.as_ref().map(|data| super::text_of(data)),
        );
        let mut notes = self.notes.lock();
        notes.collected.commands.push(line(&spec.command));
        notes.commands.push(noted);
        notes.commands.len() - 1
    }

    fn course(&self, table: &CommandTable, spec: &CommandSpec) -> Result<Course, String> {
        let at_once = OutputTable {
            stdout: table.stdout.clone(),
            stderr: table.stderr.clone(),
            ..OutputTable::default()
        };
        let mut output = Vec::new();
        for said in std::iter::once(&at_once).chain(&table.output) {
            let streams = [
                (OutputSource::Stdout, &said.stdout),
                (OutputSource::Stderr, &said.stderr),
            ];
            for (source, content) in streams {
                if let Some(content) = content {
                    let data = content.read(&self.folder)?;
                    output.push((said.at.0, OutputChunk { source, data }));
                }
            }
        }
        output.sort_by_key(|(at, _)| *at);
        let last = output.last().map_or(Duration::ZERO, |(at, _)| *at);
        Ok(Course {
            output,
            takes: table.takes.0.max(last),
            ends: match (&table.worker_lost, table.signal) {
                (Some(text), _) => ExitStatus::WorkerLost(text.clone()),
                (None, Some(signal)) => ExitStatus::Signal(signal),
                (None, None) => ExitStatus::Code(table.exit),
            },
            stops_after: table.stops_after.0,
            idle_timeout: spec.idle_timeout.or(self.timeouts.0),
            total_timeout: spec.total_timeout.or(self.timeouts.1),
        })
    }

    /// What a command does to the files when it ends.
    fn effects(&self, table: &CommandTable) -> Result<impl FnOnce() + Send + 'static, String> {
        let writes = contents(&self.folder, &table.writes)?;
        let removes = table.removes.clone();
        let files = Arc::clone(&self.files);
        Ok(move || {
            let mut files = locked(&files);
            for path in removes {
                // What is not there need not be removed.
                let _ = files.remove(&path, true);
            }
            for (path, data) in writes {
                // The plugin meets the file that it finds there instead.
                let _ = files.put(&path, &data);
            }
        })
    }
}

#[async_trait]
impl StepHost for StepStage {
    fn build_info(&self) -> BuildInfo {
        self.info.clone()
    }

    fn log(&self, level: LogLevel, message: &dyn Display) {
        let line = (level, message.to_string());
        self.notes.lock().collected.operator.push(line);
    }

    async fn property(&self, name: &str) -> Result<Option<Property>, HostError> {
        let properties = locked(&self.properties);
        let mut all = properties.iter();
        let found = all.find(|(known, _)| *known == name);
        Ok(found.map(|(_, property)| property.clone()))
    }

    async fn set_property(&self, name: &str, value: Value) -> Result<(), HostError> {
        let source = self.info.step.clone();
        locked(&self.properties).set(name, value.clone(), source);
        let set = &mut self.notes.lock().collected.properties;
        set.insert(name.to_owned(), value);
        Ok(())
    }

    async fn properties(&self) -> Result<Properties, HostError> {
        Ok(locked(&self.properties).clone())
    }

    async fn open_log(&self, name: &str, log_type: LogType) -> Result<Arc<dyn StepLog>, HostError> {
        self.notes.lock().collected.open_log(name, log_type)?;
        Ok(Arc::new(ScriptedLog {
            name: name.to_owned(),
            notes: Arc::clone(&self.notes),
        }))
    }

    async fn start_command(&self, spec: CommandSpec) -> Result<StartedCommand, HostError> {
        let shown = line(&spec.command);
        let table = self.commands.take(|table| table.is_for(&spec.command));
        let Some(table) = table else {
            let known: Vec<String> = self.commands.tables().map(CommandTable::name).collect();
            let text = self.notes.unanswered("command", &shown, &known);
            return Err(HostError::Internal(text));
        };
        if let Some(failure) = &table.fails {
            return Err(failure.clone().into());
        }
        if let Some(log) = &spec.log {
            let mut notes = self.notes.lock();
            notes.collected.open_log(log, LogType::Stdio)?;
            let header = format!("$ {shown}\n");
            notes
                .collected
                .append(log, LogStream::Header, header.into())?;
        }
        let place = Place {
            number: self.note_command(&spec),
            notes: Arc::clone(&self.notes),
            log: spec.log.clone(),
        };
        let course = self.course(table, &spec).map_err(HostError::Internal)?;
        let effects = self.effects(table).map_err(HostError::Internal)?;
        Ok(start(course, place, spec.capture, effects))
    }

    async fn read_file(&self, path: &str, offset: u64, limit: usize) -> Result<Bytes, FileError> {
        locked(&self.files).read(path, offset, limit)
    }

    async fn write_file(&self, path: &str, data: Bytes, mode: WriteMode) -> Result<(), FileError> {
        locked(&self.files).write(path, &data, mode)
    }

    async fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        let modified = u64::try_from(self.notes.clock.start().0).unwrap_or(0);
        locked(&self.files).stat(path, modified)
    }

    async fn glob(&self, pattern: &str, limit: usize) -> Result<Vec<String>, FileError> {
        locked(&self.files).glob(pattern, limit)
    }

    async fn make_dir(&self, path: &str) -> Result<(), FileError> {
        locked(&self.files).make_dir(path)
    }

    async fn remove(&self, path: &str, recursive: bool) -> Result<(), FileError> {
        locked(&self.files).remove(path, recursive)
    }

    async fn set_summary(&self, text: &str) -> Result<(), HostError> {
        self.notes.lock().collected.summary = Some(text.to_owned());
        Ok(())
    }

    async fn set_progress(&self, done: u64, total: u64, unit: &str) -> Result<(), HostError> {
        self.notes.lock().collected.progress = Some((done, total, unit.to_owned()));
        Ok(())
    }

    async fn add_url(&self, name: &str, url: &str) -> Result<(), HostError> {
        let urls = &mut self.notes.lock().collected.urls;
        urls.insert(name.to_owned(), url.to_owned());
        Ok(())
    }

    fn farm(&self) -> Arc<dyn StepFarm> {
        Arc::clone(&self.farm) as Arc<dyn StepFarm>
    }

    fn services(&self) -> Arc<dyn PluginServices> {
        Arc::clone(&self.services) as Arc<dyn PluginServices>
    }
}

struct ScriptedLog {
    name: String,
    notes: Arc<Notes>,
}

#[async_trait]
impl StepLog for ScriptedLog {
    async fn append(&self, stream: LogStream, data: Bytes) -> Result<(), HostError> {
        let collected = &mut self.notes.lock().collected;
        collected.append(&self.name, stream, data)
    }

    async fn finish(&self) -> Result<(), HostError> {
        self.notes.lock().collected.finish_log(&self.name);
        Ok(())
    }
}
