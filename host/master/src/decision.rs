//! What the core is asked about requests and workers: by the distributor, which does what it says, and by whoever wants to know
//! why a request waits. One question for both, so that what is told is what is done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use toolpost_core::distribute::{
    BuilderState, Distribution, Pending, Snapshot, WorkerState, distribute,
};
use toolpost_core::{BuilderId, RequestId, WorkerId};
use toolpost_store::{PendingRequest, StoreError};

use crate::engine::{Engine, Running};
use crate::force::FORM_SOURCE;
use crate::stop::Phase;
use crate::worker::Workers;

/// Requests that wait, and what is known of them beyond what is in them.
#[derive(Clone, Copy)]
pub(crate) struct Heads<'a> {
    pub(crate) requests: &'a [PendingRequest],
    /// The workers that people chose in forms.
    pub(crate) chosen: &'a HashMap<RequestId, WorkerId>,
}

impl Engine {
    /// The workers that people chose in forms. Only requests of builders with such a form are looked at.
    pub(crate) async fn chosen(
        &self,
        running: &Running,
        heads: &[PendingRequest],
    ) -> Result<HashMap<RequestId, WorkerId>, StoreError> {
        let mut chosen = HashMap::new();
        for head in heads {
            let Some(fields) = running.worker_fields.get(&head.builder) else {
                continue;
            };
            let properties = self.store.buildset_properties(head.buildset).await?;
            let named = properties
                .iter()
                .find(|(name, property)| property.source == FORM_SOURCE && fields.contains(*name));
            let name = named.and_then(|(_, property)| property.value.as_str());
            if let Some(worker) = name.and_then(|name| running.ids.workers.get(name)) {
                chosen.insert(head.id, *worker);
            }
        }
        Ok(chosen)
    }

    /// Workers that take no builds.
    pub(crate) async fn paused_workers(&self) -> Result<BTreeSet<WorkerId>, StoreError> {
        Ok(self.store.resting_workers().await?.into_iter().collect())
    }

    /// What of these requests starts now, as far as this master knows; with how the workers of one builder stand.
    pub(crate) fn decide(
        &self,
        running: &Running,
        workers: &Workers,
        heads: Heads<'_>,
        paused: &BTreeSet<WorkerId>,
        phase: Phase,
        explain: Option<BuilderId>,
    ) -> Distribution {
        let load = self.builds.load();
        let mut pending: BTreeMap<BuilderId, Vec<Pending>> = BTreeMap::new();
        for head in heads.requests {
            pending.entry(head.builder).or_default().push(Pending {
                id: head.id,
                priority: head.priority,
                submitted_at: head.submitted_at,
                waited_for: head.waited_for,
                chosen: heads.chosen.get(&head.id).copied(),
            });
        }
        let worker_ids: HashMap<BuilderId, Vec<WorkerId>> = pending
            .keys()
            .filter_map(|id| {
                let names = running.builders.get(id)?.workers.iter();
                let ids = names.filter_map(|name| running.ids.workers.get(name).copied());
                Some((*id, ids.collect()))
            })
            .collect();
        let builders = pending.into_iter().filter_map(|(id, pending)| {
            let config = running.builders.get(&id)?;
            Some(BuilderState {
                id,
                pending,
                workers: worker_ids.get(&id)?,
                running: load.builders.get(&id).copied().unwrap_or(0),
                builds_max: config.max_builds,
                served_at: load.served_at.get(&id).copied(),
                locks: &config.locks,
            })
        });
        let builders: Vec<_> = builders.collect();
        let states = workers.iter().filter_map(|(name, worker)| {
            let id = *running.ids.workers.get(name)?;
            Some(WorkerState {
                id,
                name,
                connected: true,
                paused: paused.contains(&id),
                running: load.workers.get(&id).copied().unwrap_or(0),
                builds_max: worker.config.max_builds,
                idle_since: load.idle_since.get(&id).copied(),
            })
        });
        let states: Vec<_> = states.collect();
        let builds_max = running.config.master.limits.builds_max;
        let count = u32::try_from(self.builds.count_placed()).unwrap_or(u32::MAX);
        self.locks.look(|locks| {
            distribute(Snapshot {
                builders,
                workers: states,
                locks,
                master_free: builds_max.map(|max| max.saturating_sub(count)),
                draining: phase != Phase::Running,
                explain,
            })
        })
    }
}
