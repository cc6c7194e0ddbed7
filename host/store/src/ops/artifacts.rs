//! Files that are kept with builds: the bytes in objects, what they are in the database.
//!
//! The object is complete before its row is there. An upload that is given up leaves nothing; a crash may leave an object
//! that no row names, which recovery removes.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};
use sha2::{Digest, Sha256};
use toolpost_core::kept::Artifact;
use toolpost_core::{BuildId, Event, StepId, Timestamp};

use crate::digest::hex;
use crate::objects::{object_error, remove, remove_unnamed};
use crate::resources::read_all;
use crate::sql::{Backend, Row, args};
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

/// Builds whose objects share a directory.
const BUILDS_PER_DIRECTORY: i64 = 1000;

/// Bytes that are gathered before they are sent; the least that all kinds of object stores take.
const PART_BYTES: usize = 5 << 20;

/// Parts that may be on their way while the next one is gathered.
const PARTS_UNDER_WAY: usize = 1;

/// A file to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// The build to keep it with.
    pub build: BuildId,
    /// The step that uploads it.
    pub step: StepId,
    /// Its name; takes the place of an artifact of the build that has it.
    pub name: String,
    /// Its permissions.
    pub mode: u32,
}

impl Store {
    /// Begins to keep a file. Nothing is there to be seen before [`ArtifactWriter::finish`].
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn write_artifact(&self, new: NewArtifact) -> Result<ArtifactWriter> {
        let key = object_key(new.build);
        let upload = self.objects().put_multipart(&key).await;
        let upload = upload.map_err(|source| object_error(&key, source))?;
        Ok(ArtifactWriter {
            store: self.clone(),
            new,
            key,
            upload: Some(WriteMultipart::new_with_chunk_size(upload, PART_BYTES)),
            hasher: Sha256::new(),
            size_bytes: 0,
        })
    }

    /// The artifact of a build that has this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn artifact(&self, build: BuildId, name: &str) -> Result<Option<Artifact>> {
        let mut connection = self.read("artifact").await?;
        let end = "WHERE t.build_id = $1 AND t.name = $2";
        let found = read_all(&mut connection, "artifact", end, args![build, name]).await?;
        Ok(found.into_iter().next())
    }

    /// The artifacts of a build whose names start with this, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn artifacts_of(
        &self,
        build: BuildId,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<Artifact>> {
        let mut connection = self.read("artifacts_of").await?;
        let starts = match connection.backend() {
            Backend::Sqlite => "instr(t.name, $2) = 1",
            Backend::Postgres => "starts_with(t.name, $2)",
        };
        let end = format!(
            "WHERE t.build_id = $1 AND t.name >= $2 AND ($2 = '' OR {starts}) ORDER BY t.name LIMIT $3"
        );
        let args = args![build, prefix, limit];
        read_all(&mut connection, "artifacts_of", &end, args).await
    }

    /// The bytes of an artifact, in pieces.
    ///
    /// # Errors
    /// When there is no such artifact, or database or object store fail; while it is read, when the object store fails.
    pub async fn artifact_bytes(
        &self,
        artifact: &Artifact,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let mut connection = self.read("artifact_bytes").await?;
        let sql = "SELECT object FROM artifacts WHERE id = $1";
        let key: String = connection
            .fetch_optional("artifact_bytes", sql, args![artifact.id])
            .await?
            .ok_or_else(|| StoreError::not_found("artifact", artifact.id))?
            .first()?;
        drop(connection);
        let key = Path::from(key);
        let object = self.objects().get(&key).await;
        let object = object.map_err(|source| object_error(&key, source))?;
        let pieces = object.into_stream();
        Ok(pieces
            .map_err(move |source| object_error(&key, source))
            .boxed())
    }

    /// After a crash: removes the objects of a build that no row names. What fails here costs room only.
    pub(crate) async fn tidy_artifacts(&self, build: BuildId) {
        if let Err(error) = remove_orphans(self, build).await {
            tracing::warn!(build.id = %build, "uploads of build {build} that broke off stay: {error}");
        }
    }
}

/// A file on its way into the store. Dropping it gives it up.
pub struct ArtifactWriter {
    store: Store,
    new: NewArtifact,
    key: Path,
    /// `None` once it is finished.
    upload: Option<WriteMultipart>,
    hasher: Sha256,
    size_bytes: i64,
}

impl std::fmt::Debug for ArtifactWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtifactWriter")
            .field("new", &self.new)
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

impl ArtifactWriter {
    /// Appends bytes; waits when the object store is slower than the caller.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.hasher.update(&bytes);
        self.size_bytes += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        if let Some(upload) = &mut self.upload {
            upload.put(bytes);
            let ready = upload.wait_for_capacity(PARTS_UNDER_WAY).await;
            ready.map_err(|source| object_error(&self.key, source))?;
        }
        Ok(())
    }

    /// Makes the file an artifact. Done to its end even if the caller goes away.
    ///
    /// # Errors
    /// When object store or database fail.
    pub async fn finish(mut self, now: Timestamp) -> Result<Artifact> {
        let Some(upload) = self.upload.take() else {
            return Err(StoreError::Closed);
        };
        let (store, key, new) = (self.store.clone(), self.key.clone(), self.new.clone());
        let kept = Kept {
            new,
            object: key.to_string(),
            size_bytes: self.size_bytes,
            sha256: hex(&self.hasher.finalize_reset()),
            now,
        };
        let finished = tokio::spawn(async move {
            let stored = upload.finish().await;
            stored.map_err(|source| object_error(&key, source))?;
            store.keep(kept, &key).await
        });
        finished.await.map_err(|_| StoreError::Panicked {
            operation: "keep_artifact",
        })?
    }
}

impl Drop for ArtifactWriter {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        // Some object stores keep the parts of an upload that nobody gives up.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::debug!("an upload could not be given up: {error}");
                }
            });
        }
    }
}

#[derive(Clone)]
struct Kept {
    new: NewArtifact,
    object: String,
    size_bytes: i64,
    sha256: String,
    now: Timestamp,
}

impl Store {
    async fn keep(&self, kept: Kept, key: &Path) -> Result<Artifact> {
        let done = self
            .write("keep_artifact", move |tx| {
                let kept = kept.clone();
                Box::pin(async move { keep(tx, kept).await })
            })
            .await;
        match done {
            Ok((artifact, replaced)) => {
                if let Some(object) = replaced {
                    remove(self, &Path::from(object)).await;
                }
                Ok(artifact)
            }
            Err(error) => {
                // Recovery removes it, should the outcome be open and the row not there.
                if let StoreError::NotFound { .. } = &error {
                    remove(self, key).await;
                }
                Err(error)
            }
        }
    }
}

/// Writes the row; gives the object that it named before.
async fn keep(tx: &mut Tx, kept: Kept) -> Result<(Artifact, Option<String>)> {
    const OPERATION: &str = "keep_artifact";
    let NewArtifact {
        build,
        step,
        name,
        mode,
    } = kept.new;
    // Two uploads of the same name must not both think that they replace the same object.
    tx.lock_row(OPERATION, "builds", build.0).await?;
    let sql = "SELECT id FROM builds WHERE id = $1";
    let known = tx.fetch_optional(OPERATION, sql, args![build]).await?;
    known.ok_or_else(|| StoreError::not_found("build", build))?;
    let sql = "SELECT object FROM artifacts WHERE build_id = $1 AND name = $2";
    let replaced = tx
        .fetch_optional(OPERATION, sql, args![build, &name])
        .await?;
    let replaced: Option<String> = replaced.map(|row| row.first()).transpose()?;
    let sql = "INSERT INTO artifacts (build_id, step_id, name, size_bytes, mode, sha256, object, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (build_id, name) DO UPDATE SET \
        step_id = excluded.step_id, size_bytes = excluded.size_bytes, mode = excluded.mode, \
        sha256 = excluded.sha256, object = excluded.object, created_at = excluded.created_at \
        RETURNING id";
    let args = args![
        build,
        step,
        &name,
        kept.size_bytes,
        mode,
        &kept.sha256,
        &kept.object,
        kept.now
    ];
    let id = tx.fetch_one(OPERATION, sql, args).await?.first()?;
    tx.emit(Event::StepChanged(step, build));
    let artifact = Artifact {
        id,
        build_id: build,
        step_id: step,
        name,
        size_bytes: kept.size_bytes,
        mode,
        sha256: kept.sha256,
        created_at: kept.now,
    };
    // A transaction that is run again finds its own object.
    Ok((artifact, replaced.filter(|object| *object != kept.object)))
}

async fn remove_orphans(store: &Store, build: BuildId) -> Result<()> {
    let mut connection = store.read("remove_orphans").await?;
    let sql = "SELECT object FROM artifacts WHERE build_id = $1";
    let rows = connection.fetch_all("remove_orphans", sql, args![build]);
    let named: BTreeSet<String> = rows.await?.iter().map(Row::first).collect::<Result<_>>()?;
    drop(connection);
    remove_unnamed(store, &directory(build), &named).await
}

fn directory(build: BuildId) -> Path {
    let group = (build.0 / BUILDS_PER_DIRECTORY).to_string();
    Path::from_iter(["artifacts", &group, &build.to_string()])
}

/// A name that was never used. The name of the artifact is no part of it: it is somebody else's.
fn object_key(build: BuildId) -> Path {
    let nonce = [(); 2].map(|()| RandomState::new().hash_one(build.0));
    directory(build).join(format!("{:016x}{:016x}", nonce[0], nonce[1]))
}
