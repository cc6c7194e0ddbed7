//! Schedulers: a state with a version, moved in one transaction together with the build sets it gives rise to.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use toolpost_core::{BuildsetId, ChangeId, Event, ForcedId, MasterId, SchedulerId, Timestamp};

use crate::ops::buildsets::{self, AddedBuildset, NewBuildset};
use crate::ops::forced;
use crate::sql::{args, json_ids};
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

/// What a scheduler remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerState {
    /// Its own data; `null` in the beginning.
    pub state: Value,
    /// Grows by one with each commit; zero in the beginning.
    pub version: i64,
    /// Whether it is to make build sets.
    pub enabled: bool,
}

/// What a scheduler commits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SchedulerCommit {
    /// Its state from now on.
    pub state: Value,
    /// Build sets to make.
    pub buildsets: Vec<NewBuildset>,
    /// Forms that it has handled.
    pub forced: Vec<ForcedId>,
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
        let sql = "SELECT state, version, enabled FROM schedulers WHERE id = $1";
        let row = connection
            .fetch_optional("scheduler_state", sql, args![scheduler])
            .await?
            .ok_or_else(|| StoreError::not_found("scheduler", scheduler))?;
        let mut cells = row.cells();
        Ok(SchedulerState {
            state: cells.json()?,
            version: cells.get()?,
            enabled: cells.get()?,
        })
    }

    /// Moves the scheduler from `expected_version` to the next one with a new state, makes build sets and takes forms out
    /// of its queue, all or nothing.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when the version is another by now; otherwise when the database fails.
    pub async fn commit_scheduler(
        &self,
        scheduler: SchedulerId,
        master: MasterId,
        expected_version: i64,
        commit: SchedulerCommit,
        now: Timestamp,
    ) -> Result<SchedulerCommitted> {
        let input = Arc::new((commit.state.to_string(), commit));
        self.write("commit_scheduler", move |tx| {
            let input = input.clone();
            Box::pin(async move {
                let (state, commit) = &*input;
                let version = advance(tx, scheduler, master, expected_version, state).await?;
                forced::remove(tx, &commit.forced).await?;
                let mut added = Vec::with_capacity(commit.buildsets.len());
                for new in &commit.buildsets {
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

    /// Which of these build sets the scheduler made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn buildsets_made_by(
        &self,
        scheduler: SchedulerId,
        buildsets: &[BuildsetId],
    ) -> Result<BTreeSet<BuildsetId>> {
        let mut connection = self.read("buildsets_made_by").await?;
        let list = connection.ids(2);
        let sql = format!("SELECT id FROM buildsets WHERE scheduler_id = $1 AND id IN {list}");
        let args = vec![scheduler.into(), json_ids(buildsets.iter().copied())];
        let rows = connection.fetch_all("buildsets_made_by", sql, args).await?;
        rows.iter().map(|row| row.first()).collect()
    }

    /// How many requests of the scheduler are not done yet; counts no further than `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_requests_of(&self, scheduler: SchedulerId, limit: u32) -> Result<u32> {
        let mut connection = self.read("open_requests_of").await?;
        let sql = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM buildsets s \
            JOIN requests r ON r.buildset_id = s.id AND r.complete = 0 \
            WHERE s.scheduler_id = $1 AND s.complete = 0 LIMIT $2) AS open_requests";
        let row = connection.fetch_one("open_requests_of", sql, args![scheduler, i64::from(limit)]);
        let count: i64 = row.await?.first()?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Which of these changes there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known_changes(&self, changes: &[ChangeId]) -> Result<BTreeSet<ChangeId>> {
        let mut connection = self.read("known_changes").await?;
        let sql = format!("SELECT id FROM changes WHERE id IN {}", connection.ids(1));
        let args = vec![json_ids(changes.iter().copied())];
        let rows = connection.fetch_all("known_changes", sql, args).await?;
        rows.iter().map(|row| row.first()).collect()
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
pub(super) async fn advance(
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
