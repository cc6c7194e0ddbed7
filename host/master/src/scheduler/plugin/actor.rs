//! The loop: looks at the store, lets the plugin decide, commits, and waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use toolpost_bus::{Bus, Wake, Woken};
use toolpost_config::config::{PluginSchedulerConfig, SchedulerConfig};
use toolpost_core::backoff::Backoff;
use toolpost_core::schedule::plugin::{Due, Farm, Forced, Inbox, PluginSchedulerState};
use toolpost_core::{BuilderId, Event, Fact, ForcedId, MasterId, SchedulerId, Timestamp};
use toolpost_sandbox::{PluginRegistry, SchedulerType};
use toolpost_store::{NewForced, SchedulerCommit, SchedulerState, Store, StoreError};
use tracing::warn;

use super::round::Round;
use super::{Failure, events};
use crate::clock::Clock;
use crate::engine::lock;
use crate::status::{SchedulerStatus, StuckEvent};
use crate::uses::RunningUses;

/// Entries of the journal that are read at one time.
const ENTRIES_PER_READ: u32 = 500;

/// Forms that are read at one time.
const FORMS_PER_READ: u32 = 50;

/// Entries that a scheduler passes without hearing of them before that is worth a commit.
const ENTRIES_PASSED_MAX: i64 = 1_000;

/// Requests of one scheduler that are not done yet. One that has so many hears no more until some are, so that it cannot flood
/// the queue.
const OPEN_REQUESTS_MAX: u32 = 10_000;

/// The price of a lost event is this delay.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Waits after errors: from the first to the longest.
const RETRY_WAIT_MIN: Duration = Duration::from_secs(1);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(60);

/// Runs one scheduler of a plugin.
#[derive(Clone)]
pub(crate) struct PluginSchedulerActor {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: PluginRegistry,
    /// For the limits of plugins, as of now.
    pub(crate) uses: Arc<RunningUses>,
    pub(crate) master: MasterId,
    pub(crate) id: SchedulerId,
    pub(crate) scheduler: Arc<SchedulerConfig>,
    pub(crate) config: Arc<PluginSchedulerConfig>,
    /// All builders, by name.
    pub(crate) builders: Arc<BTreeMap<String, BuilderId>>,
    pub(crate) status: Arc<Mutex<SchedulerStatus>>,
    /// Told when somebody had it pass over an event.
    pub(crate) skipped: Arc<Notify>,
}

/// How a look ended.
enum Looked {
    /// There is nothing to do until this time.
    Idle(Option<Timestamp>),
    /// It has to wait for something else.
    Held(String),
    Failed(Stopped),
}

/// Why a look came to no good end.
struct Stopped {
    failure: Failure,
    /// The event that could not be taken in, if it was that.
    at: Option<Due>,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self { failure, at: None }
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}

/// Where a scheduler is in the journal, beyond what was committed.
type Passed = Option<(i64, PluginSchedulerState)>;

/// What was read of the queues.
pub(super) struct Read {
    pub(super) inbox: Inbox,
    pub(super) forms: BTreeMap<ForcedId, NewForced>,
}

impl PluginSchedulerActor {
    /// Lets the plugin react until it is dropped.
    pub(crate) async fn run(self) {
        let id = self.id;
        let mut wake = Wake::new(
            self.bus.subscribe(),
            LOOK_INTERVAL,
            move |event| match event {
                Event::ChangeAdded(_)
                | Event::BuildFinished(..)
                | Event::BuildsetComplete(_)
                | Event::Plugin(_) => true,
                Event::Scheduler(changed) => *changed == id,
                _ => false,
            },
        );
        let mut repaired = Wake::new(self.bus.subscribe(), RETRY_WAIT_MAX, |event| {
            matches!(event, Event::Plugin(_))
        });
        let mut backoff = Backoff::new(RETRY_WAIT_MIN, RETRY_WAIT_MAX).with_jitter(0.0);
        let mut passed = None;
        loop {
            let looked = self.look(&mut passed).await;
            self.tell(&looked);
            let woken = match looked {
                Looked::Idle(wake_at) => {
                    backoff.succeeded();
                    tokio::select! {
                        woken = wake.next(None) => woken,
                        () = self.clock.sleep_until_some(wake_at) => Woken::Timer,
                    }
                }
                Looked::Held(_) => wake.next(None).await,
                // Only time helps, or another plugin: a burst of events would make a storm of attempts.
                Looked::Failed(stopped) => {
                    let wait = backoff.next_wait(0.0);
                    self.warn(&stopped.failure, wait);
                    tokio::select! {
                        woken = repaired.next(None) => woken,
                        () = self.skipped.notified() => Woken::Signal,
                        () = tokio::time::sleep(wait) => Woken::Timer,
                    }
                }
            };
            if woken == Woken::Closed {
                return;
            }
        }
    }

    async fn look(&self, passed: &mut Passed) -> Looked {
        loop {
            let name = &self.config.scheduler_type;
            // The live version of this moment, also in the middle of a long queue.
            let Some(scheduler_type) = self.registry.scheduler_type(name) else {
                return Looked::Held(format!(
                    "no plugin brings the scheduler type `{name}` now; see the page of the plugins"
                ));
            };
            match self
                .store
                .open_requests_of(self.id, OPEN_REQUESTS_MAX)
                .await
            {
                Ok(open) if open < OPEN_REQUESTS_MAX => {}
                Ok(_) => {
                    return Looked::Held(format!(
                        "{OPEN_REQUESTS_MAX} of its requests are not done yet; it goes on when builders have caught up"
                    ));
                }
                Err(error) => return Looked::Failed(error.into()),
            }
            match self.round(&scheduler_type, passed).await {
                Ok(Some(wake_at)) => return Looked::Idle(wake_at),
                Ok(None) => {}
                Err(stopped) => return Looked::Failed(stopped),
            }
        }
    }

    /// Handles some events and commits them. Gives when the timer is due once there are no more.
    async fn round(
        &self,
        scheduler_type: &SchedulerType,
        passed: &mut Passed,
    ) -> Result<Option<Option<Timestamp>>, Stopped> {
        let stored = self.store.scheduler_state(self.id).await?;
        let committed = self.read_state(&stored)?;
        let state = match passed.take() {
            Some((version, state)) if version == stored.version => state,
            _ => committed.clone(),
        };
        let read = self.read(&state).await?;
        let farm = self.farm(scheduler_type);
        let round = Round::new(self, scheduler_type, &farm, state, read);
        let mut round = round.run().await;
        if !stored.enabled && round.forced.is_empty() {
            round.buildsets.clear();
        }
        let ahead = round.state.cursor().0 - committed.cursor().0;
        let wake_at = round.state.wake_at();
        lock(&self.status).text = round.state.status().to_owned();
        if round.handled == 0 && ahead < ENTRIES_PASSED_MAX {
            *passed = Some((stored.version, round.state));
        } else if !self
            .commit(stored.version, &round.state, round.buildsets, round.forced)
            .await?
        {
            return Ok(None);
        }
        match round.failure {
            Some((due, failure)) => Err(Stopped {
                at: Some(due).filter(|_| failure.is_about_the_event()),
                failure,
            }),
            None => Ok(round.is_last.then_some(wake_at)),
        }
    }

    pub(super) fn read_state(
        &self,
        stored: &SchedulerState,
    ) -> Result<PluginSchedulerState, Failure> {
        if !PluginSchedulerState::is_of(&stored.state, &self.config.scheduler_type) {
            return Err(Failure::OtherType);
        }
        Ok(PluginSchedulerState::from_value(&stored.state)?)
    }

    pub(super) async fn read(&self, state: &PluginSchedulerState) -> Result<Read, StoreError> {
        let store = &self.store;
        let rows = store.forced(self.id, FORMS_PER_READ).await?;
        let entries = store
            .journal_after(state.cursor(), ENTRIES_PER_READ)
            .await?;
        let complete: Vec<_> = entries
            .iter()
            .filter_map(|entry| match entry.fact {
                Fact::BuildsetComplete(buildset, _) => Some(buildset),
                _ => None,
            })
            .collect();
        let own_buildsets = match complete.is_empty() {
            true => Default::default(),
            false => store.buildsets_made_by(self.id, &complete).await?,
        };
        let forced = rows.iter().map(|row| Forced {
            id: row.id,
            at: row.at,
        });
        Ok(Read {
            inbox: Inbox {
                journal_is_all: entries.len() < ENTRIES_PER_READ as usize,
                journal: entries.into(),
                forced_is_all: rows.len() < FORMS_PER_READ as usize,
                forced: forced.collect(),
                own_buildsets,
            },
            forms: rows.into_iter().map(|row| (row.id, row.form)).collect(),
        })
    }

    pub(super) fn farm(&self, scheduler_type: &SchedulerType) -> Farm {
        let builders = &self.scheduler.builders;
        let digest = scheduler_type.plugin().digest();
        let all = json!([digest, self.config.parameters, builders]).to_string();
        let hash = Sha256::digest(all.as_bytes());
        let names = self.builders.iter();
        Farm {
            fingerprint: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            builders: builders.clone(),
            builder_names: names.map(|(name, id)| (*id, name.clone())).collect(),
        }
    }

    /// Whether it was committed; another master may have been first.
    async fn commit(
        &self,
        version: i64,
        state: &PluginSchedulerState,
        buildsets: Vec<toolpost_store::NewBuildset>,
        forced: Vec<ForcedId>,
    ) -> Result<bool, StoreError> {
        let commit = SchedulerCommit {
            state: state.to_value(),
            buildsets,
            forced,
        };
        let now = self.clock.now();
        let committed = self
            .store
            .commit_scheduler(self.id, self.master, version, commit, now)
            .await;
        match committed {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn tell(&self, looked: &Looked) {
        let mut status = lock(&self.status);
        (status.held, status.error) = (None, None);
        let before = status.stuck.take();
        match looked {
            Looked::Idle(wake_at) => status.fires_at = *wake_at,
            Looked::Held(reason) => status.held = Some(reason.clone()),
            Looked::Failed(Stopped { failure, at }) => {
                status.error = Some(failure.to_string());
                status.stuck = at.map(|due| self.stuck(due, before));
            }
        }
    }

    fn stuck(&self, due: Due, before: Option<StuckEvent>) -> StuckEvent {
        let event = events::describe(due);
        let before = before.filter(|before| before.event == event);
        let mut stuck = before.unwrap_or_else(|| StuckEvent {
            event,
            since: self.clock.now(),
            attempts: 0,
        });
        stuck.attempts = stuck.attempts.saturating_add(1);
        stuck
    }

    fn warn(&self, failure: &Failure, wait: Duration) {
        let (name, wait_s) = (&self.scheduler.name, wait.as_secs());
        let stack = match failure {
            Failure::Plugin { error, .. } => error.stack().to_string(),
            _ => String::new(),
        };
        warn!(scheduler.name = %name, stack, "scheduler `{name}` tries again in {wait_s} s: {failure}");
    }
}
