//! Source stamps of several codebases taken together. Pure.

use std::collections::BTreeMap;

use crate::model::{Change, SourceStampSpec};

impl SourceStampSpec {
    /// The source stamp of exactly this change.
    #[must_use]
    pub fn of_change(change: &Change) -> Self {
        Self {
            codebase: change.codebase.clone(),
            repository: change.repository.clone(),
            branch: change.branch.clone(),
            revision: change.revision.clone(),
            project: change.project.clone(),
            patch: None,
        }
    }

    /// Whether both are of one line of development: same codebase, repository, branch and project. Their
    /// revisions may differ.
    #[must_use]
    pub fn same_line(&self, other: &Self) -> bool {
        self.codebase == other.codebase
            && self.repository == other.repository
            && self.branch == other.branch
            && self.project == other.project
    }
}

/// Source stamps by codebase; of several for one codebase the last counts.
#[must_use]
pub fn by_codebase<'a>(
    stamps: impl IntoIterator<Item = &'a SourceStampSpec>,
) -> BTreeMap<&'a str, &'a SourceStampSpec> {
    stamps
        .into_iter()
        .map(|stamp| (stamp.codebase.as_str(), stamp))
        .collect()
}

/// One source stamp for each codebase of several requests, given from the oldest to the newest: that of the
/// newest request that has the codebase. In the order of the codebases' names.
#[must_use]
pub fn merge<'a>(
    requests: impl IntoIterator<Item = &'a [SourceStampSpec]>,
) -> Vec<SourceStampSpec> {
    by_codebase(requests.into_iter().flatten())
        .into_values()
        .cloned()
        .collect()
}

/// `stamps` completed by `defaults` for codebases that are missing in it, in the order of the codebases' names.
///
/// So a build set always has one source stamp for each codebase of its scheduler, also for those that no
/// change is of.
#[must_use]
pub fn with_defaults(
    stamps: &[SourceStampSpec],
    defaults: &[SourceStampSpec],
) -> Vec<SourceStampSpec> {
    merge([defaults, stamps])
}

/// The source stamps of a rebuild: as they were built, with the revisions that were found during the build
/// (by codebase) where none was asked for, so that it builds the same again and not the newest.
#[must_use]
pub fn for_rebuild(
    stamps: &[SourceStampSpec],
    got_revisions: &BTreeMap<String, String>,
) -> Vec<SourceStampSpec> {
    let pinned = stamps.iter().cloned().map(|mut stamp| {
        if stamp.revision.is_none() {
            stamp.revision = got_revisions.get(&stamp.codebase).cloned();
        }
        stamp
    });
    pinned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(codebase: &str, revision: Option<&str>) -> SourceStampSpec {
        SourceStampSpec {
            codebase: codebase.into(),
            revision: revision.map(Into::into),
            ..SourceStampSpec::default()
        }
    }

    #[test]
    fn of_each_codebase_the_newest_counts() {
        let older = [stamp("lib", Some("l1")), stamp("app", Some("a1"))];
        let newer = [stamp("app", Some("a2")), stamp("tool", None)];
        assert_eq!(
            merge([older.as_slice(), newer.as_slice()]),
            [
                stamp("app", Some("a2")),
                stamp("lib", Some("l1")),
                stamp("tool", None)
            ]
        );
        assert_eq!(merge([]), []);
    }

    #[test]
    fn defaults_fill_codebases_that_are_missing() {
        let defaults = [stamp("app", None), stamp("lib", None)];
        assert_eq!(
            with_defaults(&[stamp("lib", Some("l1"))], &defaults),
            [stamp("app", None), stamp("lib", Some("l1"))]
        );
    }

    #[test]
    fn a_rebuild_is_of_the_revisions_that_were_built() {
        let found = [("app", "found"), ("lib", "other")]
            .map(|(codebase, revision)| (codebase.to_owned(), revision.to_owned()));
        let stamps = [
            stamp("app", None),
            stamp("lib", Some("asked")),
            stamp("x", None),
        ];
        assert_eq!(
            for_rebuild(&stamps, &found.into()),
            [
                stamp("app", Some("found")),
                stamp("lib", Some("asked")),
                stamp("x", None)
            ]
        );
    }
}
