//! What a test of a scheduler has.

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;
use toolpost_replay::ChangeFacts;
use toolpost_replay::recording::StampFacts;

use super::values::{Moment, Time, Times, is_like};

/// What a test of a scheduler has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SchedulerScript {
    /// The builders that it may start.
    pub(crate) builders: Vec<String>,
    /// What it remembers; unless set, it has never heard anything.
    pub(crate) state: Option<Value>,
    /// What happens, in the order of the times.
    pub(crate) event: Vec<Spanned<EventTable>>,
    /// What comes of builds that it asks for.
    pub(crate) build: Vec<Spanned<BuildTable>>,
    /// When the test ends: a day after the last event unless set, or when nothing is left to happen.
    pub(crate) until: Option<Spanned<Moment>>,
}

impl Default for SchedulerScript {
    fn default() -> Self {
        Self {
            builders: vec!["builder".into()],
            state: None,
            event: Vec::new(),
            build: Vec::new(),
            until: None,
        }
    }
}

/// Something that happens: one of these.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EventTable {
    /// When.
    pub(crate) at: Option<Moment>,
    pub(crate) change: Option<ChangeFacts>,
    pub(crate) build_finished: Option<FinishedTable>,
    pub(crate) force: Option<ForceTable>,
    /// Its parameters become these.
    pub(crate) parameters: Option<Map<String, Value>>,
}

/// A build of somebody that has ended.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FinishedTable {
    pub(crate) builder: String,
    pub(crate) number: u64,
    pub(crate) result: String,
    pub(crate) repository: String,
    pub(crate) branch: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) source_stamps: Vec<StampFacts>,
    pub(crate) properties: Map<String, Value>,
}

impl Default for FinishedTable {
    fn default() -> Self {
        Self {
            builder: "builder".into(),
            number: 1,
            result: "success".into(),
            repository: ChangeFacts::default().repository,
            branch: Some("main".into()),
            revision: None,
            source_stamps: Vec::new(),
            properties: Map::new(),
        }
    }
}

impl FinishedTable {
    pub(crate) fn stamps(&self) -> Vec<StampFacts> {
        match self.source_stamps.is_empty() {
            false => self.source_stamps.clone(),
            true => vec![StampFacts {
                repository: self.repository.clone(),
                branch: self.branch.clone(),
                revision: self.revision.clone(),
                ..StampFacts::default()
            }],
        }
    }
}

/// A form that a person sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ForceTable {
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) values: Map<String, Value>,
}

/// What comes of builds that the scheduler asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BuildTable {
    /// `*` stands for anything here and in the next two.
    builder: String,
    revision: String,
    label: String,
    pub(crate) result: String,
    pub(crate) takes: Time,
    pub(crate) properties: Map<String, Value>,
    pub(crate) times: Times,
}

impl Default for BuildTable {
    fn default() -> Self {
        Self {
            builder: "*".into(),
            revision: "*".into(),
            label: "*".into(),
            result: "success".into(),
            takes: Time::default(),
            properties: Map::new(),
            times: Times::Exactly(1),
        }
    }
}

impl BuildTable {
    pub(crate) fn is_for(&self, builder: &str, revision: &str, label: &str) -> bool {
        is_like(&self.builder, builder)
            && is_like(&self.revision, revision)
            && is_like(&self.label, label)
    }

    /// What it is called in the script.
    pub(crate) fn name(&self) -> String {
        let parts = [
            ("builder", &self.builder),
            ("revision", &self.revision),
            ("label", &self.label),
        ];
        let said = parts.iter().filter(|(_, value)| *value != "*");
        let said: Vec<String> = said
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        match said.is_empty() {
            true => "any build".into(),
            false => format!("a build of {}", said.join(", ")),
        }
    }
}
