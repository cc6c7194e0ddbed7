//! What a step imports, and `step.run`.

use super::WasmHost;
use super::bindings::imports::toolpost::plugin as wit;
use super::bindings::step_world::exports::toolpost::plugin::step as export;
use super::convert::{error, parse, source_stamps, to_wit_error, to_wit_results, value};
use crate::{
    BuildInfo, Capture, Chunk, CommandLine, CommandSpec, Context, Error, Exit, ExitStatus,
    FileError, FileErrorKind, FileKind, FileStat, Host, HostCommand, HostLog, LogKind, LogStream,
    OutputSource, Plugin, Property, WriteMode,
};
use serde_json::Value;
use std::rc::Rc;
use std::time::Duration;

impl Host for WasmHost {
    fn property(&self, name: &str) -> Option<Property> {
        wit::properties::get(name).map(property)
    }

    fn set_property(&self, name: &str, value: &Value) -> Result<(), Error> {
        wit::properties::set(name, &value.to_string()).map_err(error)
    }

    fn properties(&self) -> Vec<(String, Property)> {
        wit::properties::all()
            .into_iter()
            .map(|(name, value)| (name, property(value)))
            .collect()
    }

    fn open_log(&self, name: &str, kind: LogKind) -> Result<Box<dyn HostLog>, Error> {
        let kind = match kind {
            LogKind::Stdio => wit::step_logs::LogKind::Stdio,
            LogKind::Text => wit::step_logs::LogKind::Text,
            LogKind::Html => wit::step_logs::LogKind::Html,
        };
        let log = wit::step_logs::StepLog::open(name, kind).map_err(error)?;
        Ok(Box::new(log))
    }

    fn start_command(&self, spec: CommandSpec) -> Result<Box<dyn HostCommand>, Error> {
        let spec = wit::commands::CommandSpec {
            command: match spec.line {
                CommandLine::Shell(line) => wit::commands::CommandLine::Shell(line),
                CommandLine::Argv(words) => wit::commands::CommandLine::Argv(words),
            },
            workdir: spec.workdir,
            env: spec.env,
            stdin: spec.stdin,
            idle_timeout_ms: spec.idle_timeout.map(milliseconds),
            total_timeout_ms: spec.total_timeout.map(milliseconds),
            log: spec.log,
            capture: match spec.capture {
                Capture::Nothing => wit::commands::Capture::Nothing,
                Capture::First(bytes) => wit::commands::Capture::First(bytes),
                Capture::Everything => wit::commands::Capture::Everything,
            },
        };
        let command = wit::commands::RunningCommand::start(&spec).map_err(error)?;
        Ok(Box::new(command))
    }

    fn read_file(&self, path: &str, offset: u64, limit: u32) -> Result<Vec<u8>, FileError> {
        wit::worker_files::read(path, offset, limit).map_err(file_error("read", path))
    }

    fn write_file(&self, path: &str, data: &[u8], mode: WriteMode) -> Result<(), FileError> {
        let mode = match mode {
            WriteMode::Replace => wit::worker_files::WriteMode::Replace,
            WriteMode::Append => wit::worker_files::WriteMode::Append,
        };
        wit::worker_files::write(path, data, mode).map_err(file_error("write", path))
    }

    fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        let stat = wit::worker_files::stat(path).map_err(file_error("look at", path))?;
        let kind = match stat.kind {
            wit::worker_files::FileKind::File => FileKind::File,
            wit::worker_files::FileKind::Directory => FileKind::Directory,
            wit::worker_files::FileKind::Symlink => FileKind::Symlink,
            wit::worker_files::FileKind::Other => FileKind::Other,
        };
        Ok(FileStat {
            kind,
            size: stat.size,
            modified_ms: stat.modified_ms,
        })
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, FileError> {
        wit::worker_files::glob(pattern).map_err(file_error("list", pattern))
    }

    fn mkdir(&self, path: &str) -> Result<(), FileError> {
        wit::worker_files::mkdir(path).map_err(file_error("make", path))
    }

    fn remove(&self, path: &str, recursive: bool) -> Result<(), FileError> {
        wit::worker_files::remove(path, recursive).map_err(file_error("remove", path))
    }

    fn set_summary(&self, text: &str) {
        wit::step_status::set_summary(text);
    }

    fn set_progress(&self, done: u64, total: u64, unit: &str) {
        wit::step_status::set_progress(done, total, unit);
    }

    fn add_url(&self, name: &str, url: &str) -> Result<(), Error> {
        wit::step_status::add_url(name, url).map_err(error)
    }

    fn build(&self) -> BuildInfo {
        let build = wit::build_info::get();
        BuildInfo {
            id: build.id,
            builder: build.builder,
            number: build.number,
            url: build.url,
            worker: build.worker,
            workdir: build.workdir,
            step: build.step,
            reason: build.reason,
            source_stamps: source_stamps(build.source_stamps),
            buildset: build.buildset,
            request: build.request,
            scheduler: build.scheduler,
        }
    }

    fn is_cancelled(&self) -> bool {
        wit::cancellation::is_cancelled()
    }
}

impl HostLog for wit::step_logs::StepLog {
    fn append(&self, stream: LogStream, data: &[u8]) -> Result<(), Error> {
        let stream = match stream {
            LogStream::Stdout => wit::step_logs::LogStream::Stdout,
            LogStream::Stderr => wit::step_logs::LogStream::Stderr,
            LogStream::Header => wit::step_logs::LogStream::Header,
        };
        // The inherent method, which is the import.
        Self::append(self, stream, data).map_err(error)
    }

    fn finish(&self) -> Result<(), Error> {
        Self::finish(self).map_err(error)
    }
}

impl HostCommand for wit::commands::RunningCommand {
    fn read(&self) -> Option<Chunk> {
        Self::read(self).map(|chunk| Chunk {
            source: match chunk.source {
                wit::commands::OutputSource::Stdout => OutputSource::Stdout,
                wit::commands::OutputSource::Stderr => OutputSource::Stderr,
            },
            data: chunk.data,
        })
    }

    fn wait(&self) -> Result<Exit, Error> {
        let exit = Self::wait(self);
        let status = match exit.status {
            wit::commands::ExitStatus::Code(code) => ExitStatus::Code(code),
            wit::commands::ExitStatus::Signal(signal) => ExitStatus::Signal(signal),
            wit::commands::ExitStatus::IdleTimeout => ExitStatus::IdleTimeout,
            wit::commands::ExitStatus::TotalTimeout => ExitStatus::TotalTimeout,
            wit::commands::ExitStatus::Interrupted => ExitStatus::Interrupted,
            wit::commands::ExitStatus::WorkerLost(reason) => {
                return Err(Error::retryable(format!("the worker was lost: {reason}")));
            }
        };
        let elapsed = Duration::from_millis(exit.elapsed_ms);
        Ok(Exit {
            status,
            elapsed,
            truncated: exit.truncated,
        })
    }

    fn interrupt(&self) {
        Self::interrupt(self);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn property(property: wit::properties::Property) -> Property {
    Property {
        value: value(property.value),
        source: property.source,
    }
}

fn file_error(
    action: &'static str,
    path: &str,
) -> impl FnOnce(wit::worker_files::FileError) -> FileError {
    use wit::worker_files::FileError as Wit;
    let path = path.to_owned();
    move |error| {
        let kind = match error {
            Wit::NotFound => FileErrorKind::NotFound,
            Wit::WrongKind => FileErrorKind::WrongKind,
            Wit::NotEmpty => FileErrorKind::NotEmpty,
            Wit::Outside => FileErrorKind::Outside,
            Wit::Denied => FileErrorKind::Denied,
            Wit::WorkerLost(reason) => FileErrorKind::WorkerLost(reason),
            Wit::Other(reason) => FileErrorKind::Other(reason),
        };
        FileError { action, path, kind }
    }
}

/// `step.run`.
///
/// # Errors
///
/// Those of the step.
pub fn run(
    plugin: &Plugin,
    type_name: &str,
    parameters: &str,
) -> Result<export::StepOutcome, wit::types::Error> {
    let ctx = Context::inside(&Rc::new(WasmHost));
    let outcome = parse("the parameters", parameters)
        .and_then(|parameters| plugin.run(type_name, parameters, &ctx))
        .map_err(to_wit_error)?;
    Ok(export::StepOutcome {
        results: to_wit_results(outcome.results),
        summary: outcome.summary,
    })
}
