//! The plugins of a directory, swapped while they run.
mod status;
mod store;
use crate::{Sandbox, StepType};
pub use status::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub use store::*;
use toolpost_core::Timestamp;

/// Options of [`PluginRegistry::open`].
#[derive(Clone)]
pub struct RegistryOptions {
    /// The directory of `*.wasm` files; made if it is not there.
    pub dir: PathBuf,
    /// Step types that are compiled in, which no plugin may bring.
    pub native_types: Vec<String>,
    /// Told about everything that happens, in order. Must not block.
    pub observer: Arc<dyn Fn(&RegistryEvent) + Send + Sync>,
    /// The clock of events and status.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// How long the directory must be quiet before it is looked at.
    pub settle: Duration,
    /// How often it is looked at without a sign.
    pub rescan_interval: Duration,
    /// Faults of a new version within [`RegistryOptions::breaker_window`] that take it back.
    pub breaker_faults_max: usize,
    /// See there.
    pub breaker_window: Duration,
    /// How long a version counts as new.
    pub breaker_probation: Duration,
}

/// Why the registry could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The directory cannot be used.
    #[error("cannot use the plugin directory {path}: {source}")]
    Dir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The memory does not answer.
    #[error("cannot read which plugins ran last: {0}")]
    Store(#[from] RecordError),
    /// No such plugin.
    #[error("there is no plugin `{0}`")]
    UnknownPlugin(String),
    /// A version cannot be made the live one.
    #[error("cannot go back to {digest} of `{plugin}`: {reason}")]
    Rollback {
        /// The plugin.
        plugin: String,
        /// The version.
        digest: String,
        /// Why not.
        reason: String,
    },
}

/// Step types by name, as of one moment.
pub type Snapshot = Arc<BTreeMap<String, Arc<StepType>>>;

/// The step types that a build started with. While it is kept, the versions stay in memory and are shown as used.
pub struct Pins {}

impl Pins {
    /// A step type, if it was pinned.
    #[must_use]
    pub fn step_type(&self, _name: &str) -> Option<&Arc<StepType>> {
        todo!()
    }
}

/// The plugins of a directory. Cheap to clone.
#[derive(Clone)]
pub struct PluginRegistry {}

impl PluginRegistry {
    /// Loads what is in the directory, and from the store what was good last where a file is bad or gone. Does not watch
    /// yet and removes nothing, because the configuration that uses the plugins can be checked only now.
    pub async fn open(
        _options: RegistryOptions,
        _sandbox: Sandbox,
        _store: Arc<dyn RegistryStore>,
        _uses: Arc<dyn UseCheck>,
    ) -> Result<Self, RegistryError> {
        todo!()
    }

    /// Begins to watch the directory. To be called once the configuration that `uses` tells about runs.
    pub fn watch(&self) {
        todo!()
    }

    /// Ends watching.
    pub fn close(&self) {
        todo!()
    }

    /// The step types that new builds get.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        todo!()
    }

    /// The step type of this name that new builds get.
    #[must_use]
    pub fn step_type(&self, _name: &str) -> Option<Arc<StepType>> {
        todo!()
    }

    /// Pins the live versions of these step types for one build; names that no plugin has are left out.
    #[must_use]
    pub fn pin<'a>(&self, _names: impl IntoIterator<Item = &'a str>) -> Pins {
        todo!()
    }

    /// Looks at the directory now, also at files that were refused before; returns when all is taken or refused. To be called, too,
    /// when a configuration was applied.
    pub async fn rescan(&self) -> Vec<PluginStatus> {
        todo!()
    }

    /// Makes an earlier version the live one. The file stays as it is and is taken again when it changes.
    pub async fn rollback(
        &self,
        _plugin: &str,
        _digest: &str,
        _reason: &str,
    ) -> Result<(), RegistryError> {
        todo!()
    }

    /// Every plugin, by name.
    #[must_use]
    pub fn status(&self) -> Vec<PluginStatus> {
        todo!()
    }
}
