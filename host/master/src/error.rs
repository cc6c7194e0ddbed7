//! The errors of this crate. Each message says what the person who asked can do.

use std::collections::BTreeMap;

use toolpost_core::{BuildId, DeliveryId, ReporterId, RequestId, SchedulerId, WorkerId};
use toolpost_sandbox::registry::RegistryError;
use toolpost_store::StoreError;

use crate::worker::WorkerError;

/// The master could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store failed.
    #[error("the store failed while the master started: {0}")]
    Store(#[from] StoreError),
    /// The directory of a worker cannot be used.
    #[error("worker `{worker}` cannot start: {reason}")]
    Worker {
        /// Its name.
        worker: String,
        /// Why.
        reason: String,
    },
    /// The certificates of `ca_file` cannot be used.
    #[error(transparent)]
    Authorities(std::io::Error),
    /// A version of a plugin cannot go live.
    #[error(transparent)]
    Plugin(RegistryError),
    /// It was told to stop in the meantime.
    #[error("the master was told to stop while it started")]
    Stopped,
}

/// A configuration could not be applied; the one before it goes on.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store failed.
    #[error("the store failed while the configuration was applied, the former one stays: {0}")]
    Store(#[from] StoreError),
    /// The directory of a worker cannot be used.
    #[error("worker `{worker}` cannot start, the former configuration stays: {reason}")]
    Worker {
        /// Its name.
        worker: String,
        /// Why.
        reason: String,
    },
    /// The certificates of `ca_file` cannot be used.
    #[error("{0}; the former configuration stays")]
    Authorities(std::io::Error),
    /// A version of a plugin that the configuration needs cannot go live.
    #[error("{0}; the former configuration stays")]
    Plugin(#[from] RegistryError),
    /// The master is stopping.
    #[error("the master is stopping and takes no new configuration")]
    Stopping,
}

impl From<WorkerError> for ApplyError {
    fn from(WorkerError { worker, reason }: WorkerError) -> Self {
        Self::Worker { worker, reason }
    }
}

impl From<WorkerError> for StartError {
    fn from(WorkerError { worker, reason }: WorkerError) -> Self {
        Self::Worker { worker, reason }
    }
}

impl From<ApplyError> for StartError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Store(error) => Self::Store(error),
            ApplyError::Worker { worker, reason } => Self::Worker { worker, reason },
            ApplyError::Authorities(error) => Self::Authorities(error),
            ApplyError::Plugin(error) => Self::Plugin(error),
            ApplyError::Stopping => Self::Stopped,
        }
    }
}

/// A form was refused.
#[derive(Debug, thiserror::Error)]
pub enum ForceError {
    /// There is no force scheduler of this name.
    #[error("there is no force scheduler `{0}`")]
    UnknownScheduler(String),
    /// Somebody has disabled the scheduler.
    #[error("the force scheduler `{0}` is disabled; it takes no forms until somebody enables it")]
    Disabled(String),
    /// None of the builders that were asked for belongs to the scheduler.
    #[error("scheduler `{scheduler}` starts none of these builders; it starts `{}`", known.join("`, `"))]
    NoBuilders {
        /// The scheduler.
        scheduler: String,
        /// What it starts.
        known: Vec<String>,
    },
    /// Fields do not fit: messages by the full name of the field.
    #[error("{}", fields.iter().map(|(name, message)| format!("{name}: {message}")).collect::<Vec<_>>().join("; "))]
    Fields {
        /// Messages by the full name of the field.
        fields: BTreeMap<String, String>,
    },
    /// The values do not fit the schema of the plugin, in a way that no single field shows.
    #[error("what was filled in does not fit: {0}")]
    Values(String),
    /// The plugin has not come to the forms before this one.
    #[error("too many forms wait for scheduler `{0}` already; see what it says it waits for")]
    TooMany(String),
    /// The configured properties of the scheduler cannot be rendered for what was sent.
    #[error("the scheduler's properties cannot be rendered: {0}")]
    Properties(String),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

/// Something that was asked of the master could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no such build.
    #[error("there is no build {0}")]
    UnknownBuild(BuildId),
    /// The builder is no longer configured.
    #[error("builder `{0}` is no longer configured on this master")]
    BuilderGone(String),
    /// There is no such request.
    #[error("there is no build request {0}")]
    UnknownRequest(RequestId),
    /// There is no such worker.
    #[error("there is no worker {0}")]
    UnknownWorker(WorkerId),
    /// The worker is a part of this process.
    #[error("worker `{0}` is a part of its master and ends with it; pause it instead")]
    WorkerLocal(String),
    /// The worker is not connected, or not any more.
    #[error("worker `{0}` is not connected, so that it cannot be told to end")]
    WorkerAway(String),
    /// The worker is connected to another master.
    #[error("worker `{0}` is connected to another master; ask that one")]
    WorkerElsewhere(String),
    /// The build ended before.
    #[error("build {0} has ended already")]
    BuildEnded(BuildId),
    /// The build runs on another master.
    #[error("build {0} runs on another master; ask that one")]
    BuildElsewhere(BuildId),
    /// The request is being built by another master.
    #[error("build request {0} is being built on another master; ask that one")]
    RequestElsewhere(RequestId),
    /// The request cannot be cancelled any more.
    #[error("build request {0} has ended already")]
    RequestEnded(RequestId),
    /// There is no such delivery.
    #[error("there is no delivery {0}; those that are done are deleted after a time")]
    UnknownDelivery(DeliveryId),
    /// There is no such reporter.
    #[error("there is no reporter {0}")]
    UnknownReporter(ReporterId),
    /// The delivery was made or discarded already.
    #[error("delivery {0} is done already")]
    DeliveryDone(DeliveryId),
    /// There is no such scheduler, or it is none of a plugin.
    #[error("there is no scheduler {0} of a plugin on this master")]
    UnknownScheduler(SchedulerId),
    /// There is no such scheduler.
    #[error("there is no scheduler {0}")]
    NoScheduler(SchedulerId),
    /// The scheduler does not stand at such an event, or not any more.
    #[error("scheduler `{0}` does not fail at {1}: it may have gone on in the meantime")]
    NotStuck(String, String),
    /// The plugins could not do it.
    #[error("{0}")]
    Plugin(String),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}
