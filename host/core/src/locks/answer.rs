//! Who asks the lock table, and what it answers.

use super::spec::LockKey;

/// Who asks for locks: a build, or a step of one.
///
/// The number of the build is the caller's; it need not be the row id, because a build takes its locks
/// before it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The build.
    pub build: u64,
    /// The step, or `None` for the build itself.
    pub step: Option<u32>,
}

impl Holder {
    /// The build itself.
    #[must_use]
    pub fn build(build: u64) -> Self {
        Self { build, step: None }
    }

    /// A step of a build.
    #[must_use]
    pub fn step(build: u64, step: u32) -> Self {
        Self {
            build,
            step: Some(step),
        }
    }
}

/// A request that can never be granted, or makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// No such lock is configured.
    #[error("there is no lock `{lock}`; configure it or take it out of `locks`")]
    Unknown {
        /// Its name.
        lock: String,
    },
    /// More units than the lock has.
    #[error(
        "lock {key} has {max} units and can never give {count}; raise its `max_count` or ask for less"
    )]
    NeverAvailable {
        /// The lock.
        key: LockKey,
        /// Units asked for; 1 for exclusive use.
        count: u32,
        /// Units that there are.
        max: u32,
    },
    /// One request names a lock twice.
    #[error("lock {key} is asked for twice at once; name it once")]
    Twice {
        /// The lock.
        key: LockKey,
    },
    /// A step wants what its own build holds: it would wait for itself.
    #[error("lock {key} is held by the build of this very step; take it out of one of them")]
    HeldByOwnBuild {
        /// The lock.
        key: LockKey,
    },
    /// The holder has locks already, or waits for some.
    #[error("locks were asked for again before the earlier ones were released")]
    Busy,
}

/// Answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquisition {
    /// All locks are held now.
    Granted,
    /// None is held.
    Blocked(Blocked),
}

/// What a request waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The first of its locks that is not available.
    pub key: LockKey,
    /// Who holds that lock now, and then who waits for it since longer.
    pub by: Vec<Holder>,
}

/// What a new configuration of the locks brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconfigured {
    /// These hold their locks now.
    pub granted: Vec<Holder>,
    /// These can never get theirs any more; they wait no longer.
    pub impossible: Vec<(Holder, LockError)>,
}
