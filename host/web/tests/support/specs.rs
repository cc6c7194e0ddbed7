//! Builds, steps and logs in a few words.

use serde_json::Value;
use toolpost_core::model::LogType;
use toolpost_core::patch::Patch;
use toolpost_core::{ChangeId, Properties, Results};
use toolpost_store::LogStream;

/// Lines with the streams that they come from.
type Lines = Vec<(LogStream, String)>;

/// A log to be made.
pub(super) struct LogSpec {
    pub(super) name: &'static str,
    pub(super) log_type: LogType,
    pub(super) lines: Lines,
}

/// A step to be made.
pub struct StepSpec {
    pub(super) name: &'static str,
    pub(super) state: &'static str,
    pub(super) results: Option<Results>,
    pub(super) takes_ms: i64,
    pub(super) hidden: bool,
    pub(super) plugin: Option<String>,
    pub(super) url: Option<(&'static str, &'static str)>,
    pub(super) logs: Vec<LogSpec>,
}

/// A step that succeeds after a second.
pub fn step(name: &'static str) -> StepSpec {
    StepSpec {
        name,
        state: "done",
        results: Some(Results::Success),
        takes_ms: 1_000,
        hidden: false,
        plugin: None,
        url: None,
        logs: Vec::new(),
    }
}

impl StepSpec {
    pub fn ends(self, results: Results, state: &'static str) -> Self {
        Self {
            results: Some(results),
            state,
            ..self
        }
    }

    pub fn runs(self, state: &'static str) -> Self {
        Self {
            results: None,
            state,
            ..self
        }
    }

    pub fn takes(self, takes_ms: i64) -> Self {
        Self { takes_ms, ..self }
    }

    pub fn hidden(self) -> Self {
        Self {
            hidden: true,
            ..self
        }
    }

    pub fn plugin(self, digest: String) -> Self {
        Self {
            plugin: Some(digest),
            ..self
        }
    }

    pub fn link(self, name: &'static str, url: &'static str) -> Self {
        Self {
            url: Some((name, url)),
            ..self
        }
    }

    pub fn log(mut self, name: &'static str, output: impl Into<String>) -> Self {
        self.logs.push(LogSpec {
            name,
            log_type: LogType::Stdio,
            lines: vec![(LogStream::Output, output.into())],
        });
        self
    }

    pub fn stdio(mut self, lines: &[(LogStream, &str)]) -> Self {
        let lines = lines
            .iter()
            .map(|(stream, text)| (*stream, (*text).to_owned()))
            .collect();
        self.logs.push(LogSpec {
            name: "stdio",
            log_type: LogType::Stdio,
            lines,
        });
        self
    }

    pub fn html(mut self, name: &'static str, page: &str) -> Self {
        self.logs.push(LogSpec {
            name,
            log_type: LogType::Html,
            lines: vec![(LogStream::Output, page.to_owned())],
        });
        self
    }
}

/// What a build is asked for.
pub struct BuildSpec {
    pub builder: &'static str,
    pub worker: &'static str,
    pub reason: String,
    pub changes: Vec<ChangeId>,
    pub patch: Option<Patch>,
    pub results: Option<Results>,
    pub state: &'static str,
    pub properties: Properties,
    pub steps: Vec<StepSpec>,
    /// How long ago it started.
    pub ago_ms: i64,
}

/// A build of this builder that succeeded an hour ago.
pub fn build(builder: &'static str) -> BuildSpec {
    BuildSpec {
        builder,
        worker: "local",
        reason: "a change".into(),
        changes: Vec::new(),
        patch: None,
        results: Some(Results::Success),
        state: "build successful",
        properties: Properties::new(),
        steps: Vec::new(),
        ago_ms: 3_600_000,
    }
}

impl BuildSpec {
    pub fn ends(self, results: Results, state: &'static str) -> Self {
        Self {
            results: Some(results),
            state,
            ..self
        }
    }

    pub fn runs(self) -> Self {
        Self {
            results: None,
            state: "running",
            ..self
        }
    }

    pub fn ago(self, ago_ms: i64) -> Self {
        Self { ago_ms, ..self }
    }

    pub fn patched(self, patch: Patch) -> Self {
        let patch = Some(patch);
        Self { patch, ..self }
    }

    pub fn of(self, change: ChangeId) -> Self {
        Self {
            changes: vec![change],
            ..self
        }
    }

    pub fn step(mut self, step: StepSpec) -> Self {
        self.steps.push(step);
        self
    }

    pub fn property(mut self, name: &str, value: impl Into<Value>, source: &str) -> Self {
        self.properties.set(name, value, source);
        self
    }
}
