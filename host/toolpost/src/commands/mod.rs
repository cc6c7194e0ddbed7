//! One function for each command.

mod check;
mod plugin;
mod plugin_new;
mod run;

pub(crate) use check::{check, plan, schema};
pub(crate) use plugin::{plugin_build, plugin_inspect, plugin_list};
pub(crate) use plugin_new::plugin_new;
pub(crate) use run::run;

use crate::output::Failure;

/// How a command ends.
pub(crate) type Done = Result<(), Failure>;
