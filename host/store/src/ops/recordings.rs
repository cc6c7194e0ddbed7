//! What failed steps of plugins asked of their master. Only the newest are kept.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use toolpost_core::{BuildId, StepId, Timestamp};

use crate::objects::object_error;
use crate::sql::args;
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

/// Recordings are text that repeats itself.
const ZSTD_LEVEL: i32 = 3;
/// Bytes of a recording that is read back; larger ones are not written.
const RECORDING_BYTES_MAX: usize = 64 << 20;

impl Store {
    /// Keeps the recording of a step, and of all recordings the `keep` newest.
    ///
    /// # Errors
    /// When the step is unknown, the recording is larger than 64 MiB, or the object store or the database fails.
    pub async fn add_step_recording(
        &self,
        step: StepId,
        recording: Bytes,
        now: Timestamp,
        keep: u32,
    ) -> Result<()> {
        let key = recording_key(step);
        if recording.len() > RECORDING_BYTES_MAX {
            let reason = format!("it has {} bytes", recording.len());
            return Err(corrupt(step, reason));
        }
        let compressed = off_thread(move || zstd::bulk::compress(&recording, ZSTD_LEVEL)).await;
        let compressed = compressed.map_err(|error| corrupt(step, error.to_string()))?;
        let size = i64::try_from(compressed.len()).unwrap_or(i64::MAX);
        // First the bytes, so that a recording on record can always be read.
        self.objects()
            .put(&key, PutPayload::from_bytes(compressed.into()))
            .await
            .map_err(|source| object_error(&key, source))?;
        let outdated: Vec<StepId> = self
            .write("add_step_recording", move |tx| {
                Box::pin(async move {
                    let sql = "INSERT INTO step_recordings (step_id, at, size_bytes) \
                        VALUES ($1, $2, $3) ON CONFLICT (step_id) \
                        DO UPDATE SET at = excluded.at, size_bytes = excluded.size_bytes";
                    tx.execute("add_step_recording", sql, args![step, now, size])
                        .await?;
                    let sql = "DELETE FROM step_recordings WHERE id <= (SELECT id \
                        FROM step_recordings ORDER BY id DESC LIMIT 1 OFFSET $1) \
                        RETURNING step_id";
                    let deleted = tx
                        .fetch_all("drop_step_recordings", sql, args![keep])
                        .await?;
                    deleted.iter().map(|row| row.cells().get()).collect()
                })
            })
            .await?;
        self.remove_recordings(&outdated).await
    }

    async fn remove_recordings(&self, steps: &[StepId]) -> Result<()> {
        for step in steps {
            let key = recording_key(*step);
            match self.objects().delete(&key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(object_error(&key, source)),
            }
        }
        Ok(())
    }

    /// The recording of a step, when it is kept.
    ///
    /// # Errors
    /// When the object store fails, or the recording is damaged.
    pub async fn step_recording(&self, step: StepId) -> Result<Option<Bytes>> {
        let key = recording_key(step);
        let compressed = match self.objects().get(&key).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error),
        };
        let compressed = compressed.map_err(|source| object_error(&key, source))?;
        let plain =
            off_thread(move || zstd::bulk::decompress(&compressed, RECORDING_BYTES_MAX)).await;
        match plain {
            Ok(plain) => Ok(Some(plain.into())),
            Err(error) => Err(corrupt(step, error.to_string())),
        }
    }

    /// The steps of a build that have recordings.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recorded_steps(&self, build: BuildId) -> Result<Vec<StepId>> {
        let mut connection = self.read("recorded_steps").await?;
        let sql = "SELECT r.step_id FROM steps s JOIN step_recordings r ON r.step_id = s.id \
            WHERE s.build_id = $1 ORDER BY s.id LIMIT $2";
        connection
            .fetch_all("recorded_steps", sql, args![build, ROWS_PER_LIST_MAX])
            .await?
            .iter()
            .map(|row| row.cells().get())
            .collect()
    }
}

/// Compresses where it keeps nobody waiting.
async fn off_thread(
    work: impl FnOnce() -> std::io::Result<Vec<u8>> + Send + 'static,
) -> std::io::Result<Vec<u8>> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn recording_key(step: StepId) -> Path {
    Path::from_iter(["recordings", &step.to_string()])
}

fn corrupt(step: StepId, reason: String) -> StoreError {
    StoreError::Corrupt {
        what: format!("recording of step {step}"),
        reason,
    }
}
