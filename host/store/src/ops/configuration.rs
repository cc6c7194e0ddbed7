//! Which builders, workers, schedulers and change sources a master has configured.

use std::collections::BTreeMap;

use toolpost_core::{BuilderId, ChangeSourceId, MasterId, SchedulerId, Timestamp, WorkerId};

use crate::{Result, Store};

/// A builder as configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredBuilder {
    /// Unique name.
    pub name: String,
    /// For people; may be Markdown.
    pub description: Option<String>,
    /// For filtering on pages.
    pub tags: Vec<String>,
}

/// A worker as configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredWorker {
    /// Unique name.
    pub name: String,
    /// Names of the builders that may use it.
    pub builders: Vec<String>,
}

/// All names of a master's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredNames {
    /// Builders.
    pub builders: Vec<ConfiguredBuilder>,
    /// Workers.
    pub workers: Vec<ConfiguredWorker>,
    /// Names of schedulers.
    pub schedulers: Vec<String>,
    /// Names of change sources.
    pub change_sources: Vec<String>,
}

/// The row ids of the configured names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredIds {
    /// Builders by name.
    pub builders: BTreeMap<String, BuilderId>,
    /// Workers by name.
    pub workers: BTreeMap<String, WorkerId>,
    /// Schedulers by name.
    pub schedulers: BTreeMap<String, SchedulerId>,
    /// Change sources by name.
    pub change_sources: BTreeMap<String, ChangeSourceId>,
}

impl Store {
    /// Makes the records of this master's configuration what `names` says and gives their ids. What is no longer
    /// named keeps its record and history, but is configured on this master no more. A name keeps its id for ever.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sync_configuration(
        &self,
        master: MasterId,
        names: ConfiguredNames,
        now: Timestamp,
    ) -> Result<ConfiguredIds> {
        todo!("{master} {names:?} {now:?}")
    }
}
