//! The configuration as it is written: every key, documented, nothing checked yet beyond types.
//!
//! The comments on the keys are what an editor shows, so they speak to the person who writes TOML.

mod auth;
mod builder;
mod changes;
mod force;
mod master;
mod project;
mod reporter;
mod scheduler;
mod web;

pub(crate) use auth::{
    RawAuth, RawAuthHeader, RawOtherwise, RawProvider, RawProviderKind, RawRole, RawRule, RawUser,
};
pub(crate) use builder::{
    FailureWord, LockMode, RawBuilder, RawEnvironmentValue, RawLockUse, RawStep, RawSummaryPolicy,
    RawWhen, ResultsWord,
};
pub(crate) use changes::{RawBranches, RawChangeSource, RawGitPoller};
pub(crate) use force::{
    ParameterLayout, RawAnyParameter, RawChoiceParameter, RawFileParameter, RawForce,
    RawForceCodebase, RawForceField, RawForcePatch, RawInheritParameter, RawIntParameter,
    RawNestedParameter, RawParameter, RawParameterCommon, RawStringParameter, RawTextParameter,
};
pub(crate) use master::{
    LockScope, RawGrant, RawLimits, RawLocalWorker, RawLock, RawMail, RawMailTls, RawMaster,
    RawPlugin, RawPlugins, RawRemoteWorker, RawSecret, RawWorker, RawWorkers,
};
pub(crate) use project::RawProject;
pub(crate) use reporter::{RawReporter, RawRetry, ReportedResults, ReporterEvent};
pub(crate) use scheduler::{
    NATIVE_SCHEDULERS, RawCodebase, RawFilter, RawMatcher, RawPluginScheduler, RawScheduler,
    RawSingleBranch,
};
pub(crate) use web::RawWeb;

use crate::decode::{Keyed, ROOT, raw_table};
use crate::tree::At;

raw_table! {
    /// A Toolpost configuration.
    RawConfig(ROOT) {
        /// The master process: addresses, places, limits.
        master ? RawMaster,
        /// A machine, or a part of one, that runs builds.
        worker ? Vec<At<RawWorker>>,
        /// Where workers from elsewhere connect.
        workers ? RawWorkers,
        /// What builders and codebases belong to.
        project ? Vec<At<RawProject>>,
        /// Where changes come from.
        changes ? Vec<At<RawChangeSource>>,
        /// When what is built.
        scheduler ? Vec<At<RawScheduler>>,
        /// Who is told what happens.
        reporter ? Vec<At<RawReporter>>,
        /// What is built, and how.
        builder ? Vec<At<RawBuilder>>,
        /// Something that not everybody may use at one time.
        lock ? Vec<At<RawLock>>,
        /// Grants and limits of plugins, by the plugin's name.
        plugin ? Keyed<RawPlugin>,
        /// Where secrets are found, by name.
        secret ? Keyed<RawSecret>,
        /// The mail server that plugins send mail through.
        mail ? RawMail,
        /// The web server: who is let in, what it serves beside its own pages, and how much one client may ask for.
        web ? RawWeb,
    }
}
