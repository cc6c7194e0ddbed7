//! The changes of each branch in the order of their arrival, and what is known of their builds. Pure.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use toolpost_sdk::{Change, SourceStamp};

/// What fits into the state of a scheduler, over all branches.
const CHANGES_MAX: usize = 5_000;

/// A change that may be looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspect {
    /// The number of the change.
    pub(crate) id: u64,
    pub(crate) revision: String,
}

/// All branches, by repository and branch.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct History(BTreeMap<String, Branch>);

/// A branch of a repository.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Branch {
    changes: VecDeque<Suspect>,
    builders: BTreeMap<String, Known>,
}

/// What is known of a builder on a branch, as numbers of changes.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Known {
    /// The newest change whose build was good.
    good: Option<u64>,
    /// The change with which it failed first after that. Failures after it are no news.
    broken: Option<u64>,
}

/// What a failed build means.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    /// One of these has broken it, oldest first; never empty.
    Suspects(Vec<Suspect>),
    /// It was broken before, or has worked with a later change since.
    NoNews,
    /// No good build before it is known.
    NoGoodBuild,
}

impl History {
    /// Remembers a change.
    pub(crate) fn add(&mut self, change: &Change, remember: usize) {
        let Some(revision) = change.revision.clone() else {
            return;
        };
        let branch = self.0.entry(key(&change.source_stamp())).or_default();
        branch.changes.push_back(Suspect {
            id: change.id,
            revision,
        });
        while branch.changes.len() > remember {
            branch.changes.pop_front();
        }
        self.forget_quiet_branches();
    }

    /// Takes in that a builder works with these sources.
    pub(crate) fn good(&mut self, builder: &str, stamp: &SourceStamp) {
        let Some((id, known)) = self.known(builder, stamp) else {
            return;
        };
        known.good = known.good.max(Some(id));
        if known.broken.is_some_and(|broken| broken <= id) {
            known.broken = None;
        }
    }

    /// Takes in that a builder fails with these sources. `None` when its change is not known.
    pub(crate) fn bad(&mut self, builder: &str, stamp: &SourceStamp) -> Option<Failure> {
        let (id, known) = self.known(builder, stamp)?;
        if known.broken.is_some() || known.good.is_some_and(|good| id <= good) {
            return Some(Failure::NoNews);
        }
        known.broken = Some(id);
        let Some(good) = known.good else {
            return Some(Failure::NoGoodBuild);
        };
        let changes = &self.0.get(&key(stamp))?.changes;
        if changes.front().is_none_or(|oldest| oldest.id > good) {
            // There may have been suspects that are forgotten.
            return Some(Failure::NoGoodBuild);
        }
        let suspects = changes
            .iter()
            .filter(|suspect| (good + 1..=id).contains(&suspect.id));
        Some(Failure::Suspects(suspects.cloned().collect()))
    }

    /// The change of these sources, and what is known of a builder on their branch.
    fn known(&mut self, builder: &str, stamp: &SourceStamp) -> Option<(u64, &mut Known)> {
        let branch = self.0.get_mut(&key(stamp))?;
        let revision = stamp.revision.as_deref()?;
        let found = branch
            .changes
            .iter()
            .rev()
            .find(|change| change.revision == revision);
        let id = found?.id;
        Some((id, branch.builders.entry(builder.to_owned()).or_default()))
    }

    fn forget_quiet_branches(&mut self) {
        let count = |branches: &BTreeMap<String, Branch>| -> usize {
            branches.values().map(|branch| branch.changes.len()).sum()
        };
        while self.0.len() > 1 && count(&self.0) > CHANGES_MAX {
            let newest = |branch: &Branch| branch.changes.back().map(|change| change.id);
            let quietest = self.0.iter().min_by_key(|(_, branch)| newest(branch));
            let Some(quietest) = quietest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.0.remove(&quietest);
        }
    }
}

fn key(stamp: &SourceStamp) -> String {
    format!(
        "{} {}",
        stamp.repository,
        stamp.branch.as_deref().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(branch: &str, revision: u64) -> SourceStamp {
        SourceStamp {
            branch: Some(branch.to_owned()),
            revision: Some(format!("r{revision}")),
            ..SourceStamp::default()
        }
    }

    fn change(branch: &str, id: u64) -> Change {
        Change {
            id,
            branch: Some(branch.to_owned()),
            revision: Some(format!("r{id}")),
            ..Change::default()
        }
    }

    fn history(ids: impl IntoIterator<Item = u64>, remember: usize) -> History {
        let mut history = History::default();
        for id in ids {
            history.add(&change("main", id), remember);
        }
        history
    }

    fn suspects(ids: &[u64]) -> Option<Failure> {
        let suspect = |id: &u64| Suspect {
            id: *id,
            revision: format!("r{id}"),
        };
        Some(Failure::Suspects(ids.iter().map(suspect).collect()))
    }

    #[test]
    fn suspects_came_after_the_last_good_build() {
        let mut history = history([1, 2, 5, 6, 9], 100);
        history.good("a", &stamp("main", 2));
        assert_eq!(history.bad("a", &stamp("main", 9)), suspects(&[5, 6, 9]));
        assert_eq!(history.bad("a", &stamp("main", 9)), Some(Failure::NoNews));
        assert_eq!(
            history.bad("b", &stamp("main", 9)),
            Some(Failure::NoGoodBuild)
        );
        assert_eq!(history.bad("a", &stamp("main", 7)), None);
        assert_eq!(history.bad("a", &stamp("dev", 9)), None);
        assert_eq!(history.bad("a", &SourceStamp::default()), None);
    }

    #[test]
    fn it_is_news_again_once_it_has_worked() {
        let mut history = history(1..=9, 100);
        history.good("a", &stamp("main", 1));
        assert_eq!(history.bad("a", &stamp("main", 3)), suspects(&[2, 3]));
        history.good("a", &stamp("main", 2));
        assert_eq!(
            history.bad("a", &stamp("main", 4)),
            Some(Failure::NoNews),
            "still broken"
        );
        history.good("a", &stamp("main", 5));
        assert_eq!(
            history.bad("a", &stamp("main", 4)),
            Some(Failure::NoNews),
            "an old one"
        );
        assert_eq!(history.bad("a", &stamp("main", 6)), suspects(&[6]));
    }

    #[test]
    fn what_is_forgotten_is_not_taken_for_good() {
        let mut history = history(1..=9, 3);
        history.good("a", &stamp("main", 7));
        assert_eq!(history.bad("a", &stamp("main", 9)), suspects(&[8, 9]));
        history.good("a", &stamp("main", 9));
        for id in 10..=12 {
            history.add(&change("main", id), 3);
        }
        assert_eq!(
            history.bad("a", &stamp("main", 12)),
            Some(Failure::NoGoodBuild)
        );
    }

    #[test]
    fn quiet_branches_are_forgotten_first() {
        let mut history = History::default();
        for id in 0..6_000 {
            history.add(&change(&format!("b{}", id / 1_000), id), 1_000);
        }
        let branches: Vec<&str> = history.0.keys().map(String::as_str).collect();
        assert_eq!(branches, [" b1", " b2", " b3", " b4", " b5"]);
    }
}
