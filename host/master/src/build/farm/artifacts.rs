//! Moves files between the worker and the artifacts of a build, in pieces: memory does not grow with their size.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::sync::CancellationToken;
use toolpost_config::config::UploadLimits;
use toolpost_core::BuildId;
use toolpost_core::kept;
use toolpost_core::model::{Build, Builder};
use toolpost_sandbox::Wanted;
use toolpost_sandbox::host::{Artifact, BuildOf, HostError, UploadRoom};
use toolpost_store::{ArtifactWriter, NewArtifact, Query};
use toolpost_worker::{FileError, FileKind, WriteMode};

use super::internal;
use crate::build::StepContext;
use crate::worker::LinkFiles;

/// Bytes that are asked of the worker, or given to it, at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What stays as it is in a part of an address.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What one step may upload.
pub(crate) fn upload_room(limits: UploadLimits) -> Arc<UploadRoom> {
    Arc::new(UploadRoom::new(
        limits.file_bytes_max,
        limits.files_max,
        limits.bytes_max,
    ))
}

/// The files of a step's worker on one side, the artifacts of builds on the other.
pub(crate) struct Artifacts<'a> {
    pub(super) step: &'a StepContext,
    pub(super) files: Arc<dyn LinkFiles>,
    /// When to stop. A step that is cancelled already may still upload what its clean-up finds.
    stop: Option<CancellationToken>,
}

impl<'a> Artifacts<'a> {
    pub(crate) fn new(step: &'a StepContext) -> Self {
        Self {
            step,
            files: step.files(),
            stop: (!step.cancel.is_cancelled()).then(|| step.cancel.clone()),
        }
    }

    /// Keeps a file of the worker.
    pub(crate) async fn upload_file(
        &self,
        path: &str,
        name: &str,
        room: &UploadRoom,
    ) -> Result<Artifact, HostError> {
        self.keep(self.step.path(path), name.to_owned(), room).await
    }

    /// Keeps a file of the worker; its path is relative to the build's directory.
    pub(super) async fn keep(
        &self,
        path: String,
        name: String,
        room: &UploadRoom,
    ) -> Result<Artifact, HostError> {
        let stat = self.files.stat(path.clone()).await.map_err(file_error)?;
        let info = stat.ok_or_else(|| not_there(&path))?;
        if info.kind != FileKind::File {
            return Err(HostError::Permanent(format!("`{path}` is not a file")));
        }
        let mut writer = self.begin(name, info.mode, room).await?;
        let mut offset = 0;
        loop {
            self.go_on()?;
            let read = self.files.read(path.clone(), offset, PIECE_BYTES).await;
            let bytes = read.map_err(file_error)?.bytes;
            let length = bytes.len();
            room.take_bytes(offset, length as u64)?;
            writer.write(bytes).await.map_err(internal)?;
            offset += length as u64;
            if length < PIECE_BYTES {
                break;
            }
        }
        self.end(writer).await
    }

    /// Begins an artifact, if there is room for one more.
    pub(super) async fn begin(
        &self,
        name: String,
        mode: u32,
        room: &UploadRoom,
    ) -> Result<ArtifactWriter, HostError> {
        room.take_file()?;
        let build = &self.step.build;
        let capabilities = &build.capabilities;
        capabilities.refuse_secret_in("the name of an artifact", &name)?;
        let new = NewArtifact {
            build: build.build.id,
            step: self.step.id,
            name,
            mode: mode & 0o777,
        };
        build.store.write_artifact(new).await.map_err(internal)
    }

    /// The artifact is complete.
    pub(super) async fn end(&self, writer: ArtifactWriter) -> Result<Artifact, HostError> {
        let now = self.step.build.clock.now();
        let kept = writer.finish(now).await.map_err(internal)?;
        Ok(self.told(kept))
    }

    /// Writes an artifact to a path on the worker.
    pub(crate) async fn download(
        &self,
        of: &BuildOf,
        name: &str,
        path: &str,
    ) -> Result<Artifact, HostError> {
        let build = self.build(of).await?;
        let store = &self.step.build.store;
        let artifact = store.artifact(build, name).await.map_err(internal)?;
        let artifact = artifact
            .ok_or_else(|| HostError::Permanent(format!("there is no artifact `{name}`")))?;
        let path = self.step.path(path);
        let there = self.files.stat(path.clone()).await.map_err(file_error)?;
        if there.is_some_and(|info| info.kind == FileKind::Directory) {
            // It would be removed below, with all that is in it.
            let text = format!("`{path}` is a directory on the worker");
            return Err(HostError::Permanent(text));
        }
        if let Some((dir, _)) = path.rsplit_once('/') {
            let made = self.files.create_dir(dir.to_owned()).await;
            made.map_err(file_error)?;
        }
        let written = self.write(&artifact, &path).await;
        if written.is_err() {
            // What went wrong before matters more than a file that cannot be removed either.
            let _ = self.files.remove(path).await;
        }
        written.map(|()| self.told(artifact))
    }

    async fn write(&self, artifact: &kept::Artifact, path: &str) -> Result<(), HostError> {
        let store = &self.step.build.store;
        let mut bytes = store.artifact_bytes(artifact).await.map_err(internal)?;
        let mut piece = BytesMut::new();
        let mut mode = WriteMode::Replace;
        while let Some(more) = bytes.try_next().await.map_err(internal)? {
            self.go_on()?;
            piece.extend_from_slice(&more);
            if piece.len() >= PIECE_BYTES {
                let whole = piece.split().freeze();
                self.put(artifact, path, whole, &mut mode).await?;
            }
        }
        if !piece.is_empty() || mode == WriteMode::Replace {
            self.put(artifact, path, piece.freeze(), &mut mode).await?;
        }
        Ok(())
    }

    async fn put(
        &self,
        artifact: &kept::Artifact,
        path: &str,
        bytes: Bytes,
        mode: &mut WriteMode,
    ) -> Result<(), HostError> {
        let how = std::mem::replace(mode, WriteMode::Append);
        let permissions = (how == WriteMode::Replace).then_some(artifact.mode);
        let written = self.files.write(path.to_owned(), bytes, how, permissions);
        written.await.map_err(file_error)
    }

    /// Artifacts whose names start with this.
    pub(crate) async fn find(
        &self,
        of: &BuildOf,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<Artifact>, HostError> {
        let build = self.build(of).await?;
        let store = &self.step.build.store;
        let found = store.artifacts_of(build, prefix, limit).await;
        let found = found.map_err(internal)?.into_iter();
        Ok(found.map(|artifact| self.told(artifact)).collect())
    }

    /// Refuses a plugin that reads what another builder has kept, unless that is granted.
    fn check_grant(&self, builder: &str) -> Result<(), HostError> {
        let build = &self.step.build;
        match self.step.plugin.as_ref().map(Wanted::plugin) {
            Some(plugin)
                if builder != build.builder.name
                    && !build.capabilities.may_read_artifacts(plugin, builder) =>
            {
                Err(HostError::Config(format!(
                    "artifacts of `{builder}` are not granted: add `grant.artifacts = [\"{builder}\"]` to [plugin.{plugin}]"
                )))
            }
            _ => Ok(()),
        }
    }

    async fn build(&self, of: &BuildOf) -> Result<BuildId, HostError> {
        let (name, number) = match of {
            BuildOf::This => return Ok(self.step.build.build.id),
            BuildOf::Other(name, number) => (name, number),
        };
        self.check_grant(name)?;
        let store = &self.step.build.store;
        let query = Query::new().eq("name", name).limit(1);
        let builders = store.list::<Builder>(&query).await.map_err(internal)?;
        let missing = || HostError::Permanent(format!("there is no build {number} of `{name}`"));
        let builder = builders.first().ok_or_else(missing)?.id;
        let query = Query::new().eq("builderid", builder).eq("number", number);
        let builds = store.list::<Build>(&query.limit(1)).await;
        let builds = builds.map_err(internal)?;
        builds.first().map(|build| build.id).ok_or_else(missing)
    }

    fn told(&self, artifact: kept::Artifact) -> Artifact {
        let parts = artifact.name.split('/');
        let parts: Vec<_> = parts
            .map(|part| utf8_percent_encode(part, UNRESERVED).to_string())
            .collect();
        Artifact {
            url: format!(
                "{}artifacts/{}/{}",
                self.step.build.farm.url(),
                artifact.build_id,
                parts.join("/")
            ),
            name: artifact.name,
            size: u64::try_from(artifact.size_bytes).unwrap_or(0),
            mode: artifact.mode,
            sha256: artifact.sha256,
        }
    }

    pub(super) fn go_on(&self) -> Result<(), HostError> {
        match &self.stop {
            Some(stop) if stop.is_cancelled() => {
                Err(HostError::Permanent("the step was cancelled".into()))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn not_there(path: &str) -> HostError {
    HostError::Permanent(format!("`{path}` does not exist on the worker"))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "so it can be given to `map_err`"
)]
pub(super) fn file_error(error: FileError) -> HostError {
    match error {
        FileError::Stopped => HostError::Retryable(error.to_string()),
        _ => HostError::Permanent(error.to_string()),
    }
}
