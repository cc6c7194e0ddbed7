//! `plugin.describe`.

use super::bindings::plugin_world::exports::toolpost::plugin::plugin as wit;
use crate::{Capability, Plugin, ReporterType, SchedulerType, StepType};

/// `plugin.describe`.
#[must_use]
pub fn describe(plugin: &Plugin) -> wit::PluginInfo {
    wit::PluginInfo {
        name: plugin.name.to_owned(),
        version: plugin.version.to_owned(),
        description: plugin.description.to_owned(),
        steps: plugin.steps.iter().map(step).collect(),
        schedulers: plugin.schedulers.iter().map(scheduler).collect(),
        reporters: plugin.reporters.iter().map(reporter).collect(),
        wants: plugin.wants.iter().map(capability).collect(),
    }
}

fn step(step: &StepType) -> wit::StepType {
    wit::StepType {
        name: step.name.to_owned(),
        summary: step.summary.to_owned(),
        parameters_schema: step.schema().to_string(),
    }
}

fn scheduler(scheduler: &SchedulerType) -> wit::SchedulerType {
    wit::SchedulerType {
        name: scheduler.name.to_owned(),
        summary: scheduler.summary.to_owned(),
        parameters_schema: scheduler.schema().to_string(),
        force_schema: scheduler.force_schema().map(|schema| schema.to_string()),
    }
}

fn reporter(reporter: &ReporterType) -> wit::ReporterType {
    wit::ReporterType {
        name: reporter.name.to_owned(),
        summary: reporter.summary.to_owned(),
        parameters_schema: reporter.schema().to_string(),
    }
}

fn capability(capability: &Capability) -> wit::Capability {
    match capability {
        Capability::HttpHost(host) => wit::Capability::HttpHost(host.clone()),
        Capability::Secret(name) => wit::Capability::Secret(name.clone()),
        Capability::Environment(name) => wit::Capability::Environment(name.clone()),
        Capability::Storage => wit::Capability::Storage,
        Capability::Mail => wit::Capability::Mail,
        Capability::Trigger(builder) => wit::Capability::Trigger(builder.clone()),
        Capability::Artifacts(builder) => wit::Capability::Artifacts(builder.clone()),
    }
}
