//! The `shell` step: one command on the worker.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use toolpost_core::Results;
use toolpost_core::model::LogType;
use toolpost_core::step::CutShort;
use toolpost_worker::LogFile;

use super::params::{Command, Environment, Span};
use crate::build::StepContext;
use crate::build::command::{self, FileLog, OutputPlan};
use crate::build::outcome::{Fault, StepEnd};

/// Runs a command on the worker. Exit code 0 is success, all others are failure, unless `decode_rc` says otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShellParams {
    /// A line for `/bin/sh`, or program and arguments.
    pub(crate) command: Command,
    /// Environment variables: a string sets one, `false` takes it away.
    #[serde(default)]
    pub(crate) env: Environment,
    /// Text for the command's standard input.
    pub(crate) stdin: Option<String>,
    /// The command is ended when it prints nothing for this long. Without it: 20 minutes.
    pub(crate) timeout: Option<Span>,
    /// The command is ended when it runs for this long.
    pub(crate) max_time: Option<Span>,
    /// The command is ended when it has written more lines than this.
    pub(crate) max_lines: Option<NonZeroU64>,
    /// How long an interrupted command may take to end by itself. Without it: 5 seconds.
    pub(crate) interrupt_grace: Option<Span>,
    /// Name of the log that the output goes to.
    #[serde(default = "stdio")]
    #[schemars(length(min = 1, max = 64))]
    pub(crate) log: String,
    /// Whether standard output is logged.
    #[serde(default = "yes")]
    pub(crate) want_stdout: bool,
    /// Whether standard error is logged.
    #[serde(default = "yes")]
    pub(crate) want_stderr: bool,
    /// Files that the command writes, each followed into a log of this name.
    #[serde(default)]
    #[schemars(extend("maxProperties" = LOGFILES_MAX, "propertyNames" = { "minLength": 1, "maxLength": 64 }))]
    pub(crate) logfiles: BTreeMap<String, FollowedFile>,
    /// Whether logs of files come only with the first that is written to them.
    #[serde(default)]
    pub(crate) lazy_logfiles: bool,
}

/// Files of one command that are followed.
const LOGFILES_MAX: usize = 32;
/// The longest name of a log.
const LOG_NAME_CHARS_MAX: usize = 64;

/// A file that is followed into a log. One that is there before and does not change is left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum FollowedFile {
    /// Its path, from the working directory on.
    Path(String),
    /// The same with options.
    Options(FollowOptions),
}

/// How a file is followed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowOptions {
    /// Its path, from the working directory on.
    pub(crate) path: String,
    /// Whether what is in it before the command starts is left out.
    #[serde(default)]
    pub(crate) follow: bool,
}

impl FollowedFile {
    fn log_file(&self, step: &StepContext) -> LogFile {
        let (path, new_only) = match self {
            Self::Path(path) => (path, false),
            Self::Options(options) => (&options.path, options.follow),
        };
        LogFile {
            path: step.path(path),
            new_only,
        }
    }
}

impl ShellParams {
    /// What the schema says of the logs.
    pub(crate) fn checked(self) -> Result<Self, String> {
        if self.logfiles.len() > LOGFILES_MAX {
            return Err(format!("`logfiles` has at most {LOGFILES_MAX} files"));
        }
        let is_name = |name: &String| (1..=LOG_NAME_CHARS_MAX).contains(&name.chars().count());
        let all_names = self.logfiles.keys().chain([&self.log]).all(is_name);
        if !all_names {
            return Err(format!(
                "the name of a log has 1 to {LOG_NAME_CHARS_MAX} characters"
            ));
        }
        Ok(self)
    }
}

fn stdio() -> String {
    "stdio".into()
}

fn yes() -> bool {
    true
}

/// Runs the command; its exit code is the result.
pub(super) async fn run(step: &StepContext, params: &ShellParams) -> Result<StepEnd, Fault> {
    let log = step.logs.open(&params.log, LogType::Stdio).await?;
    let mut spec = step.command(command::invocation(&params.command));
    spec.env.extend(command::environment(&params.env));
    spec.stdin = params.stdin.clone().map(Bytes::from);
    spec.idle_timeout = Some(step.idle_timeout(params.timeout.map(|span| span.0)));
    spec.total_timeout = step.total_timeout(params.max_time.map(|span| span.0));
    if let Some(grace) = params.interrupt_grace {
        spec.interrupt_grace = grace.0;
    }
    let mut files = Vec::with_capacity(params.logfiles.len());
    for (name, file) in &params.logfiles {
        if *name == params.log {
            let text =
                format!("the log `{name}` has the output of the command: name its file otherwise");
            return Err(Fault::Failed(text));
        }
        spec.log_files.push(file.log_file(step));
        files.push(FileLog::new(&step.logs, name, params.lazy_logfiles).await?);
    }
    let plan = OutputPlan {
        log: Some(&log),
        log_stdout: params.want_stdout,
        log_stderr: params.want_stderr,
        headers: true,
        keep_bytes_max: 0,
        lines_max: params.max_lines.map(NonZeroU64::get),
        files,
    };
    let ended = match step.run(spec, plan).await {
        Err(fault @ (Fault::Failed(_) | Fault::NoProgram(_))) => {
            log.header(&fault.to_string()).await;
            return Err(fault);
        }
        ended => ended?,
    };
    let summary = params.command.quoted_summary();
    if ended.too_many_lines {
        return Ok(StepEnd {
            results: Results::Failure,
            summary: Some(summary),
            cut_short: Some(CutShort::TooMuchOutput),
        });
    }
    let options = &step.config.options;
    Ok(command::step_end(&ended.exit, summary, |code| {
        options.decode_exit_code(code)
    }))
}
