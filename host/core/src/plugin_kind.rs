//! What a type that a plugin brings is.

use std::fmt;

/// The kinds of things that plugins bring. Each is an interface of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PluginKind {
    /// A step of a build.
    Step,
    /// What decides when to build.
    Scheduler,
    /// What tells others about builds.
    Reporter,
}

impl PluginKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Step, Self::Scheduler, Self::Reporter];

    /// Its name, which is that of its interface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Scheduler => "scheduler",
            Self::Reporter => "reporter",
        }
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
