//! `[[project]]`.

use crate::decode::raw_table;
use crate::tree::At;

raw_table! {
    /// What builders and codebases belong to.
    RawProject("a project") {
        /// Unique name.
        name ! String,
        /// What stands for it where a name is short. Default: the name.
        slug ? String,
        /// For people.
        description ? String,
        /// Its codebases; the branches and commits that change sources with this project and one of these codebases find are
        /// kept.
        codebase ? Vec<At<RawProjectCodebase>>,
    }
}

raw_table! {
    /// A codebase of a project.
    RawProjectCodebase("a codebase") {
        /// Name, unique in its project.
        name ! String,
        /// What stands for it where a name is short. Default: the name.
        slug ? String,
    }
}
