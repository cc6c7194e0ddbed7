//! Events that schedulers passed over because somebody said so.

use std::sync::Arc;

use toolpost_core::{Event, MasterId, SchedulerId, Timestamp};

use super::{forced, schedulers};
use crate::sql::args;
use crate::{ROWS_PER_LIST_MAX, Result, SchedulerCommit, Store};

/// What a scheduler passes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSkip {
    /// Who says so.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Which event, for people.
    pub event: String,
    /// Why the scheduler could not take it in.
    pub error: String,
}

/// What a scheduler has passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkipRow {
    /// The scheduler.
    pub scheduler: SchedulerId,
    /// When.
    pub at: Timestamp,
    /// What, who and why.
    pub skip: NewSkip,
}

impl Store {
    /// Moves the scheduler past an event, as `commit_scheduler` does, and remembers who wanted that.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when the scheduler has gone on by now; otherwise when the database fails.
    pub async fn skip_event(
        &self,
        scheduler: SchedulerId,
        master: MasterId,
        expected_version: i64,
        commit: SchedulerCommit,
        skip: NewSkip,
        now: Timestamp,
    ) -> Result<()> {
        let input = Arc::new((commit.state.to_string(), commit, skip));
        self.write("skip_event", move |tx| {
            let input = input.clone();
            Box::pin(async move {
                let (state, commit, skip) = &*input;
                schedulers::advance(tx, scheduler, master, expected_version, state).await?;
                forced::remove(tx, &commit.forced).await?;
                let row = args![
                    scheduler,
                    now,
                    &skip.who,
                    &skip.reason,
                    &skip.event,
                    &skip.error
                ];
                let into =
                    "INSERT INTO scheduler_skips (scheduler_id, at, who, reason, event, error)";
                tx.insert("skip_event", into, vec![row], "").await?;
                tx.emit(Event::Scheduler(scheduler));
                Ok(())
            })
        })
        .await
    }

    /// What schedulers have passed over, or one of them, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn scheduler_skips(
        &self,
        scheduler: Option<SchedulerId>,
        limit: u32,
    ) -> Result<Vec<SkipRow>> {
        let mut connection = self.read("scheduler_skips").await?;
        let sql = "SELECT scheduler_id, at, who, reason, event, error FROM scheduler_skips \
            WHERE $1 = 0 OR scheduler_id = $1 ORDER BY id DESC LIMIT $2";
        // Ids begin at 1.
        let of = scheduler.map_or(0, |id| id.0);
        let args = args![of, limit.min(ROWS_PER_LIST_MAX)];
        let rows = connection.fetch_all("scheduler_skips", sql, args).await?;
        let read = |row: &crate::sql::Row| {
            let mut cells = row.cells();
            Ok(SkipRow {
                scheduler: cells.get()?,
                at: cells.get()?,
                skip: NewSkip {
                    who: cells.get()?,
                    reason: cells.get()?,
                    event: cells.get()?,
                    error: cells.get()?,
                },
            })
        };
        rows.iter().map(read).collect()
    }
}
