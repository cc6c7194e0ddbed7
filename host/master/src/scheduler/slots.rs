//! Which schedulers run, and what becomes of them when the configuration changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use toolpost_config::Config;
use toolpost_config::config::{SchedulerConfig, SchedulerKind};
use toolpost_core::{BuilderId, SchedulerId};
use toolpost_store::{ConfiguredIds, StoreError};

use super::plugin::{self, PluginSchedulerActor};
use super::single_branch::{self, SingleBranchActor};
use crate::actor::Actor;
use crate::engine::Engine;
use crate::status::SchedulerStatus;

/// A scheduler that runs.
pub(crate) struct SchedulerSlot {
    config: Arc<SchedulerConfig>,
    /// The builders that it knows, by name.
    builders: Arc<BTreeMap<String, BuilderId>>,
    status: Arc<Mutex<SchedulerStatus>>,
    /// Passes over events of a scheduler of a plugin.
    skipper: Option<PluginSchedulerActor>,
    actor: Actor,
}

impl SchedulerSlot {
    /// Where it writes down how it stands.
    pub(crate) fn status(&self) -> &Arc<Mutex<SchedulerStatus>> {
        &self.status
    }

    /// What can have it pass over an event, if it is of a plugin.
    pub(crate) fn skipper(&self) -> Option<PluginSchedulerActor> {
        self.skipper.clone()
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.actor.stop().await;
    }
}

impl Engine {
    /// Makes every new scheduler a state before the first thing that it is to hear of.
    pub(crate) async fn prepare_schedulers(
        &self,
        config: &Config,
        ids: &ConfiguredIds,
    ) -> Result<(), StoreError> {
        let (store, master, now) = (&self.store, self.master_id, self.clock.now());
        for (name, scheduler) in &config.schedulers {
            let Some(id) = ids.schedulers.get(name) else {
                continue;
            };
            match &scheduler.kind {
                SchedulerKind::SingleBranch(_) => {
                    single_branch::prepare(store, master, *id, now).await?;
                }
                SchedulerKind::Plugin(of) => {
                    plugin::prepare(store, master, *id, &of.scheduler_type, now).await?;
                }
                SchedulerKind::Force(_) => {}
            }
        }
        Ok(())
    }

    /// Starts, keeps and ends schedulers so that those run that are configured.
    pub(crate) async fn reconcile_schedulers(
        &self,
        running: &mut BTreeMap<String, SchedulerSlot>,
        config: &Config,
        ids: &ConfiguredIds,
    ) {
        let mut kept = BTreeMap::new();
        for (name, scheduler) in &config.schedulers {
            let Some(id) = ids.schedulers.get(name) else {
                continue;
            };
            let builders = known_builders(scheduler, ids);
            let slot = match running.remove(name) {
                Some(slot) if slot.config == *scheduler && *slot.builders == builders => Some(slot),
                former => {
                    if let Some(former) = former {
                        former.stop().await;
                    }
                    self.start_scheduler(scheduler, *id, Arc::new(builders))
                }
            };
            if let Some(slot) = slot {
                kept.insert(name.clone(), slot);
            }
        }
        for (_, gone) in std::mem::replace(running, kept) {
            gone.stop().await;
        }
    }

    /// Force schedulers do nothing by themselves.
    fn start_scheduler(
        &self,
        config: &Arc<SchedulerConfig>,
        id: SchedulerId,
        builders: Arc<BTreeMap<String, BuilderId>>,
    ) -> Option<SchedulerSlot> {
        let status = Arc::new(Mutex::new(SchedulerStatus::new(id, config)));
        let name = format!("scheduler `{}`", config.name);
        let mut skipper = None;
        let actor = match &config.kind {
            SchedulerKind::Force(_) => return None,
            SchedulerKind::SingleBranch(single) => {
                let body = SingleBranchActor {
                    store: self.store.clone(),
                    bus: self.bus.clone(),
                    clock: Arc::clone(&self.clock),
                    master: self.master_id,
                    id,
                    scheduler: Arc::clone(config),
                    config: Arc::new((**single).clone()),
                    builders: builders.values().copied().collect(),
                    status: Arc::clone(&status),
                };
                Actor::spawn(name, move || body.clone().run())
            }
            SchedulerKind::Plugin(plugin) => {
                // All schedulers of one kind together.
                let party = format!("schedulers {}", plugin.scheduler_type);
                let body = PluginSchedulerActor {
                    store: self.store.of_party(&party),
                    bus: self.bus.clone(),
                    clock: Arc::clone(&self.clock),
                    registry: self.registry.clone(),
                    uses: Arc::clone(&self.uses),
                    master: self.master_id,
                    id,
                    scheduler: Arc::clone(config),
                    config: Arc::new((**plugin).clone()),
                    builders: Arc::clone(&builders),
                    status: Arc::clone(&status),
                    skipped: Arc::default(),
                };
                skipper = Some(body.clone());
                Actor::spawn(name, move || body.clone().run())
            }
        };
        Some(SchedulerSlot {
            config: Arc::clone(config),
            builders,
            status,
            skipper,
            actor,
        })
    }
}

/// Its own builders; those of plugins may listen to any builder.
fn known_builders(scheduler: &SchedulerConfig, ids: &ConfiguredIds) -> BTreeMap<String, BuilderId> {
    match scheduler.kind {
        SchedulerKind::Plugin(_) => ids.builders.clone(),
        SchedulerKind::SingleBranch(_) | SchedulerKind::Force(_) => scheduler
            .builders
            .iter()
            .filter_map(|name| Some((name.clone(), *ids.builders.get(name)?)))
            .collect(),
    }
}
