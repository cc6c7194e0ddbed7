//! Units of one real lock: what a request takes of it, and what is taken.

use super::spec::{LockKey, LockMode};

/// What one request takes of one real lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) key: LockKey,
    pub(super) mode: LockMode,
}

/// Units in use, by holders or by waiters that come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    counting: u32,
    exclusive: bool,
}

impl Tally {
    pub(super) fn fits(self, mode: LockMode, max: u32) -> bool {
        match mode {
            LockMode::Exclusive => !self.exclusive && self.counting == 0 && max > 0,
            LockMode::Counting { count } => {
                !self.exclusive && self.counting.saturating_add(count) <= max
            }
        }
    }

    pub(super) fn add(&mut self, mode: LockMode) {
        match mode {
            LockMode::Exclusive => self.exclusive = true,
            LockMode::Counting { count } => self.counting = self.counting.saturating_add(count),
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.counting = self.counting.saturating_add(other.counting);
        self.exclusive |= other.exclusive;
    }

    pub(super) fn remove(&mut self, mode: LockMode) {
        match mode {
            LockMode::Exclusive => self.exclusive = false,
            LockMode::Counting { count } => self.counting = self.counting.saturating_sub(count),
        }
    }
}
