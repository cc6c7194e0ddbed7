//! From raw to checked: every name resolved, every value in its range, every default filled in.
//!
//! Nothing here stops at a problem. Each part becomes its checked form, or is left out with a note;
//! the configuration is returned only if there are no notes at all.

mod builder;
mod changes;
mod force;
mod master;
mod names;
mod project;
mod reporter;
mod scheduler;
mod secrets;
mod step;
mod text;
mod types;
mod ui;
mod web;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use toolpost_core::PluginKind;
use toolpost_core::locks::LockSpec;
use toolpost_core::template::Templates;

use self::names::Names;
use self::secrets::SecretNames;
use self::types::Types;
use crate::catalog::TypeCatalog;
use crate::config::{Config, MasterConfig, PluginConfig, WebConfig, WorkersConfig};
use crate::decode::Decode as _;
use crate::problem::{Problems, Report};
use crate::raw::{RawConfig, RawMaster};
use crate::sources::{Sources, Span};
use crate::tree::{At, Kind, Node, parse};

/// Where the whole configuration is written, for what has no better place.
const START: Span = Span {
    file: 0,
    start: 0,
    end: 0,
};

/// Checks a configuration against the step types that there are.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(sources: &Sources, catalog: &dyn TypeCatalog) -> Result<Config, Problems> {
    let mut report = Report::new(sources);
    let raw = parse(sources, &mut report).and_then(|table| {
        let root = Node {
            kind: Kind::Table(table),
            span: START,
        };
        RawConfig::decode(root, &mut report)
    });
    let config = raw.map(|raw| Checker::new(&raw, catalog, &mut report).config(raw));
    match config {
        Some(config) if report.is_empty() => Ok(config),
        _ => Err(report.into_problems()),
    }
}

/// Checks the table `[master]` alone: a process has to know its plugin directory before it can know the step
/// types that the rest is checked against.
///
/// # Errors
/// When something is wrong with that table, or keeps the files from being read at all: everything that is
/// wrong with the configuration, apart from steps.
pub fn check_master(sources: &Sources) -> Result<MasterConfig, Problems> {
    let mut report = Report::new(sources);
    let master = parse(sources, &mut report).map(|mut table| {
        let raw = table
            .0
            .shift_remove("master")
            .and_then(|entry| RawMaster::decode(entry.node, &mut report))
            .unwrap_or_default();
        Checker::new(&RawConfig::default(), &AnyStepType, &mut report).master(raw)
    });
    match master {
        Some(master) if report.is_empty() => Ok(master),
        // Whoever has to come back anyway wants to hear all of it.
        _ => Err(check(sources, &AnyStepType)
            .err()
            .unwrap_or_else(|| report.into_problems())),
    }
}

/// Checks the settings of plugins alone, which say what they may do: a process has to know that before it loads them.
///
/// # Errors
/// As [`check_master`].
pub fn check_plugins(sources: &Sources) -> Result<BTreeMap<String, Arc<PluginConfig>>, Problems> {
    check(sources, &AnyStepType).map(|config| config.plugins)
}

/// Checks where workers connect alone: a process takes its ports before it touches anything.
///
/// # Errors
/// As [`check_master`].
pub fn check_worker_port(sources: &Sources) -> Result<Arc<WorkersConfig>, Problems> {
    check(sources, &AnyStepType).map(|config| config.worker_port)
}

/// Checks who may do what alone: pages are served before the rest of the configuration runs.
///
/// # Errors
/// As [`check_master`].
pub fn check_web(sources: &Sources) -> Result<Arc<WebConfig>, Problems> {
    check(sources, &AnyStepType).map(|config| config.web)
}

/// Stands for types that are not known yet: each exists and takes everything.
struct AnyStepType;

impl TypeCatalog for AnyStepType {
    fn names(&self, _: PluginKind) -> Vec<String> {
        Vec::new()
    }

    fn parameters_schema(&self, _: PluginKind, _: &str) -> Option<Arc<Value>> {
        Some(Arc::new(Value::Bool(true)))
    }
}

/// What the checks of all parts share.
struct Checker<'c, 's> {
    report: &'c mut Report<'s>,
    names: Names,
    /// Locks by name, for whoever uses them.
    locks: BTreeMap<String, Arc<LockSpec>>,
    types: Types<'c>,
    /// Directories of builders, each with its builder and its place.
    build_dirs: BTreeMap<String, (String, Span)>,
    templates: Templates,
    secrets: SecretNames,
    /// Workers that say which reporters tell of their absence: those, each with its place.
    absences: BTreeMap<String, BTreeMap<String, Span>>,
}

impl<'c, 's> Checker<'c, 's> {
    fn new(raw: &RawConfig, catalog: &'c dyn TypeCatalog, report: &'c mut Report<'s>) -> Self {
        Self {
            names: Names::collect(raw, report),
            locks: BTreeMap::new(),
            types: Types::new(catalog),
            build_dirs: BTreeMap::new(),
            templates: Templates::default(),
            absences: BTreeMap::new(),
            secrets: SecretNames {
                configured: raw
                    .secret
                    .iter()
                    .flat_map(|secrets| secrets.value.0.keys().cloned())
                    .collect(),
                has_dir: raw
                    .master
                    .as_ref()
                    .is_some_and(|master| master.value.secrets_dir.is_some()),
            },
            report,
        }
    }

    fn config(mut self, raw: RawConfig) -> Config {
        let master = Arc::new(self.master(value(raw.master).unwrap_or_default()));
        let web = Arc::new(self.web(value(raw.web).unwrap_or_default(), &master));
        // Locks come before builders, whose uses of them are checked against their counts.
        for lock in list(raw.lock) {
            if let Some(lock) = self.lock(lock.value) {
                self.locks.insert(lock.name.clone(), Arc::new(lock));
            }
        }
        let workers = self.each(raw.worker, Self::worker, |worker| &worker.name);
        self.check_worker_directories(&workers);
        let worker_port = value(raw.workers).map(|raw| self.worker_port(raw));
        let projects = self.each(raw.project, Self::project, |project| &project.name);
        let change_sources = self.each(raw.changes, Self::change_source, |source| &source.name);
        let builders = self.each(raw.builder, Self::builder, |builder| &builder.name);
        let schedulers = self.each(raw.scheduler, Self::scheduler, |scheduler| &scheduler.name);
        let reporters = self.each(raw.reporter, Self::reporter, |reporter| &reporter.name);
        let secrets = value(raw.secret).unwrap_or_default().0;
        let secrets = secrets
            .into_iter()
            .filter_map(|(name, (span, raw))| self.secret(At { value: name, span }, raw.value))
            .map(|secret| (secret.name.clone(), Arc::new(secret)))
            .collect();
        let mail = value(raw.mail).and_then(|raw| self.mail(raw)).map(Arc::new);
        let plugins = value(raw.plugin).unwrap_or_default().0;
        let plugins = plugins
            .into_iter()
            .map(|(name, (span, raw))| {
                let plugin = self.plugin(At { value: name, span }, raw.value);
                (plugin.name.clone(), Arc::new(plugin))
            })
            .collect();
        Config {
            master,
            workers,
            worker_port: Arc::new(worker_port.unwrap_or_default()),
            projects,
            change_sources,
            schedulers,
            reporters,
            builders,
            locks: self.locks,
            plugins,
            secrets,
            mail,
            web,
        }
    }

    /// Checks each item of a list and keeps the good ones by name.
    fn each<R, C>(
        &mut self,
        raw: Option<At<Vec<At<R>>>>,
        check: impl Fn(&mut Self, At<R>) -> Option<C>,
        name: impl Fn(&C) -> &String,
    ) -> BTreeMap<String, Arc<C>> {
        list(raw)
            .into_iter()
            .filter_map(|item| check(self, item))
            .map(|item| (name(&item).clone(), Arc::new(item)))
            .collect()
    }

    /// Notes an amount of nothing where something is needed.
    fn at_least_one<T: PartialOrd + Default + Copy>(&mut self, number: Option<At<T>>) -> Option<T> {
        let number = number?;
        if number.value <= T::default() {
            self.report.at(number.span, "must be at least 1");
            return None;
        }
        Some(number.value)
    }
}

fn value<T>(at: Option<At<T>>) -> Option<T> {
    at.map(|at| at.value)
}

fn list<T>(at: Option<At<Vec<T>>>) -> Vec<T> {
    value(at).unwrap_or_default()
}

/// The texts of a list, without their places.
fn texts(list: Vec<At<String>>) -> Vec<String> {
    list.into_iter().map(|text| text.value).collect()
}
