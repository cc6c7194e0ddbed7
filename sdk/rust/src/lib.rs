//! Write plugins for the Toolpost build master.
//!
//! A plugin is a WebAssembly component that brings new kinds of steps, schedulers and reporters.
//!
//! * A [step](Step) does a part of a build, on its worker.
//! * A [scheduler](Scheduler) decides when what is built.
//! * A [reporter](Reporter) tells others what happened: people, chats, code hosts.
//!
//! A step is a program: it runs from top to bottom, runs commands on the build's worker, reads their output, and
//! says how it ended. It looks synchronous because waiting costs it nothing; only computing counts against its
//! CPU budget. The other two are introduced where they are documented.
//!
//! ```
//! use serde::Deserialize;
//! use schemars::JsonSchema;
//! use toolpost_sdk::{Context, Error, Outcome, Step};
//!
//! /// Parameters as the configuration writes them. They become the step's JSON Schema, so the
//! /// configuration is checked before anything runs, and this documentation is shown to its author.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Parameters {
//!     /// The target to build.
//!     #[serde(default = "default_target")]
//!     target: String,
//! }
//!
//! fn default_target() -> String {
//!     "all".to_owned()
//! }
//!
//! struct Make;
//!
//! impl Step for Make {
//!     const NAME: &'static str = "make";
//!     const SUMMARY: &'static str = "Builds a target with make.";
//!     type Parameters = Parameters;
//!
//!     fn run(parameters: Parameters, ctx: &Context) -> Result<Outcome, Error> {
//!         let exit = ctx.argv(["make", &parameters.target]).log("stdio").run()?;
//!         Ok(Outcome::new(exit.results(), format!("make {}", parameters.target)))
//!     }
//! }
//!
//! toolpost_sdk::plugin! {
//!     name: "make-plugin",
//!     steps: [Make],
//! }
//! #
//! # // What follows would be in a `#[test]`.
//! use toolpost_sdk::mock::{MockCommand, MockHost};
//!
//! let host = MockHost::new().command(["make", "docs"], MockCommand::exit(2).stderr("no rule\n"));
//! let outcome = host.run::<Make>(serde_json::json!({ "target": "docs" }));
//! assert_eq!(outcome, Ok(Outcome::failure("make docs")));
//! assert_eq!(host.log("stdio"), "no rule\n");
//! ```
//!
//! # Where to look
//!
//! * [`Step`], [`Scheduler`], [`Reporter`] and [`plugin!`]: what a plugin consists of.
//! * [`Context`]: everything that a step can do to the build and its worker.
//! * [`SchedulerContext`] and [`Reaction`]: what a scheduler knows, and what it can want.
//! * [`ReporterContext`]: what a reporter can use; [`reporter`]: what it is told.
//! * [`Http`], [`Mail`], [`Storage`]: what needs a grant of the operator, a [`Capability`].
//! * [`Command`]: running programs, and reading their output line by line.
//! * [`Artifacts`], [`TestResultSet`], [`Trigger`]: what a step leaves behind, and what it sets going.
//! * [`Error`]: the difference between "try again", "give up" and "change the configuration".
//! * [`mock`]: tests without a master and without WebAssembly.

mod command;
mod context;
mod error;
mod files;
mod host;
mod logs;
mod master;
mod outcome;
mod plugin;
pub mod reporter;
pub mod scheduler;
mod services;
mod sources;
mod step;
mod text;

#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub mod mock;

pub use command::{Command, CommandLine, Line, Lines, Output, Running};
pub use context::Context;
pub use error::{Error, FileError, FileErrorKind};
pub use files::{FileReader, Files};
pub use host::{
    BuildInfo, Capture, Chunk, CommandSpec, Exit, ExitStatus, FileKind, FileStat, Host,
    HostCommand, HostLog, Level, LogKind, LogStream, OutputSource, Property, WriteMode,
};
pub use logs::StepLog;
pub use master::{
    Artifact, Artifacts, BuildData, BuildOf, BuildRequest, HostTestResults, HostTriggered, Master,
    Progress, Sources, TestResult, TestResultSet, Trigger, Triggered, TriggeredBuild,
    UploadedDirectory,
};
pub use outcome::{Outcome, Results};
pub use plugin::{Capability, Plugin, ReporterType, SchedulerType, StepType};
pub use reporter::{Delivery, ReportOutcome, Reporter, ReporterContext};
pub use scheduler::{Reaction, Scheduler, SchedulerContext};
pub use services::{
    Attachment, Http, HttpError, HttpRequest, HttpResponse, Mail, MailMessage, Request, Services,
    Storage,
};
pub use sources::{Change, Properties, SourceStamp};
pub use step::Step;
pub use text::strip_escapes;

/// What the expansion of [`plugin!`] uses; no part of the interface.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use wasm::exports;

/// JSON values, as properties and parameters have them.
pub use serde_json::Value;
