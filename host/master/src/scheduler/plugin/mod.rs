//! Schedulers of plugins: events go to the plugin one by one, and what comes of them is committed with the place that was
//! reached.
//!
//! State, cursor, build sets and handled forms move in one transaction, so that whenever the master dies, nothing is
//! forgotten and nothing is done twice. While the plugin cannot take an event, that event stays, and other
//! schedulers go on.

mod actor;
mod events;
mod round;
mod skip;

use toolpost_core::schedule::StateError;
use toolpost_core::schedule::plugin::{PluginSchedulerState, Refusal};
use toolpost_core::{ChangeId, MasterId, PatchId, SchedulerId, Timestamp};
use toolpost_sandbox::SandboxError;
use toolpost_sandbox::scheduler::NoProperties;
use toolpost_store::{ROWS_PER_LIST_MAX, SchedulerCommit, Store, StoreError};

pub(crate) use actor::PluginSchedulerActor;

/// Why a scheduler could not go on. It tries again; nothing is lost.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(
        "the state in the store is that of another scheduler type; apply the configuration again"
    )]
    OtherType,
    #[error("its properties cannot be rendered: {0}")]
    Properties(String),
    #[error("{error}, when it was told of {event}")]
    Plugin { event: String, error: SandboxError },
    #[error("its answer is not taken, because {0}")]
    Refused(#[from] Refusal),
    #[error("its answer is not taken, because {0}")]
    NoProperties(#[from] NoProperties),
    #[error("its answer is not taken, because there is no change {0}")]
    UnknownChange(ChangeId),
    #[error(
        "its answer is not taken, because there is no patch {0}: hand on that of a source stamp, or none"
    )]
    UnknownPatch(PatchId),
}

impl Failure {
    /// Whether it may have to do with the event, and not with the scheduler as a whole.
    fn is_about_the_event(&self) -> bool {
        !matches!(self, Self::Store(_) | Self::State(_) | Self::OtherType)
    }
}

/// Makes sure that a scheduler has a state of its type. A new one hears of nothing that has happened already; it must
/// exist before the first thing that it is to hear of.
pub(super) async fn prepare(
    store: &Store,
    master: MasterId,
    id: SchedulerId,
    scheduler_type: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let current = store.scheduler_state(id).await?;
    if PluginSchedulerState::is_of(&current.state, scheduler_type) {
        return Ok(());
    }
    let fresh = PluginSchedulerState::starting_after(scheduler_type, store.journal_end().await?);
    // Forms that another type was sent under this name mean nothing to this one.
    let forced = store.forced(id, ROWS_PER_LIST_MAX).await?;
    let first = SchedulerCommit {
        forced: forced.into_iter().map(|row| row.id).collect(),
        ..super::state_only(fresh.to_value())
    };
    super::begin(store, master, id, current.version, first, now).await
}
