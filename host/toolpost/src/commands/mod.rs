//! One function for each command.

mod check;
mod hash_password;
mod plugin;
mod plugin_dev;
mod plugin_inspect;
mod plugin_new;
mod plugin_remote;
mod plugin_replay;
mod plugin_test;
mod run;
mod signals;
mod token;
mod worker;

pub(crate) use check::{check, plan, schema};
pub(crate) use hash_password::hash_password;
pub(crate) use plugin::plugin_build;
pub(crate) use plugin_dev::plugin_dev;
pub(crate) use plugin_inspect::{Shown, plugin_inspect};
pub(crate) use plugin_new::plugin_new;
pub(crate) use plugin_remote::{plugin_history, plugin_list, plugin_reload, plugin_rollback};
pub(crate) use plugin_replay::plugin_replay;
pub(crate) use plugin_test::plugin_test;
pub(crate) use run::run;
pub(crate) use token::{token_create, token_list, token_revoke};
pub(crate) use worker::worker;

use crate::output::Failure;

/// How a command ends.
pub(crate) type Done = Result<(), Failure>;
