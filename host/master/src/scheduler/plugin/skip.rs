//! Passes over an event that a scheduler cannot take in, because somebody says so.

use toolpost_core::schedule::plugin::{Due, PluginSchedulerState};
use toolpost_store::{NewSkip, SchedulerCommit, StoreError};
use tracing::warn;

use super::actor::PluginSchedulerActor;
use super::events;
use crate::engine::lock;
use crate::error::ControlError;

/// Who and why, each in so many bytes.
const TEXT_BYTES_MAX: usize = 1024;

impl PluginSchedulerActor {
    /// Moves the scheduler past the event at which it fails, if that is `event`, or whichever it is when that is empty.
    /// Gives the event. Only a scheduler that has failed at an event passes over it, and only while the store has it there.
    pub(crate) async fn skip(
        &self,
        event: &str,
        reason: &str,
        who: &str,
    ) -> Result<String, ControlError> {
        let name = &self.scheduler.name;
        let not_stuck = |at: &str| ControlError::NotStuck(name.clone(), at.to_owned());
        let (stuck, error) = {
            let status = lock(&self.status);
            (status.stuck.clone(), status.error.clone())
        };
        let asked = if event.is_empty() { "an event" } else { event };
        let stuck = stuck.ok_or_else(|| not_stuck(asked))?.event;
        if !event.is_empty() && event != stuck {
            return Err(not_stuck(event));
        }
        let stored = self.store.scheduler_state(self.id).await?;
        let state = self.read_state(&stored);
        let state = state.map_err(|_| not_stuck(&stuck))?;
        let passed = self.pass(state).await?;
        let (state, due) = passed.ok_or_else(|| not_stuck(&stuck))?;
        if events::describe(due) != stuck {
            return Err(not_stuck(&stuck));
        }
        let forced = match due {
            Due::Forced(id) => vec![id],
            _ => Vec::new(),
        };
        let commit = SchedulerCommit {
            state: state.to_value(),
            forced,
            ..SchedulerCommit::default()
        };
        let skip = NewSkip {
            who: cut(who),
            reason: cut(reason),
            event: stuck.clone(),
            error: error.unwrap_or_default(),
        };
        let now = self.clock.now();
        let skipped = self
            .store
            .skip_event(self.id, self.master, stored.version, commit, skip, now)
            .await;
        match skipped {
            Ok(()) => {}
            Err(StoreError::Conflict { .. }) => return Err(not_stuck(&stuck)),
            Err(error) => return Err(error.into()),
        }
        warn!(scheduler.name = %name, who, reason, "scheduler `{name}` passes over {stuck}, as {who} said");
        self.skipped.notify_one();
        Ok(stuck)
    }

    /// The state after the next event without that event; `None` when there is none.
    async fn pass(
        &self,
        mut state: PluginSchedulerState,
    ) -> Result<Option<(PluginSchedulerState, Due)>, StoreError> {
        let Some(scheduler_type) = self.registry.scheduler_type(&self.config.scheduler_type) else {
            return Ok(None);
        };
        let farm = self.farm(&scheduler_type);
        loop {
            let mut inbox = self.read(&state).await?.inbox;
            let is_all = inbox.journal_is_all && inbox.forced_is_all;
            if let Some(due) = state.next(&mut inbox, &farm, self.clock.now()) {
                state.pass(&mut inbox, &farm, due);
                return Ok(Some((state, due)));
            }
            if is_all {
                return Ok(None);
            }
        }
    }
}

fn cut(text: &str) -> String {
    let text = text.trim();
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}
