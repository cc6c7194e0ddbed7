//! Schedulers: a state with a version, moved in one transaction together with the build sets it gives rise to.

use serde_json::Value;
use toolpost_core::{MasterId, SchedulerId, Timestamp};

use crate::ops::buildsets::{AddedBuildset, NewBuildset};
use crate::{Result, Store};

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
        todo!("{scheduler}")
    }

    /// Moves the scheduler from `expected_version` to the next one with a new state, and makes build sets, all or nothing.
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
        todo!("{scheduler} {master} {expected_version} {state} {buildsets:?} {now:?}")
    }

    /// Switches a scheduler on or off.
    ///
    /// # Errors
    /// When the scheduler is unknown or the database fails.
    pub async fn set_scheduler_enabled(&self, scheduler: SchedulerId, enabled: bool) -> Result<()> {
        todo!("{scheduler} {enabled}")
    }
}
