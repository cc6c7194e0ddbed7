//! Some events of a scheduler, one after the other, in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toolpost_core::model::SourceStampSpec;
use toolpost_core::schedule::plugin::{
    Action, Due, Farm, PluginSchedulerState, Reaction, WantedBuildset,
};
use toolpost_core::{ChangeId, ForcedId, Properties};
use toolpost_sandbox::host::LogLevel;
use toolpost_sandbox::scheduler::Question;
use toolpost_sandbox::{CallLimits, LineTarget, SchedulerType};
use toolpost_store::NewBuildset;
use tracing::{debug, error, info, warn};

use super::actor::{PluginSchedulerActor, Read};
use super::{Failure, events};
use crate::build::plugin::limits;
use crate::plugin_lines;
use crate::properties::scheduler_properties;

/// Events of one commit.
const EVENTS_PER_COMMIT_MAX: usize = 100;

/// Build sets that are enough for a commit.
const BUILDSETS_PER_COMMIT: usize = 100;

/// Source of properties that a scheduler sets.
const SOURCE: &str = "Scheduler";

/// What has come of the events so far.
pub(super) struct Round<'a> {
    actor: &'a PluginSchedulerActor,
    scheduler_type: &'a SchedulerType,
    farm: &'a Farm,
    read: Read,
    limits: CallLimits,
    log: LineTarget,
    pub(super) state: PluginSchedulerState,
    pub(super) buildsets: Vec<NewBuildset>,
    pub(super) forced: Vec<ForcedId>,
    /// Events that were handled.
    pub(super) handled: usize,
    /// Why the next event was not.
    pub(super) failure: Option<(Due, Failure)>,
    /// Whether there was nothing more.
    pub(super) is_last: bool,
}

impl<'a> Round<'a> {
    pub(super) fn new(
        actor: &'a PluginSchedulerActor,
        scheduler_type: &'a SchedulerType,
        farm: &'a Farm,
        state: PluginSchedulerState,
        read: Read,
    ) -> Self {
        let plugin = scheduler_type.plugin().name();
        let running = actor.uses.config();
        let configured = running
            .as_ref()
            .and_then(|config| config.plugins.get(plugin));
        Self {
            limits: limits(CallLimits::handle(), configured.map(AsRef::as_ref)),
            log: log_target(&actor.scheduler.name, plugin),
            actor,
            scheduler_type,
            farm,
            state,
            read,
            buildsets: Vec::new(),
            forced: Vec::new(),
            handled: 0,
            failure: None,
            is_last: false,
        }
    }

    /// Handles events until there are none, there are enough for a commit, or one cannot be handled.
    pub(super) async fn run(mut self) -> Self {
        while self.handled < EVENTS_PER_COMMIT_MAX && self.buildsets.len() < BUILDSETS_PER_COMMIT {
            let now = self.actor.clock.now();
            let Some(due) = self.state.next(&mut self.read.inbox, self.farm, now) else {
                let inbox = &self.read.inbox;
                self.is_last = inbox.journal_is_all && inbox.forced_is_all;
                break;
            };
            if let Err(failure) = self.handle(due).await {
                self.failure = Some((due, failure));
                break;
            }
            self.handled += 1;
        }
        self
    }

    async fn handle(&mut self, due: Due) -> Result<(), Failure> {
        if let Some(reaction) = self.ask(due).await? {
            self.check_changes(&reaction).await?;
            self.check_patches(&reaction).await?;
            // Before the state changes, because it may fail.
            let properties = self.properties(&reaction)?;
            let now = self.actor.clock.now();
            let inbox = &mut self.read.inbox;
            let wanted = self.state.handled(inbox, self.farm, due, reaction, now)?;
            for (wanted, properties) in wanted.into_iter().zip(properties) {
                let new = self.buildset(wanted, properties);
                self.buildsets.push(new);
            }
        } else {
            self.state.pass(&mut self.read.inbox, self.farm, due);
        }
        if let Due::Forced(id) = due {
            self.forced.push(id);
        }
        Ok(())
    }

    /// What the plugin says to an event; `None` when what happened cannot be found any more.
    async fn ask(&self, due: Due) -> Result<Option<Reaction>, Failure> {
        let store = &self.actor.store;
        let event = events::event(store, self.farm, due, &self.read.forms).await?;
        let Some(event) = event else { return Ok(None) };
        let parameters = Value::Object(self.actor.config.parameters.clone());
        let question = Question {
            parameters: &parameters,
            state: self.state.memory(),
            event,
            now: self.actor.clock.now(),
        };
        let answer = self
            .scheduler_type
            .handle(
                question,
                self.limits.clone(),
                Arc::clone(&self.log),
                CancellationToken::new(),
            )
            .await;
        let answer = answer.map_err(|error| Failure::Plugin {
            event: events::describe(due),
            error,
        })?;
        Ok(Some(answer.try_into()?))
    }

    async fn check_changes(&self, reaction: &Reaction) -> Result<(), Failure> {
        let named: BTreeSet<ChangeId> = wanted(reaction)
            .flat_map(|wanted| wanted.changes.iter().copied())
            .collect();
        if named.is_empty() {
            return Ok(());
        }
        let ids: Vec<ChangeId> = named.iter().copied().collect();
        let known = self.actor.store.known_changes(&ids).await?;
        match named.difference(&known).next() {
            Some(unknown) => Err(Failure::UnknownChange(*unknown)),
            None => Ok(()),
        }
    }

    async fn check_patches(&self, reaction: &Reaction) -> Result<(), Failure> {
        let stamps = wanted(reaction).flat_map(|wanted| &wanted.source_stamps);
        match self.actor.store.unknown_patch(stamps).await? {
            Some(unknown) => Err(Failure::UnknownPatch(unknown)),
            None => Ok(()),
        }
    }

    /// The properties of each build set: those of the configuration, and the plugin's own over them.
    fn properties(&self, reaction: &Reaction) -> Result<Vec<Properties>, Failure> {
        let scheduler = &self.actor.scheduler;
        let latest = [SourceStampSpec::default()];
        wanted(reaction)
            .map(|wanted| {
                let stamps = match &wanted.source_stamps[..] {
                    [] => &latest,
                    stamps => stamps,
                };
                let configured = &scheduler.properties;
                let mut properties = scheduler_properties(&scheduler.name, configured, stamps)
                    .map_err(Failure::Properties)?;
                for (name, value) in &wanted.properties {
                    properties.set(name.clone(), value.clone(), SOURCE);
                }
                Ok(properties)
            })
            .collect()
    }

    fn buildset(&self, wanted: WantedBuildset, properties: Properties) -> NewBuildset {
        let ids = &self.actor.builders;
        let builders = wanted.builders.iter();
        NewBuildset {
            reason: wanted.reason,
            // Given back when it is complete, and shown to people.
            external_idstring: Some(wanted.label).filter(|label| !label.is_empty()),
            scheduler: Some(self.actor.id),
            sourcestamps: wanted.source_stamps,
            changes: wanted.changes,
            properties,
            builders: builders.filter_map(|name| ids.get(name).copied()).collect(),
            priority: self.actor.config.priority.saturating_add(wanted.priority),
            ..NewBuildset::default()
        }
    }
}

fn wanted(reaction: &Reaction) -> impl Iterator<Item = &WantedBuildset> {
    reaction.actions.iter().filter_map(|action| match action {
        Action::AddBuildset(wanted) => Some(wanted),
        _ => None,
    })
}

/// Where the plugin's lines for the operator go.
fn log_target(scheduler: &str, plugin: &str) -> LineTarget {
    let (scheduler, plugin) = (scheduler.to_owned(), plugin.to_owned());
    Arc::new(move |level, line| {
        plugin_lines::write(&plugin, || match level {
            LogLevel::Debug => debug!(scheduler, plugin, "{line}"),
            LogLevel::Info => info!(scheduler, plugin, "{line}"),
            LogLevel::Warn => warn!(scheduler, plugin, "{line}"),
            LogLevel::Error => error!(scheduler, plugin, "{line}"),
        });
    })
}
