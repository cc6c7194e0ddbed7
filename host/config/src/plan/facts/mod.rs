//! Each part of a configuration as a list of fields with values.
//!
//! The structs are taken apart without `..`, so that a field that is added to one of them and forgotten
//! here does not compile.

use std::time::Duration;

use serde_json::{Map, Value, json};
use toolpost_core::locks::{LockAccess, LockMode, LockScope, LockSpec};

mod auth;
mod reporter;
mod scheduler;
mod secrets;
mod ui;
mod web;

use super::FieldChange;
use super::steps;
use crate::config::{
    BranchSelection, BuilderConfig, ChangeSourceConfig, ChangeSourceKind, EnvironmentValue,
    GitPollerConfig, LimitsConfig, MasterConfig, PluginConfig, PluginsConfig, ProjectConfig,
    TlsConfig, UploadLimits, WorkerConfig, WorkerKind, WorkersConfig,
};

/// Names of settings, as in the configuration, with their values.
pub(super) type FactList = Vec<(String, Value)>;

pub(super) trait Facts {
    /// Every setting.
    fn facts(&self) -> FactList;

    /// Changes of parts that have settings of their own.
    fn inner_changes(&self, _new: &Self) -> Vec<FieldChange> {
        Vec::new()
    }
}

pub(super) fn fact(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
}

impl Facts for MasterConfig {
    fn facts(&self) -> FactList {
        let Self {
            name,
            title,
            url,
            listen,
            hosts,
            admin,
            links,
            database_url,
            object_dir,
            plugin_dir,
            secrets_dir,
            ca_file,
            drain_timeout,
            limits,
            plugins,
        } = self;
        let PluginsConfig {
            memory_mib,
            calls,
            threads,
        } = plugins;
        let LimitsConfig {
            builds_max,
            log_line_bytes_max,
            log_bytes_max,
            uploads,
        } = limits;
        let UploadLimits {
            file_bytes_max,
            files_max,
            bytes_max,
        } = uploads;
        let links: Vec<String> = links
            .iter()
            .map(|link| format!("{}: {}", link.label, link.url))
            .collect();
        vec![
            fact("name", name.clone()),
            fact("title", title.as_str()),
            fact("url", url.as_str()),
            fact("listen", listen.to_string()),
            fact("hosts", json!(hosts)),
            fact("admin", admin.clone()),
            fact("links", links),
            fact("database_url", database_url.as_str()),
            fact("object_dir", object_dir.display().to_string()),
            fact("plugin_dir", plugin_dir.display().to_string()),
            fact(
                "secrets_dir",
                secrets_dir.as_ref().map(|dir| dir.display().to_string()),
            ),
            fact(
                "ca_file",
                ca_file.as_ref().map(|file| file.display().to_string()),
            ),
            fact("drain_timeout", duration(*drain_timeout)),
            fact("limits.builds_max", *builds_max),
            fact("limits.log_line_size_max", *log_line_bytes_max),
            fact("limits.log_size_max", *log_bytes_max),
            fact("limits.upload_size_max", *file_bytes_max),
            fact("limits.uploads_max", *files_max),
            fact("limits.uploads_size_max", *bytes_max),
            fact("plugins.memory_mib", *memory_mib),
            fact("plugins.calls", *calls),
            fact("plugins.threads", *threads),
        ]
    }
}

impl Facts for PluginConfig {
    fn facts(&self) -> FactList {
        let Self {
            name: _,
            grants,
            memory_mib,
            cpu_ms,
            wall_s,
            log_mib,
            storage_kib,
        } = self;
        let mut facts = secrets::grants(grants);
        facts.extend([
            fact("memory_mib", *memory_mib),
            fact("cpu_ms", *cpu_ms),
            fact("wall_s", *wall_s),
            fact("log_mib", *log_mib),
            fact("storage_kib", *storage_kib),
        ]);
        facts
    }
}

impl Facts for LockSpec {
    fn facts(&self) -> FactList {
        let Self {
            name: _,
            scope,
            max_count,
            max_count_for_worker,
        } = self;
        let scope = match scope {
            LockScope::Master => "master",
            LockScope::Worker => "worker",
        };
        vec![
            fact("scope", scope),
            fact("max_count", *max_count),
            fact("worker_counts", json!(max_count_for_worker)),
        ]
    }
}

impl Facts for WorkerConfig {
    fn facts(&self) -> FactList {
        let Self {
            name: _,
            kind,
            max_builds,
            missing_timeout,
            notify_on_missing,
            properties,
            default_properties,
        } = self;
        let (kind, place, resume_within, keepalive) = match kind {
            WorkerKind::Local { base_dir } => {
                let place = fact("base_dir", base_dir.display().to_string());
                ("local", place, None, None)
            }
            WorkerKind::Remote {
                password,
                resume_within,
                keepalive,
            } => (
                "remote",
                secrets::password(password),
                Some(duration(*resume_within)),
                Some(duration(*keepalive)),
            ),
        };
        vec![
            fact("kind", kind),
            place,
            fact("resume_within", resume_within),
            fact("keepalive", keepalive),
            fact("max_builds", *max_builds),
            fact("missing_timeout", missing_timeout.map(duration)),
            fact("notify_on_missing", json!(notify_on_missing)),
            fact("properties", json!(properties)),
            fact("default_properties", json!(default_properties)),
        ]
    }
}

impl Facts for WorkersConfig {
    fn facts(&self) -> FactList {
        let Self {
            listen,
            path: at,
            tls,
        } = self;
        let path = |path: &std::path::Path| path.display().to_string();
        let (certificate, key, client_ca) = match tls {
            Some(TlsConfig {
                certificate,
                key,
                client_ca,
            }) => (
                Some(path(certificate)),
                Some(path(key)),
                client_ca.as_deref().map(path),
            ),
            None => (None, None, None),
        };
        vec![
            fact("listen", listen.map(|address| address.to_string())),
            fact("path", at.as_str()),
            fact("certificate", certificate),
            fact("key", key),
            fact("client_ca", client_ca),
        ]
    }
}

impl Facts for ChangeSourceConfig {
    fn facts(&self) -> FactList {
        let Self {
            name: _,
            project,
            codebase,
            category,
            kind,
        } = self;
        let mut facts = vec![
            fact("project", project.as_str()),
            fact("codebase", codebase.as_str()),
            fact("category", category.clone()),
        ];
        let ChangeSourceKind::GitPoller(GitPollerConfig {
            repository,
            branches,
            interval,
            poll_at_launch,
            build_newest,
        }) = kind;
        let branches = match branches {
            BranchSelection::All => json!("all"),
            BranchSelection::Matching { patterns, .. } => json!(patterns),
        };
        facts.extend([
            fact("repository", repository.as_str()),
            fact("branches", branches),
            fact("interval", duration(*interval)),
            fact("poll_at_launch", *poll_at_launch),
            fact("build_newest", *build_newest),
        ]);
        facts
    }
}

impl Facts for ProjectConfig {
    fn facts(&self) -> FactList {
        let Self {
            name: _,
            slug,
            description,
            codebases,
        } = self;
        vec![
            fact("slug", slug.as_str()),
            fact("description", description.clone()),
            fact("codebases", json!(codebases)),
        ]
    }
}

impl Facts for BuilderConfig {
    fn facts(&self) -> FactList {
        let Self {
            name: _,
            description,
            project,
            tags,
            workers,
            env,
            properties,
            default_properties,
            locks,
            max_builds,
            collapse,
            build_dir,
            workdir,
            steps: _,
        } = self;
        let env: Map<String, Value> = env
            .iter()
            .map(|(name, variable)| match variable {
                EnvironmentValue::Set(text) => (name.clone(), json!(text)),
                EnvironmentValue::Unset => (name.clone(), json!(false)),
            })
            .collect();
        let collapse = *collapse == toolpost_core::collapse::CollapsePolicy::Compatible;
        vec![
            fact("description", description.clone()),
            fact("project", project.clone()),
            fact("tags", tags.clone()),
            fact("workers", workers.clone()),
            fact("env", env),
            fact("properties", json!(properties)),
            fact("default_properties", json!(default_properties)),
            fact("locks", locks_as_json(locks)),
            fact("max_builds", *max_builds),
            fact("collapse_requests", collapse),
            fact("build_dir", build_dir.as_str()),
            fact("workdir", workdir.as_str()),
        ]
    }

    fn inner_changes(&self, new: &Self) -> Vec<FieldChange> {
        steps::changes(&self.steps, &new.steps)
    }
}

pub(super) fn locks_as_json(locks: &[LockAccess]) -> Value {
    locks
        .iter()
        .map(|LockAccess { lock, mode }| match mode {
            LockMode::Counting { count: 1 } => json!(lock),
            LockMode::Counting { count } => json!({ "name": lock, "count": count }),
            LockMode::Exclusive => json!({ "name": lock, "mode": "exclusive" }),
        })
        .collect()
}

pub(super) fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
