//! Change sources.

use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// `[[changes]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeSourceConfig {
    /// Unique name.
    pub name: String,
    /// Project of its changes; empty for none.
    pub project: String,
    /// Codebase of its changes; empty for the only one.
    pub codebase: String,
    /// Category of its changes.
    pub category: Option<String>,
    /// Where the changes come from.
    pub kind: ChangeSourceKind,
}

/// Where changes come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeSourceKind {
    /// `use = "git-poller"`.
    GitPoller(GitPollerConfig),
}

/// Asks a git repository for new commits, again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct GitPollerConfig {
    /// URL or path, as `git fetch` takes it; a relative path is resolved already.
    pub repository: String,
    /// Which branches.
    pub branches: BranchSelection,
    /// Time between two polls.
    pub interval: Duration,
    /// Whether the first poll comes at once and not after the first interval.
    pub poll_at_launch: bool,
    /// Whether the newest commit of each branch is a change when the repository is seen for the first time.
    pub build_newest: bool,
}

/// Which branches of a repository are followed.
#[derive(Debug, Clone, Default)]
pub enum BranchSelection {
    /// Every one.
    #[default]
    All,
    /// Those that fit one of some patterns.
    Matching {
        /// Names, or globs where `*` does not cross a slash and `**` does. Git forbids `*`, `?` and
        /// `[` in branch names, so a pattern is never ambiguous.
        patterns: Vec<String>,
        /// The same, compiled.
        matcher: GlobSet,
    },
}

impl BranchSelection {
    /// Compiles patterns.
    ///
    /// # Errors
    /// The first pattern that is not a glob.
    pub fn matching(patterns: Vec<String>) -> Result<Self, globset::Error> {
        let matcher = compile_globs(&patterns)?;
        Ok(Self::Matching { patterns, matcher })
    }

    /// Whether a branch, by its short name (`main`, not `refs/heads/main`), is followed.
    #[must_use]
    pub fn contains(&self, branch: &str) -> bool {
        match self {
            Self::All => true,
            Self::Matching { matcher, .. } => matcher.is_match(branch),
        }
    }
}

/// A set of globs where `*` does not cross a slash and `**` does.
pub(crate) fn compile_globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(compile_glob(pattern)?);
    }
    set.build()
}

pub(crate) fn compile_glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

/// Equal patterns select equal branches; the compiled form has no equality of its own.
impl PartialEq for BranchSelection {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::Matching { patterns: a, .. }, Self::Matching { patterns: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Eq for BranchSelection {}
