//! The changes that wait, by branch. Pure.

use serde::{Deserialize, Serialize};
use toolpost_sdk::scheduler::NewBuildset;
use toolpost_sdk::{Change, SourceStamp};

/// As many as a build set takes.
const CHANGES_PER_BRANCH_MAX: usize = 1_000;
/// So many fit into the state of a scheduler, with all their changes.
const BRANCHES_MAX: usize = 100;

/// The changes that wait, the branch that waits longest first.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Waiting(Vec<Branch>);

/// What waits on one branch of a project: one build set.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Branch {
    project: String,
    branch: Option<String>,
    /// The newest sources of each codebase.
    stamps: Vec<SourceStamp>,
    /// The newest changes, oldest first.
    changes: Vec<u64>,
    /// How many changes there are, with those that no longer fit.
    count: u64,
}

impl Waiting {
    /// Adds a change. When too many branches wait, the one that has waited longest comes back: it cannot wait any
    /// longer.
    pub(crate) fn add(&mut self, change: &Change) -> Option<Branch> {
        let known = self
            .0
            .iter_mut()
            .find(|other| other.project == change.project && other.branch == change.branch);
        if let Some(branch) = known {
            branch.add(change);
            return None;
        }
        self.0.push(Branch {
            project: change.project.clone(),
            branch: change.branch.clone(),
            stamps: vec![change.source_stamp()],
            changes: vec![change.id],
            count: 1,
        });
        (self.0.len() > BRANCHES_MAX).then(|| self.0.remove(0))
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Vec<Branch> {
        std::mem::take(&mut self.0)
    }

    /// How many changes wait.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|branch| branch.count).sum()
    }
}

impl Branch {
    fn add(&mut self, change: &Change) {
        let stamp = change.source_stamp();
        match self
            .stamps
            .iter_mut()
            .find(|other| other.codebase == stamp.codebase)
        {
            Some(other) => *other = stamp,
            None => self.stamps.push(stamp),
        }
        if self.changes.len() == CHANGES_PER_BRANCH_MAX {
            self.changes.remove(0);
        }
        self.changes.push(change.id);
        self.count += 1;
    }

    /// The build of it.
    pub(crate) fn buildset(self, reason: &str) -> NewBuildset {
        NewBuildset::new(reason)
            .source_stamps(self.stamps)
            .changes(self.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: u64, branch: &str, codebase: &str) -> Change {
        Change {
            id,
            branch: Some(branch.to_owned()),
            codebase: codebase.to_owned(),
            revision: Some(format!("r{id}")),
            ..Change::default()
        }
    }

    #[test]
    fn a_branch_is_built_with_the_newest_of_each_codebase() {
        let mut waiting = Waiting::default();
        for change in [
            change(1, "main", "app"),
            change(2, "main", "docs"),
            change(3, "dev", "app"),
            change(4, "main", "app"),
        ] {
            assert_eq!(waiting.add(&change), None);
        }
        assert_eq!(waiting.count(), 4);
        let buildsets: Vec<NewBuildset> = waiting
            .take()
            .into_iter()
            .map(|branch| branch.buildset("x"))
            .collect();
        let revisions = |index: usize| -> Vec<_> {
            let stamps = &buildsets[index].source_stamps;
            stamps
                .iter()
                .filter_map(|stamp| stamp.revision.as_deref())
                .collect()
        };
        assert_eq!(buildsets.len(), 2);
        assert_eq!(
            (buildsets[0].changes.as_slice(), revisions(0)),
            (&[1, 2, 4][..], vec!["r4", "r2"])
        );
        assert_eq!(
            (buildsets[1].changes.as_slice(), revisions(1)),
            (&[3][..], vec!["r3"])
        );
        assert_eq!(waiting.count(), 0);
    }

    #[test]
    fn what_waits_is_limited() {
        let mut waiting = Waiting::default();
        for id in 0..2_000 {
            assert_eq!(waiting.add(&change(id, "main", "")), None);
        }
        for n in 1..BRANCHES_MAX {
            assert_eq!(waiting.add(&change(5_000, &n.to_string(), "")), None);
        }
        let oldest = waiting
            .add(&change(6_000, "one more", ""))
            .expect("it is one too many");
        assert_eq!(oldest.count, 2_000);
        let changes = oldest.buildset("").changes;
        assert_eq!(
            (changes.len(), changes[0], changes[999]),
            (1_000, 1_000, 1_999)
        );
        assert_eq!(waiting.0.len(), BRANCHES_MAX);
    }
}
