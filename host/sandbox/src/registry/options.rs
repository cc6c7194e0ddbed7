//! Options and errors of the registry.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use toolpost_core::Timestamp;

use crate::PluginKind;
use crate::registry::{RecordError, RegistryEvent};

/// Options of [`crate::PluginRegistry::open`]. Make one with [`RegistryOptions::new`] and set the fields that differ.
#[derive(Clone)]
pub struct RegistryOptions {
    /// The directory of `*.wasm` files; made if it is not there.
    pub dir: PathBuf,
    /// Types that are compiled in, which no plugin may bring.
    pub native_types: Vec<(PluginKind, String)>,
    /// Told about everything that happens, in order. Must not block.
    pub observer: Arc<dyn Fn(&RegistryEvent) + Send + Sync>,
    /// The clock of events and status.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// How long the directory must be quiet before it is looked at.
    pub settle: Duration,
    /// How often it is looked at without a sign.
    pub rescan_interval: Duration,
    /// How young a file may be to be taken for one that is still being copied when it is not whole.
    pub incomplete_patience: Duration,
    /// Faults of a new version within [`RegistryOptions::breaker_window`] that take it back.
    pub breaker_faults_max: usize,
    /// See there.
    pub breaker_window: Duration,
    /// How long a version counts as new.
    pub breaker_probation: Duration,
}

impl RegistryOptions {
    /// The defaults for a directory: nobody is told, the clock is the system's.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            native_types: Vec::new(),
            observer: Arc::new(|_| ()),
            now: Arc::new(system_now),
            settle: Duration::from_millis(10),
            rescan_interval: Duration::from_secs(30),
            incomplete_patience: Duration::from_secs(1),
            breaker_faults_max: 3,
            breaker_window: Duration::from_secs(10 * 60),
            breaker_probation: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl fmt::Debug for RegistryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryOptions")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

fn system_now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Why the registry could not do something.
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
    /// A version went live while a configuration was checked against the one before.
    #[error("a plugin was replaced while the configuration was checked; it is checked again")]
    Changed,
    /// A version that waited cannot go live with the configuration that it waited for.
    #[error("plugin `{plugin}` cannot go live together with the configuration: {reason}")]
    Release {
        /// The plugin.
        plugin: String,
        /// Why not.
        reason: String,
    },
    /// A version cannot be made the live one.
    #[error("cannot go back to version {digest} of `{plugin}`: {reason}")]
    Rollback {
        /// The plugin.
        plugin: String,
        /// The version.
        digest: String,
        /// Why not.
        reason: String,
    },
}
