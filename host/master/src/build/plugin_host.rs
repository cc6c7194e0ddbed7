//! What a plugin step may ask of the master, over the build's worker, logs and properties.
//! Calls come on the engine's own threads, so that output flows whatever the plugins do.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use toolpost_core::model::LogType;
use toolpost_core::secret::MaskStream;
use toolpost_core::{Properties, Property};
use toolpost_sandbox::host::{
    BuildInfo, CommandControl, CommandExit, CommandLine, CommandSpec, ExitStatus, FileError,
    FileKind, FileStat, HostError, LogLevel, LogStream, OutputChunk, OutputSource, PluginServices,
    StartedCommand, StepFarm, StepHost, StepLog as PluginLog, WriteMode,
};
use toolpost_store::LogStream as StoreStream;
use toolpost_worker::{
    EnvValue, Exit, FileError as WorkerFileError, FileKind as WorkerFileKind, Invocation, Output,
    OutputStream, Status, StopCause, WriteMode as WorkerWriteMode,
};
use tracing::{debug, error, info, warn};

use super::command::IDLE_TIMEOUT_DEFAULT;
use super::context::StepContext;
use super::farm::PluginFarm;
use super::logs::{LogError, StepLog};
use super::secrets;
use crate::services::{Capabilities, Services};
use crate::worker::{LinkCommand, LinkControl, LinkError};

/// Pieces of output, of at most 64 KiB each, that wait for the plugin to read them: the contract's 1 MiB.
const OUTPUT_QUEUE_PIECES: usize = 16;

/// What one plugin step sees of its build.
pub(crate) struct PluginHost {
    step: Arc<StepContext>,
    farm: Arc<PluginFarm>,
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
        Self {
            farm: Arc::new(PluginFarm::new(Arc::clone(&step))),
            step,
            told: Mutex::default(),
        }
    }

    /// Stops the builds that the step waits for.
    pub(crate) async fn cancel_triggered(&self) {
        self.farm.cancel_triggered().await;
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
            builder.build_dir.clone(),
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

    fn log(&self, level: LogLevel, message: &str) {
        let build = &self.step.build;
        let message = build.mask(message);
        let (builder, number) = (&build.builder.name, build.build.number);
        let (step, step_type) = (&self.step.name, &self.step.config.step_type);
        match level {
            LogLevel::Debug => debug!(builder, number, step, step_type, "{message}"),
            LogLevel::Info => info!(builder, number, step, step_type, "{message}"),
            LogLevel::Warn => warn!(builder, number, step, step_type, "{message}"),
            LogLevel::Error => error!(builder, number, step, step_type, "{message}"),
        }
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
        let capture = spec.capture;
        start(&self.step, spec, log, capture).await
    }

    async fn read_file(&self, path: &str, offset: u64, limit: usize) -> Result<Bytes, FileError> {
        let files = self.step.files();
        let piece = files.read(self.step.path(path), offset, limit).await;
        piece
            .map(|piece| piece.bytes)
            .map_err(|error| file_error(&error))
    }

    async fn write_file(&self, path: &str, data: Bytes, mode: WriteMode) -> Result<(), FileError> {
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
        let made = self.step.files().create_dir(self.step.path(path)).await;
        made.map_err(|error| file_error(&error))
    }

    async fn remove(&self, path: &str, recursive: bool) -> Result<(), FileError> {
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
        let plugin = self.step.plugin.as_deref().unwrap_or_default();
        Services::of(&self.step.build.capabilities, plugin)
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

/// Starts a command and a task that moves its output.
async fn start(
    step: &StepContext,
    spec: CommandSpec,
    log: Option<StepLog>,
    capture: bool,
) -> Result<StartedCommand, HostError> {
    let spec = secrets::filled(step, worker_spec(step, spec)).await;
    let spec = spec.map_err(|fault| HostError::Config(fault.to_string()))?;
    let mut command = match step.build.worker.start(spec).await {
        Ok(command) => command,
        Err(error) => {
            let text = step.build.mask(&error.to_string());
            if let Some(log) = &log {
                log.header(&text).await;
            }
            return Err(match error {
                LinkError::Start(_) => HostError::Permanent(text),
                LinkError::Lost(_) => HostError::Retryable(text),
            });
        }
    };
    let control = command.control();
    let (output, receiver) = mpsc::channel(OUTPUT_QUEUE_PIECES);
    let (ended, ending) = oneshot::channel();
    let cancel = step.cancel.clone();
    // A command that is started to clean up after a cancellation is left alone.
    let interruptible = !cancel.is_cancelled();
    let interrupt = Arc::clone(&control);
    let capabilities = Arc::clone(&step.build.capabilities);
    tokio::spawn(async move {
        let output = capture.then(|| Captured::new(output, capabilities));
        {
            let mut moving = pin!(transfer(command.as_mut(), log.as_ref(), output));
            tokio::select! {
                () = &mut moving => {}
                () = cancel.cancelled(), if interruptible => {
                    interrupt.interrupt();
                    moving.await;
                }
            }
        }
        let exit = command.exit().await;
        if let Some(log) = &log {
            log.header(&exit.to_string()).await;
        }
        // The plugin may have ended without waiting.
        let _ = ended.send(command_exit(&exit));
    });
    Ok(StartedCommand {
        output: capture.then_some(receiver),
        exit: Box::pin(async move {
            ending.await.unwrap_or_else(|_| CommandExit {
                status: ExitStatus::WorkerLost("the command was lost with its task".into()),
                elapsed: Duration::ZERO,
            })
        }),
        control: Arc::new(Control(control)),
    })
}

fn worker_spec(step: &StepContext, spec: CommandSpec) -> toolpost_worker::CommandSpec {
    let mut command = step.command(match spec.command {
        CommandLine::Argv(words) => Invocation::Argv(words),
        CommandLine::Shell(line) => Invocation::Shell(line),
    });
    if let Some(dir) = &spec.workdir {
        command.dir = step.path(dir);
    }
    for (name, value) in spec.env {
        command
            .env
            .insert(name, value.map_or(EnvValue::Unset, EnvValue::Set));
    }
    command.stdin = spec.stdin;
    command.idle_timeout = Some(spec.idle_timeout.unwrap_or(IDLE_TIMEOUT_DEFAULT));
    command.total_timeout = spec.total_timeout;
    command
}

/// Moves output to the log and to the plugin until there is no more.
async fn transfer(
    command: &mut dyn LinkCommand,
    log: Option<&StepLog>,
    mut plugin: Option<Captured>,
) {
    if let Some(log) = log {
        log.header(command.header().trim_end()).await;
    }
    while let Some(Output { stream, bytes }) = command.next().await {
        let (letter, source) = match stream {
            OutputStream::Stdout => (StoreStream::Output, OutputSource::Stdout),
            OutputStream::Stderr => (StoreStream::Error, OutputSource::Stderr),
        };
        if let Some(log) = log {
            // The plugin may have finished the log; the command goes on without.
            let _ = log.append_output(letter, &bytes).await;
        }
        if let Some(captured) = &mut plugin
            && !captured.send(source, bytes).await
        {
            plugin = None;
        }
    }
    if let Some(captured) = plugin {
        captured.finish().await;
    }
}

/// Output on its way to the plugin, which does not see secrets.
struct Captured {
    sender: mpsc::Sender<OutputChunk>,
    capabilities: Arc<Capabilities>,
    masks: [MaskStream; 2],
}

impl Captured {
    fn new(sender: mpsc::Sender<OutputChunk>, capabilities: Arc<Capabilities>) -> Self {
        Self {
            sender,
            capabilities,
            masks: Default::default(),
        }
    }

    /// Whether the plugin still reads.
    async fn send(&mut self, source: OutputSource, bytes: Bytes) -> bool {
        let mask = &mut self.masks[usize::from(source == OutputSource::Stderr)];
        mask.set_masker(&self.capabilities.secrets.masker());
        let data = match mask.push(&bytes) {
            Cow::Borrowed(_) => bytes.clone(),
            Cow::Owned(masked) => masked.into(),
        };
        data.is_empty() || self.sender.send(OutputChunk { source, data }).await.is_ok()
    }

    /// Gives the plugin what was held back because a secret could begin there.
    async fn finish(mut self) {
        for (mask, source) in self
            .masks
            .iter_mut()
            .zip([OutputSource::Stdout, OutputSource::Stderr])
        {
            let data = Bytes::from(mask.finish());
            // The plugin may have ended before.
            if !data.is_empty()
                && self
                    .sender
                    .send(OutputChunk { source, data })
                    .await
                    .is_err()
            {
                return;
            }
        }
    }
}

struct Control(Arc<dyn LinkControl>);

impl CommandControl for Control {
    fn interrupt(&self) {
        self.0.interrupt();
    }
}

fn command_exit(exit: &Exit) -> CommandExit {
    let status = match (exit.cause, exit.status) {
        (Some(StopCause::IdleTimeout(_)), _) => ExitStatus::IdleTimeout,
        (Some(StopCause::TotalTimeout(_)), _) => ExitStatus::TotalTimeout,
        (Some(StopCause::Interrupted), _) => ExitStatus::Interrupted,
        (Some(StopCause::Shutdown), _) => ExitStatus::WorkerLost("it is shutting down".into()),
        (None, Status::Code(code)) => ExitStatus::Code(code),
        (None, Status::Signal { number, .. }) => ExitStatus::Signal(number),
        (None, Status::Lost) => ExitStatus::WorkerLost("the command did not end".into()),
    };
    CommandExit {
        status,
        elapsed: exit.elapsed,
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
