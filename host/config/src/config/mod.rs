//! The checked configuration: typed, complete, every name resolved.
//!
//! Whoever holds a [`Config`] needs no further check and no default: what is optional here means
//! something when it is absent. Values are behind `Arc`, so that two configurations share what did
//! not change hands, and everything is `PartialEq`, so that a plan is a comparison.

mod auth;
mod builder;
mod changes;
mod force;
mod master;
mod project;
mod reporter;
mod scheduler;
mod secrets;
mod ui;
mod web;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use auth::{AuthConfig, HeaderConfig, ProviderConfig, ProviderKind, UserConfig};
pub use builder::{BuilderConfig, EnvironmentValue, StepConfig};
pub(crate) use changes::compile_glob;
pub use changes::{BranchSelection, ChangeSourceConfig, ChangeSourceKind, GitPollerConfig};
pub use force::{
    ForceCodebase, ForceConfig, ForceField, ForceParameter, ForcePatch, FormLayout, ParameterKind,
};
pub use master::{LimitsConfig, Link, MasterConfig, PluginConfig, PluginsConfig, UploadLimits};
pub use project::ProjectConfig;
pub use reporter::ReporterConfig;
pub use scheduler::{
    FileFilter, PluginSchedulerConfig, SchedulerConfig, SchedulerKind, SingleBranchConfig,
};
pub use secrets::{Grants, MailConfig, MailLogin, MailTls, SecretConfig};
pub use ui::UiConfig;
pub use web::WebConfig;
pub use worker::{
    PlainPassword, SecretReference, TlsConfig, WorkerConfig, WorkerKind, WorkerPassword,
    WorkersConfig,
};

use serde_json::Value;
use toolpost_core::locks::LockSpec;

/// Name of a property to its value; strings may be templates.
pub type PropertyValues = BTreeMap<String, Value>;

/// A whole configuration, by name where things have names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The master process itself.
    pub master: Arc<MasterConfig>,
    /// Workers by name.
    pub workers: BTreeMap<String, Arc<WorkerConfig>>,
    /// Where workers from elsewhere connect.
    pub worker_port: Arc<WorkersConfig>,
    /// Projects by name.
    pub projects: BTreeMap<String, Arc<ProjectConfig>>,
    /// Change sources by name.
    pub change_sources: BTreeMap<String, Arc<ChangeSourceConfig>>,
    /// Schedulers by name.
    pub schedulers: BTreeMap<String, Arc<SchedulerConfig>>,
    /// Reporters by name.
    pub reporters: BTreeMap<String, Arc<ReporterConfig>>,
    /// Builders by name.
    pub builders: BTreeMap<String, Arc<BuilderConfig>>,
    /// Locks by name.
    pub locks: BTreeMap<String, Arc<LockSpec>>,
    /// Grants and limits of plugins by the plugin's name; a plugin that is not here has the defaults.
    pub plugins: BTreeMap<String, Arc<PluginConfig>>,
    /// Secrets by name, beside those of [`MasterConfig::secrets_dir`].
    pub secrets: BTreeMap<String, Arc<SecretConfig>>,
    /// The mail server; `None` when no mail can be sent.
    pub mail: Option<Arc<MailConfig>>,
    /// The web server.
    pub web: Arc<WebConfig>,
}

/// One place where a step type is used.
#[derive(Debug, Clone, Copy)]
pub struct StepUse<'a> {
    /// The builder.
    pub builder: &'a BuilderConfig,
    /// Which of its steps, counted from 0.
    pub index: usize,
    /// The step.
    pub step: &'a StepConfig,
}

/// One scheduler that uses a type of a plugin.
#[derive(Debug, Clone, Copy)]
pub struct SchedulerUse<'a> {
    /// The scheduler.
    pub scheduler: &'a SchedulerConfig,
    /// What of it is the plugin's.
    pub plugin: &'a PluginSchedulerConfig,
}

impl Config {
    /// Every step of every builder, in the order of builder names.
    pub fn steps(&self) -> impl Iterator<Item = StepUse<'_>> {
        self.builders.values().flat_map(|builder| {
            builder
                .steps
                .iter()
                .enumerate()
                .map(|(index, step)| StepUse {
                    builder,
                    index,
                    step,
                })
        })
    }

    /// Where a step type is used: what a plugin must not break and may not leave.
    pub fn uses_of(&self, step_type: &str) -> impl Iterator<Item = StepUse<'_>> {
        self.steps()
            .filter(move |place| place.step.step_type == step_type)
    }

    /// The schedulers that use a type of a plugin, in the order of their names.
    pub fn plugin_schedulers(&self) -> impl Iterator<Item = SchedulerUse<'_>> {
        self.schedulers
            .values()
            .filter_map(|scheduler| match &scheduler.kind {
                SchedulerKind::Plugin(plugin) => Some(SchedulerUse { scheduler, plugin }),
                SchedulerKind::SingleBranch(_) | SchedulerKind::Force(_) => None,
            })
    }

    /// Where a scheduler type is used.
    pub fn scheduler_uses_of(
        &self,
        scheduler_type: &str,
    ) -> impl Iterator<Item = SchedulerUse<'_>> {
        self.plugin_schedulers()
            .filter(move |place| place.plugin.scheduler_type == scheduler_type)
    }

    /// The reporters that use a type.
    pub fn reporter_uses_of(
        &self,
        reporter_type: &str,
    ) -> impl Iterator<Item = &Arc<ReporterConfig>> {
        let reporters = self.reporters.values();
        reporters.filter(move |reporter| reporter.reporter_type == reporter_type)
    }
}
