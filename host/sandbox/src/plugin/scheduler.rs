//! Asking a scheduler of a plugin.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolpost_core::Timestamp;

use crate::call::{CallContext, LineTarget};
use crate::fair::Party;
use crate::imports::convert;
use crate::plugin::{CallUsage, PluginVersion, TypeInfo};
use crate::{CallLimits, SandboxError};

pub use super::actions::NoProperties;
use crate::bindings::exports::toolpost::plugin::scheduler as bindings;
pub use crate::bindings::exports::toolpost::plugin::scheduler::{
    Action, Build, Buildset, Configuration, Event, ForceRequest, Interest, NewBuildset,
};
pub use crate::bindings::toolpost::plugin::types::{Change, Results, SourceStamp};

/// One event, and everything that the reaction to it may depend on.
#[derive(Debug)]
pub struct Question<'a> {
    /// As configured.
    pub parameters: &'a Value,
    /// What the last reaction said; `null` at first.
    pub state: &'a Value,
    /// What happened.
    pub event: Event,
    /// The time, which the plugin's clocks show.
    pub now: Timestamp,
}

/// What a scheduler answered to an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction {
    /// What it remembers until the next event.
    pub state: Value,
    /// What it wants done, in this order.
    pub actions: Vec<Action>,
    /// What the call took.
    pub usage: CallUsage,
}

/// A scheduler type of a certain version of a plugin, ready to be asked.
#[derive(Debug, Clone)]
pub struct SchedulerType {
    plugin: Arc<PluginVersion>,
    info: Arc<TypeInfo>,
}

impl SchedulerType {
    pub(super) fn new(plugin: Arc<PluginVersion>, info: Arc<TypeInfo>) -> Self {
        Self { plugin, info }
    }

    /// The version that it belongs to.
    #[must_use]
    pub fn plugin(&self) -> &Arc<PluginVersion> {
        &self.plugin
    }

    /// Name, summary, schemas.
    #[must_use]
    pub fn info(&self) -> &Arc<TypeInfo> {
        &self.info
    }

    /// Asks for the reaction to one event. A function of its arguments: the plugin can reach nothing but `log`, and its
    /// clocks stand still. When `cancel` fires or the future is dropped, the call ends at once.
    ///
    /// # Errors
    /// What the plugin returned as an error, or why it had to be ended. State and event are to be kept then.
    pub async fn handle(
        &self,
        question: Question<'_>,
        limits: CallLimits,
        log: LineTarget,
        cancel: CancellationToken,
    ) -> Result<Reaction, SandboxError> {
        let Question {
            parameters,
            state,
            event,
            now,
        } = question;
        self.info
            .check(parameters)
            .map_err(SandboxError::Parameters)?;
        let (state_max, actions_max) = (limits.state_bytes_max, limits.actions_max);
        let context = CallContext {
            party: Party::service(self.plugin.name(), self.info.name()),
            limits: Arc::new(limits),
            entry_wait_max: None,
            home: None,
            at: Some(now),
            log,
            cancel,
        };
        let name = self.info.name().to_owned();
        let (parameters, state) = (parameters.to_string(), state.to_string());
        let now_ms = u64::try_from(now.0).unwrap_or(0);
        let called = self.plugin.call(
            &self.info,
            context,
            move |plugin, store| {
                Box::pin(async move {
                    plugin
                        .handle(store, &name, &parameters, &state, &event, now_ms)
                        .await
                })
            },
            |reaction| {
                judge(
                    reaction.map_err(convert::plugin_error)?,
                    state_max,
                    actions_max,
                )
            },
        );
        let ((state, actions), usage) = called.await?;
        Ok(Reaction {
            state,
            actions,
            usage,
        })
    }
}

/// Whether an answer can be kept: its state and its actions.
fn judge(
    reaction: bindings::Reaction,
    state_max: usize,
    actions_max: usize,
) -> Result<(Value, Vec<Action>), SandboxError> {
    if reaction.state.len() > state_max {
        return Err(SandboxError::Answer(format!(
            "its state has {} bytes, the limit is {state_max}",
            reaction.state.len()
        )));
    }
    if reaction.actions.len() > actions_max {
        return Err(SandboxError::Answer(format!(
            "it wants {} actions, the limit is {actions_max}",
            reaction.actions.len()
        )));
    }
    let state = serde_json::from_str(&reaction.state)
        .map_err(|error| SandboxError::Answer(format!("its state is not JSON: {error}")))?;
    Ok((state, reaction.actions))
}
