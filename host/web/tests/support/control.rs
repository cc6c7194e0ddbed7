//! A master that says what it is told to say and remembers what it was asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;
use toolpost_config::config::WebConfig;
use toolpost_config::{Config, FormLayout, Problem, diff};
use toolpost_core::distribute::WaitReason;
use toolpost_core::locks::{LockKey, LockMode, LockScope};
use toolpost_core::secret::SecretValue;
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, DeliveryId, MasterId, PluginKind, ReporterId, RequestId,
    SchedulerId, Timestamp, WorkerId,
};
use toolpost_master::{
    ConfigurationStatus, ControlError, FieldKind, ForceError, ForceForm, ForceRequest, Forced,
    FormField, Health, LockReport, LockStatus, LockUser, LockedOut, PollerStatus, ReporterStatus,
    SchedulerStatus, StuckEvent, Submitted, WaitCause, WaitState, WaitingBuilder, Why,
};
use toolpost_sandbox::registry::{Problem as PluginProblem, TypeStatus};
use toolpost_sandbox::{PluginStatus, VersionStatus};
use toolpost_web::{Control, Farm, Place, PluginLoad, WorkerSettings};

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

fn field(name: &str, label: &str, default: Value, kind: FieldKind) -> FormField {
    FormField {
        name: name.into(),
        full_name: name.into(),
        label: label.into(),
        tab_label: label.into(),
        tooltip: String::new(),
        default,
        required: false,
        hidden: false,
        kind,
    }
}

/// A form with a field of each kind.
pub fn form() -> ForceForm {
    let text = || FieldKind::Text {
        regex: None,
        size: 30,
        chars_max: None,
    };
    let who_and_why = vec![
        field(
            "username",
            "Your name",
            json!(""),
            FieldKind::Username { need_email: false },
        ),
        FormField {
            required: true,
            ..field("reason", "Reason", json!("force build"), text())
        },
        field(
            "priority",
            "Priority",
            json!(0),
            FieldKind::Int {
                min: None,
                max: None,
            },
        ),
    ];
    let source = vec![
        field("branch", "Branch", json!("main"), text()),
        FormField {
            hidden: true,
            ..field("project", "Project", json!("hello"), text())
        },
        field("revision", "Revision", json!(""), text()),
    ];
    let fields = vec![
        field(
            "",
            "",
            json!(""),
            FieldKind::Nested {
                fields: who_and_why,
                layout: FormLayout::Vertical,
                columns: None,
            },
        ),
        field(
            "",
            "",
            json!(""),
            FieldKind::Codebase {
                codebase: String::new(),
                fields: source,
            },
        ),
        FormField {
            tooltip: "Removes the build directory before it starts.".into(),
            ..field("clean", "Clean build", json!(true), FieldKind::Bool)
        },
        field(
            "profile",
            "Profile",
            json!("release"),
            FieldKind::List {
                choices: vec!["debug".into(), "release".into(), "bench <all>".into()],
                multiple: false,
                strict: true,
            },
        ),
        field(
            "targets",
            "Targets",
            json!(["x86_64"]),
            FieldKind::List {
                choices: vec!["x86_64".into(), "aarch64".into(), "riscv64".into()],
                multiple: true,
                strict: true,
            },
        ),
        field(
            "jobs",
            "Parallel jobs",
            json!(4),
            FieldKind::Int {
                min: Some(1),
                max: Some(64),
            },
        ),
        field(
            "notes",
            "Notes",
            json!(""),
            FieldKind::TextArea {
                regex: None,
                columns: 80,
                rows: 4,
                chars_max: None,
            },
        ),
    ];
    ForceForm {
        name: "force".into(),
        label: "Build now".into(),
        button: "Force a build".into(),
        builders: vec!["unit".into(), "docs".into()],
        chooses_builders: true,
        fields,
    }
}

/// A digest that begins with this byte.
pub fn digest(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

/// A version of a plugin with one step type.
pub fn version(step: &str, version: &str, byte: u8, loaded_at: Timestamp) -> VersionStatus {
    VersionStatus {
        version: version.into(),
        digest: digest(byte),
        contract: "1.0.0".into(),
        description: format!("Provides {step}."),
        wants: Vec::new(),
        types: vec![TypeStatus {
            kind: PluginKind::Step,
            force_schema: None,
            name: step.into(),
            summary: format!("Runs {step}."),
            schema: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
        }],
        size_bytes: 212_480,
        loaded_at,
        pins: 0,
        calls_running: 0,
        calls_total: 41,
        faults_total: 0,
        last_fault: None,
    }
}

/// A plugin that works.
pub fn plugin(name: &str, live: VersionStatus) -> PluginStatus {
    PluginStatus {
        name: name.into(),
        file: PathBuf::from(format!("/srv/toolpost/plugins/{name}.wasm")),
        live_since: Some(live.loaded_at),
        live: Some(live),
        draining: Vec::new(),
        problem: None,
        held: None,
        loading: false,
        not_granted: Vec::new(),
        reloads: 1,
        refusals: 0,
        rollbacks: 0,
    }
}

/// What is wrong with a plugin's file.
pub fn refusal(at: Timestamp, byte: u8, reason: &str) -> PluginProblem {
    PluginProblem {
        at,
        digest: Some(digest(byte)),
        reason: reason.into(),
    }
}

/// A problem of the configuration with its place.
pub fn problem() -> Problem {
    Problem {
        message: "unknown worker `lokal`".into(),
        place: Some(toolpost_config::Place {
            file: "toolpost.toml".into(),
            line: 12,
            column: 12,
            width: 7,
            text: "workers = [\"lokal\"]".into(),
        }),
        related: Vec::new(),
        help: Some("did you mean `local`?".into()),
    }
}

/// A poller; it fails when there is an error.
pub fn poller(name: &str, now: Timestamp, error: Option<&str>) -> PollerStatus {
    PollerStatus {
        name: name.into(),
        repository: format!("https://example.org/{name}.git"),
        interval: Duration::from_secs(300),
        polled_at: Some(Timestamp(now.0 - 42_000)),
        next_poll_at: Some(Timestamp(now.0 + 258_000)),
        error: error.map(ToOwned::to_owned),
        failures: u32::from(error.is_some()) * 3,
        heads: vec![("main".into(), "9f2c61d0".into())],
    }
}

/// A scheduler of a plugin that says this, and what went wrong with its last event.
pub fn scheduler(name: &str, text: &str, error: Option<&str>) -> SchedulerStatus {
    SchedulerStatus {
        id: SchedulerId(2),
        name: name.into(),
        scheduler_type: "nightly".into(),
        last_change: None,
        fires_at: None,
        text: text.into(),
        held: None,
        error: error.map(str::to_owned),
        stuck: error.map(|_| StuckEvent {
            event: "change 12".into(),
            since: Timestamp(0),
            attempts: 7,
        }),
    }
}

/// A lock of this name on worker `local`: build 1 holds it, build 2 waits for it, and builder 1 cannot begin.
pub fn locks(name: &str) -> LockReport {
    let user = |build: i64, mode| LockUser {
        build: Some(BuildId(build)),
        builder: Some(BuilderId(1)),
        step: Some(name.into()),
        mode,
        is_stuck: false,
    };
    let out = LockedOut {
        builder: BuilderId(1),
        request: RequestId(9),
    };
    LockReport {
        locks: vec![
            LockStatus {
                key: LockKey {
                    lock: name.into(),
                    worker: Some("local".into()),
                },
                scope: Some(LockScope::Worker),
                max: 3,
                holders: vec![user(1, LockMode::Counting { count: 2 })],
                queue: vec![user(2, LockMode::Exclusive)],
                locked_out: vec![out],
            },
            LockStatus {
                key: LockKey {
                    lock: format!("{name} that is free"),
                    worker: None,
                },
                scope: Some(LockScope::Master),
                max: 1,
                holders: Vec::new(),
                queue: Vec::new(),
                locked_out: Vec::new(),
            },
        ],
        never: Vec::new(),
        hopeless: Vec::new(),
    }
}
