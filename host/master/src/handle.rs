//! What the rest of the process may ask of a running master.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use toolpost_config::{Config, Plan, Sources};
use toolpost_core::secret::SecretValue;
use toolpost_core::{BuildId, DeliveryId, MasterId, ReporterId, RequestId, SchedulerId, WorkerId};
use toolpost_sandbox::{PluginStatus, Prospect, Sandbox};

use crate::engine::Engine;
use crate::error::{ApplyError, ControlError, ForceError, StartError};
use crate::force::ForceForm;
use crate::status::{
    ConfigurationStatus, Forced, Health, LockReport, PollerStatus, ReporterStatus, SchedulerStatus,
    Submitted, WaitingBuilder, Why,
};

/// A running master. Cheap to clone; all clones are the same master.
#[derive(Clone)]
pub struct MasterHandle {
    pub(crate) engine: Arc<Engine>,
    pub(crate) worker_address: Option<SocketAddr>,
}

/// What somebody sent for the form of a force scheduler.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForceRequest {
    /// Who is logged in; `None` when nobody is, and the field `username` counts.
    pub owner: Option<String>,
    /// Names of the builders; `None` for all of the scheduler's.
    pub builders: Option<Vec<String>>,
    /// Values of the fields by their full names.
    pub fields: Map<String, Value>,
}

impl MasterHandle {
    /// Takes back what a former process of the same name left unfinished, applies the configuration and begins to work.
    ///
    /// # Errors
    /// The store or a worker cannot be used.
    pub async fn begin(&self, config: Config, sources: Sources) -> Result<(), StartError> {
        crate::start::begin(&self.engine, config, sources).await
    }

    /// Waits until it works: until then there is nothing that could be asked of it.
    pub async fn ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.engine.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Row id of this master.
    #[must_use]
    pub fn id(&self) -> MasterId {
        self.engine.master_id
    }

    /// Where workers connect, if that is not the port of the web server.
    #[must_use]
    pub fn worker_address(&self) -> Option<SocketAddr> {
        self.worker_address
    }

    /// Whether a request at the web server's port is one of a worker that wants to connect: a WebSocket at its path.
    #[must_use]
    pub fn is_worker<B>(&self, request: &http::Request<B>) -> bool {
        if self.worker_address.is_some() {
            return false;
        }
        let config = self.engine.config();
        crate::worker::is_worker(request, &config.worker_port.path)
    }

    /// Answers the request with which a worker connects. What follows the upgrade runs on the runtime that this is called from.
    pub async fn greet_worker<B: Send + 'static>(
        &self,
        request: http::Request<B>,
        from: SocketAddr,
    ) -> http::Response<String> {
        self.engine.greet_worker(request, &from.to_string()).await
    }

    /// The running configuration.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.engine.config()
    }

    /// Applies a checked configuration as a whole: afterwards all of it runs, or, on an error, the
    /// former one. Running builds go on with the builder that they started with.
    pub async fn apply_config(&self, config: Config) -> Result<Plan, ApplyError> {
        self.engine.apply(config, &Prospect::default()).await
    }

    /// Reads the configuration files again now, and applies them if they are good. The status says
    /// how it went.
    pub async fn reload(&self) -> ConfigurationStatus {
        self.engine.reload().await
    }

    /// How the configuration stands.
    #[must_use]
    pub fn configuration(&self) -> ConfigurationStatus {
        self.engine.configuration().clone()
    }

    /// The forms of all force schedulers, by name.
    #[must_use]
    pub fn force_forms(&self) -> Vec<ForceForm> {
        crate::force::forms(&self.engine)
    }

    /// Checks what was sent for a form, and makes the build set or keeps the form for the scheduler's plugin.
    pub async fn force(
        &self,
        scheduler: &str,
        request: ForceRequest,
    ) -> Result<Forced, ForceError> {
        crate::force::force(&self.engine, scheduler, request).await
    }

    /// Stops a running build: its command is interrupted, the remaining steps are skipped except those
    /// that always run. Returns once the build knows, not once it ended.
    pub async fn stop_build(
        &self,
        build: BuildId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.engine.stop_build(build, reason, who).await
    }

    /// Asks for a new build with the source stamps and properties of this one.
    pub async fn rebuild(&self, build: BuildId, who: &str) -> Result<Submitted, ControlError> {
        self.engine.rebuild(build, who).await
    }

    /// Takes a request from the queue; when it is being built already, stops the build.
    pub async fn cancel_request(
        &self,
        request: RequestId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.engine.cancel_request(request, reason, who).await
    }

    /// Changes the priority of a request that is not complete.
    ///
    /// # Errors
    /// When there is no such request, or it is complete, or the store fails.
    pub async fn set_priority(
        &self,
        request: RequestId,
        priority: i32,
    ) -> Result<(), ControlError> {
        self.engine.set_priority(request, priority).await
    }

    /// Lets a scheduler make build sets, or not. One that is disabled takes in what happens, and makes nothing of it.
    ///
    /// # Errors
    /// When there is no such scheduler or the store fails.
    pub async fn enable_scheduler(
        &self,
        scheduler: SchedulerId,
        enabled: bool,
    ) -> Result<(), ControlError> {
        self.engine.enable_scheduler(scheduler, enabled).await
    }

    /// The worker takes no new builds.
    pub async fn pause_worker(&self, worker: WorkerId, reason: &str) -> Result<(), ControlError> {
        self.engine.set_worker_paused(worker, Some(reason)).await
    }

    /// The worker takes builds again.
    pub async fn unpause_worker(&self, worker: WorkerId) -> Result<(), ControlError> {
        self.engine.set_worker_paused(worker, None).await
    }

    /// The worker finishes what it runs and takes nothing new; then it is told to end.
    pub async fn stop_worker(
        &self,
        worker: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.engine.stop_worker(worker, reason, who).await
    }

    /// The worker is told to end at once; what runs there is built again elsewhere.
    pub async fn kill_worker(
        &self,
        worker: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.engine.kill_worker(worker, reason, who).await
    }

    /// Who holds which lock and who waits for which.
    #[must_use]
    pub fn locks(&self) -> LockReport {
        self.engine.lock_report()
    }

    /// The plugins and their versions.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginStatus> {
        self.engine.registry.status()
    }

    /// What the plugins' calls take, and who waits for room.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        self.engine.registry.sandbox()
    }

    /// Looks at the plugin directory now; returns once everything found was taken or refused.
    pub async fn rescan_plugins(&self) -> Vec<PluginStatus> {
        self.engine.rescan_plugins().await
    }

    /// Makes a former version of a plugin the running one again.
    pub async fn rollback_plugin(
        &self,
        name: &str,
        digest: &str,
        reason: &str,
    ) -> Result<(), ControlError> {
        self.engine.rollback_plugin(name, digest, reason).await
    }

    /// The change sources, by name.
    #[must_use]
    pub fn pollers(&self) -> Vec<PollerStatus> {
        self.engine.poller_status()
    }

    /// Makes a change source ask now instead of at its next time; `false` when there is none of this name.
    #[must_use]
    pub fn poll_now(&self, change_source: &str) -> bool {
        self.engine.poll_now(change_source)
    }

    /// The schedulers that react to changes, by name.
    #[must_use]
    pub fn schedulers(&self) -> Vec<SchedulerStatus> {
        self.engine.scheduler_status()
    }

    /// Has a scheduler of a plugin pass over the event at which it fails, so that it hears of what came after it. `event`
    /// names that event as its status does, so that no other is passed over; empty for whichever it is. Gives the event.
    pub async fn skip_event(
        &self,
        scheduler: SchedulerId,
        event: &str,
        reason: &str,
        who: &str,
    ) -> Result<String, ControlError> {
        self.engine.skip_event(scheduler, event, reason, who).await
    }

    /// How the reporters of this master stand, by name; how far behind they are is in the store.
    #[must_use]
    pub fn reporters(&self) -> Vec<ReporterStatus> {
        self.engine.reporter_status()
    }

    /// Sends a delivery again, whatever became of it, with the same key.
    pub async fn resend_delivery(&self, delivery: DeliveryId) -> Result<(), ControlError> {
        self.engine.resend_delivery(delivery).await
    }

    /// Sends everything again that a reporter has given up. Gives how much that is.
    pub async fn resend_dead(&self, reporter: ReporterId) -> Result<u64, ControlError> {
        self.engine.resend_dead(reporter).await
    }

    /// Says that a delivery need not be made.
    pub async fn discard_delivery(&self, delivery: DeliveryId) -> Result<(), ControlError> {
        self.engine.discard_delivery(delivery).await
    }

    /// Why requests wait that could not be given to a worker when that was last tried.
    #[must_use]
    pub fn waiting(&self) -> Vec<WaitingBuilder> {
        self.engine.waiting().clone()
    }

    /// Where a request stands, and what it waits for at this moment.
    pub async fn why(&self, request: RequestId) -> Result<Why, ControlError> {
        self.engine.why(request).await
    }

    /// The secret of this name, for what the web server proves itself with at somebody else's. Whatever comes of the master hides it
    /// from then on.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub async fn secret(&self, name: &str) -> Result<SecretValue, String> {
        let secret = self.engine.capabilities.secrets.value(name).await;
        secret.map_err(|error| error.to_string())
    }

    /// Whether and how the master works.
    #[must_use]
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// Takes no new builds until [`Self::undrain`]; running ones go on.
    pub fn drain(&self) {
        self.engine.set_draining(true);
    }

    /// Takes builds again.
    pub fn undrain(&self) {
        self.engine.set_draining(false);
    }

    /// Ends the master: takes nothing new, waits this long for running builds, interrupts the rest and
    /// puts their requests back in the queue. Returns once everything is in the store. A second call
    /// with a shorter limit cuts the wait.
    pub async fn shutdown(&self, limit: Duration) {
        self.engine.shutdown(limit).await;
    }
}
