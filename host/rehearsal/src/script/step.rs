//! What a test of a step has.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;
use toolpost_core::model::SourceStampSpec;
use toolpost_replay::ChangeFacts;
use toolpost_replay::recording::StampFacts;
use toolpost_sandbox::host::{BuildInfo, CommandLine};

use super::common::FailureTable;
use super::values::{Content, Time, Times, Words, is_like};

/// What a test of a step has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StepScript {
    pub(crate) build: BuildTable,
    pub(crate) properties: Map<String, Value>,
    pub(crate) changes: Vec<ChangeFacts>,
    /// What is on the worker, by path.
    pub(crate) files: IndexMap<String, Content>,
    pub(crate) command: Vec<Spanned<CommandTable>>,
    /// Artifacts that the build has already.
    pub(crate) artifacts: IndexMap<String, Content>,
    /// Those of other builds, by `builder/number`.
    pub(crate) artifacts_of: BTreeMap<String, IndexMap<String, Content>>,
    pub(crate) build_data: IndexMap<String, Content>,
    pub(crate) trigger: Vec<Spanned<TriggerTable>>,
    /// When the step is cancelled.
    pub(crate) cancel_after: Option<Time>,
    /// Of commands that say none; 20 minutes unless set, as in the configuration.
    pub(crate) idle_timeout: Option<Time>,
    /// Of commands that say none.
    pub(crate) total_timeout: Option<Time>,
}

/// The build.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BuildTable {
    id: u64,
    builder: String,
    number: u64,
    url: String,
    worker: String,
    workdir: String,
    step: Option<String>,
    reason: String,
    /// Of the only codebase.
    branch: Option<String>,
    revision: Option<String>,
    repository: String,
    /// Several codebases.
    source_stamps: Vec<StampFacts>,
    buildset: u64,
    request: u64,
    scheduler: Option<String>,
}

impl Default for BuildTable {
    fn default() -> Self {
        Self {
            id: 17,
            builder: "builder".into(),
            number: 1,
            url: "http://toolpost.example.org/builders/builder/1".into(),
            worker: "worker".into(),
            workdir: "/builds/builder/build".into(),
            step: None,
            reason: "a test".into(),
            branch: Some("main".into()),
            revision: None,
            repository: "https://example.org/repository.git".into(),
            source_stamps: Vec::new(),
            buildset: 1,
            request: 1,
            scheduler: None,
        }
    }
}

impl BuildTable {
    /// As the step sees it; `type_name` is what the step is called unless the test says so.
    pub(crate) fn info(&self, type_name: &str) -> BuildInfo {
        let only = SourceStampSpec {
            repository: self.repository.clone(),
            branch: self.branch.clone(),
            revision: self.revision.clone(),
            ..SourceStampSpec::default()
        };
        let stamps: Vec<SourceStampSpec> =
            self.source_stamps.iter().cloned().map(Into::into).collect();
        BuildInfo {
            id: self.id,
            builder: self.builder.clone(),
            number: self.number,
            url: self.url.clone(),
            worker: self.worker.clone(),
            workdir: self.workdir.clone(),
            step: self.step.clone().unwrap_or_else(|| type_name.to_owned()),
            reason: self.reason.clone(),
            source_stamps: match stamps.is_empty() {
                true => vec![only],
                false => stamps,
            },
            buildset: self.buildset,
            request: self.request,
            scheduler: self.scheduler.clone(),
        }
    }
}

/// What a command does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CommandTable {
    /// The command as one line, or its program and arguments; `*` stands for anything, `**` for all further arguments.
    pub(crate) run: Words,
    pub(crate) exit: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) worker_lost: Option<String>,
    pub(crate) takes: Time,
    /// At once.
    pub(crate) stdout: Option<Content>,
    pub(crate) stderr: Option<Content>,
    /// When it says what.
    pub(crate) output: Vec<OutputTable>,
    /// Files that it makes before it ends.
    pub(crate) writes: IndexMap<String, Content>,
    pub(crate) removes: Vec<String>,
    /// Why it does not start.
    pub(crate) fails: Option<FailureTable>,
    /// How long it goes on when it is interrupted.
    pub(crate) stops_after: Time,
    pub(crate) times: Times,
}

/// A piece of output.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutputTable {
    /// Since the start of the command.
    pub(crate) at: Time,
    pub(crate) stdout: Option<Content>,
    pub(crate) stderr: Option<Content>,
}

/// What comes of builds that the step asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TriggerTable {
    /// The builder; `*` stands for anything.
    pub(crate) builder: String,
    pub(crate) result: Option<String>,
    pub(crate) takes: Time,
    pub(crate) times: Times,
}

impl CommandTable {
    /// Whether it is about this command.
    pub(crate) fn is_for(&self, command: &CommandLine) -> bool {
        match (&self.run, command) {
            (Words::Line(pattern), command) => is_like(pattern, &line(command)),
            (Words::List(patterns), CommandLine::Argv(argv)) => {
                let open = patterns.last().is_some_and(|last| last == "**");
                let patterns = &patterns[..patterns.len() - usize::from(open)];
                let fits = argv.len() == patterns.len() || (open && argv.len() > patterns.len());
                let mut pairs = patterns.iter().zip(argv);
                fits && pairs.all(|(pattern, word)| is_like(pattern, word))
            }
            _ => false,
        }
    }

    /// What it is called in the script.
    pub(crate) fn name(&self) -> String {
        match &self.run {
            Words::Nothing => String::new(),
            Words::Line(line) => line.clone(),
            Words::List(words) => words.join(" "),
        }
    }
}

/// A command as one line.
pub(crate) fn line(command: &CommandLine) -> String {
    match command {
        CommandLine::Argv(argv) => argv.join(" "),
        CommandLine::Shell(line) => line.clone(),
    }
}
