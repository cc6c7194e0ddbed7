//! The line between builds and workers: what a build may ask of a worker, wherever that is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use toolpost_worker::{
    CommandSpec, CopySummary, DirEntry, Exit, FileError, FileInfo, Output, Piece, StartError,
    WriteMode,
};

/// A worker that builds can run on.
#[async_trait]
pub trait WorkerLink: Send + Sync + 'static {
    /// What it tells about itself and its machine.
    fn info(&self) -> BTreeMap<String, Value>;

    /// What it tells about itself that builds have as properties, where nothing else sets them.
    fn properties(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// The absolute path beneath which the directories of builds are.
    fn base_dir(&self) -> String;

    /// Starts a command. Dropping it kills the command.
    async fn start(&self, spec: CommandSpec) -> Result<Box<dyn LinkCommand>, LinkError>;

    /// The files of one build's directory.
    fn files(&self, build_dir: &str) -> Arc<dyn LinkFiles>;

    /// Ends the commands that run, by force after `grace`, and takes no more.
    async fn shut_down(&self, grace: Duration);
}

/// Why a command does not run.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It cannot be started; trying again does not help.
    #[error(transparent)]
    Start(StartError),
    /// The worker is gone, or is about to go: the build may run on another.
    #[error("the worker is lost: {0}")]
    Lost(String),
}

/// A command that runs on a worker.
#[async_trait]
pub trait LinkCommand: Send {
    /// The lines that tell a reader of the log what runs here.
    fn header(&self) -> String;

    /// The next piece of output; `None` when there will be no more. Nothing is lost when the future is
    /// dropped. As long as nobody calls this, the command can write only a bounded amount.
    async fn next(&mut self) -> Option<Output>;

    /// Waits for the end; output that was not taken before is thrown away. Can be called again. The error is
    /// [`LinkError::Lost`]: nobody knows how it ended, or whether.
    async fn exit(&mut self) -> Result<Exit, LinkError>;

    /// Stops it from elsewhere.
    fn control(&self) -> Arc<dyn LinkControl>;
}

/// Stops a command from elsewhere; does nothing once it has ended.
pub trait LinkControl: Send + Sync {
    /// Asks it to stop, with the signal and the grace of its spec.
    fn interrupt(&self);
}

/// The files of one build. Paths are relative to the build's directory; none leads out of it.
#[async_trait]
pub trait LinkFiles: Send + Sync {
    /// Reads up to `length` bytes from `offset` on.
    async fn read(&self, path: String, offset: u64, length: usize) -> Result<Piece, FileError>;
    /// Writes a file in a directory that exists, with these permissions (by default those of the file that it
    /// replaces, or the usual ones).
    async fn write(
        &self,
        path: String,
        bytes: Bytes,
        mode: WriteMode,
        permissions: Option<u32>,
    ) -> Result<(), FileError>;
    /// What lies at the path, or `None`.
    async fn stat(&self, path: String) -> Result<Option<FileInfo>, FileError>;
    /// Makes a directory and those above it; it may exist.
    async fn create_dir(&self, path: String) -> Result<(), FileError>;
    /// Removes a file or a directory with everything in it; whether there was one.
    async fn remove(&self, path: String) -> Result<bool, FileError>;
    /// Copies a file or a directory with everything in it.
    async fn copy(&self, from: String, to: String) -> Result<CopySummary, FileError>;
    /// The entries of a directory, by name.
    async fn list(&self, path: String) -> Result<Vec<DirEntry>, FileError>;
    /// The paths that match, by name.
    async fn glob(&self, pattern: String) -> Result<Vec<String>, FileError>;
    /// What is in a directory as a tar archive, where that is better than one file after the other.
    async fn pack(&self, _path: String) -> Result<Option<Box<dyn LinkArchive>>, FileError> {
        Ok(None)
    }
}

/// A directory on its way as a tar archive, as its worker made it: nothing about it is checked.
#[async_trait]
pub trait LinkArchive: Send {
    /// The next bytes; `None` when it is complete.
    async fn next(&mut self) -> Result<Option<Bytes>, FileError>;
}
