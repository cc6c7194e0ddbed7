//! Between the generated types and those of [`crate::host`].

use std::time::Duration;

use toolpost_core::PatchId;
use toolpost_core::model::{Change, LogType, SourceStampSpec};

use crate::bindings::toolpost::plugin::{
    build_info, commands, log, step_logs, types, worker_files,
};
use crate::host::{
    BuildInfo, CommandExit, CommandLine, CommandSpec, ExitStatus, FileError, FileKind, FileStat,
    LogLevel, LogStream, OutputChunk, OutputSource, WriteMode,
};
use crate::{PluginErrorKind, SandboxError};

impl From<log::Level> for LogLevel {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Debug => Self::Debug,
            log::Level::Info => Self::Info,
            log::Level::Warn => Self::Warn,
            log::Level::Error => Self::Error,
        }
    }
}

impl From<step_logs::LogKind> for LogType {
    fn from(kind: step_logs::LogKind) -> Self {
        match kind {
            step_logs::LogKind::Stdio => Self::Stdio,
            step_logs::LogKind::Text => Self::Text,
            step_logs::LogKind::Html => Self::Html,
        }
    }
}

impl From<step_logs::LogStream> for LogStream {
    fn from(stream: step_logs::LogStream) -> Self {
        match stream {
            step_logs::LogStream::Stdout => Self::Stdout,
            step_logs::LogStream::Stderr => Self::Stderr,
            step_logs::LogStream::Header => Self::Header,
        }
    }
}

impl From<commands::CommandSpec> for CommandSpec {
    fn from(spec: commands::CommandSpec) -> Self {
        Self {
            capture: !matches!(spec.capture, commands::Capture::Nothing),
            command: match spec.command {
                commands::CommandLine::Argv(argv) => CommandLine::Argv(argv),
                commands::CommandLine::Shell(line) => CommandLine::Shell(line),
            },
            workdir: spec.workdir,
            env: spec.env,
            stdin: spec.stdin.map(Into::into),
            idle_timeout: spec.idle_timeout_ms.map(Duration::from_millis),
            total_timeout: spec.total_timeout_ms.map(Duration::from_millis),
            log: spec.log,
        }
    }
}

impl From<OutputChunk> for commands::OutputChunk {
    fn from(chunk: OutputChunk) -> Self {
        Self {
            source: match chunk.source {
                OutputSource::Stdout => commands::OutputSource::Stdout,
                OutputSource::Stderr => commands::OutputSource::Stderr,
            },
            data: chunk.data.into(),
        }
    }
}

/// How a command ended, and whether output was dropped.
pub(super) fn exit(exit: &CommandExit, truncated: bool) -> commands::Exit {
    commands::Exit {
        status: match &exit.status {
            ExitStatus::Code(code) => commands::ExitStatus::Code(*code),
            ExitStatus::Signal(signal) => commands::ExitStatus::Signal(*signal),
            ExitStatus::IdleTimeout => commands::ExitStatus::IdleTimeout,
            ExitStatus::TotalTimeout => commands::ExitStatus::TotalTimeout,
            ExitStatus::Interrupted => commands::ExitStatus::Interrupted,
            ExitStatus::WorkerLost(text) => commands::ExitStatus::WorkerLost(text.clone()),
        },
        elapsed_ms: u64::try_from(exit.elapsed.as_millis()).unwrap_or(u64::MAX),
        truncated,
    }
}

/// A file error as the plugin sees it; `Err` is trouble of the master's own.
pub(super) fn file_error(error: FileError) -> Result<worker_files::FileError, String> {
    Ok(match error {
        FileError::NotFound => worker_files::FileError::NotFound,
        FileError::WrongKind => worker_files::FileError::WrongKind,
        FileError::NotEmpty => worker_files::FileError::NotEmpty,
        FileError::Outside => worker_files::FileError::Outside,
        FileError::Denied => worker_files::FileError::Denied,
        FileError::WorkerLost(text) => worker_files::FileError::WorkerLost(text),
        FileError::Other(text) => worker_files::FileError::Other(text),
        FileError::Internal(text) => return Err(text),
    })
}

impl From<FileStat> for worker_files::FileStat {
    fn from(stat: FileStat) -> Self {
        Self {
            kind: match stat.kind {
                FileKind::File => worker_files::FileKind::File,
                FileKind::Directory => worker_files::FileKind::Directory,
                FileKind::Symlink => worker_files::FileKind::Symlink,
                FileKind::Other => worker_files::FileKind::Other,
            },
            size: stat.size,
            modified_ms: stat.modified_ms,
        }
    }
}

impl From<worker_files::WriteMode> for WriteMode {
    fn from(mode: worker_files::WriteMode) -> Self {
        match mode {
            worker_files::WriteMode::Replace => Self::Replace,
            worker_files::WriteMode::Append => Self::Append,
        }
    }
}

impl From<BuildInfo> for build_info::Build {
    fn from(info: BuildInfo) -> Self {
        Self {
            id: info.id,
            builder: info.builder,
            number: info.number,
            url: info.url,
            worker: info.worker,
            workdir: info.workdir,
            step: info.step,
            reason: info.reason,
            source_stamps: info.source_stamps.into_iter().map(Into::into).collect(),
            buildset: info.buildset,
            request: info.request,
            scheduler: info.scheduler,
        }
    }
}

impl From<SourceStampSpec> for types::SourceStamp {
    fn from(stamp: SourceStampSpec) -> Self {
        Self {
            codebase: stamp.codebase,
            repository: stamp.repository,
            project: stamp.project,
            branch: stamp.branch,
            revision: stamp.revision,
            patch: stamp.patch.map(|id| u64::try_from(id.0).unwrap_or(0)),
        }
    }
}

/// A source stamp that a plugin names.
pub(crate) fn source_stamp(stamp: types::SourceStamp) -> SourceStampSpec {
    SourceStampSpec {
        codebase: stamp.codebase,
        repository: stamp.repository,
        branch: stamp.branch,
        revision: stamp.revision,
        project: stamp.project,
        // Numbers that are too large are of none that there is.
        patch: stamp
            .patch
            .map(|id| PatchId(i64::try_from(id).unwrap_or(i64::MAX))),
    }
}

/// A change as plugins see it.
pub(super) fn change(change: Change) -> types::Change {
    let properties: serde_json::Map<String, serde_json::Value> = change
        .properties
        .iter()
        .map(|(name, property)| (name.to_owned(), property.value.clone()))
        .collect();
    types::Change {
        id: u64::try_from(change.id.0).unwrap_or(0),
        author: change.author,
        comments: change.comments,
        files: change.files,
        branch: change.branch,
        revision: change.revision,
        category: change.category,
        repository: change.repository,
        project: change.project,
        codebase: change.codebase,
        revlink: change.revlink,
        when_ms: u64::try_from(change.when.0).unwrap_or(0),
        properties: serde_json::Value::Object(properties).to_string(),
    }
}

/// An error that a plugin returned.
pub(crate) fn plugin_error(error: types::Error) -> SandboxError {
    let (kind, message) = match error {
        types::Error::Retryable(message) => (PluginErrorKind::Retryable, message),
        types::Error::Permanent(message) => (PluginErrorKind::Permanent, message),
        types::Error::Config(message) => (PluginErrorKind::Config, message),
    };
    SandboxError::Plugin { kind, message }
}

/// The result that a plugin returned.
pub(crate) fn results(results: types::Results) -> toolpost_core::Results {
    match results {
        types::Results::Success => toolpost_core::Results::Success,
        types::Results::Warnings => toolpost_core::Results::Warnings,
        types::Results::Failure => toolpost_core::Results::Failure,
        types::Results::Skipped => toolpost_core::Results::Skipped,
        types::Results::Exception => toolpost_core::Results::Exception,
        types::Results::Retry => toolpost_core::Results::Retry,
        types::Results::Cancelled => toolpost_core::Results::Cancelled,
    }
}
