//! The sandbox.
use crate::{LoadError, PluginVersion, SandboxOptions};
use bytes::Bytes;
use std::sync::Arc;

/// Why the sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The engine does not work on this machine.
    #[error("cannot set up the plugin engine: {0}")]
    Engine(String),
    /// The cache directory cannot be used.
    #[error("cannot use {path} for compiled plugins: {reason}")]
    CacheDir {
        /// The directory.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No threads.
    #[error("cannot start threads for plugins: {0}")]
    Threads(std::io::Error),
}

/// How full the sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Calls that run.
    pub calls: usize,
    /// How many there may be.
    pub calls_max: usize,
    /// Calls that wait until there is room, or for more memory.
    pub waiting: usize,
    /// Memory of all calls.
    pub memory_bytes: usize,
    /// How much there may be.
    pub memory_bytes_max: usize,
    /// Whether address space was reserved at the start.
    pub pooling: bool,
}

/// Runs plugins. Cheap to clone; the last clone ends everything.
#[derive(Clone)]
pub struct Sandbox {}

impl Sandbox {
    /// Sets up engine, threads and cache.
    pub fn new(_options: SandboxOptions) -> Result<Self, SetupError> {
        todo!()
    }

    /// Checks, compiles and describes a component. `file_stem` is what the plugin has to be called.
    pub async fn load(
        &self,
        _file_stem: &str,
        _component: Bytes,
    ) -> Result<Arc<PluginVersion>, LoadError> {
        todo!()
    }

    /// How full it is.
    #[must_use]
    pub fn pool(&self) -> PoolStatus {
        todo!()
    }

    /// Ends every running call with [`crate::SandboxError::Shutdown`]; later calls end so at once.
    pub fn shutdown(&self) {
        todo!()
    }
}
