//! What people order workers to do.

use toolpost_config::config::WorkerKind;
use toolpost_core::model::Worker;
use toolpost_core::step::Stop;
use toolpost_core::{Results, WorkerId};
use tracing::info;

use crate::engine::Engine;
use crate::error::ControlError;

impl Engine {
    /// Pauses a worker for a reason, or lets it go on.
    pub(crate) async fn set_worker_paused(
        &self,
        id: WorkerId,
        reason: Option<&str>,
    ) -> Result<(), ControlError> {
        let worker = self.store.find::<Worker>(id.0).await?;
        worker.ok_or(ControlError::UnknownWorker(id))?;
        self.store
            .set_worker_paused(id, reason.is_some(), reason)
            .await?;
        Ok(())
    }

    /// Lets a worker finish what it runs and take nothing new; then it is told to end.
    pub(crate) async fn stop_worker(
        &self,
        id: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        let worker = self.to_be_told(id).await?;
        self.store.set_worker_graceful(id, true).await?;
        let name = &worker.name;
        info!(worker.name = %name, "worker `{name}` is to end when it is idle, says {who}: {reason}");
        self.fleet.ring();
        Ok(())
    }

    /// The same, because the worker itself asks for it.
    pub(crate) async fn let_go(&self, worker: &str, id: WorkerId) -> Result<(), ControlError> {
        self.store.set_worker_graceful(id, true).await?;
        info!(worker.name = %worker, "worker `{worker}` is to end when it is idle, as it asks itself");
        self.fleet.ring();
        Ok(())
    }

    /// Tells a worker to end at once. Builds that run there are built again elsewhere.
    pub(crate) async fn kill_worker(
        &self,
        id: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        let worker = self.to_be_told(id).await?;
        let why = format!("it was killed by {who}: {reason}");
        // First: what its commands say of their end is not how the builds ended.
        for build in self.builds.on_worker(id) {
            let stop = Stop {
                results: Results::Retry,
                reason: format!("worker `{}` was killed by {who}: {reason}", worker.name),
            };
            if let Some(stops) = self.builds.stops_of(build) {
                // A build that does not listen has ended, and one that has several of these to read ends anyway.
                let _ = stops.try_send(stop);
            }
        }
        match self.dismiss(&worker.name, &why) {
            true => Ok(()),
            false => Err(ControlError::WorkerAway(worker.name)),
        }
    }

    /// A worker that can be told to end.
    async fn to_be_told(&self, id: WorkerId) -> Result<Worker, ControlError> {
        let worker = self.store.find::<Worker>(id.0).await?;
        let worker = worker.ok_or(ControlError::UnknownWorker(id))?;
        let config = self.config();
        let kind = config.workers.get(&worker.name).map(|config| &config.kind);
        if matches!(kind, Some(WorkerKind::Local { .. })) {
            return Err(ControlError::WorkerLocal(worker.name));
        }
        if worker.connected_to.contains(&self.master_id) {
            return Ok(worker);
        }
        Err(match worker.connected_to.first() {
            Some(_) => ControlError::WorkerElsewhere(worker.name),
            None => ControlError::WorkerAway(worker.name),
        })
    }

    /// Tells a worker to end and gives it nothing more; whether it is here to be told.
    pub(crate) fn dismiss(&self, worker: &str, reason: &str) -> bool {
        let Some(epoch) = self.workers.remote.dismiss(worker, reason) else {
            return false;
        };
        self.workers.remove(worker, epoch);
        true
    }
}
