//! Builds: from a claimed request to a result in the store.

pub(crate) mod command;
pub(crate) mod context;
pub(crate) mod farm;
pub(crate) mod logs;
pub(crate) mod outcome;
pub(crate) mod plugin;
mod plugin_commands;
#[cfg(test)]
mod plugin_farm_tests;
mod plugin_host;
#[cfg(test)]
mod plugin_host_tests;
mod plugin_work;
mod recording;
mod render;
mod runner;
mod secrets;
pub(crate) mod step;
mod tally;

pub(crate) use context::{BuildContext, BuildParts, StepContext};
pub(crate) use recording::Recordings;
pub(crate) use runner::BuildRunner;
pub(crate) use step::StepPlan;
