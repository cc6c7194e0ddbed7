//! What a plugin step may ask of the master, over the build's worker, logs and properties.
//! Calls come on the engine's own threads, so that output flows whatever the plugins do.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use toolpost_core::model::LogType;
use toolpost_core::{Properties, Property};
use toolpost_sandbox::Wanted;
use toolpost_sandbox::host::{
    BuildInfo, CommandSpec, FileError, FileKind, FileStat, HostError, LogLevel, LogStream,
    PluginServices, StartedCommand, StepFarm, StepHost, StepLog as PluginLog, WriteMode,
};
use toolpost_store::LogStream as StoreStream;
use toolpost_worker::{
    FileError as WorkerFileError, FileKind as WorkerFileKind, WriteMode as WorkerWriteMode,
};
use tracing::{debug, error, info, warn};

use super::context::StepContext;
use super::farm::PluginFarm;
use super::logs::{LogError, StepLog};
use super::outcome::Fault;
use super::plugin_commands;
use super::plugin_work::Work;
use crate::plugin_lines;
use crate::services::Services;

/// What one plugin step sees of its build.
pub(crate) struct PluginHost {
    step: Arc<StepContext>,
    farm: Arc<PluginFarm>,
    work: Arc<Work>,
    /// What the plugin last said of itself.
    told: Mutex<Told>,
}

#[derive(Debug, Clone, Default)]
struct Told {
    summary: String,
    progress: String,
}

impl PluginHost {
    pub(crate) fn new(step: Arc<StepContext>) -> Self {
        let work = Arc::new(Work::default());
        Self {
            farm: Arc::new(PluginFarm::new(Arc::clone(&step), Arc::clone(&work))),
            step,
            work,
            told: Mutex::default(),
        }
    }

    /// Stops the builds that the step waits for.
    pub(crate) async fn cancel_triggered(&self) {
        self.farm.cancel_triggered().await;
    }

    /// Ends what the plugin has begun on the worker and waits for that; nothing more begins. Logs can be finished then, and
    /// something else can begin in the same directory.
    pub(crate) async fn end(&self) -> Result<(), Fault> {
        self.work.end().await
    }

    /// What the plugin last said of itself, if anything.
    pub(crate) fn summary(&self) -> Option<String> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        Some(told.summary.clone()).filter(|summary| !summary.is_empty())
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        let text = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut told);
            let parts = [told.summary.as_str(), told.progress.as_str()];
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            parts.join(" ")
        };
        self.step.show_soon(&text);
    }
}

#[async_trait]
impl StepHost for PluginHost {
    fn build_info(&self) -> BuildInfo {
        let build = &self.step.build;
        let builder = &build.builder;
        let workdir = [
            build.worker.base_dir(),
            build.build_dir.clone(),
            self.step.rendered.workdir.clone(),
        ];
        BuildInfo {
            id: u64::try_from(build.build.id.0).unwrap_or(0),
            builder: builder.name.clone(),
            number: u64::try_from(build.build.number).unwrap_or(0),
            url: build.url.clone(),
            worker: build.worker_name.clone(),
            workdir: workdir.join("/"),
            step: self.step.name.clone(),
            reason: build.reason.clone(),
            source_stamps: build.sources.clone(),
            buildset: u64::try_from(build.buildset.0).unwrap_or(0),
            request: u64::try_from(build.build.request_id.0).unwrap_or(0),
            scheduler: build.scheduler(),
        }
    }

    fn log(&self, level: LogLevel, message: &dyn Display) {
        let build = &self.step.build;
        let (builder, number) = (&build.builder.name, build.build.number);
        let (step, step_type) = (&self.step.name, &self.step.config.step_type);
        let plugin = self.step.plugin.as_ref().map_or("", Wanted::plugin);
        plugin_lines::write(plugin, || {
            let message = message.to_string();
            let message = build.mask(&message);
            match level {
                LogLevel::Debug => debug!(builder, number, step, step_type, "{message}"),
                LogLevel::Info => info!(builder, number, step, step_type, "{message}"),
                LogLevel::Warn => warn!(builder, number, step, step_type, "{message}"),
                LogLevel::Error => error!(builder, number, step, step_type, "{message}"),
            }
        });
    }

    async fn property(&self, name: &str) -> Result<Option<Property>, HostError> {
        let properties = self.step.build.properties();
        let found = properties.iter().find(|(given, _)| *given == name);
        Ok(found.map(|(_, property)| property.clone()))
    }

    async fn set_property(&self, name: &str, value: Value) -> Result<(), HostError> {
        let source = &self.step.name;
        let set = self.step.build.set_property(name, value, source).await;
        set.map_err(|error| HostError::Internal(error.to_string()))
    }

    async fn properties(&self) -> Result<Properties, HostError> {
        Ok(self.step.build.properties())
    }

    async fn open_log(
        &self,
        name: &str,
        log_type: LogType,
    ) -> Result<Arc<dyn PluginLog>, HostError> {
        let log = self
            .step
            .logs
            .open(name, log_type)
            .await
            .map_err(log_error)?;
        let clock = Arc::clone(&self.step.build.clock);
        Ok(Arc::new(OpenLog { log, clock }))
    }

    async fn start_command(&self, spec: CommandSpec) -> Result<StartedCommand, HostError> {
        let log = match &spec.log {
            Some(name) => {
                let opened = self.step.logs.open(name, LogType::Stdio).await;
                Some(opened.map_err(log_error)?)
            }
            None => None,
        };
        plugin_commands::start(&self.step, &self.work, spec, log).await
    }

    async fn read_file(&self, path: &str, offset: u64, limit: usize) -> Result<Bytes, FileError> {
        let files = self.step.files();
        let piece = files.read(self.step.path(path), offset, limit).await;
        piece
            .map(|piece| piece.bytes)
            .map_err(|error| file_error(&error))
    }

    async fn write_file(&self, path: &str, data: Bytes, mode: WriteMode) -> Result<(), FileError> {
        let _begun = self
            .work
            .begin()
            .map_err(|error| FileError::Other(error.to_string()))?;
        let files = self.step.files();
        let path = self.step.path(path);
        if let Some((dir, _)) = path.rsplit_once('/') {
            let made = files.create_dir(dir.to_owned()).await;
            made.map_err(|error| file_error(&error))?;
        }
        let mode = match mode {
            WriteMode::Replace => WorkerWriteMode::Replace,
            WriteMode::Append => WorkerWriteMode::Append,
        };
        let written = files.write(path, data, mode, None).await;
        written.map_err(|error| file_error(&error))
    }

    async fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        let found = self.step.files().stat(self.step.path(path)).await;
        let info = found
            .map_err(|error| file_error(&error))?
            .ok_or(FileError::NotFound)?;
        let modified = info.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(FileStat {
            kind: match info.kind {
                WorkerFileKind::File => FileKind::File,
                WorkerFileKind::Directory => FileKind::Directory,
                WorkerFileKind::Symlink => FileKind::Symlink,
                WorkerFileKind::Other => FileKind::Other,
            },
            size: match info.kind {
                WorkerFileKind::Directory => 0,
                _ => info.size,
            },
            modified_ms: u64::try_from(modified.as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn glob(&self, pattern: &str, limit: usize) -> Result<Vec<String>, FileError> {
        let workdir = &self.step.rendered.workdir;
        let found = self.step.files().glob(self.step.path(pattern)).await;
        let found = found.map_err(|error| file_error(&error))?;
        if found.len() > limit {
            let text = format!("{} paths match, at most {limit} are given", found.len());
            return Err(FileError::Other(text));
        }
        let below = |path: String| match path.strip_prefix(workdir.as_str()) {
            Some(rest) if !workdir.is_empty() => rest.trim_start_matches('/').to_owned(),
            _ => path,
        };
        Ok(found.into_iter().map(below).collect())
    }

    async fn make_dir(&self, path: &str) -> Result<(), FileError> {
        let _begun = self
            .work
            .begin()
            .map_err(|error| FileError::Other(error.to_string()))?;
        let made = self.step.files().create_dir(self.step.path(path)).await;
        made.map_err(|error| file_error(&error))
    }

    async fn remove(&self, path: &str, recursive: bool) -> Result<(), FileError> {
        let _begun = self
            .work
            .begin()
            .map_err(|error| FileError::Other(error.to_string()))?;
        let files = self.step.files();
        let path = self.step.path(path);
        if !recursive {
            let info = files.stat(path.clone()).await.map_err(|e| file_error(&e))?;
            if info.is_some_and(|info| info.kind == WorkerFileKind::Directory) {
                let entries = files.list(path.clone()).await.map_err(|e| file_error(&e))?;
                if !entries.is_empty() {
                    return Err(FileError::NotEmpty);
                }
            }
        }
        match files.remove(path).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(FileError::NotFound),
            Err(error) => Err(file_error(&error)),
        }
    }

    async fn set_summary(&self, text: &str) -> Result<(), HostError> {
        self.tell(|told| text.clone_into(&mut told.summary));
        Ok(())
    }

    async fn set_progress(&self, done: u64, total: u64, unit: &str) -> Result<(), HostError> {
        let progress = match total {
            0 => format!("({done} {unit})"),
            total => format!("({done} of {total} {unit})"),
        };
        self.tell(|told| told.progress = progress);
        Ok(())
    }

    async fn add_url(&self, name: &str, url: &str) -> Result<(), HostError> {
        let (name, url) = (self.step.build.mask(name), self.step.build.mask(url));
        let added = self
            .step
            .build
            .store
            .add_step_url(self.step.id, &name, &url)
            .await;
        added.map_err(|error| HostError::Internal(error.to_string()))
    }

    fn farm(&self) -> Arc<dyn StepFarm> {
        Arc::clone(&self.farm) as Arc<dyn StepFarm>
    }

    fn services(&self) -> Arc<dyn PluginServices> {
        let wanted = self.step.plugin.clone().unwrap_or_default();
        Services::of(&self.step.build.capabilities, &wanted)
    }
}

/// A log that a plugin has opened.
struct OpenLog {
    log: StepLog,
    clock: Arc<dyn crate::clock::Clock>,
}

#[async_trait]
impl PluginLog for OpenLog {
    async fn append(&self, stream: LogStream, data: Bytes) -> Result<(), HostError> {
        let stream = match stream {
            LogStream::Stdout => StoreStream::Output,
            LogStream::Stderr => StoreStream::Error,
            LogStream::Header => StoreStream::Header,
        };
        self.log.append(stream, &data).await.map_err(log_error)
    }

    async fn finish(&self) -> Result<(), HostError> {
        self.log.finish(self.clock.now()).await.map_err(log_error)
    }
}

fn log_error(error: LogError) -> HostError {
    match error {
        LogError::Store(error) => HostError::Internal(error.to_string()),
        error => HostError::Permanent(error.to_string()),
    }
}

fn file_error(error: &WorkerFileError) -> FileError {
    match error {
        WorkerFileError::NotFound { .. } => FileError::NotFound,
        WorkerFileError::WrongKind { .. } => FileError::WrongKind,
        WorkerFileError::Outside { .. } | WorkerFileError::InvalidPath { .. } => FileError::Outside,
        WorkerFileError::Stopped => FileError::WorkerLost(error.to_string()),
        WorkerFileError::Io { source, .. } => match source.kind() {
            std::io::ErrorKind::PermissionDenied => FileError::Denied,
            _ => FileError::Other(error.to_string()),
        },
        error => FileError::Other(error.to_string()),
    }
}
