//! A master that says what it is told to say and remembers what it was asked for.

use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use toolpost_config::config::WebConfig;
use toolpost_config::{Config, Problem, diff};
use toolpost_core::distribute::WaitReason;
use toolpost_core::secret::SecretValue;
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, DeliveryId, MasterId, PluginKind, ReporterId, RequestId,
    SchedulerId, Timestamp, WorkerId,
};
use toolpost_master::{
    ConfigurationStatus, ControlError, ForceError, ForceForm, ForceRequest, Forced, Health,
    LockReport, PollerStatus, ReporterStatus, SchedulerStatus, Submitted, WaitCause, WaitState,
    WaitingBuilder, Why,
};
use toolpost_sandbox::PluginStatus;
use toolpost_web::{Control, Farm, Place, PluginLoad, WorkerSettings};

use super::samples::{form, locks};

/// What the master says.
pub struct Said {
    pub farm: Farm,
    pub web: Arc<WebConfig>,
    pub health: Health,
    pub problems: Vec<Problem>,
    pub needs_restart: Vec<String>,
    pub plugins: Vec<PluginStatus>,
    pub load: PluginLoad,
    pub uses: BTreeMap<String, Vec<Place>>,
    pub workers: BTreeMap<String, WorkerSettings>,
    /// Workers that cannot be told to end.
    pub away: Vec<WorkerId>,
    pub locks: LockReport,
    pub pollers: Vec<PollerStatus>,
    pub schedulers: Vec<SchedulerStatus>,
    pub reporters: Vec<ReporterStatus>,
    pub forms: Vec<ForceForm>,
    /// Fields that the next form is refused for.
    pub refused: BTreeMap<String, String>,
    /// Builds that run, for stop and rebuild.
    pub running: Vec<BuildId>,
    /// Builds that ended.
    pub ended: Vec<BuildId>,
    /// Deliveries that are done.
    pub discarded: Vec<DeliveryId>,
    /// What builders wait for.
    pub waiting: Vec<WaitingBuilder>,
    /// What requests wait for.
    pub whys: Vec<Why>,
    /// What it was asked to do.
    pub asked: Vec<String>,
}

/// The master.
pub struct Scripted {
    now: Timestamp,
    said: Mutex<Said>,
    /// Ends what [`Health::starting`] began.
    pub works: Notify,
}

impl Scripted {
    pub fn new(now: Timestamp) -> Self {
        let said = Said {
            farm: Farm {
                title: "Example".into(),
                url: "http://ci.example/".into(),
                hosts: vec!["ci.example".into()],
                admin: Some("ops@example.org".into()),
                links: vec![("Sources".into(), "https://example.org/hello.git".into())],
                ..Farm::default()
            },
            web: Arc::default(),
            health: Health {
                master_id: MasterId(1),
                name: "alpha".into(),
                started_at: Timestamp(now.0 - 7_200_000),
                starting: false,
                draining: false,
                running_builds: 0,
                store_ok: true,
            },
            problems: Vec::new(),
            needs_restart: Vec::new(),
            plugins: Vec::new(),
            load: PluginLoad::default(),
            uses: BTreeMap::new(),
            workers: BTreeMap::new(),
            away: Vec::new(),
            locks: LockReport::default(),
            pollers: Vec::new(),
            schedulers: Vec::new(),
            reporters: Vec::new(),
            forms: vec![form()],
            refused: BTreeMap::new(),
            running: Vec::new(),
            ended: Vec::new(),
            discarded: Vec::new(),
            waiting: Vec::new(),
            whys: Vec::new(),
            asked: Vec::new(),
        };
        Self {
            now,
            works: Notify::new(),
            said: Mutex::new(said),
        }
    }

    /// What it says; may be changed.
    pub fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it was asked to do since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.said().asked)
    }

    fn note(&self, what: String) {
        self.said().asked.push(what);
    }
}

#[async_trait]
impl Control for Scripted {
    async fn ready(&self) {
        if !self.said().health.starting {
            return;
        }
        self.said().asked.push("ready".into());
        self.works.notified().await;
    }

    fn farm(&self) -> Farm {
        self.said().farm.clone()
    }

    async fn secret(&self, name: &str) -> Result<SecretValue, String> {
        SecretValue::read(format!("the-secret-of-{name}").as_bytes())
            .map_err(|fault| fault.to_string())
    }

    fn web(&self) -> Arc<WebConfig> {
        self.said().web.clone()
    }

    fn health(&self) -> Health {
        self.said().health.clone()
    }

    fn configuration(&self) -> ConfigurationStatus {
        let said = self.said();
        let empty = Config::default();
        ConfigurationStatus {
            applied_at: self.now,
            plan: diff(&empty, &empty),
            checked_at: self.now,
            problems: said.problems.clone(),
            needs_restart: said.needs_restart.clone(),
        }
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        self.said().plugins.clone()
    }

    fn plugin_load(&self) -> PluginLoad {
        self.said().load.clone()
    }

    fn computing(&self) -> Vec<String> {
        Vec::new()
    }

    async fn rescan_plugins(&self) -> Vec<PluginStatus> {
        self.note("look at the plugins".into());
        self.plugins()
    }

    async fn rollback_plugin(
        &self,
        plugin: &str,
        digest: &str,
        reason: &str,
    ) -> Result<(), ControlError> {
        self.note(format!("roll {plugin} back to {digest:.8} {reason:?}"));
        let plugins = self.plugins();
        let live = plugins.iter().find_map(|known| known.live.as_ref());
        match live {
            Some(live) if live.digest == digest => {
                Err(ControlError::Plugin("it is the live one".into()))
            }
            _ => Ok(()),
        }
    }

    fn uses_of(&self, _: PluginKind, type_name: &str) -> Vec<Place> {
        self.said().uses.get(type_name).cloned().unwrap_or_default()
    }

    fn pollers(&self) -> Vec<PollerStatus> {
        self.said().pollers.clone()
    }

    fn schedulers(&self) -> Vec<SchedulerStatus> {
        self.said().schedulers.clone()
    }

    fn reporters(&self) -> Vec<ReporterStatus> {
        self.said().reporters.clone()
    }

    fn force_forms(&self) -> Vec<ForceForm> {
        self.said().forms.clone()
    }

    async fn force(&self, scheduler: &str, request: ForceRequest) -> Result<Forced, ForceError> {
        let fields = Value::Object(request.fields);
        let owner = request.owner.map(|owner| format!(" for {owner}"));
        let owner = owner.unwrap_or_default();
        let builders = request.builders;
        self.note(format!("force {scheduler} {builders:?} {fields}{owner}"));
        let said = self.said();
        if !said.forms.iter().any(|form| form.name == scheduler) {
            return Err(ForceError::UnknownScheduler(scheduler.into()));
        }
        if !said.refused.is_empty() {
            return Err(ForceError::Fields {
                fields: said.refused.clone(),
            });
        }
        Ok(Forced::Made(submitted()))
    }

    async fn stop_build(
        &self,
        build: BuildId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.note(format!("stop {build} {reason:?} {who}"));
        let said = self.said();
        if said.running.contains(&build) {
            Ok(())
        } else if said.ended.contains(&build) {
            Err(ControlError::BuildEnded(build))
        } else {
            Err(ControlError::UnknownBuild(build))
        }
    }

    async fn rebuild(&self, build: BuildId, who: &str) -> Result<Submitted, ControlError> {
        self.note(format!("rebuild {build} {who}"));
        if self.said().ended.contains(&build) {
            Ok(submitted())
        } else {
            Err(ControlError::UnknownBuild(build))
        }
    }

    async fn cancel_request(
        &self,
        request: RequestId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.note(format!("cancel {request} {reason:?} {who}"));
        Ok(())
    }

    async fn set_priority(&self, request: RequestId, priority: i32) -> Result<(), ControlError> {
        self.note(format!("priority {request} {priority}"));
        Ok(())
    }

    async fn enable_scheduler(
        &self,
        scheduler: SchedulerId,
        enabled: bool,
    ) -> Result<(), ControlError> {
        self.note(format!("enable {scheduler} {enabled}"));
        Ok(())
    }

    async fn pause_worker(
        &self,
        worker: WorkerId,
        reason: Option<&str>,
    ) -> Result<(), ControlError> {
        // As a master does it: not at once.
        tokio::task::yield_now().await;
        self.note(format!("pause {worker} {reason:?}"));
        Ok(())
    }

    async fn stop_worker(
        &self,
        worker: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.note(format!("stop worker {worker} {reason:?} {who}"));
        Ok(())
    }

    async fn kill_worker(
        &self,
        worker: WorkerId,
        reason: &str,
        who: &str,
    ) -> Result<(), ControlError> {
        self.note(format!("kill worker {worker} {reason:?} {who}"));
        match self.said().away.contains(&worker) {
            true => Err(ControlError::WorkerAway("spare".into())),
            false => Ok(()),
        }
    }

    fn worker_settings(&self) -> BTreeMap<String, WorkerSettings> {
        self.said().workers.clone()
    }

    fn locks(&self) -> LockReport {
        self.said().locks.clone()
    }

    async fn skip_event(
        &self,
        scheduler: SchedulerId,
        event: &str,
        reason: &str,
        who: &str,
    ) -> Result<String, ControlError> {
        self.note(format!("skip {event:?} of {scheduler} {reason:?} {who}"));
        if self.said().schedulers.is_empty() {
            return Err(ControlError::UnknownScheduler(scheduler));
        }
        Ok("change 12".into())
    }

    fn waiting(&self) -> Vec<WaitingBuilder> {
        self.said().waiting.clone()
    }

    async fn why(&self, request: RequestId) -> Result<Why, ControlError> {
        let said = self.said();
        let why = said.whys.iter().find(|why| why.request == request);
        // What nobody has said anything about is first in line, with no worker.
        Ok(why.cloned().unwrap_or_else(|| Why {
            request,
            builder: BuilderId(1),
            state: WaitState::Waiting(WaitCause::Rule(WaitReason::NotConnected)),
            before: Some(0),
            workers: Vec::new(),
            lock: None,
        }))
    }

    async fn resend_delivery(&self, delivery: DeliveryId) -> Result<(), ControlError> {
        self.note(format!("resend {delivery}"));
        Ok(())
    }

    async fn resend_dead(&self, reporter: ReporterId) -> Result<u64, ControlError> {
        self.note(format!("resend all of {reporter}"));
        Ok(3)
    }

    async fn discard_delivery(&self, delivery: DeliveryId) -> Result<(), ControlError> {
        self.note(format!("discard {delivery}"));
        if self.said().discarded.contains(&delivery) {
            return Err(ControlError::DeliveryDone(delivery));
        }
        Ok(())
    }
}

fn submitted() -> Submitted {
    Submitted {
        buildset: BuildsetId(70),
        requests: vec![(BuilderId(1), RequestId(71))],
    }
}
