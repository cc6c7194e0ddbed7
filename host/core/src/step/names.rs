//! Names of steps are unique in a build.

use std::collections::{BTreeMap, BTreeSet};

/// The names that steps of one build have so far.
#[derive(Debug, Clone, Default)]
pub struct StepNames {
    taken: BTreeSet<String>,
    last_suffix: BTreeMap<String, u32>,
}

impl StepNames {
    /// `wanted` if no step has it, or else `wanted_1`, `wanted_2` ...; taken from now on.
    pub fn unique(&mut self, wanted: &str) -> String {
        if self.taken.insert(wanted.to_owned()) {
            return wanted.to_owned();
        }
        let suffix = self.last_suffix.entry(wanted.to_owned()).or_default();
        loop {
            *suffix += 1;
            let name = format!("{wanted}_{suffix}");
            // A step may be called `shell_1` by its owner.
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(wanted: &[&str]) -> Vec<String> {
        let mut names = StepNames::default();
        wanted.iter().map(|wanted| names.unique(wanted)).collect()
    }

    #[test]
    fn repeated_names_are_counted() {
        assert_eq!(
            named(&["shell", "shell", "git", "shell"]),
            ["shell", "shell_1", "git", "shell_2"]
        );
    }

    #[test]
    fn a_counted_name_never_meets_a_given_one() {
        assert_eq!(
            named(&["a_1", "a", "a", "a", "a_1"]),
            ["a_1", "a", "a_2", "a_3", "a_1_1"]
        );
    }
}
