//! What became of connections of workers: the newest of each.

use toolpost_core::model::{WorkerNote, WorkerNoteKind};
use toolpost_core::{Event, MasterId, Timestamp, WorkerId};

use crate::sql::args;
use crate::tx::Tx;
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

/// Notes that are kept of each worker.
const NOTES_PER_WORKER_MAX: i64 = 50;

impl Store {
    /// Notes that somebody with a worker's name was not let in.
    ///
    /// # Errors
    /// When the worker is unknown or the database fails.
    pub async fn note_refused(&self, worker: WorkerId, why: &str, now: Timestamp) -> Result<()> {
        self.note(worker, WorkerNoteKind::Refused, why, now).await
    }

    /// Notes that a worker did what it should not, which ended nothing.
    ///
    /// # Errors
    /// When the worker is unknown or the database fails.
    pub async fn note_odd(&self, worker: WorkerId, what: &str, now: Timestamp) -> Result<()> {
        self.note(worker, WorkerNoteKind::Odd, what, now).await
    }

    async fn note(
        &self,
        worker: WorkerId,
        kind: WorkerNoteKind,
        text: &str,
        now: Timestamp,
    ) -> Result<()> {
        let text = text.to_owned();
        self.write("note_worker", move |tx| {
            let text = text.clone();
            Box::pin(async move {
                note(tx, worker, kind, None, &text, now).await?;
                tx.emit(Event::Worker(worker));
                Ok(())
            })
        })
        .await
    }

    /// What is noted of a worker, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn worker_notes(&self, worker: WorkerId, limit: u32) -> Result<Vec<WorkerNote>> {
        let mut connection = self.read("worker_notes").await?;
        let sql = "SELECT kind, at, since, text, times FROM worker_notes \
            WHERE worker_id = $1 ORDER BY id DESC LIMIT $2";
        let args = args![worker, limit.min(ROWS_PER_LIST_MAX)];
        let rows = connection.fetch_all("worker_notes", sql, args).await?;
        let read = |row: &crate::sql::Row| {
            let mut cells = row.cells();
            let kind: String = cells.get()?;
            Ok(WorkerNote {
                kind: WorkerNoteKind::from_name(&kind).ok_or_else(|| StoreError::Corrupt {
                    what: "a note of a worker".into(),
                    reason: format!("there is no kind `{kind}`"),
                })?,
                at: cells.get()?,
                since: cells.get()?,
                text: cells.get()?,
                times: cells.get()?,
            })
        };
        rows.iter().map(read).collect()
    }
}

/// Adds a note; a refusal like the one before it is counted there.
pub(super) async fn note(
    tx: &mut Tx,
    worker: WorkerId,
    kind: WorkerNoteKind,
    since: Option<Timestamp>,
    text: &str,
    now: Timestamp,
) -> Result<()> {
    const OPERATION: &str = "note_worker";
    if since.is_none() {
        let sql = "UPDATE worker_notes SET at = $1, times = times + 1 WHERE kind = $2 AND text = $3 \
            AND since IS NULL AND id = (SELECT MAX(id) FROM worker_notes WHERE worker_id = $4)";
        let args = args![now, kind.name(), text, worker];
        if tx.execute(OPERATION, sql, args).await? > 0 {
            return Ok(());
        }
    }
    let into = "INSERT INTO worker_notes (worker_id, kind, at, since, text)";
    let row = args![worker, kind.name(), now, since, text];
    tx.insert(OPERATION, into, vec![row], "").await?;
    let sql = "DELETE FROM worker_notes WHERE worker_id = $1 AND id <= \
        (SELECT id FROM worker_notes WHERE worker_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
    tx.execute(OPERATION, sql, args![worker, NOTES_PER_WORKER_MAX])
        .await?;
    Ok(())
}

/// Notes that all connections to a master end.
pub(super) async fn note_all(
    tx: &mut Tx,
    master: MasterId,
    kind: WorkerNoteKind,
    text: &str,
    now: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO worker_notes (worker_id, kind, at, since, text) \
        SELECT worker_id, $2, $3, connected_at, $4 FROM worker_connections WHERE master_id = $1";
    tx.execute("note_workers", sql, args![master, kind.name(), now, text])
        .await?;
    Ok(())
}
