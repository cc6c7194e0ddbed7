//! Projects, and what is known of their codebases: branches and commits, as change sources find them. Fields carry Buildbot's
//! names (REST API specification 4.3.0).

use crate::ids::{BranchId, CodebaseId, CommitId, ProjectId};
use crate::time::Timestamp;

/// A project: what builders and codebases belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Row id.
    pub id: ProjectId,
    /// Unique name.
    pub name: String,
    /// What stands for it where a name is short.
    pub slug: String,
    /// For people.
    pub description: Option<String>,
}

/// A codebase of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codebase {
    /// Row id.
    pub id: CodebaseId,
    /// The project that it belongs to.
    pub project_id: ProjectId,
    /// Unique in its project.
    pub name: String,
    /// What stands for it where a name is short.
    pub slug: String,
}

/// A branch of a codebase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodebaseBranch {
    /// Row id.
    pub id: BranchId,
    /// The codebase that it is of.
    pub codebase_id: CodebaseId,
    /// Unique in its codebase.
    pub name: String,
    /// Its newest commit that is known.
    pub commit_id: Option<CommitId>,
    /// When that was found.
    pub moved_at: Timestamp,
}

/// A commit of a codebase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodebaseCommit {
    /// Row id.
    pub id: CommitId,
    /// The codebase that it is in.
    pub codebase_id: CodebaseId,
    /// The author, usually `Name <mail>`.
    pub author: String,
    /// Who committed it.
    pub committer: Option<String>,
    /// The commit message.
    pub comments: String,
    /// When it was made.
    pub when: Timestamp,
    /// Unique in its codebase.
    pub revision: String,
    /// The one that was the newest of its branch when it came.
    pub parent_id: Option<CommitId>,
}

/// Where two commits part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonCommit {
    /// The newest one that both go back to.
    pub common: CommitId,
    /// From that to the first, both with them.
    pub to_first: Vec<CommitId>,
    /// From that to the second, both with them.
    pub to_second: Vec<CommitId>,
}

impl CommonCommit {
    /// Finds where two lines part, each of which begins with a commit and goes back from parent to parent.
    #[must_use]
    pub fn of(first: &[CommitId], second: &[CommitId]) -> Option<Self> {
        let (at, common) = second
            .iter()
            .enumerate()
            .find(|(_, commit)| first.contains(commit))?;
        let back = first.iter().position(|commit| commit == common)?;
        let forth = |line: &[CommitId]| line.iter().rev().copied().collect();
        Some(Self {
            common: *common,
            to_first: forth(first.get(..=back)?),
            to_second: forth(second.get(..=at)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_part_at_the_newest_commit_that_both_have() {
        let line = |ids: &[i64]| ids.iter().map(|id| CommitId(*id)).collect::<Vec<_>>();
        type Parted<'a> = Option<(i64, &'a [i64], &'a [i64])>;
        let table: &[(&[i64], &[i64], Parted<'_>)] = &[
            (&[1], &[1], Some((1, &[1], &[1]))),
            (&[1], &[2, 1], Some((1, &[1], &[1, 2]))),
            (&[3, 1], &[2, 1], Some((1, &[1, 3], &[1, 2]))),
            (&[4, 3, 1], &[5, 3, 1], Some((3, &[3, 4], &[3, 5]))),
            (&[1], &[2], None),
            (&[], &[2], None),
        ];
        for (first, second, expected) in table {
            let found = CommonCommit::of(&line(first), &line(second));
            let expected = expected.map(|(common, to_first, to_second)| CommonCommit {
                common: CommitId(common),
                to_first: line(to_first),
                to_second: line(to_second),
            });
            assert_eq!(found, expected, "{first:?} {second:?}");
        }
    }
}
