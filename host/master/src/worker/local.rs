//! The worker in this process behind a [`WorkerLink`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use toolpost_worker::{
    CommandControl, CommandSpec, CopySummary, DirEntry, Exit, FileError, FileInfo, Files,
    LocalWorker, Output, Piece, RunningCommand, StartError, WriteMode,
};

use super::link::{LinkCommand, LinkControl, LinkError, LinkFiles, WorkerLink};

/// Runs builds on this machine.
#[derive(Debug, Clone)]
pub struct LocalWorkerLink {
    worker: LocalWorker,
}

impl LocalWorkerLink {
    /// Puts a worker behind the line.
    #[must_use]
    pub fn new(worker: LocalWorker) -> Self {
        Self { worker }
    }
}

#[async_trait]
impl WorkerLink for LocalWorkerLink {
    fn info(&self) -> BTreeMap<String, Value> {
        let info = self.worker.info().iter();
        info.map(|(name, value)| (name.clone(), Value::from(value.clone())))
            .collect()
    }

    fn base_dir(&self) -> String {
        self.worker.base_dir().to_string_lossy().into_owned()
    }

    async fn start(&self, spec: CommandSpec) -> Result<Box<dyn LinkCommand>, LinkError> {
        match self.worker.start(spec).await {
            Ok(command) => Ok(Box::new(command)),
            Err(error @ StartError::ShuttingDown) => Err(LinkError::Lost(error.to_string())),
            Err(error) => Err(LinkError::Start(error)),
        }
    }

    fn files(&self, build_dir: &str) -> Arc<dyn LinkFiles> {
        Arc::new(self.worker.files(build_dir))
    }

    async fn shut_down(&self, grace: Duration) {
        self.worker.shutdown(grace).await;
    }
}

#[async_trait]
impl LinkCommand for RunningCommand {
    fn header(&self) -> String {
        self.launch().header(false)
    }

    async fn next(&mut self) -> Option<Output> {
        Self::next(self).await
    }

    async fn exit(&mut self) -> Result<Exit, LinkError> {
        Ok(Self::exit(self).await)
    }

    fn control(&self) -> Arc<dyn LinkControl> {
        Arc::new(Self::control(self))
    }
}

impl LinkControl for CommandControl {
    fn interrupt(&self) {
        Self::interrupt(self);
    }
}

#[async_trait]
impl LinkFiles for Files {
    async fn read(&self, path: String, offset: u64, length: usize) -> Result<Piece, FileError> {
        Self::read(self, path, offset, length).await
    }

    async fn write(
        &self,
        path: String,
        bytes: Bytes,
        mode: WriteMode,
        permissions: Option<u32>,
    ) -> Result<(), FileError> {
        Self::write(self, path, bytes, mode, permissions).await
    }

    async fn stat(&self, path: String) -> Result<Option<FileInfo>, FileError> {
        Self::stat(self, path).await
    }

    async fn create_dir(&self, path: String) -> Result<(), FileError> {
        Self::create_dir(self, path).await
    }

    async fn remove(&self, path: String) -> Result<bool, FileError> {
        Self::remove(self, path).await
    }

    async fn copy(&self, from: String, to: String) -> Result<CopySummary, FileError> {
        Self::copy(self, from, to).await
    }

    async fn list(&self, path: String) -> Result<Vec<DirEntry>, FileError> {
        Self::list(self, path).await
    }

    async fn glob(&self, pattern: String) -> Result<Vec<String>, FileError> {
        Self::glob(self, pattern).await
    }
}
