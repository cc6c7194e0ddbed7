//! What is configured about locks: which there are and how they are used.

use std::collections::BTreeMap;
use std::fmt;

/// What a lock protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockScope {
    /// Something that all builders on all workers share (Buildbot's `MasterLock`).
    Master,
    /// Something that each worker has of its own (Buildbot's `WorkerLock`).
    Worker,
}

/// A configured lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockSpec {
    /// Unique among locks of both scopes.
    pub name: String,
    /// What it protects.
    pub scope: LockScope,
    /// How many counting units may be held at one time; on each worker for a worker's lock.
    pub max_count: u32,
    /// Another limit for some workers, by their names. Only for a worker's lock.
    pub max_count_for_worker: BTreeMap<String, u32>,
}

impl LockSpec {
    /// A lock that one holder has at a time.
    #[must_use]
    pub fn new(name: impl Into<String>, scope: LockScope) -> Self {
        Self {
            name: name.into(),
            scope,
            max_count: 1,
            max_count_for_worker: BTreeMap::new(),
        }
    }

    /// With this limit.
    #[must_use]
    pub fn with_max_count(mut self, max_count: u32) -> Self {
        self.max_count = max_count;
        self
    }

    /// The limit that counts on one worker.
    #[must_use]
    pub fn limit_on(&self, worker: &str) -> u32 {
        match self.scope {
            LockScope::Master => self.max_count,
            LockScope::Worker => self
                .max_count_for_worker
                .get(worker)
                .copied()
                .unwrap_or(self.max_count),
        }
    }

    /// The real lock behind the name, for something that runs on `worker`.
    #[must_use]
    pub fn key_on(&self, worker: &str) -> LockKey {
        LockKey {
            lock: self.name.clone(),
            worker: match self.scope {
                LockScope::Master => None,
                LockScope::Worker => Some(worker.to_owned()),
            },
        }
    }
}

/// How a lock is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockMode {
    /// Together with others, up to the lock's limit.
    Counting {
        /// Units that this use takes; 0 takes nothing.
        count: u32,
    },
    /// Alone.
    Exclusive,
}

/// One use of a lock by a builder or a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockAccess {
    /// Name of the lock.
    pub lock: String,
    /// How.
    pub mode: LockMode,
}

impl LockAccess {
    /// Together with others, taking `count` units.
    #[must_use]
    pub fn counting(lock: impl Into<String>, count: u32) -> Self {
        Self {
            lock: lock.into(),
            mode: LockMode::Counting { count },
        }
    }

    /// Alone.
    #[must_use]
    pub fn exclusive(lock: impl Into<String>) -> Self {
        Self {
            lock: lock.into(),
            mode: LockMode::Exclusive,
        }
    }
}

/// A real lock: that of the farm, or that of one worker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockKey {
    /// Name of the lock.
    pub lock: String,
    /// Whose it is, for a worker's lock.
    pub worker: Option<String>,
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.worker {
            Some(worker) => write!(f, "`{}` of worker `{worker}`", self.lock),
            None => write!(f, "`{}`", self.lock),
        }
    }
}
