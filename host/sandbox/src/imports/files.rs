//! `worker-files`.

use std::sync::Arc;

use crate::StepHost;
use crate::bindings::toolpost::plugin::worker_files::{self, FileError, FileStat, WriteMode};
use crate::call::{CallState, Stop};
use crate::host;
use crate::imports::convert;

/// Bytes of a path or pattern.
pub(super) const PATH_BYTES_MAX: usize = 4 << 10;

/// What walking through a tree of files counts as, beside its answer: as so many bytes that are asked for.
const WALK_BYTES: usize = 80 << 10;

type FileAnswer<T> = wasmtime::Result<Result<T, FileError>>;

fn answer<T>(result: Result<T, host::FileError>) -> FileAnswer<T> {
    match result.map_err(convert::file_error) {
        Ok(value) => Ok(Ok(value)),
        Err(Ok(error)) => Ok(Err(error)),
        Err(Err(trouble)) => Err(Stop::Host(trouble).into()),
    }
}

impl CallState {
    /// Asks the host about a path, unless it cannot be one. Whether it leads outside is decided on the worker, which
    /// knows the symbolic links.
    async fn ask_about<T, F>(
        &mut self,
        what: &'static str,
        path: String,
        question: impl FnOnce(Arc<dyn StepHost>, String) -> F,
    ) -> FileAnswer<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, host::FileError>> + Send + 'static,
    {
        self.step(what)?;
        if path.is_empty() || path.len() > PATH_BYTES_MAX || path.contains('\0') {
            return Ok(Err(FileError::Outside));
        }
        answer(self.ask(what, |host| question(host, path)).await?)
    }
}

impl worker_files::Host for CallState {
    async fn read(&mut self, path: String, offset: u64, limit: u32) -> FileAnswer<Vec<u8>> {
        let limit = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(self.limits.payload_bytes_max);
        let read = async move |host: Arc<dyn StepHost>, path: String| {
            host.read_file(&path, offset, limit).await
        };
        let read = self.ask_about("worker-files.read", path, read).await?;
        Ok(read.map(Vec::from))
    }

    async fn write(&mut self, path: String, data: Vec<u8>, mode: WriteMode) -> FileAnswer<()> {
        let write = async move |host: Arc<dyn StepHost>, path: String| {
            host.write_file(&path, data.into(), mode.into()).await
        };
        self.ask_about("worker-files.write", path, write).await
    }

    async fn stat(&mut self, path: String) -> FileAnswer<FileStat> {
        let stat = async |host: Arc<dyn StepHost>, path: String| host.stat(&path).await;
        let stat = self.ask_about("worker-files.stat", path, stat).await?;
        Ok(stat.map(Into::into))
    }

    async fn glob(&mut self, pattern: String) -> FileAnswer<Vec<String>> {
        let limit = self.limits.glob_matches_max;
        self.pace.count_bytes(WALK_BYTES);
        let glob =
            async move |host: Arc<dyn StepHost>, pattern: String| host.glob(&pattern, limit).await;
        self.ask_about("worker-files.glob", pattern, glob).await
    }

    async fn mkdir(&mut self, path: String) -> FileAnswer<()> {
        let mkdir = async |host: Arc<dyn StepHost>, path: String| host.make_dir(&path).await;
        self.ask_about("worker-files.mkdir", path, mkdir).await
    }

    async fn remove(&mut self, path: String, recursive: bool) -> FileAnswer<()> {
        if recursive {
            self.pace.count_bytes(WALK_BYTES);
        }
        let remove =
            async move |host: Arc<dyn StepHost>, path: String| host.remove(&path, recursive).await;
        self.ask_about("worker-files.remove", path, remove).await
    }
}
