//! Masters: registration, heartbeats, and taking back what a dead one was doing.

use toolpost_core::{BuildId, LogId, MasterId, RequestId, Timestamp};

use crate::{Result, Store};

/// What [`Store::recover_master`] took back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Builds that were running; they ended with `RETRY`.
    pub builds: Vec<BuildId>,
    /// Requests that are back in the queue.
    pub requests: Vec<RequestId>,
    /// Logs that were open; they are closed as they are.
    pub logs: Vec<LogId>,
}

impl Store {
    /// Makes the master with this name known and active; the same name gives the same id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn register_master(&self, name: &str, now: Timestamp) -> Result<MasterId> {
        todo!("{name} {now:?}")
    }

    /// Says that the master lives.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heartbeat(&self, master: MasterId, now: Timestamp) -> Result<()> {
        todo!("{master} {now:?}")
    }

    /// Marks masters that were last heard of before `older_than` as inactive and gives their ids, once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expire_masters(&self, older_than: Timestamp) -> Result<Vec<MasterId>> {
        todo!("{older_than:?}")
    }

    /// Marks a master that ends in order as inactive and disconnects its workers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stop_master(&self, master: MasterId, now: Timestamp) -> Result<()> {
        todo!("{master} {now:?}")
    }

    /// Takes back everything that a master left unfinished: its builds end with `RETRY`, their steps and logs are
    /// closed, their requests go back to the queue, its workers are disconnected. Safe to call again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recover_master(&self, master: MasterId, now: Timestamp) -> Result<Recovered> {
        todo!("{master} {now:?}")
    }
}
