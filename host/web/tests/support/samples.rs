//! What a master may say of itself: forms, plugins, pollers, schedulers, locks.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use toolpost_config::{FormLayout, Problem};
use toolpost_core::locks::{LockKey, LockMode, LockScope};
use toolpost_core::{BuildId, BuilderId, PluginKind, RequestId, SchedulerId, Timestamp};
use toolpost_master::{
    FieldKind, ForceForm, FormField, LockReport, LockStatus, LockUser, LockedOut, PollerStatus,
    SchedulerStatus, StuckEvent,
};
use toolpost_sandbox::registry::{Problem as PluginProblem, TypeStatus};
use toolpost_sandbox::{PluginStatus, VersionStatus};
use toolpost_web::Place;

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
        enabled: true,
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
        builders: vec!["unit".into()],
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
