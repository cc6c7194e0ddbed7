//! Build requests: the queue.

use toolpost_core::model::SourceStampSpec;
use toolpost_core::{BuilderId, BuildsetId, MasterId, RequestId, Timestamp};

use crate::{Result, Store};

/// A request that nobody runs yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRequest {
    /// Row id.
    pub id: RequestId,
    /// The builder that is to run it.
    pub builder: BuilderId,
    /// The build set that it is of.
    pub buildset: BuildsetId,
    /// Higher runs first.
    pub priority: i32,
    /// When it was made.
    pub submitted_at: Timestamp,
    /// Whether a trigger step waits for it.
    pub waited_for: bool,
}

/// A pending request with what decides whether it can be collapsed into another.
#[derive(Debug, Clone, PartialEq)]
pub struct CollapseCandidate {
    /// The request.
    pub request: PendingRequest,
    /// What it is to build, by codebase.
    pub sourcestamps: Vec<SourceStampSpec>,
    /// Whether its build set was made for changes.
    pub has_changes: bool,
}

/// What came of the wish to cancel a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// It was pending and is `CANCELLED` now.
    Cancelled,
    /// This master runs it: its build has to be stopped.
    Claimed(MasterId),
    /// It was complete already.
    Complete,
}

impl Store {
    /// The requests that each builder would run next, so many of each: by priority, then age. Only unclaimed and
    /// incomplete ones. The cost depends on what is returned, not on how many are pending.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_heads(&self, per_builder: u32) -> Result<Vec<PendingRequest>> {
        todo!("{per_builder}")
    }

    /// How many requests of each builder are pending.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_counts(&self) -> Result<Vec<(BuilderId, i64)>> {
        todo!()
    }

    /// The request itself and the pending ones of its builder that no trigger waits for and that are for the same
    /// codebases, repositories, branches and projects; oldest first. `limit` counts the others.
    ///
    /// # Errors
    /// When the request is unknown or the database fails.
    pub async fn pending_for_collapse(
        &self,
        request: RequestId,
        limit: u32,
    ) -> Result<Vec<CollapseCandidate>> {
        todo!("{request} {limit}")
    }

    /// Cancels a pending request. A claimed one is left to whoever runs it.
    ///
    /// # Errors
    /// When the request is unknown or the database fails.
    pub async fn cancel_request(&self, request: RequestId, now: Timestamp) -> Result<Cancel> {
        todo!("{request} {now:?}")
    }

    /// Changes the priority of a request that is not complete.
    ///
    /// # Errors
    /// When the request is unknown or the database fails.
    pub async fn set_request_priority(&self, request: RequestId, priority: i32) -> Result<()> {
        todo!("{request} {priority}")
    }
}
