//! Typed row ids. An id of one table cannot be passed where another table's is asked for.

/// Declares a newtype over `i64` for each table's primary key.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

ids! {
    /// A running or former master process of this farm.
    MasterId,
    /// A builder: a named recipe of steps with the workers that may run it.
    BuilderId,
    /// A worker: a named machine (or slot of this one) that runs commands.
    WorkerId,
    /// A scheduler.
    SchedulerId,
    /// A change source (poller or hook).
    ChangeSourceId,
    /// A change: one commit as a change source reported it.
    ChangeId,
    /// A source stamp: which revision of one codebase.
    SourceStampId,
    /// A patch of a source stamp.
    PatchId,
    /// A build set: requests that were made together for the same source stamps.
    BuildsetId,
    /// A build request: one builder's part of a build set.
    RequestId,
    /// A build: one attempt to carry out a request.
    BuildId,
    /// A step of a build.
    StepId,
    /// A log of a step.
    LogId,
    /// An entry of the journal; grows in the order in which things happened.
    JournalId,
    /// A reporter.
    ReporterId,
    /// A delivery: one thing that one reporter is to tell.
    DeliveryId,
    /// A form that was sent to a scheduler of a plugin.
    ForcedId,
    /// A file that is kept with a build.
    ArtifactId,
    /// A named value of a build.
    BuildDataId,
    /// A set of test results.
    TestResultSetId,
    /// A test result.
    TestResultId,
    /// A project: what builders and codebases belong to.
    ProjectId,
    /// A codebase of a project.
    CodebaseId,
    /// A branch of a codebase.
    BranchId,
    /// A commit of a codebase.
    CommitId,
}
