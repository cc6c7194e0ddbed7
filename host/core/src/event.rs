//! What happened, as facts without contents: who hears one re-reads the store.

use crate::ids::{
    BuildId, BuilderId, BuildsetId, ChangeId, LogId, MasterId, ReporterId, RequestId, SchedulerId,
    StepId, WorkerId,
};

/// Something in the store changed. Emitted after the commit that made it true; may be lost or repeated,
/// so it wakes and informs but is never the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A master started, stopped or was found dead.
    Master(MasterId),
    /// A builder was added, changed or removed by a configuration.
    Builder(BuilderId),
    /// A worker connected, went, was paused or configured.
    Worker(WorkerId),
    /// A scheduler was added, changed, enabled or disabled.
    Scheduler(SchedulerId),
    /// A change arrived.
    ChangeAdded(ChangeId),
    /// A build set was made.
    BuildsetAdded(BuildsetId),
    /// All requests of a build set are complete.
    BuildsetComplete(BuildsetId),
    /// A request was made.
    RequestAdded(RequestId, BuilderId),
    /// A master took a request.
    RequestClaimed(RequestId, BuilderId),
    /// A request went back to the queue.
    RequestUnclaimed(RequestId, BuilderId),
    /// A request got its final result.
    RequestComplete(RequestId, BuilderId),
    /// A build started.
    BuildStarted(BuildId, BuilderId),
    /// State string or properties of a running build changed.
    BuildChanged(BuildId, BuilderId),
    /// A build ended.
    BuildFinished(BuildId, BuilderId),
    /// A step was added to a build (it may still wait for a lock).
    StepAdded(StepId, BuildId),
    /// A step began to run.
    StepStarted(StepId, BuildId),
    /// State string, URLs or visibility of a step changed.
    StepChanged(StepId, BuildId),
    /// A step ended.
    StepFinished(StepId, BuildId),
    /// A log was opened.
    LogAdded(LogId, StepId),
    /// Lines were appended to a log.
    LogAppended(LogId, StepId),
    /// A log got its last line.
    LogFinished(LogId, StepId),
    /// A reporter got something to tell, told it, gave it up, or was asked to tell it again.
    Reporter(ReporterId),
    /// A plugin version was committed, refused, rolled back or removed; the name is the plugin's.
    Plugin(String),
    /// A configuration was applied or refused.
    Configuration,
}
