//! Hosts for tests: commands and HTTP requests are answered from a script, files are in memory, time is
//! virtual, and everything that a plugin does can be looked at afterwards.
//!
//! * [`MockHost`] for steps, [`MockReporterHost`] for reporters, [`SchedulerRun`] for schedulers.
//!
//! They keep to the contract where a plugin could notice: output comes in small pieces that cut lines
//! and characters, paths have to stay inside the directory of the build, a log has one kind, and the
//! sizes of names and values are limited.

mod command;
mod files;
mod glob;
mod master;
mod reporter;
mod scheduler;
mod services;
mod template;

pub use command::MockCommand;
pub use reporter::MockReporterHost;
pub use scheduler::SchedulerRun;
pub use services::MockResponse;

use services::{MockServices, mock_services};

use crate::{
    BuildInfo, CommandLine, CommandSpec, Context, Error, FileError, FileStat, Host, HostCommand,
    HostLog, LogKind, LogStream, Outcome, Property, SourceStamp, Step, StepType, WriteMode,
};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

const PROPERTY_NAME_BYTES_MAX: usize = 256;
const PROPERTY_VALUE_BYTES_MAX: usize = 64 * 1024;
const LOG_NAME_BYTES_MAX: usize = 64;
const LOGS_MAX: usize = 64;

/// A host whose commands, files and properties a test has written down.
///
/// ```
/// use toolpost_sdk::mock::{MockCommand, MockHost};
///
/// let host = MockHost::new()
///     .property("branch", "main")
///     .file("VERSION", "1.2\n")
///     .command("make check", MockCommand::exit(0).stdout("all good\n"));
/// let output = host.context().shell("make check").log("stdio").output().unwrap();
/// assert_eq!(output.text(), "all good");
/// assert_eq!(host.log("stdio"), "all good\n");
/// assert_eq!(host.commands().len(), 1);
/// ```
#[derive(Clone, Default)]
pub struct MockHost {
    state: Rc<State>,
}

/// What the host knows; shared with the handles that it gives away.
#[derive(Default)]
struct State {
    script: RefCell<Vec<(CommandLine, MockCommand)>>,
    started: RefCell<Vec<CommandSpec>>,
    interrupted: Cell<usize>,
    files: RefCell<files::MockFiles>,
    properties: RefCell<BTreeMap<String, Property>>,
    logs: RefCell<BTreeMap<String, MockLog>>,
    summaries: RefCell<Vec<String>>,
    progress: RefCell<Vec<(u64, u64, String)>>,
    urls: RefCell<Vec<(String, String)>>,
    source_stamps: RefCell<Vec<SourceStamp>>,
    cancelled: Cell<bool>,
    master: master::MockMaster,
    services: MockServices,
}

mock_services!(MockHost, state.services);

struct MockLog {
    kind: LogKind,
    content: Vec<(LogStream, Vec<u8>)>,
    finished: bool,
}

impl MockHost {
    /// A host with nothing on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a command with this. When one command has several answers, each is given once, in the
    /// order of the calls.
    #[must_use]
    pub fn command(self, line: impl Into<CommandLine>, answer: MockCommand) -> Self {
        self.state.script.borrow_mut().push((line.into(), answer));
        self
    }

    /// Puts a file into the working directory.
    #[must_use]
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.state.files.borrow_mut().put(path, content.into());
        self
    }

    /// Gives the build a property.
    #[must_use]
    pub fn property(self, name: &str, value: impl Into<Value>) -> Self {
        let property = Property {
            value: value.into(),
            source: "test".to_owned(),
        };
        self.state
            .properties
            .borrow_mut()
            .insert(name.to_owned(), property);
        self
    }

    /// Gives the build a source stamp.
    #[must_use]
    pub fn source_stamp(self, stamp: SourceStamp) -> Self {
        self.state.source_stamps.borrow_mut().push(stamp);
        self
    }

    /// Lets the step find itself cancelled.
    #[must_use]
    pub fn cancelled(self) -> Self {
        self.state.cancelled.set(true);
        self
    }

    /// Runs a step with these parameters, as the real host does.
    ///
    /// # Errors
    ///
    /// Those of the step, and [`Error::Config`] for parameters that do not fit.
    pub fn run<S: Step>(&self, parameters: Value) -> Result<Outcome, Error> {
        StepType::of::<S>().run_with(parameters, &self.context())
    }

    /// A context on this host, for tests of less than a step.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::new(&Rc::new(self.clone()))
    }

    /// The content of a log of the step, all streams in the order in which they were written.
    ///
    /// # Panics
    ///
    /// When the step has no log of this name.
    #[must_use]
    #[track_caller]
    pub fn log(&self, name: &str) -> String {
        self.find_log(name, |_| true)
    }

    /// One stream of a log of the step.
    ///
    /// # Panics
    ///
    /// When the step has no log of this name.
    #[must_use]
    #[track_caller]
    pub fn log_stream(&self, name: &str, stream: LogStream) -> String {
        self.find_log(name, |other| other == stream)
    }

    #[track_caller]
    fn find_log(&self, name: &str, wanted: impl Fn(LogStream) -> bool) -> String {
        let logs = self.state.logs.borrow();
        let Some(log) = logs.get(name) else {
            panic!(
                "the step has no log `{name}`, only {:?}",
                logs.keys().collect::<Vec<_>>()
            );
        };
        let parts = log.content.iter().filter(|(stream, _)| wanted(*stream));
        let bytes: Vec<u8> = parts.flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The names of the step's logs, in order.
    #[must_use]
    pub fn log_names(&self) -> Vec<String> {
        self.state.logs.borrow().keys().cloned().collect()
    }

    /// The value of a property of the build.
    #[must_use]
    pub fn property_value(&self, name: &str) -> Option<Value> {
        self.state
            .properties
            .borrow()
            .get(name)
            .map(|property| property.value.clone())
    }

    /// The content of a file on the worker.
    #[must_use]
    pub fn file_content(&self, path: &str) -> Option<Vec<u8>> {
        self.state.files.borrow().content(path)
    }

    /// The commands that the step has started.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandSpec> {
        self.state.started.borrow().clone()
    }

    /// How many commands were interrupted before their end.
    #[must_use]
    pub fn interrupted(&self) -> usize {
        self.state.interrupted.get()
    }

    /// The texts that the step has had beside its name while it ran.
    #[must_use]
    pub fn summaries(&self) -> Vec<String> {
        self.state.summaries.borrow().clone()
    }

    /// How far the step has said it was: done, total, unit.
    #[must_use]
    pub fn progress(&self) -> Vec<(u64, u64, String)> {
        self.state.progress.borrow().clone()
    }

    /// The links of the step: name and address.
    #[must_use]
    pub fn urls(&self) -> Vec<(String, String)> {
        self.state.urls.borrow().clone()
    }
}

impl Host for MockHost {
    fn property(&self, name: &str) -> Option<Property> {
        self.state.properties.borrow().get(name).cloned()
    }

    fn set_property(&self, name: &str, value: &Value) -> Result<(), Error> {
        limit(
            "the name of a property",
            name.len(),
            PROPERTY_NAME_BYTES_MAX,
        )?;
        limit(
            "the value of a property",
            value.to_string().len(),
            PROPERTY_VALUE_BYTES_MAX,
        )?;
        let property = Property {
            value: value.clone(),
            source: self.build().step,
        };
        self.state
            .properties
            .borrow_mut()
            .insert(name.to_owned(), property);
        Ok(())
    }

    fn properties(&self) -> Vec<(String, Property)> {
        let properties = self.state.properties.borrow();
        properties
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn open_log(&self, name: &str, kind: LogKind) -> Result<Box<dyn HostLog>, Error> {
        self.state.open_log(name, kind)?;
        Ok(Box::new(OpenLog {
            state: Rc::clone(&self.state),
            name: name.to_owned(),
        }))
    }

    fn start_command(&self, spec: CommandSpec) -> Result<Box<dyn HostCommand>, Error> {
        command::start(&self.state, &spec)
    }

    fn read_file(&self, path: &str, offset: u64, limit: u32) -> Result<Vec<u8>, FileError> {
        self.state.files.borrow().read(path, offset, limit)
    }

    fn write_file(&self, path: &str, data: &[u8], mode: WriteMode) -> Result<(), FileError> {
        self.state.files.borrow_mut().write(path, data, mode)
    }

    fn stat(&self, path: &str) -> Result<FileStat, FileError> {
        self.state.files.borrow().stat(path)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, FileError> {
        self.state.files.borrow().glob(pattern)
    }

    fn mkdir(&self, path: &str) -> Result<(), FileError> {
        self.state.files.borrow_mut().mkdir(path)
    }

    fn remove(&self, path: &str, recursive: bool) -> Result<(), FileError> {
        self.state.files.borrow_mut().remove(path, recursive)
    }

    fn set_summary(&self, text: &str) {
        self.state.summaries.borrow_mut().push(text.to_owned());
    }

    fn set_progress(&self, done: u64, total: u64, unit: &str) {
        self.state
            .progress
            .borrow_mut()
            .push((done, total, unit.to_owned()));
    }

    fn add_url(&self, name: &str, url: &str) -> Result<(), Error> {
        if !["https://", "http://", "/"]
            .iter()
            .any(|start| url.starts_with(start))
        {
            return Err(Error::permanent(format!(
                "the link `{url}` starts with none of https://, http:// and /"
            )));
        }
        self.state
            .urls
            .borrow_mut()
            .push((name.to_owned(), url.to_owned()));
        Ok(())
    }

    fn build(&self) -> BuildInfo {
        BuildInfo {
            id: 1,
            builder: "builder".to_owned(),
            number: 1,
            url: "http://localhost:8010/builders/1/builds/1".to_owned(),
            worker: "worker".to_owned(),
            workdir: "/worker/builder/build".to_owned(),
            step: "step".to_owned(),
            reason: "a test".to_owned(),
            source_stamps: self.state.source_stamps.borrow().clone(),
            buildset: 1,
            request: 1,
            scheduler: None,
        }
    }

    fn is_cancelled(&self) -> bool {
        self.state.cancelled.get()
    }
}

impl State {
    fn open_log(&self, name: &str, kind: LogKind) -> Result<(), Error> {
        limit("the name of a log", name.len(), LOG_NAME_BYTES_MAX)?;
        let mut logs = self.logs.borrow_mut();
        match logs.get(name) {
            Some(log) if log.kind != kind || log.finished => {
                return Err(Error::permanent(format!(
                    "the log `{name}` is finished or of another kind"
                )));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        limit("the number of logs", logs.len() + 1, LOGS_MAX)?;
        logs.insert(
            name.to_owned(),
            MockLog {
                kind,
                content: Vec::new(),
                finished: false,
            },
        );
        Ok(())
    }

    fn append_to_log(&self, name: &str, stream: LogStream, data: &[u8]) -> Result<(), Error> {
        let mut logs = self.logs.borrow_mut();
        let log = logs.get_mut(name).filter(|log| !log.finished);
        let log = log.ok_or_else(|| Error::permanent(format!("the log `{name}` is finished")))?;
        if log.kind != LogKind::Stdio && stream != LogStream::Stdout {
            return Err(Error::permanent(format!(
                "the log `{name}` has one stream only"
            )));
        }
        log.content.push((stream, data.to_owned()));
        Ok(())
    }
}

struct OpenLog {
    state: Rc<State>,
    name: String,
}

impl HostLog for OpenLog {
    fn append(&self, stream: LogStream, data: &[u8]) -> Result<(), Error> {
        self.state.append_to_log(&self.name, stream, data)
    }

    fn finish(&self) -> Result<(), Error> {
        self.append(LogStream::Stdout, b"")?;
        if let Some(log) = self.state.logs.borrow_mut().get_mut(&self.name) {
            log.finished = true;
        }
        Ok(())
    }
}

fn limit(what: &str, is: usize, most: usize) -> Result<(), Error> {
    if is > most {
        return Err(Error::permanent(format!(
            "{what} is {is}, at most {most} is allowed"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_contract_are_kept() {
        let ctx = MockHost::new().context();
        let refused = |result: Result<(), Error>, reason: &str| {
            let error = result.expect_err(reason);
            assert!(matches!(error, Error::Permanent(_)), "{error:?}");
            assert!(error.to_string().contains(reason), "{error}");
        };
        refused(ctx.set_property(&"x".repeat(300), 1), "name of a property");
        refused(
            ctx.set_property("x", "y".repeat(70_000)),
            "value of a property",
        );
        refused(ctx.text_log(&"x".repeat(70)).map(drop), "name of a log");
        refused(ctx.add_url("x", "javascript:alert(1)"), "starts with none");
        ctx.add_url("x", "/builders/1").expect("a path is fine");
        let log = ctx.text_log("a").expect("a log");
        refused(ctx.stdio_log("a").map(drop), "of another kind");
        log.finish().expect("it was open");
        refused(ctx.text_log("a").map(drop), "is finished");
        for n in 1..LOGS_MAX {
            ctx.text_log(&n.to_string()).expect("there is room");
        }
        refused(ctx.text_log("one more").map(drop), "number of logs");
    }

    #[test]
    fn properties_can_be_read_as_types() {
        let host = MockHost::new().property("count", 3);
        let ctx = host.context();
        assert_eq!(ctx.property_as::<u32>("count"), Ok(Some(3)));
        assert_eq!(ctx.property_as::<u32>("other"), Ok(None));
        let error = ctx
            .property_as::<String>("count")
            .expect_err("it is a number");
        assert!(
            error.to_string().starts_with("the property `count`"),
            "{error}"
        );
        ctx.set_property("name", "x").expect("it is short");
        assert_eq!(host.property_value("name"), Some("x".into()));
        assert_eq!(ctx.properties().len(), 2);
    }
}
