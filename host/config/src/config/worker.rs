//! Workers.

use std::path::PathBuf;

use super::PropertyValues;

/// `[[worker]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerConfig {
    /// Unique name.
    pub name: String,
    /// How it is reached.
    pub kind: WorkerKind,
    /// Builds that it runs at one time; `None` for no limit.
    pub max_builds: Option<u32>,
    /// Properties of every build that runs on it.
    pub properties: PropertyValues,
    /// The same, where nothing else sets them.
    pub default_properties: PropertyValues,
}

/// How a worker is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerKind {
    /// Inside the master's process.
    Local {
        /// Directory of its builds.
        base_dir: PathBuf,
    },
    /// Connects from elsewhere.
    Remote {
        /// Where its password is found; the configuration never holds it.
        password: SecretReference,
    },
}

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReference {
    /// In a file, without its last line end.
    File(PathBuf),
    /// In an environment variable of the master.
    Environment(String),
}
