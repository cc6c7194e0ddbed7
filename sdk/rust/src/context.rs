//! Everything that a step can do.

#[cfg(target_family = "wasm")]
use crate::Master;
use crate::host::HostRef;
use crate::services::{ServicesRef, service_methods};
use crate::{
    Artifacts, BuildData, BuildInfo, Change, Command, CommandLine, Error, Files, Host, LogKind,
    Property, StepLog, TestResultSet, Trigger,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
#[cfg(not(target_family = "wasm"))]
use std::rc::Rc;

/// The build that a step runs in, and its worker.
#[derive(Clone)]
pub struct Context {
    host: HostRef,
    services: ServicesRef,
}

impl Context {
    /// A context on this host.
    #[cfg(not(target_family = "wasm"))]
    pub fn new<H: Host + 'static>(host: &Rc<H>) -> Self {
        Self {
            host: Rc::<H>::clone(host),
            services: Rc::<H>::clone(host),
        }
    }

    /// The context on the host of the component.
    #[cfg(target_family = "wasm")]
    pub(crate) fn inside(host: &HostRef) -> Self {
        Self {
            host: HostRef::clone(host),
            services: ServicesRef::clone(host),
        }
    }

    /// A command line for the worker's shell (`/bin/sh -c`).
    pub fn shell(&self, line: impl Into<String>) -> Command {
        self.command(CommandLine::Shell(line.into()))
    }

    /// A program with its arguments, passed as they are, without a shell.
    pub fn argv<A: Into<String>>(&self, words: impl IntoIterator<Item = A>) -> Command {
        self.command(CommandLine::Argv(
            words.into_iter().map(Into::into).collect(),
        ))
    }

    /// A command in either form, as [`CommandLine`] in the parameters of a step has it.
    pub fn command(&self, line: impl Into<CommandLine>) -> Command {
        Command::new(HostRef::clone(&self.host), line.into())
    }

    /// The files on the worker.
    pub fn files(&self) -> Files {
        Files::new(HostRef::clone(&self.host))
    }

    /// Files that are kept with builds.
    pub fn artifacts(&self) -> Artifacts {
        Artifacts::new(HostRef::clone(&self.host))
    }

    /// Builds of other builders: as [`Trigger`] is run, each of these is asked for one.
    pub fn trigger<N: Into<String>>(&self, builders: impl IntoIterator<Item = N>) -> Trigger {
        let builders = builders.into_iter().map(Into::into).collect();
        Trigger::new(HostRef::clone(&self.host), builders)
    }

    /// Makes an empty set of test results. `description` says what was run; `category` is one of Buildbot's
    /// (`pass_fail`, `pass_only`, `fail_only`, `code_issue`, `performance`, `binary_size`, `memory_use`) or another, and so is
    /// `value_unit` (`boolean`, `message`, `ms`, `B` and so on).
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when the step has too many.
    pub fn test_results(
        &self,
        description: &str,
        category: &str,
        value_unit: &str,
    ) -> Result<TestResultSet, Error> {
        let set = self
            .host
            .create_test_results(description, category, value_unit)?;
        Ok(TestResultSet::new(set))
    }

    /// A named value of the build, for programs rather than people.
    ///
    /// # Errors
    ///
    /// [`Error::Retryable`] when the master cannot tell.
    pub fn build_data(&self, name: &str) -> Result<Option<BuildData>, Error> {
        self.host.build_data(name)
    }

    /// Sets a named value of the build, for later steps, reporters and programs that ask the API. Its source is the
    /// name of the step.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] unless the name has letters, digits, `.`, `_` and `-` only, and the value at most 1 MiB.
    pub fn set_build_data(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.host.set_build_data(name, value, "")
    }

    /// The changes that the build was made for, in the order of their ids; none when it was forced.
    ///
    /// # Errors
    ///
    /// [`Error::Retryable`] when the master cannot tell.
    pub fn changes(&self) -> Result<Vec<Change>, Error> {
        self.host.changes()
    }

    /// The value of a property of the build.
    pub fn property(&self, name: &str) -> Option<Value> {
        self.host.property(name).map(|property| property.value)
    }

    /// The value of a property, as this type.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when it has a value that is not of this type.
    pub fn property_as<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let parse = |value| {
            serde_json::from_value(value)
                .map_err(|error| Error::permanent(format!("the property `{name}`: {error}")))
        };
        self.property(name).map(parse).transpose()
    }

    /// All properties of the build with who set them, ordered by name.
    pub fn properties(&self) -> Vec<(String, Property)> {
        self.host.properties()
    }

    /// Sets a property of the build, visible at once to later steps and to people.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when the value has more than 64 KiB or the name more than 256 bytes.
    pub fn set_property(&self, name: &str, value: impl Serialize) -> Result<(), Error> {
        let value = serde_json::to_value(value)
            .map_err(|error| Error::permanent(format!("the property `{name}`: {error}")))?;
        self.host.set_property(name, &value)
    }

    /// Opens a log of plain text in this step, or makes it.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when a log of that name is of another kind or finished.
    pub fn text_log(&self, name: &str) -> Result<StepLog, Error> {
        self.open_log(name, LogKind::Text)
    }

    /// Opens a log that is a piece of HTML, or makes it.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when a log of that name is of another kind or finished.
    pub fn html_log(&self, name: &str) -> Result<StepLog, Error> {
        self.open_log(name, LogKind::Html)
    }

    /// Opens a log of program output, or makes it. Commands write to one by themselves, see
    /// [`Command::log`].
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when a log of that name is of another kind or finished.
    pub fn stdio_log(&self, name: &str) -> Result<StepLog, Error> {
        self.open_log(name, LogKind::Stdio)
    }

    fn open_log(&self, name: &str, kind: LogKind) -> Result<StepLog, Error> {
        Ok(StepLog::new(self.host.open_log(name, kind)?))
    }

    /// Sets the text beside the name of the step, such as `testing 120 of 415`.
    pub fn set_summary(&self, text: &str) {
        self.host.set_summary(text);
    }

    /// Says how far the step is: `done` of `total` `unit` (`tests`, `files`). A `total` of 0 is not
    /// known.
    pub fn set_progress(&self, done: u64, total: u64, unit: &str) {
        self.host.set_progress(done, total, unit);
    }

    /// Adds a link with a name to the step.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] unless the address starts with `https://`, `http://` or `/`.
    pub fn add_url(&self, name: &str, url: &str) -> Result<(), Error> {
        self.host.add_url(name, url)
    }

    /// The build that this step belongs to.
    pub fn build(&self) -> BuildInfo {
        self.host.build()
    }

    /// Whether the step was cancelled. Ask in loops that do not wait for commands; those end by
    /// themselves.
    pub fn is_cancelled(&self) -> bool {
        self.host.is_cancelled()
    }

    service_methods!();
}
