//! Makes a checked configuration the running one: all of it, or, on an error, nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use toolpost_config::config::{ChangeSourceConfig, ChangeSourceKind, WorkerKind, WorkerPassword};
use toolpost_config::plan::{Action, ItemKind};
use toolpost_config::{Config, Plan, ReporterConfig, diff};
use toolpost_core::{Event, ReporterId};
use toolpost_sandbox::Prospect;
use toolpost_sandbox::read_authorities;
use toolpost_store::{
    ConfiguredBuilder, ConfiguredIds, ConfiguredNames, ConfiguredProject, ConfiguredWorker,
    StoreError,
};
use tracing::{info, warn};

use crate::actor::Actor;
use crate::engine::{Engine, Running};
use crate::error::ApplyError;
use crate::poller::{PollerActor, PollerHandle};
use crate::reporter::{PluginDeliver, ReporterActor};
use crate::scheduler::SchedulerSlot;
use crate::status::{PollerStatus, ReporterStatus};
use crate::stop::Phase;
use crate::uses::UsesOf;
use crate::worker::Workers;

/// The actors that the running configuration asks for.
#[derive(Default)]
pub(crate) struct Actors {
    schedulers: BTreeMap<String, SchedulerSlot>,
    pollers: BTreeMap<String, PollerSlot>,
    reporters: BTreeMap<String, ReporterSlot>,
}

struct ReporterSlot {
    config: Arc<ReporterConfig>,
    status: Arc<Mutex<ReporterStatus>>,
    /// Tells it to end as soon as it has nothing left to do.
    closing: CancellationToken,
    actor: Actor,
}

struct PollerSlot {
    config: Arc<ChangeSourceConfig>,
    handle: PollerHandle,
    actor: Actor,
}

impl Engine {
    /// Makes `config` the running configuration, together with the versions of plugins that it was checked against.
    /// Running builds go on with the builder that they started with.
    pub(crate) async fn apply(
        &self,
        config: Config,
        prospect: &Prospect,
    ) -> Result<Plan, ApplyError> {
        let mut actors = self.actors.lock().await;
        if *self.phase.borrow() == Phase::Stopping {
            return Err(ApplyError::Stopping);
        }
        let before = self.running();
        let plan = diff(&before.config, &config);
        let config = Arc::new(config);
        // What can fail comes first, and changes nothing that runs.
        check_authorities(&config).await?;
        let workers = self.workers.open(&config).await?;
        let ids = match self.prepare(&config).await {
            Ok(ids) => ids,
            Err(error) => {
                self.name_again(&before.config).await;
                return Err(error.into());
            }
        };
        let reporters = self.register_reporters(&config).await?;
        self.connect(&workers, &ids).await?;
        let uses = UsesOf(Arc::clone(&config));
        let take_effect = || self.uses.set(Arc::clone(&config));
        let released = self.registry.release(prospect, &uses, take_effect);
        if let Err(error) = released.await {
            self.name_again(&before.config).await;
            return Err(error.into());
        }
        // From here on nothing fails.
        self.capabilities.configure(&config).await;
        self.locks
            .configure(config.locks.values().map(|lock| lock.as_ref().clone()));
        let replaced = self.workers.replace(workers, &config);
        self.set_running(Running::new(Arc::clone(&config), ids.clone()));
        self.disconnect(&replaced, &before, &ids).await;
        self.reconcile_schedulers(&mut actors.schedulers, &config, &ids)
            .await;
        self.reconcile_pollers(&mut actors, &config).await;
        self.reconcile_reporters(&mut actors, &config, &reporters)
            .await;
        self.show(&actors);
        // A master that just starts has nothing that a restart would bring.
        let is_first = before.ids == ConfiguredIds::default();
        self.note_applied(&plan, is_first);
        warn_of_passwords(&config, &before.config);
        if !is_first {
            // What was refused because of the former uses may be good for these.
            let registry = self.registry.clone();
            tokio::spawn(async move { registry.reconsider().await });
        }
        self.distribute.notify_one();
        self.bus.publish(&[Event::Configuration]);
        Ok(plan)
    }

    /// Makes the names known to the store, and every new scheduler a state before the first change that it
    /// is to see.
    async fn prepare(&self, config: &Config) -> Result<ConfiguredIds, StoreError> {
        let now = self.clock.now();
        let ids = self
            .store
            .sync_configuration(self.master_id, names(config), now)
            .await?;
        self.prepare_schedulers(config, &ids).await?;
        Ok(ids)
    }

    /// Puts the names of the configuration that goes on back in the store.
    async fn name_again(&self, config: &Config) {
        let now = self.clock.now();
        let named = self
            .store
            .sync_configuration(self.master_id, names(config), now)
            .await;
        if let Err(error) = named {
            warn!("the names of the running configuration were not stored again: {error}");
        }
    }

    async fn connect(&self, workers: &Workers, ids: &ConfiguredIds) -> Result<(), StoreError> {
        for (name, worker) in workers {
            if let Some(id) = ids.workers.get(name) {
                let info = Some(worker.link.info());
                let now = self.clock.now();
                self.store
                    .set_worker_connected(*id, self.master_id, true, info, now)
                    .await?;
            }
        }
        Ok(())
    }

    /// Records that workers are gone that no configuration names any more.
    async fn disconnect(&self, replaced: &Workers, before: &Running, ids: &ConfiguredIds) {
        for name in replaced
            .keys()
            .filter(|name| !ids.workers.contains_key(*name))
        {
            let Some(id) = before.ids.workers.get(name) else {
                continue;
            };
            let now = self.clock.now();
            let told = self
                .store
                .set_worker_connected(*id, self.master_id, false, None, now)
                .await;
            if let Err(error) = told {
                warn!(worker.name = %name, "worker `{name}` is gone, which was not stored: {error}");
            }
        }
    }

    async fn reconcile_pollers(&self, actors: &mut Actors, config: &Config) {
        let mut kept = BTreeMap::new();
        for (name, source) in &config.change_sources {
            let former = actors.pollers.remove(name);
            let slot = match former {
                Some(slot) if slot.config == *source => slot,
                former => {
                    if let Some(former) = former {
                        former.actor.stop().await;
                    }
                    self.start_poller(source)
                }
            };
            kept.insert(name.clone(), slot);
        }
        for (_, gone) in std::mem::replace(&mut actors.pollers, kept) {
            gone.actor.stop().await;
        }
    }

    fn start_poller(&self, source: &Arc<ChangeSourceConfig>) -> PollerSlot {
        let ChangeSourceKind::GitPoller(git) = &source.kind;
        let handle = PollerHandle::new(PollerStatus::new(&source.name, git));
        let body = PollerActor {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            source: Arc::clone(source),
            git: Arc::new(git.clone()),
            cache_dir: self.poller_dir(),
            handle: handle.clone(),
        };
        let name = format!("change source `{}`", source.name);
        PollerSlot {
            config: Arc::clone(source),
            handle,
            actor: Actor::spawn(name, move || body.clone().run()),
        }
    }

    /// Makes every new reporter a place in the journal before the first thing that it is to tell.
    async fn register_reporters(
        &self,
        config: &Config,
    ) -> Result<BTreeMap<String, ReporterId>, StoreError> {
        let names = config.reporters.keys().cloned().collect();
        self.store.register_reporters(self.master_id, names).await
    }

    async fn reconcile_reporters(
        &self,
        actors: &mut Actors,
        config: &Config,
        ids: &BTreeMap<String, ReporterId>,
    ) {
        let mut kept = BTreeMap::new();
        for (name, reporter) in &config.reporters {
            let Some(id) = ids.get(name) else { continue };
            let slot = match actors.reporters.remove(name) {
                Some(slot) if slot.config == *reporter => slot,
                former => {
                    if let Some(former) = former {
                        former.actor.stop().await;
                    }
                    self.start_reporter(reporter, *id)
                }
            };
            kept.insert(name.clone(), slot);
        }
        for (_, gone) in std::mem::replace(&mut actors.reporters, kept) {
            gone.actor.stop().await;
        }
        let kept = ids.values().copied().collect();
        if let Err(error) = self.store.retire_reporters(self.master_id, kept).await {
            warn!("reporters that are gone keep their places in the journal for now: {error}");
        }
    }

    fn start_reporter(&self, config: &Arc<ReporterConfig>, id: ReporterId) -> ReporterSlot {
        let status = Arc::new(Mutex::new(ReporterStatus::new(&config.name)));
        let closing = CancellationToken::new();
        // All reporters of one kind together.
        let store = self
            .store
            .of_party(&format!("reporters {}", config.reporter_type));
        let deliver = PluginDeliver {
            store: store.clone(),
            registry: self.registry.clone(),
            uses: Arc::clone(&self.uses),
            config: Arc::clone(config),
            capabilities: Arc::clone(&self.capabilities),
        };
        let body = ReporterActor {
            store,
            bus: self.bus.clone(),
            clock: Arc::clone(&self.clock),
            master: self.master_id,
            id,
            config: Arc::clone(config),
            deliver: Arc::new(deliver),
            status: Arc::clone(&status),
            closing: closing.clone(),
        };
        let name = format!("reporter `{}`", config.name);
        ReporterSlot {
            config: Arc::clone(config),
            status,
            closing,
            actor: Actor::spawn(name, move || body.clone().run()),
        }
    }

    /// Lets the pages see the actors.
    fn show(&self, actors: &Actors) {
        let mut boards = self.boards();
        boards.pollers = actors
            .pollers
            .values()
            .map(|slot| slot.handle.clone())
            .collect();
        boards.schedulers = actors
            .schedulers
            .values()
            .map(|slot| Arc::clone(slot.status()))
            .collect();
        boards.skippers = actors
            .schedulers
            .values()
            .filter_map(SchedulerSlot::skipper)
            .collect();
        boards.reporters = actors
            .reporters
            .values()
            .map(|slot| Arc::clone(&slot.status))
            .collect();
    }

    fn note_applied(&self, plan: &Plan, is_first: bool) {
        let now = self.clock.now();
        let mut status = self.configuration();
        status.applied_at = now;
        status.checked_at = now;
        status.problems.clear();
        for text in needs_restart(plan).into_iter().filter(|_| !is_first) {
            if !status.needs_restart.contains(&text) {
                status.needs_restart.push(text);
            }
        }
        status.plan = plan.clone();
        info!("configuration applied: {} changes", plan.items.len());
    }

    /// Ends every poller and scheduler, so that nothing new is asked for.
    pub(crate) async fn stop_sources(&self) {
        let mut actors = self.actors.lock().await;
        for (_, slot) in std::mem::take(&mut actors.pollers) {
            slot.actor.stop().await;
        }
        for (_, slot) in std::mem::take(&mut actors.schedulers) {
            slot.stop().await;
        }
    }

    /// Lets the reporters tell what has happened, and ends them; those that are not ready when their time is `over` go on
    /// at the next start.
    pub(crate) async fn finish_reporters<F: Future<Output = ()>>(&self, over: impl Fn() -> F) {
        let reporters = std::mem::take(&mut self.actors.lock().await.reporters);
        for slot in reporters.values() {
            slot.closing.cancel();
        }
        let finished = reporters.into_iter().map(async |(name, slot)| {
            if !slot.actor.finish(over()).await {
                warn!(reporter.name = %name, "reporter `{name}` tells the rest after the next start");
            }
        });
        join_all(finished).await;
    }
}

/// Whether the certificates that the operator trusts can be read: better now than when the first report is sent.
async fn check_authorities(config: &Config) -> Result<(), ApplyError> {
    let Some(path) = config.master.ca_file.clone() else {
        return Ok(());
    };
    let read = tokio::task::spawn_blocking(move || read_authorities(&path).map(drop)).await;
    let read = read.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    read.map_err(ApplyError::Authorities)
}

/// Tells the operator of passwords that others may read, once for each change.
fn warn_of_passwords(config: &Config, before: &Config) {
    for (name, worker) in &config.workers {
        let is_plain = matches!(
            &worker.kind,
            WorkerKind::Remote {
                password: WorkerPassword::Plain(_),
                ..
            }
        );
        let is_new = before.workers.get(name).map(|old| &old.kind) != Some(&worker.kind);
        if is_plain && is_new {
            warn!(
                worker.name = %name,
                "the password of worker `{name}` is written down in the configuration; use `password_secret` or `password_hash`"
            );
        }
    }
}

/// Settings of the plan that only a restart brings.
fn needs_restart(plan: &Plan) -> Vec<String> {
    let mut settings = Vec::new();
    for item in &plan.items {
        let Action::Changed(fields) = &item.action else {
            continue;
        };
        let table = match item.kind {
            ItemKind::WorkerPort => "workers",
            _ => "master",
        };
        let fields = fields.iter().filter(|change| change.needs_restart);
        settings.extend(fields.map(|change| format!("{table}.{}", change.field)));
    }
    settings
}

fn names(config: &Config) -> ConfiguredNames {
    let workers = config.workers.keys().map(|worker| ConfiguredWorker {
        name: worker.clone(),
        builders: config
            .builders
            .values()
            .filter(|builder| builder.workers.contains(worker))
            .map(|builder| builder.name.clone())
            .collect(),
    });
    let builders = config.builders.values().map(|builder| ConfiguredBuilder {
        name: builder.name.clone(),
        description: builder.description.clone(),
        tags: builder.tags.clone(),
        project: builder.project.clone(),
    });
    let projects = config.projects.values().map(|project| ConfiguredProject {
        name: project.name.clone(),
        slug: project.slug.clone(),
        description: project.description.clone(),
        codebases: project.codebases.clone().into_iter().collect(),
    });
    ConfiguredNames {
        projects: projects.collect(),
        builders: builders.collect(),
        workers: workers.collect(),
        schedulers: config.schedulers.keys().cloned().collect(),
        change_sources: config.change_sources.keys().cloned().collect(),
    }
}
