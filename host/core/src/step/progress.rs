//! One step from its start to its end: waiting for locks, running, finished.

use std::time::Duration;

use crate::{Results, Timestamp};

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepPhase {
    /// It waits for its locks.
    WaitingForLocks,
    /// It runs.
    Running,
    /// It has ended.
    Finished(Results),
}

/// What the shell does next for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepAction {
    /// Request its locks, then call [`StepProgress::locks_granted`].
    RequestLocks,
    /// Run it, then call [`StepProgress::ended`].
    Run,
    /// Interrupt what runs; its end is still reported through [`StepProgress::ended`].
    Interrupt,
    /// Release its locks (and its place in their queue) and record this result.
    Finish(Results),
    /// Nothing.
    Nothing,
}

/// Why a step is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// A person or a rule stopped the build.
    Stopped,
    /// Its worker went away; another attempt may do better.
    WorkerLost,
}

impl Interruption {
    fn results(self) -> Results {
        match self {
            Self::Stopped => Results::Cancelled,
            Self::WorkerLost => Results::Retry,
        }
    }
}

/// The state machine of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepProgress {
    phase: StepPhase,
    started_at: Timestamp,
    locks_acquired_at: Option<Timestamp>,
    interrupted: Option<Interruption>,
}

impl StepProgress {
    /// Starts a step. `wanted` is what `do_step_if` came to.
    #[must_use]
    pub fn start(now: Timestamp, wanted: bool, has_locks: bool) -> (Self, StepAction) {
        let (phase, action) = match (wanted, has_locks) {
            (false, _) => (
                StepPhase::Finished(Results::Skipped),
                StepAction::Finish(Results::Skipped),
            ),
            (true, true) => (StepPhase::WaitingForLocks, StepAction::RequestLocks),
            (true, false) => (StepPhase::Running, StepAction::Run),
        };
        let progress = Self {
            phase,
            started_at: now,
            locks_acquired_at: (phase == StepPhase::Running).then_some(now),
            interrupted: None,
        };
        (progress, action)
    }

    /// The step has its locks. Without effect when it does not wait for them (any more).
    #[must_use]
    pub fn locks_granted(&mut self, now: Timestamp) -> StepAction {
        if self.phase != StepPhase::WaitingForLocks {
            return StepAction::Nothing;
        }
        self.phase = StepPhase::Running;
        self.locks_acquired_at = Some(now);
        StepAction::Run
    }

    /// The step is not to go on. While it waits for locks it ends at once.
    #[must_use]
    pub fn interrupt(&mut self, why: Interruption) -> StepAction {
        match self.phase {
            StepPhase::Finished(_) => StepAction::Nothing,
            StepPhase::WaitingForLocks => self.finish(why.results()),
            StepPhase::Running => {
                self.interrupted.get_or_insert(why);
                StepAction::Interrupt
            }
        }
    }

    /// What ran has ended, or could not be started. An interrupted step ends as the interruption says,
    /// whatever its command made of it; only its own wish to be tried again is kept.
    #[must_use]
    pub fn ended(&mut self, results: Results) -> StepAction {
        if matches!(self.phase, StepPhase::Finished(_)) {
            return StepAction::Nothing;
        }
        let results = match self.interrupted {
            Some(why) if results != Results::Retry => why.results(),
            _ => results,
        };
        self.finish(results)
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> StepPhase {
        self.phase
    }

    /// When it started (perhaps only to wait).
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// When it had its locks; at its start when it needs none.
    #[must_use]
    pub fn locks_acquired_at(&self) -> Option<Timestamp> {
        self.locks_acquired_at
    }

    /// How long it has waited for its locks.
    #[must_use]
    pub fn lock_wait(&self, now: Timestamp) -> Duration {
        match (self.locks_acquired_at, self.phase) {
            (Some(acquired_at), _) => acquired_at.since(self.started_at),
            (None, StepPhase::WaitingForLocks) => now.since(self.started_at),
            (None, _) => Duration::ZERO,
        }
    }

    fn finish(&mut self, results: Results) -> StepAction {
        self.phase = StepPhase::Finished(results);
        StepAction::Finish(results)
    }
}
