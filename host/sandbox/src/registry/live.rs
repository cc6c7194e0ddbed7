//! The types that new builds get, and the step types that builds hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::plugin::{Pin, PluginKind, TypeInfo};
use crate::{PluginVersion, ReporterType, SchedulerType, StepType};

/// All types by name, as of one moment.
pub type Snapshot = Arc<LiveTypes>;

/// The types that plugins bring, by kind and name.
#[derive(Debug, Default)]
pub struct LiveTypes {
    /// Step types.
    pub steps: BTreeMap<String, Arc<StepType>>,
    /// Scheduler types.
    pub schedulers: BTreeMap<String, Arc<SchedulerType>>,
    /// Reporter types.
    pub reporters: BTreeMap<String, Arc<ReporterType>>,
}

impl LiveTypes {
    pub(super) fn add(&mut self, version: &Arc<PluginVersion>) {
        for step in version.step_types() {
            self.steps.insert(step.info().name().to_owned(), step);
        }
        for scheduler in version.scheduler_types() {
            let name = scheduler.info().name().to_owned();
            self.schedulers.insert(name, scheduler);
        }
        for reporter in version.reporter_types() {
            let name = reporter.info().name().to_owned();
            self.reporters.insert(name, reporter);
        }
    }

    /// What is known of a type, and the version that it belongs to.
    #[must_use]
    pub fn get(
        &self,
        kind: PluginKind,
        name: &str,
    ) -> Option<(&Arc<PluginVersion>, &Arc<TypeInfo>)> {
        match kind {
            PluginKind::Step => {
                let found = self.steps.get(name)?;
                Some((found.plugin(), found.info()))
            }
            PluginKind::Scheduler => {
                let found = self.schedulers.get(name)?;
                Some((found.plugin(), found.info()))
            }
            PluginKind::Reporter => {
                let found = self.reporters.get(name)?;
                Some((found.plugin(), found.info()))
            }
        }
    }

    /// The names of the types of a kind.
    #[must_use]
    pub fn names(&self, kind: PluginKind) -> Vec<String> {
        match kind {
            PluginKind::Step => self.steps.keys().cloned().collect(),
            PluginKind::Scheduler => self.schedulers.keys().cloned().collect(),
            PluginKind::Reporter => self.reporters.keys().cloned().collect(),
        }
    }
}

/// The step types that a build started with. While it is kept, their versions stay in memory and are shown as
/// used.
#[derive(Debug, Default)]
pub struct Pins {
    step_types: BTreeMap<String, Arc<StepType>>,
    /// One for each version.
    _held: Vec<Pin>,
}

impl Pins {
    pub(super) fn new<'a>(snapshot: &Snapshot, names: impl IntoIterator<Item = &'a str>) -> Self {
        let step_types: BTreeMap<String, Arc<StepType>> = names
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), snapshot.steps.get(name)?.clone())))
            .collect();
        let versions: BTreeMap<&str, _> = step_types
            .values()
            .map(|step_type| (step_type.plugin().name(), step_type.plugin()))
            .collect();
        let held = versions.values().map(|version| version.pin()).collect();
        Self {
            step_types,
            _held: held,
        }
    }

    /// A step type, if it was pinned.
    #[must_use]
    pub fn step_type(&self, name: &str) -> Option<&Arc<StepType>> {
        self.step_types.get(name)
    }

    /// All that were pinned, by name.
    pub fn step_types(&self) -> impl Iterator<Item = &Arc<StepType>> {
        self.step_types.values()
    }
}
