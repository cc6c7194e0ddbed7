//! What a test of a reporter has.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;
use toolpost_replay::ChangeFacts;
use toolpost_replay::recording::StampFacts;

use super::values::{Content, Moment};

/// What a test of a reporter has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReporterScript {
    /// What is told, in this order.
    pub(crate) delivery: Vec<Spanned<DeliveryTable>>,
}

/// One thing to tell.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DeliveryTable {
    /// `build-finished` and so on.
    pub(crate) event: String,
    pub(crate) key: Option<String>,
    pub(crate) attempt: u32,
    /// When it happens; unless set, right after the one before.
    pub(crate) at: Option<Moment>,
    /// How often it is tried while trying again may help.
    pub(crate) tries: u32,
    pub(crate) build: BuildTable,
    pub(crate) buildset: BuildsetTable,
    pub(crate) request: RequestTable,
    pub(crate) worker: WorkerTable,
}

impl Default for DeliveryTable {
    fn default() -> Self {
        Self {
            event: "build-finished".into(),
            key: None,
            attempt: 1,
            at: None,
            tries: 1,
            build: BuildTable::default(),
            buildset: BuildsetTable::default(),
            request: RequestTable::default(),
            worker: WorkerTable::default(),
        }
    }
}

/// A build.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BuildTable {
    pub(crate) id: u64,
    pub(crate) builder: String,
    pub(crate) tags: Vec<String>,
    pub(crate) number: u64,
    pub(crate) url: String,
    pub(crate) worker: String,
    pub(crate) reason: String,
    pub(crate) summary: String,
    /// Of a build that has ended; `success` unless set.
    pub(crate) result: Option<String>,
    pub(crate) previous_result: Option<String>,
    /// In milliseconds.
    pub(crate) took_ms: u64,
    pub(crate) request_id: u64,
    pub(crate) buildset_id: u64,
    pub(crate) scheduler: Option<String>,
    pub(crate) source_stamps: Vec<StampFacts>,
    pub(crate) changes: Vec<ChangeFacts>,
    pub(crate) properties: Map<String, Value>,
    pub(crate) steps: Vec<StepTable>,
}

impl Default for BuildTable {
    fn default() -> Self {
        Self {
            id: 17,
            builder: "builder".into(),
            tags: Vec::new(),
            number: 1,
            url: "http://toolpost.example.org/builders/builder/1".into(),
            worker: "worker".into(),
            reason: "a test".into(),
            summary: String::new(),
            result: None,
            previous_result: None,
            took_ms: 60_000,
            request_id: 1,
            buildset_id: 1,
            scheduler: None,
            source_stamps: vec![StampFacts {
                branch: Some("main".into()),
                ..StampFacts::default()
            }],
            changes: Vec::new(),
            properties: Map::new(),
            steps: Vec::new(),
        }
    }
}

/// A step of a build.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StepTable {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) result: Option<String>,
    /// Addresses by name.
    pub(crate) urls: IndexMap<String, String>,
    /// What is in its logs, by name.
    pub(crate) logs: IndexMap<String, Content>,
}

/// A build set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BuildsetTable {
    pub(crate) id: u64,
    pub(crate) reason: String,
    pub(crate) result: String,
    pub(crate) scheduler: Option<String>,
    pub(crate) source_stamps: Vec<StampFacts>,
    pub(crate) properties: Map<String, Value>,
    pub(crate) builds: Vec<BuildTable>,
}

impl Default for BuildsetTable {
    fn default() -> Self {
        Self {
            id: 1,
            reason: "a test".into(),
            result: "success".into(),
            scheduler: None,
            source_stamps: BuildTable::default().source_stamps,
            properties: Map::new(),
            builds: Vec::new(),
        }
    }
}

/// A request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RequestTable {
    pub(crate) id: u64,
    pub(crate) builder: String,
    pub(crate) buildset_id: u64,
    pub(crate) url: String,
    pub(crate) reason: String,
    pub(crate) scheduler: Option<String>,
    pub(crate) source_stamps: Vec<StampFacts>,
    pub(crate) properties: Map<String, Value>,
}

impl Default for RequestTable {
    fn default() -> Self {
        Self {
            id: 1,
            builder: "builder".into(),
            buildset_id: 1,
            url: "http://toolpost.example.org/requests/1".into(),
            reason: "a test".into(),
            scheduler: None,
            source_stamps: BuildTable::default().source_stamps,
            properties: Map::new(),
        }
    }
}

/// A worker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WorkerTable {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) builders: Vec<String>,
    pub(crate) info: Map<String, Value>,
}

impl Default for WorkerTable {
    fn default() -> Self {
        Self {
            name: "worker".into(),
            url: "http://toolpost.example.org/workers/worker".into(),
            builders: vec!["builder".into()],
            info: Map::new(),
        }
    }
}
