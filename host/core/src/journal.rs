//! What happened on the farm, as an ordered record that is read with a cursor.
//!
//! Unlike an [`crate::Event`], an entry is never lost: it is committed together with what it tells of. Entries become
//! visible in the order of their ids, so whoever remembers the id that it has come to passes over none.

use crate::ids::{BuildId, BuilderId, BuildsetId, ChangeId, JournalId, RequestId, WorkerId};
use crate::{Results, Timestamp};

/// An entry of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalEntry {
    /// Grows in the order in which things happened; there may be gaps.
    pub id: JournalId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub fact: Fact,
}

/// What happened, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// A change arrived.
    ChangeAdded(ChangeId),
    /// A request was made.
    RequestAdded(RequestId, BuilderId),
    /// A build started.
    BuildStarted(BuildId, BuilderId),
    /// A build ended like this.
    BuildFinished(BuildId, BuilderId, Results),
    /// All requests of a build set are complete; the result is the worst of theirs.
    BuildsetComplete(BuildsetId, Results),
    /// A worker went away without having been asked to.
    WorkerLost(WorkerId),
    /// A worker that was lost is back.
    WorkerFound(WorkerId),
    /// A worker was away for longer than it may be.
    WorkerMissing(WorkerId),
    /// A worker that was missing is back.
    WorkerBack(WorkerId),
}

/// The kinds of [`Fact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JournalKind {
    /// [`Fact::ChangeAdded`].
    ChangeAdded,
    /// [`Fact::RequestAdded`].
    RequestAdded,
    /// [`Fact::BuildStarted`].
    BuildStarted,
    /// [`Fact::BuildFinished`].
    BuildFinished,
    /// [`Fact::BuildsetComplete`].
    BuildsetComplete,
    /// [`Fact::WorkerLost`].
    WorkerLost,
    /// [`Fact::WorkerFound`].
    WorkerFound,
    /// [`Fact::WorkerMissing`].
    WorkerMissing,
    /// [`Fact::WorkerBack`].
    WorkerBack,
}

impl JournalKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::ChangeAdded,
        Self::RequestAdded,
        Self::BuildStarted,
        Self::BuildFinished,
        Self::BuildsetComplete,
        Self::WorkerLost,
        Self::WorkerFound,
        Self::WorkerMissing,
        Self::WorkerBack,
    ];

    /// The word that is stored, configured and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ChangeAdded => "change-added",
            Self::RequestAdded => "request-added",
            Self::BuildStarted => "build-started",
            Self::BuildFinished => "build-finished",
            Self::BuildsetComplete => "buildset-complete",
            Self::WorkerLost => "worker-lost",
            Self::WorkerFound => "worker-found",
            Self::WorkerMissing => "worker-missing",
            Self::WorkerBack => "worker-back",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl std::fmt::Display for JournalKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Fact {
    /// Of which kind it is.
    #[must_use]
    pub fn kind(&self) -> JournalKind {
        match self {
            Self::ChangeAdded(_) => JournalKind::ChangeAdded,
            Self::RequestAdded(..) => JournalKind::RequestAdded,
            Self::BuildStarted(..) => JournalKind::BuildStarted,
            Self::BuildFinished(..) => JournalKind::BuildFinished,
            Self::BuildsetComplete(..) => JournalKind::BuildsetComplete,
            Self::WorkerLost(_) => JournalKind::WorkerLost,
            Self::WorkerFound(_) => JournalKind::WorkerFound,
            Self::WorkerMissing(_) => JournalKind::WorkerMissing,
            Self::WorkerBack(_) => JournalKind::WorkerBack,
        }
    }

    /// The row id of what it is about.
    #[must_use]
    pub fn subject(&self) -> i64 {
        match self {
            Self::ChangeAdded(change) => change.0,
            Self::RequestAdded(request, _) => request.0,
            Self::BuildStarted(build, _) | Self::BuildFinished(build, ..) => build.0,
            Self::BuildsetComplete(buildset, _) => buildset.0,
            Self::WorkerLost(worker)
            | Self::WorkerFound(worker)
            | Self::WorkerMissing(worker)
            | Self::WorkerBack(worker) => worker.0,
        }
    }

    /// The builder that it is about.
    #[must_use]
    pub fn builder(&self) -> Option<BuilderId> {
        match self {
            Self::RequestAdded(_, builder)
            | Self::BuildStarted(_, builder)
            | Self::BuildFinished(_, builder, _) => Some(*builder),
            _ => None,
        }
    }

    /// How what it is about ended.
    #[must_use]
    pub fn results(&self) -> Option<Results> {
        match self {
            Self::BuildFinished(.., results) | Self::BuildsetComplete(_, results) => Some(*results),
            _ => None,
        }
    }

    /// Puts a fact together from its parts; `None` when a part is missing that its kind has.
    #[must_use]
    pub fn from_parts(
        kind: JournalKind,
        subject: i64,
        builder: Option<BuilderId>,
        results: Option<Results>,
    ) -> Option<Self> {
        Some(match kind {
            JournalKind::ChangeAdded => Self::ChangeAdded(subject.into()),
            JournalKind::RequestAdded => Self::RequestAdded(subject.into(), builder?),
            JournalKind::BuildStarted => Self::BuildStarted(subject.into(), builder?),
            JournalKind::BuildFinished => Self::BuildFinished(subject.into(), builder?, results?),
            JournalKind::BuildsetComplete => Self::BuildsetComplete(subject.into(), results?),
            JournalKind::WorkerLost => Self::WorkerLost(subject.into()),
            JournalKind::WorkerFound => Self::WorkerFound(subject.into()),
            JournalKind::WorkerMissing => Self::WorkerMissing(subject.into()),
            JournalKind::WorkerBack => Self::WorkerBack(subject.into()),
        })
    }

    /// What has to be told in order: facts of the same stream are, others may be told beside each other.
    #[must_use]
    pub fn stream(&self) -> String {
        let subject = self.subject();
        match self {
            Self::ChangeAdded(_) => format!("change {subject}"),
            Self::RequestAdded(..) => format!("request {subject}"),
            Self::BuildStarted(..) | Self::BuildFinished(..) => format!("build {subject}"),
            Self::BuildsetComplete(..) => format!("build set {subject}"),
            Self::WorkerLost(_)
            | Self::WorkerFound(_)
            | Self::WorkerMissing(_)
            | Self::WorkerBack(_) => format!("worker {subject}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: [Fact; 9] = [
        Fact::ChangeAdded(ChangeId(1)),
        Fact::RequestAdded(RequestId(2), BuilderId(9)),
        Fact::BuildStarted(BuildId(3), BuilderId(9)),
        Fact::BuildFinished(BuildId(3), BuilderId(9), Results::Failure),
        Fact::BuildsetComplete(BuildsetId(4), Results::Warnings),
        Fact::WorkerLost(WorkerId(5)),
        Fact::WorkerFound(WorkerId(5)),
        Fact::WorkerMissing(WorkerId(5)),
        Fact::WorkerBack(WorkerId(5)),
    ];

    #[test]
    fn a_fact_is_put_together_again_from_its_parts() {
        for (fact, kind) in FACTS.into_iter().zip(JournalKind::ALL) {
            assert_eq!(fact.kind(), kind);
            assert_eq!(JournalKind::from_name(kind.name()), Some(kind));
            let (subject, builder, results) = (fact.subject(), fact.builder(), fact.results());
            assert_eq!(
                Fact::from_parts(kind, subject, builder, results),
                Some(fact)
            );
        }
        assert_eq!(JournalKind::from_name("build-exploded"), None);
    }

    #[test]
    fn a_fact_lacks_none_of_its_parts() {
        let missing = [
            (JournalKind::RequestAdded, None, None),
            (JournalKind::BuildFinished, Some(BuilderId(1)), None),
            (JournalKind::BuildFinished, None, Some(Results::Success)),
            (JournalKind::BuildsetComplete, Some(BuilderId(1)), None),
        ];
        for (kind, builder, results) in missing {
            assert_eq!(Fact::from_parts(kind, 1, builder, results), None, "{kind}");
        }
    }

    #[test]
    fn start_and_end_of_a_build_are_one_stream_and_nothing_else_is_in_it() {
        let streams = FACTS.map(|fact| fact.stream());
        assert_eq!(streams[2], streams[3]);
        assert_eq!(streams[5], streams[6]);
        assert_eq!(streams[5], streams[7]);
        assert_eq!(streams[5], streams[8]);
        let different: std::collections::BTreeSet<_> = streams.iter().collect();
        assert_eq!(different.len(), 5);
    }
}
