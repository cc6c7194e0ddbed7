//! Feeds changes and time to one single-branch scheduler and commits what it decides.
//!
//! State, cursor over the changes and build sets move in one transaction, so that whenever the master
//! dies no change is forgotten and none is scheduled twice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use toolpost_bus::{Bus, Wake, Woken};
use toolpost_config::config::{SchedulerConfig, SingleBranchConfig};
use toolpost_core::backoff::Backoff;
use toolpost_core::model::Change;
use toolpost_core::schedule::plugin::PluginSchedulerState;
use toolpost_core::schedule::{
    Outcome, SchedulerAction, SchedulerEvent, SingleBranch, SingleBranchState, StateError,
};
use toolpost_core::{BuilderId, Event, MasterId, SchedulerId, Timestamp};
use toolpost_store::{NewBuildset, SchedulerCommit, Store, StoreError};
use tracing::warn;

use crate::clock::Clock;
use crate::properties::scheduler_properties;
use crate::status::SchedulerStatus;

/// Changes that are read and committed at one time.
const CHANGES_PER_BATCH_MAX: u32 = 500;

/// The price of a lost event is this delay.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Waits after errors: from the first to the longest.
const RETRY_WAIT_MIN: Duration = Duration::from_secs(1);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(60);

/// Why a scheduler could not go on. It tries again; nothing is lost.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("its properties cannot be rendered: {0}")]
    Properties(String),
}

/// Runs one scheduler.
#[derive(Clone)]
pub(crate) struct SingleBranchActor {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) master: MasterId,
    pub(crate) id: SchedulerId,
    pub(crate) scheduler: Arc<SchedulerConfig>,
    pub(crate) config: Arc<SingleBranchConfig>,
    pub(crate) builders: Vec<BuilderId>,
    pub(crate) status: Arc<Mutex<SchedulerStatus>>,
}

/// Makes sure that a scheduler has a state. A new one ignores the changes that are there already; it must
/// exist before the first change that it is to see.
pub(crate) async fn prepare(
    store: &Store,
    master: MasterId,
    id: SchedulerId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let current = store.scheduler_state(id).await?;
    // What a plugin's scheduler of the same name has left means nothing to this one.
    if !current.state.is_null() && !PluginSchedulerState::is_one(&current.state) {
        return Ok(());
    }
    let fresh = SingleBranchState::starting_after(store.last_change().await?);
    let first = super::state_only(fresh.to_value());
    super::begin(store, master, id, current.version, first, now).await
}

impl SingleBranchActor {
    /// Reacts to changes and time until it is dropped.
    pub(crate) async fn run(self) {
        let mut wake = Wake::new(self.bus.subscribe(), LOOK_INTERVAL, |event| {
            matches!(event, Event::ChangeAdded(_))
        });
        let mut backoff = Backoff::new(RETRY_WAIT_MIN, RETRY_WAIT_MAX).with_jitter(0.0);
        loop {
            let looked = self.look().await;
            let next_look = match &looked {
                Ok(state) => {
                    backoff.succeeded();
                    state.wake_at()
                }
                Err(error) => {
                    let wait = backoff.next_wait(0.0);
                    let name = &self.scheduler.name;
                    warn!(scheduler.name = %name, "scheduler `{name}` tries again in {} s: {error}", wait.as_secs());
                    Some(self.clock.now().after(wait))
                }
            };
            self.tell(&looked);
            let failed = looked.is_err();
            tokio::select! {
                // After an error only time helps, or a burst of events would make a storm of attempts.
                woken = wake.next(None), if !failed => if woken == Woken::Closed { return },
                () = self.clock.sleep_until_some(next_look) => {}
            }
        }
    }

    /// Takes in what is new, and commits.
    async fn look(&self) -> Result<SingleBranchState, Failure> {
        loop {
            let stored = self.store.scheduler_state(self.id).await?;
            let state = match &stored.state {
                Value::Null => SingleBranchState::starting_after(self.store.last_change().await?),
                value => SingleBranchState::from_value(value)?,
            };
            let changes = self
                .store
                .changes_after(state.last_change(), CHANGES_PER_BATCH_MAX)
                .await?;
            let now = self.clock.now();
            let event = if changes.is_empty() {
                SchedulerEvent::Wake
            } else {
                SchedulerEvent::Changes(&changes)
            };
            let mut outcome = self.decide(state.clone(), event, now);
            if !stored.enabled {
                // It takes in what happens, so that it does not build all that when it is enabled again.
                outcome.actions.clear();
            }
            if outcome.actions.is_empty() && outcome.state == state {
                return Ok(state);
            }
            let buildsets = outcome
                .actions
                .into_iter()
                .map(|action| self.buildset(action))
                .collect::<Result<Vec<_>, _>>()?;
            let commit = SchedulerCommit {
                state: outcome.state.to_value(),
                buildsets,
                ..SchedulerCommit::default()
            };
            let committed = self
                .store
                .commit_scheduler(self.id, self.master, stored.version, commit, now)
                .await;
            match committed {
                Ok(_) if changes.len() < CHANGES_PER_BATCH_MAX as usize => {
                    return Ok(outcome.state);
                }
                // More to read, or another master was first: look again.
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn decide(
        &self,
        state: SingleBranchState,
        event: SchedulerEvent<'_>,
        now: Timestamp,
    ) -> Outcome {
        let is_important = |change: &Change| self.config.files.is_important(&change.files);
        let machine = SingleBranch {
            filter: &self.config.change_filter,
            is_important: Some(&is_important),
            only_important: self.config.only_important,
            tree_stable_timer: self.config.tree_stable_timer,
            codebases: &self.config.codebases,
            create_absolute_source_stamps: self.config.create_absolute_source_stamps,
        };
        machine.handle(state, event, now)
    }

    fn buildset(&self, action: SchedulerAction) -> Result<NewBuildset, Failure> {
        let SchedulerAction::AddBuildset {
            changes,
            source_stamps,
        } = action;
        let properties = scheduler_properties(
            &self.scheduler.name,
            &self.scheduler.properties,
            &source_stamps,
        )
        .map_err(Failure::Properties)?;
        Ok(NewBuildset {
            reason: self.config.reason.clone(),
            scheduler: Some(self.id),
            sourcestamps: source_stamps,
            changes,
            properties,
            builders: self.builders.clone(),
            priority: self.config.priority,
            ..NewBuildset::default()
        })
    }

    fn tell(&self, looked: &Result<SingleBranchState, Failure>) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        match looked {
            Ok(state) => {
                status.last_change = Some(state.last_change());
                status.fires_at = state.wake_at();
                status.error = None;
            }
            Err(error) => status.error = Some(error.to_string()),
        }
    }
}
