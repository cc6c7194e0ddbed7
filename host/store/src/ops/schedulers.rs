//! Schedulers: a state with a version, moved in one transaction together with the build sets it gives rise to.

use std::sync::Arc;

use serde_json::Value;
use toolpost_core::{Event, MasterId, SchedulerId, Timestamp};

use crate::ops::buildsets::{self, AddedBuildset, NewBuildset};
use crate::sql::args;
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

/// What a scheduler remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerState {
    /// Its own data; `null` in the beginning.
    pub state: Value,
    /// Grows by one with each commit; zero in the beginning.
    pub version: i64,
}

/// What a commit of a scheduler made.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerCommitted {
    /// The new version.
    pub version: i64,
    /// The build sets, in the order given.
    pub buildsets: Vec<AddedBuildset>,
}

impl Store {
    /// The scheduler's state and its version.
    ///
    /// # Errors
    /// When the scheduler is unknown or the database fails.
    pub async fn scheduler_state(&self, scheduler: SchedulerId) -> Result<SchedulerState> {
        let mut connection = self.read("scheduler_state").await?;
        let sql = "SELECT state, version FROM schedulers WHERE id = $1";
        let row = connection
            .fetch_optional("scheduler_state", sql, args![scheduler])
            .await?
            .ok_or_else(|| StoreError::not_found("scheduler", scheduler))?;
        let mut cells = row.cells();
        Ok(SchedulerState {
            state: cells.json()?,
            version: cells.get()?,
        })
    }

    /// Moves the scheduler from `expected_version` to the next one with a new state, and makes build sets, all
    /// or nothing.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when the version is another by now; otherwise when the database fails.
    pub async fn commit_scheduler(
        &self,
        scheduler: SchedulerId,
        master: MasterId,
        expected_version: i64,
        state: Value,
        buildsets: Vec<NewBuildset>,
        now: Timestamp,
    ) -> Result<SchedulerCommitted> {
        let input = Arc::new((state.to_string(), buildsets));
        self.write("commit_scheduler", move |tx| {
            let input = input.clone();
            Box::pin(async move {
                let (state, new) = &*input;
                let version = advance(tx, scheduler, master, expected_version, state).await?;
                let mut added = Vec::with_capacity(new.len());
                for new in new {
                    added.push(buildsets::add(tx, new, now).await?);
                }
                Ok(SchedulerCommitted {
                    version,
                    buildsets: added,
                })
            })
        })
        .await
    }

    /// Switches a scheduler on or off.
    ///
    /// # Errors
    /// When the scheduler is unknown or the database fails.
    pub async fn set_scheduler_enabled(&self, scheduler: SchedulerId, enabled: bool) -> Result<()> {
        self.write("set_scheduler_enabled", move |tx| {
            Box::pin(async move {
                let sql = "UPDATE schedulers SET enabled = $1 WHERE id = $2 RETURNING id";
                tx.fetch_optional("set_scheduler_enabled", sql, args![enabled, scheduler])
                    .await?
                    .ok_or_else(|| StoreError::not_found("scheduler", scheduler))?;
                tx.emit(Event::Scheduler(scheduler));
                Ok(())
            })
        })
        .await
    }
}

/// Moves the scheduler to its next version, if it is still at the expected one and still this master's.
async fn advance(
    tx: &mut Tx,
    scheduler: SchedulerId,
    master: MasterId,
    expected_version: i64,
    state: &str,
) -> Result<i64> {
    let sql = "UPDATE schedulers SET state = $1, version = version + 1 \
        WHERE id = $2 AND version = $3 AND (master_id IS NULL OR master_id = $4) \
        RETURNING version";
    let args = args![state, scheduler, expected_version, master];
    tx.fetch_optional("commit_scheduler", sql, args)
        .await?
        .ok_or_else(|| StoreError::Conflict {
            what: format!("scheduler {scheduler}"),
        })?
        .first()
}
