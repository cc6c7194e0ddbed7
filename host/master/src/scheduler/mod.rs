//! Schedulers: the shells around the state machines of `toolpost_core::schedule`.

mod plugin;
mod single_branch;
mod slots;

use serde_json::Value;
use toolpost_core::{MasterId, SchedulerId, Timestamp};
use toolpost_store::{SchedulerCommit, Store, StoreError};

pub(crate) use plugin::PluginSchedulerActor;
pub(crate) use slots::SchedulerSlot;

/// Gives a scheduler its first state, in place of that with this version.
async fn begin(
    store: &Store,
    master: MasterId,
    id: SchedulerId,
    version: i64,
    commit: SchedulerCommit,
    now: Timestamp,
) -> Result<(), StoreError> {
    let committed = store
        .commit_scheduler(id, master, version, commit, now)
        .await;
    match committed {
        // Another master made it in the meantime.
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A commit of a state and nothing else.
fn state_only(state: Value) -> SchedulerCommit {
    SchedulerCommit {
        state,
        ..SchedulerCommit::default()
    }
}
