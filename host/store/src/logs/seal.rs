//! Moves the lines of a log out of the database into objects, and joins small chunks.
//!
//! First the object is stored, then one transaction puts its row in the place of the inline ones. A crash in
//! between leaves an object that nobody names, which recovery removes; a line is never in two places and never
//! in none.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use toolpost_core::LogId;

use super::chunk::{self, Run};
use super::frame::{concatenate, join};
use crate::objects::{object_error, remove, remove_unnamed};
use crate::{Result, Store, StoreError};

/// Logs whose objects share a directory.
const LOGS_PER_DIRECTORY: i64 = 1000;

/// Inline chunks that are read at once to be sealed.
const CHUNKS_PER_RUN: u32 = 64;

/// Makes one chunk of a run: an object, or an inline chunk when it is small; in that case the run, now of one
/// chunk, is given back.
pub(super) async fn seal(store: &Store, log: LogId, mut run: Run) -> Result<Option<Run>> {
    run.frames = tokio::task::spawn_blocking({
        let frames = std::mem::take(&mut run.frames);
        move || join(frames)
    })
    .await
    .map_err(|_| StoreError::Panicked {
        operation: "seal_log",
    })??;
    if run.compressed_bytes() <= store.options().log_inline_bytes_max {
        let joined = run.clone();
        store
            .write("join_log", move |tx| {
                let run = run.clone();
                Box::pin(async move { chunk::replace(tx, log, &run, None).await })
            })
            .await?;
        return Ok(Some(Run {
            chunks: 1,
            ..joined
        }));
    }
    let key = object_key(log, run.first);
    let payload = PutPayload::from_bytes(concatenate(&run.frames));
    store
        .objects()
        .put(&key, payload)
        .await
        .map_err(|source| object_error(&key, source))?;
    let name = key.to_string();
    let sealed = store
        .write("seal_log", move |tx| {
            let (run, name) = (run.clone(), name.clone());
            Box::pin(async move { chunk::replace(tx, log, &run, Some(name)).await })
        })
        .await;
    if let Err(StoreError::Conflict { .. }) = &sealed {
        // Certain not to be named by any row, unlike after an error that leaves the outcome open.
        remove(store, &key).await;
    }
    sealed.map(|()| None)
}

/// Whether sealing a run makes the database smaller or quicker.
pub(super) fn worth_sealing(store: &Store, run: &Run) -> bool {
    run.chunks > 1 || run.compressed_bytes() > store.options().log_inline_bytes_max
}

/// Seals all inline chunks of a log that nobody writes to.
pub(super) async fn seal_inline_chunks(store: &Store, log: LogId) -> Result<()> {
    let segment_bytes = store.options().log_segment_bytes;
    let mut next = 0;
    loop {
        let mut connection = store.read("seal_log").await?;
        let found = chunk::inline_runs(&mut connection, log, next, CHUNKS_PER_RUN).await?;
        drop(connection);
        let mut found = found.into_iter();
        let Some(mut run) = found.next() else {
            return Ok(());
        };
        for more in found {
            if more.first != run.end() || run.raw_bytes() >= segment_bytes {
                break;
            }
            run.extend(more);
        }
        next = run.end();
        if worth_sealing(store, &run) {
            seal(store, log, run).await?;
        }
    }
}

impl Store {
    /// After a crash: seals what the writer left inline and removes objects that no row names. What fails here
    /// costs room, not lines.
    pub(crate) async fn tidy_closed_log(&self, log: LogId) {
        let outcome = async {
            seal_inline_chunks(self, log).await?;
            remove_orphans(self, log).await
        };
        if let Err(error) = outcome.await {
            tracing::warn!(log.id = %log, "log {log} stays as its writer left it: {error}");
        }
    }
}

async fn remove_orphans(store: &Store, log: LogId) -> Result<()> {
    let mut connection = store.read("remove_orphans").await?;
    let named: BTreeSet<String> = chunk::objects(&mut connection, log)
        .await?
        .into_iter()
        .collect();
    drop(connection);
    remove_unnamed(store, &directory(log), &named).await
}

fn directory(log: LogId) -> Path {
    let group = (log.0 / LOGS_PER_DIRECTORY).to_string();
    Path::from_iter(["logs", &group, &log.to_string()])
}

/// A name that was never used, so that a repeated try does not write over what another one has sealed.
fn object_key(log: LogId, first: i64) -> Path {
    let nonce = RandomState::new().hash_one(first);
    directory(log).join(format!("{first}-{nonce:016x}"))
}
