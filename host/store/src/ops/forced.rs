//! Forms that were sent to schedulers of plugins: a queue for each scheduler, emptied by its commits.

use std::sync::Arc;

use serde_json::Value;
use toolpost_core::{Event, ForcedId, SchedulerId, Timestamp};

use crate::sql::{args, json_ids};
use crate::tx::Tx;
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

/// A form to put into the queue.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewForced {
    /// Who sent it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// What was filled in, an object.
    pub values: Value,
}

/// A form that waits for its scheduler.
#[derive(Debug, Clone, PartialEq)]
pub struct ForcedRow {
    /// Its id; they grow within a scheduler's queue.
    pub id: ForcedId,
    /// When it was sent.
    pub at: Timestamp,
    /// What was sent.
    pub form: NewForced,
}

impl Store {
    /// Keeps a form until its scheduler has handled it.
    ///
    /// # Errors
    /// When the scheduler is unknown or the database fails.
    pub async fn add_forced(
        &self,
        scheduler: SchedulerId,
        form: NewForced,
        now: Timestamp,
    ) -> Result<ForcedId> {
        let form = Arc::new((form.values.to_string(), form));
        self.write("add_forced", move |tx| {
            let form = form.clone();
            Box::pin(async move {
                let (fields, form) = &*form;
                // Forms of one scheduler become visible in the order of their ids.
                tx.lock_row("add_forced", "schedulers", scheduler.0).await?;
                let sql = "INSERT INTO forced (scheduler_id, sent_at, owner, reason, fields) \
                    SELECT id, $2, $3, $4, $5 FROM schedulers WHERE id = $1 RETURNING id";
                let args = args![scheduler, now, &form.owner, &form.reason, fields.as_str()];
                let id = tx
                    .fetch_optional("add_forced", sql, args)
                    .await?
                    .ok_or_else(|| StoreError::not_found("scheduler", scheduler))?
                    .first()?;
                tx.emit(Event::Scheduler(scheduler));
                Ok(id)
            })
        })
        .await
    }

    /// The forms that wait for this scheduler, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forced(&self, scheduler: SchedulerId, limit: u32) -> Result<Vec<ForcedRow>> {
        let mut connection = self.read("forced").await?;
        let sql = "SELECT id, sent_at, owner, reason, fields FROM forced \
            WHERE scheduler_id = $1 ORDER BY id LIMIT $2";
        let args = args![scheduler, limit.min(ROWS_PER_LIST_MAX)];
        let rows = connection.fetch_all("forced", sql, args).await?;
        let read = |row: &crate::sql::Row| {
            let mut cells = row.cells();
            Ok(ForcedRow {
                id: cells.get()?,
                at: cells.get()?,
                form: NewForced {
                    owner: cells.get()?,
                    reason: cells.get()?,
                    values: cells.json()?,
                },
            })
        };
        rows.iter().map(read).collect()
    }
}

/// Takes forms that were handled out of the queue.
pub(super) async fn remove(tx: &mut Tx, forms: &[ForcedId]) -> Result<()> {
    if forms.is_empty() {
        return Ok(());
    }
    let sql = format!("DELETE FROM forced WHERE id IN {}", tx.ids(1));
    let ids = vec![json_ids(forms.iter().copied())];
    tx.execute("commit_scheduler", sql, ids).await?;
    Ok(())
}
