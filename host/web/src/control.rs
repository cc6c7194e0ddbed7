//! What the pages and the API ask of the master: the few actions and values that are not rows of the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::Uri;
use toolpost_config::config::{MasterConfig, UiConfig, WebConfig, WorkerKind};
use toolpost_core::secret::SecretValue;
use toolpost_core::{
    BuildId, DeliveryId, PluginKind, ReporterId, RequestId, SchedulerId, WorkerId,
};
use toolpost_master::{
    ConfigurationStatus, ControlError, ForceError, ForceForm, ForceRequest, Forced, Health,
    LockReport, MasterHandle, PollerStatus, ReporterStatus, SchedulerStatus, Submitted,
    WaitingBuilder, Why,
};
use toolpost_sandbox::metrics::TypeMetrics;
use toolpost_sandbox::{PluginStatus, PoolStatus, PoolWait};

/// The links and names that people configured for the pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Farm {
    /// Title of the pages.
    pub title: String,
    /// Whom to ask about this farm.
    pub admin: Option<String>,
    /// Names of this server, in lower case, beside those that every server has.
    pub hosts: Vec<String>,
    /// Links for the home page: text and address.
    pub links: Vec<(String, String)>,
    /// Where people reach the pages; ends with a slash.
    pub url: String,
    /// What is served of Buildbot's own web interface.
    pub ui: UiConfig,
}

/// The names of a server that is configured like this, in lower case.
#[must_use]
pub fn names_of(master: &MasterConfig) -> Vec<String> {
    let url: Option<Uri> = master.url.parse().ok();
    let url_host = url.as_ref().and_then(Uri::host);
    let mut names = master.hosts.clone();
    names.extend(url_host.map(str::to_ascii_lowercase));
    names
}

/// Where the running configuration uses a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A step.
    Step {
        /// Name of the builder.
        builder: String,
        /// Name of the step, or of its type where it has none.
        step: String,
    },
    /// The scheduler of this name.
    Scheduler(String),
    /// The reporter of this name.
    Reporter(String),
}

/// What is configured about a worker, as far as pages show it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Whether it is a part of the master.
    pub is_local: bool,
    /// Builds that it runs at one time; `None` for no limit.
    pub builds_max: Option<u32>,
    /// How long it may be away before it is missing.
    pub missing_timeout: Option<Duration>,
}

/// What the calls of plugins take and took.
#[derive(Debug, Clone, Default)]
pub struct PluginLoad {
    /// Each type that was called.
    pub types: Vec<TypeMetrics>,
    /// How full the sandbox is.
    pub pool: PoolStatus,
    /// Calls that wait for room.
    pub waits: Vec<PoolWait>,
}

/// A running master, as far as the web needs one.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Title and links.
    fn farm(&self) -> Farm;
    /// Who is let in, and what they may do.
    fn web(&self) -> Arc<WebConfig>;
    /// The secret of this name; the error says why it cannot be used.
    async fn secret(&self, name: &str) -> Result<SecretValue, String>;
    /// Waits until the master works.
    async fn ready(&self);
    /// Whether and how the master works.
    fn health(&self) -> Health;
    /// How the configuration stands.
    fn configuration(&self) -> ConfigurationStatus;
    /// The plugins and their versions.
    fn plugins(&self) -> Vec<PluginStatus>;
    /// What the plugins' calls take, and who waits for room.
    fn plugin_load(&self) -> PluginLoad;
    /// Plugins that compute at this moment.
    fn computing(&self) -> Vec<String>;
    /// Looks at the plugin directory now; returns once everything found was taken or refused.
    async fn rescan_plugins(&self) -> Vec<PluginStatus>;
    /// Makes an earlier version of a plugin the running one.
    async fn rollback_plugin(
        &self,
        plugin: &str,
        digest: &str,
        reason: &str,
    ) -> Result<(), ControlError>;
    /// Where the running configuration uses a type.
    fn uses_of(&self, kind: PluginKind, type_name: &str) -> Vec<Place>;
    /// The change sources that ask repositories.
    fn pollers(&self) -> Vec<PollerStatus>;
    /// The schedulers that act by themselves.
    fn schedulers(&self) -> Vec<SchedulerStatus>;
    /// Has a scheduler of a plugin pass over the event at which it fails: this one, or whichever it is if that is empty.
    /// Gives the event.
    async fn skip_event(
        &self,
        scheduler: SchedulerId,
        event: &str,
        reason: &str,
        who: &str,
    ) -> Result<String, ControlError>;
    /// How the reporters stand.
    fn reporters(&self) -> Vec<ReporterStatus>;
    /// The forms that start builds.
    fn force_forms(&self) -> Vec<ForceForm>;
    /// Checks what was sent for a form, and makes the build set or keeps the form for a plugin.
    async fn force(&self, scheduler: &str, request: ForceRequest) -> Result<Forced, ForceError>;
    /// Stops a running build.
    async fn stop_build(&self, build: BuildId, reason: &str, who: &str)
    -> Result<(), ControlError>;
    /// Asks for a build like this one.
    async fn rebuild(&self, build: BuildId, who: &str) -> Result<Submitted, ControlError>;
    /// Takes a request from the queue.
    async fn cancel_request(
        &self,
        request: RequestId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError>;
    /// Changes the priority of a request that is not complete.
    async fn set_priority(&self, request: RequestId, priority: i32) -> Result<(), ControlError>;
    /// Lets a scheduler make build sets, or not.
    async fn enable_scheduler(
        &self,
        scheduler: SchedulerId,
        enabled: bool,
    ) -> Result<(), ControlError>;
    /// Pauses a worker, or with `None` lets it go on.
    async fn pause_worker(
        &self,
        worker: WorkerId,
        reason: Option<&str>,
    ) -> Result<(), ControlError>;
    /// Lets a worker finish what it runs; then it is told to end.
    async fn stop_worker(
        &self,
        worker: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError>;
    /// Tells a worker to end at once.
    async fn kill_worker(
        &self,
        worker: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError>;
    /// What is configured about workers, by name.
    fn worker_settings(&self) -> BTreeMap<String, WorkerSettings>;
    /// Who holds which lock and who waits for which.
    fn locks(&self) -> LockReport;
    /// What the requests wait for that could not be given to a worker when that was last tried.
    fn waiting(&self) -> Vec<WaitingBuilder>;
    /// Where a request stands, and what it waits for at this moment.
    async fn why(&self, request: RequestId) -> Result<Why, ControlError>;
    /// Sends a delivery again, whatever became of it.
    async fn resend_delivery(&self, delivery: DeliveryId) -> Result<(), ControlError>;
    /// Sends everything again that a reporter has given up; gives how much that is.
    async fn resend_dead(&self, reporter: ReporterId) -> Result<u64, ControlError>;
    /// Says that a delivery need not be made.
    async fn discard_delivery(&self, delivery: DeliveryId) -> Result<(), ControlError>;
}

/// A master that is shared.
pub type SharedControl = Arc<dyn Control>;

#[async_trait]
impl Control for MasterHandle {
    async fn ready(&self) {
        self.ready().await;
    }

    fn farm(&self) -> Farm {
        let config = self.config();
        let master = &config.master;
        Farm {
            hosts: names_of(master),
            title: master.title.clone(),
            url: master.url.clone(),
            ui: config.web.ui.clone(),
            admin: master.admin.clone(),
            links: master
                .links
                .iter()
                .map(|link| (link.label.clone(), link.url.clone()))
                .collect(),
        }
    }

    fn web(&self) -> Arc<WebConfig> {
        Arc::clone(&self.config().web)
    }

    async fn secret(&self, name: &str) -> Result<SecretValue, String> {
        self.secret(name).await
    }

    fn health(&self) -> Health {
        self.health()
    }

    fn configuration(&self) -> ConfigurationStatus {
        self.configuration()
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        self.plugins()
    }

    fn plugin_load(&self) -> PluginLoad {
        let sandbox = self.sandbox();
        PluginLoad {
            types: sandbox.metrics(),
            pool: sandbox.pool(),
            waits: sandbox.waits(),
        }
    }

    fn computing(&self) -> Vec<String> {
        self.sandbox().computing()
    }

    async fn rescan_plugins(&self) -> Vec<PluginStatus> {
        self.rescan_plugins().await
    }

    async fn rollback_plugin(
        &self,
        plugin: &str,
        digest: &str,
        reason: &str,
    ) -> Result<(), ControlError> {
        self.rollback_plugin(plugin, digest, reason).await
    }

    fn uses_of(&self, kind: PluginKind, type_name: &str) -> Vec<Place> {
        let config = self.config();
        match kind {
            PluginKind::Step => {
                let places = config.uses_of(type_name).map(|place| Place::Step {
                    builder: place.builder.name.clone(),
                    step: place
                        .step
                        .options
                        .name
                        .clone()
                        .unwrap_or_else(|| place.step.step_type.clone()),
                });
                places.collect()
            }
            PluginKind::Scheduler => {
                let places = config.scheduler_uses_of(type_name);
                let names = places.map(|place| place.scheduler.name.clone());
                names.map(Place::Scheduler).collect()
            }
            PluginKind::Reporter => {
                let places = config.reporter_uses_of(type_name);
                let names = places.map(|reporter| reporter.name.clone());
                names.map(Place::Reporter).collect()
            }
        }
    }

    fn pollers(&self) -> Vec<PollerStatus> {
        self.pollers()
    }

    fn schedulers(&self) -> Vec<SchedulerStatus> {
        self.schedulers()
    }

    async fn skip_event(
        &self,
        scheduler: SchedulerId,
        event: &str,
        reason: &str,
        who: &str,
    ) -> Result<String, ControlError> {
        self.skip_event(scheduler, event, reason, who).await
    }

    fn reporters(&self) -> Vec<ReporterStatus> {
        self.reporters()
    }

    fn force_forms(&self) -> Vec<ForceForm> {
        self.force_forms()
    }

    async fn force(&self, scheduler: &str, request: ForceRequest) -> Result<Forced, ForceError> {
        self.force(scheduler, request).await
    }

    async fn stop_build(
        &self,
        build: BuildId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.stop_build(build, reason, who).await
    }

    async fn rebuild(&self, build: BuildId, who: &str) -> Result<Submitted, ControlError> {
        self.rebuild(build, who).await
    }

    async fn cancel_request(
        &self,
        request: RequestId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.cancel_request(request, reason, who).await
    }

    async fn set_priority(&self, request: RequestId, priority: i32) -> Result<(), ControlError> {
        self.set_priority(request, priority).await
    }

    async fn enable_scheduler(
        &self,
        scheduler: SchedulerId,
        enabled: bool,
    ) -> Result<(), ControlError> {
        self.enable_scheduler(scheduler, enabled).await
    }

    async fn pause_worker(
        &self,
        worker: WorkerId,
        reason: Option<&str>,
    ) -> Result<(), ControlError> {
        match reason {
            Some(reason) => self.pause_worker(worker, reason).await,
            None => self.unpause_worker(worker).await,
        }
    }

    async fn stop_worker(
        &self,
        worker: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.stop_worker(worker, reason, who).await
    }

    async fn kill_worker(
        &self,
        worker: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.kill_worker(worker, reason, who).await
    }

    fn worker_settings(&self) -> BTreeMap<String, WorkerSettings> {
        let config = self.config();
        let workers = config.workers.iter().map(|(name, worker)| {
            let settings = WorkerSettings {
                is_local: matches!(worker.kind, WorkerKind::Local { .. }),
                builds_max: worker.max_builds,
                missing_timeout: worker.missing_timeout,
            };
            (name.clone(), settings)
        });
        workers.collect()
    }

    fn locks(&self) -> LockReport {
        self.locks()
    }

    fn waiting(&self) -> Vec<WaitingBuilder> {
        self.waiting()
    }

    async fn why(&self, request: RequestId) -> Result<Why, ControlError> {
        self.why(request).await
    }

    async fn resend_delivery(&self, delivery: DeliveryId) -> Result<(), ControlError> {
        self.resend_delivery(delivery).await
    }

    async fn resend_dead(&self, reporter: ReporterId) -> Result<u64, ControlError> {
        self.resend_dead(reporter).await
    }

    async fn discard_delivery(&self, delivery: DeliveryId) -> Result<(), ControlError> {
        self.discard_delivery(delivery).await
    }
}
