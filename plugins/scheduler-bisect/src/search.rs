//! Which of a row of changes is the first bad one. Pure: it asks for verdicts one at a time.
//!
//! What was built before the row is good, and its last change is bad. Changes that cannot be tested are gone
//! around; when only such changes are left in question, the answer is a range.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A search, with what it knows so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Search {
    /// How many changes from the start are known to be good: the first bad one is not before this.
    good: usize,
    /// The earliest change that is known to be bad.
    bad: usize,
    /// Changes that could not be tested.
    untestable: BTreeSet<usize>,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Find out about this change.
    Test(usize),
    /// Nothing: the first bad change is one from `first` to `last`, and what is between cannot be tested. Mostly they are
    /// the same.
    Found { first: usize, last: usize },
}

/// What a build of a change says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Bad,
    Untestable,
}

impl Search {
    /// A search among so many changes, at least one.
    pub(crate) fn among(count: usize) -> Self {
        Self {
            good: 0,
            bad: count.saturating_sub(1),
            untestable: BTreeSet::new(),
        }
    }

    /// What to do next.
    pub(crate) fn next(&self) -> Next {
        let middle = self.good + (self.bad - self.good) / 2;
        let testable = |index: &usize| !self.untestable.contains(index);
        let nearest = (self.good..self.bad)
            .filter(testable)
            .min_by_key(|index| index.abs_diff(middle));
        nearest.map_or(
            Next::Found {
                first: self.good,
                last: self.bad,
            },
            Next::Test,
        )
    }

    /// Takes in what a build has said about a change. What is known already stays as it is.
    pub(crate) fn tell(&mut self, index: usize, verdict: Verdict) {
        if !(self.good..self.bad).contains(&index) {
            return;
        }
        match verdict {
            Verdict::Good => self.good = index + 1,
            Verdict::Bad => self.bad = index,
            Verdict::Untestable => {
                self.untestable.insert(index);
            }
        }
    }

    /// How many changes may still be the first bad one.
    pub(crate) fn suspects(&self) -> std::ops::RangeInclusive<usize> {
        self.good..=self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Searches until the end: how it ends, and how many tests it took.
    fn run(count: usize, first_bad: usize, untestable: &BTreeSet<usize>) -> (Next, usize) {
        let mut search = Search::among(count);
        for tests in 0..=count {
            let Next::Test(index) = search.next() else {
                return (search.next(), tests);
            };
            assert!(index < count - 1, "what is known is not tested");
            search.tell(
                index,
                match index {
                    index if untestable.contains(&index) => Verdict::Untestable,
                    index if index < first_bad => Verdict::Good,
                    _ => Verdict::Bad,
                },
            );
        }
        panic!("it tests something twice");
    }

    #[test]
    fn the_first_bad_change_is_found_in_few_tests() {
        for count in 1..=64_usize {
            for first_bad in 0..count {
                let (end, tests) = run(count, first_bad, &BTreeSet::new());
                let found = Next::Found {
                    first: first_bad,
                    last: first_bad,
                };
                assert_eq!(end, found, "of {count}");
                let most = usize::try_from(count.next_power_of_two().ilog2()).expect("it is small");
                assert!(tests <= most, "{tests} tests for {first_bad} of {count}");
            }
        }
    }

    #[test]
    fn neighbours_of_what_cannot_be_tested_are_tried() {
        let mut search = Search::among(8);
        assert_eq!(search.next(), Next::Test(3));
        search.tell(3, Verdict::Untestable);
        assert_eq!(search.next(), Next::Test(2));
        search.tell(2, Verdict::Good);
        assert_eq!(search.next(), Next::Test(5));
        search.tell(5, Verdict::Bad);
        assert_eq!(search.next(), Next::Test(4));
        search.tell(4, Verdict::Bad);
        assert_eq!(search.next(), Next::Found { first: 3, last: 4 });
    }

    #[test]
    fn what_was_not_asked_changes_nothing() {
        let mut search = Search::among(8);
        search.tell(3, Verdict::Bad);
        let before = search.clone();
        for (index, verdict) in [(3, Verdict::Good), (7, Verdict::Good), (99, Verdict::Bad)] {
            search.tell(index, verdict);
            assert_eq!(search, before);
        }
    }

    proptest! {
        #[test]
        fn the_answer_is_as_narrow_as_the_tests_allow(
            count in 1_usize..200,
            first_bad in any::<prop::sample::Index>(),
            untestable in prop::collection::btree_set(0_usize..200, 0..100),
        ) {
            let first_bad = first_bad.index(count);
            let (end, _) = run(count, first_bad, &untestable);
            let Next::Found { first, last } = end else { unreachable!("it has ended") };
            prop_assert!((first..=last).contains(&first_bad));
            prop_assert!((first..last).all(|index| untestable.contains(&index)));
            prop_assert!(last == count - 1 || !untestable.contains(&last));
        }

        #[test]
        fn a_search_goes_on_from_its_json(
            count in 2_usize..50,
            verdicts in prop::collection::vec(0_u8..3, 0..20),
        ) {
            let mut search = Search::among(count);
            for verdict in verdicts {
                let Next::Test(index) = search.next() else { break };
                let verdict = [Verdict::Good, Verdict::Bad, Verdict::Untestable][usize::from(verdict)];
                search.tell(index, verdict);
                let json = serde_json::to_string(&search).expect("it is JSON");
                let read: Search = serde_json::from_str(&json).expect("it is a search");
                prop_assert_eq!(&read, &search);
            }
        }
    }
}
