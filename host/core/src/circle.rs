//! Builds that wait for builds that they asked for, and those, directly or through others, for them: none of them ever
//! ends by itself.
//!
//! Pure. What is said to be hopeless is so as long as nobody intervenes; what only might be is not said to be.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{BuildId, RequestId};

/// Who waits for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// The requests that a build waits for: for all of them.
    pub builds: BTreeMap<BuildId, Vec<RequestId>>,
    /// The builds that carry requests out.
    pub running: BTreeMap<RequestId, BuildId>,
    /// Requests that cannot begin before one of these builds has ended.
    pub blocked: BTreeMap<RequestId, BTreeSet<BuildId>>,
}

impl Waits {
    /// The builds that wait for ever, each with the first request that keeps it.
    #[must_use]
    pub fn hopeless(&self) -> BTreeMap<BuildId, RequestId> {
        let mut left: BTreeSet<BuildId> = self.builds.keys().copied().collect();
        loop {
            let before = left.len();
            let still = |build: &BuildId| self.kept_by(*build, &left).is_some();
            left = left.iter().copied().filter(still).collect();
            if left.len() == before {
                break;
            }
        }
        let kept = left.iter().filter_map(|build| {
            let request = self.kept_by(*build, &left)?;
            Some((*build, request))
        });
        kept.collect()
    }

    /// A request that a build waits for and that does not end before one of `left` does.
    fn kept_by(&self, build: BuildId, left: &BTreeSet<BuildId>) -> Option<RequestId> {
        let mut requests = self.builds.get(&build)?.iter().copied();
        requests.find(|request| match self.running.get(request) {
            Some(running) => left.contains(running),
            None => self
                .blocked
                .get(request)
                .is_some_and(|by| !by.is_empty() && by.is_subset(left)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(
        builds: &[(i64, &[i64])],
        running: &[(i64, i64)],
        blocked: &[(i64, &[i64])],
    ) -> Vec<(i64, i64)> {
        let requests = |ids: &[i64]| ids.iter().copied().map(RequestId).collect();
        let waits = Waits {
            builds: builds
                .iter()
                .map(|(build, ids)| (BuildId(*build), requests(ids)))
                .collect(),
            running: running
                .iter()
                .map(|(request, build)| (RequestId(*request), BuildId(*build)))
                .collect(),
            blocked: blocked
                .iter()
                .map(|(request, by)| {
                    let by = by.iter().copied().map(BuildId).collect();
                    (RequestId(*request), by)
                })
                .collect(),
        };
        let hopeless = waits.hopeless().into_iter();
        hopeless
            .map(|(build, request)| (build.0, request.0))
            .collect()
    }

    #[test]
    fn a_build_that_waits_for_its_own_place_waits_for_ever() {
        // Build 1 asked for request 10, which cannot begin before build 1 has ended.
        assert_eq!(waits(&[(1, &[10])], &[], &[(10, &[1])]), [(1, 10)]);
    }

    #[test]
    fn a_circle_may_lead_through_builds_that_run() {
        // Build 1 waits for build 2, and that for a request which wants the place of build 1.
        let builds: &[(i64, &[i64])] = &[(1, &[10]), (2, &[20])];
        assert_eq!(waits(builds, &[(10, 2)], &[(20, &[1])]), [(1, 10), (2, 20)]);
    }

    #[test]
    fn who_may_still_get_a_place_is_not_hopeless() {
        // Build 3 works, and gives a place back when it ends.
        assert_eq!(waits(&[(1, &[10])], &[], &[(10, &[1, 3])]), []);
        // The request that is next in the queue is blocked by nobody.
        assert_eq!(waits(&[(1, &[10])], &[], &[]), []);
        // One that has ended keeps nobody; the other one works.
        assert_eq!(waits(&[(1, &[10, 11])], &[(11, 3)], &[]), []);
        // Build 2 waits for build 1, which ends as soon as build 3 does.
        let builds: &[(i64, &[i64])] = &[(1, &[10]), (2, &[20])];
        assert_eq!(waits(builds, &[(10, 3), (20, 1)], &[]), []);
    }
}
