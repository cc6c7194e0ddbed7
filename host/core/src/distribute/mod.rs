//! Decides which pending request runs on which worker.
//!
//! Pure: snapshot in, claims out. The shell may lose any of the claims to another master; it re-reads the
//! store and calls again. Never reads the clock, never changes a lock.
//!
//! Order: the request with the highest priority of all builders first, then the oldest; of requests made at
//! the same moment, that of the builder which was served longest ago. A builder that cannot start its first
//! request steps aside and keeps nobody else waiting. A request never overtakes another of its builder.
//!
//! Cost: `O((requests claimed + builders) log n)` beside reading the snapshot once; a request that cannot run
//! is never looked at one by one.

mod round;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::ids::{BuilderId, RequestId, WorkerId};
use crate::locks::{LockAccess, LockError, LockKey, LockTable};
use crate::time::Timestamp;

/// A request that waits for a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Its id.
    pub id: RequestId,
    /// Higher runs first.
    pub priority: i32,
    /// When it was made.
    pub submitted_at: Timestamp,
    /// Whether a running build waits for it.
    pub waited_for: bool,
    /// The only worker that may run it; `None` for any of its builder.
    pub chosen: Option<WorkerId>,
}

/// A builder with something to do.
#[derive(Debug, Clone)]
pub struct BuilderState<'a> {
    /// Its id.
    pub id: BuilderId,
    /// Its first requests, in any order. There may be more in the store; then call again after claiming.
    pub pending: Vec<Pending>,
    /// Workers that may run it.
    pub workers: &'a [WorkerId],
    /// Builds that it runs now.
    pub running: u32,
    /// Builds that it may run at one time; `None` for any number.
    pub builds_max: Option<u32>,
    /// When it last got a worker; `None` for never.
    pub served_at: Option<Timestamp>,
    /// Locks that a build of it holds from start to end.
    pub locks: &'a [LockAccess],
}

/// A worker.
#[derive(Debug, Clone)]
pub struct WorkerState<'a> {
    /// Its id.
    pub id: WorkerId,
    /// Its name, by which its locks are known.
    pub name: &'a str,
    /// Whether it can be used from this master now.
    pub connected: bool,
    /// Whether it takes no new builds (paused, or about to shut down).
    pub paused: bool,
    /// Builds that it runs now.
    pub running: u32,
    /// Builds that it may run at one time; `None` for any number.
    pub builds_max: Option<u32>,
    /// When its last build ended; `None` for never.
    pub idle_since: Option<Timestamp>,
}

/// Everything that the decision depends on.
#[derive(Debug, Clone)]
pub struct Snapshot<'a> {
    /// Builders with pending requests; others do no harm.
    pub builders: Vec<BuilderState<'a>>,
    /// All workers.
    pub workers: Vec<WorkerState<'a>>,
    /// The locks as they are now.
    pub locks: &'a LockTable,
    /// Builds that this master may start in addition; `None` for any number.
    pub master_free: Option<u32>,
    /// Whether the master takes nothing new; requests that its running builds wait for are still run, or
    /// those builds would never end.
    pub draining: bool,
    /// The builder of which [`Waiting::workers`] is to be said; it takes work, so nobody's is said unasked.
    pub explain: Option<BuilderId>,
}

/// One build to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The request to claim.
    pub request: RequestId,
    /// Its builder.
    pub builder: BuilderId,
    /// The worker to run it on.
    pub worker: WorkerId,
}

/// Why a builder's requests wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// The builder has no worker at all.
    NoWorkers,
    /// None of its workers is connected.
    NotConnected,
    /// Those of its workers that are connected are paused.
    Paused,
    /// All its workers have as many builds as they may.
    WorkersBusy,
    /// The builder runs as many builds as it may.
    BuilderFull,
    /// The master runs as many builds as it may.
    MasterFull,
    /// The master drains.
    Draining,
    /// The worker that somebody chose for it cannot take it.
    Chosen,
    /// A lock of the builder is held, or others wait for it.
    Lock(LockKey),
    /// A lock of the builder can never be had.
    LockNever(LockError),
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkers => f.write_str("its builder has no workers"),
            Self::NotConnected => f.write_str("no worker of its builder is connected"),
            Self::Paused => f.write_str("all connected workers of its builder are paused"),
            Self::WorkersBusy => f.write_str("all workers of its builder are busy"),
            Self::BuilderFull => f.write_str("its builder runs as many builds as it may"),
            Self::MasterFull => f.write_str("the master runs as many builds as it may"),
            Self::Draining => f.write_str("the master takes no new builds"),
            Self::Chosen => f.write_str("the worker that was chosen for it takes no build now"),
            Self::Lock(key) => write!(f, "lock {key} is not free"),
            Self::LockNever(error) => error.fmt(f),
        }
    }
}

/// How a worker stands to the next build of a builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It could take the build.
    Free,
    /// It cannot be used from this master.
    NotConnected,
    /// It takes no new builds.
    Paused,
    /// It has as many builds as it may.
    Full,
    /// A lock of the builder is not free there.
    Lock(LockKey),
    /// A lock of the builder can never be had there.
    LockNever(LockError),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("it could take the build"),
            Self::NotConnected => f.write_str("it is not connected"),
            Self::Paused => f.write_str("it is paused"),
            Self::Full => f.write_str("it runs as many builds as it may"),
            Self::Lock(key) => write!(f, "lock {key} is not free"),
            Self::LockNever(error) => error.fmt(f),
        }
    }
}

/// What still waits of one builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The builder.
    pub builder: BuilderId,
    /// Its first request that waits.
    pub first: RequestId,
    /// How many of the snapshot's requests of this builder wait.
    pub count: usize,
    /// Why.
    pub reason: WaitReason,
    /// How each of its workers stood when it gave up, if that was asked for ([`Snapshot::explain`]).
    pub workers: Vec<(WorkerId, Standing)>,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Distribution {
    /// Builds to start, the most urgent first.
    pub claims: Vec<Claim>,
    /// What waits, in the order of giving up.
    pub waiting: Vec<Waiting>,
}

/// Decides what starts now.
#[must_use]
pub fn distribute(snapshot: Snapshot<'_>) -> Distribution {
    round::run(snapshot)
}
