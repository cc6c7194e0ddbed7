//! Workers: connection, pause, what they said of themselves.

use std::collections::BTreeMap;

use serde_json::Value;
use toolpost_core::{MasterId, Timestamp, WorkerId};

use crate::{Result, Store};

impl Store {
    /// Records that the worker is, or is no longer, connected to this master, and what it said of itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_worker_connected(
        &self,
        worker: WorkerId,
        master: MasterId,
        connected: bool,
        info: Option<BTreeMap<String, Value>>,
        now: Timestamp,
    ) -> Result<()> {
        todo!("{worker} {master} {connected} {info:?} {now:?}")
    }

    /// Pauses a worker, or lets it go on.
    ///
    /// # Errors
    /// When the worker is unknown or the database fails.
    pub async fn set_worker_paused(
        &self,
        worker: WorkerId,
        paused: bool,
        reason: Option<&str>,
    ) -> Result<()> {
        todo!("{worker} {paused} {reason:?}")
    }

    /// Asks a worker to shut down when it is idle, or takes that back.
    ///
    /// # Errors
    /// When the worker is unknown or the database fails.
    pub async fn set_worker_graceful(&self, worker: WorkerId, graceful: bool) -> Result<()> {
        todo!("{worker} {graceful}")
    }
}
