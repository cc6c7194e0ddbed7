//! The lock table of this master with those who wait for it.
//!
//! A mutex and not a task of its own: the distributor decides on the table as it is at one moment, and no
//! operation on it waits for anything.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use toolpost_core::locks::{
    Acquisition, Holder, LockAccess, LockError, LockSpec, LockTable, Reconfigured,
};

/// Locks of builds and steps.
pub(crate) struct LockManager {
    inner: Mutex<Inner>,
    /// Told whenever something was given back: builds that did not start for want of a lock may now.
    freed: Notify,
}

struct Inner {
    table: LockTable,
    waiters: HashMap<Holder, oneshot::Sender<Result<(), LockError>>>,
}

impl LockManager {
    pub(crate) fn new(specs: impl IntoIterator<Item = LockSpec>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                table: LockTable::new(specs),
                waiters: HashMap::new(),
            }),
            freed: Notify::new(),
        }
    }

    /// Replaces the configured locks; what is held stays held.
    pub(crate) fn configure(&self, specs: impl IntoIterator<Item = LockSpec>) {
        let mut inner = self.inner();
        let Reconfigured {
            granted,
            impossible,
        } = inner.table.configure(specs);
        inner.answer(granted);
        for (holder, error) in impossible {
            if let Some(waiter) = inner.waiters.remove(&holder) {
                let _ = waiter.send(Err(error));
            }
        }
        drop(inner);
        self.freed.notify_one();
    }

    /// Looks at the table as it is now.
    pub(crate) fn look<R>(&self, at: impl FnOnce(&LockTable) -> R) -> R {
        at(&self.inner().table)
    }

    /// Takes the locks of a build if all are free; does not wait.
    pub(crate) fn try_acquire(
        &self,
        holder: Holder,
        accesses: &[LockAccess],
        worker: &str,
    ) -> Result<Acquisition, LockError> {
        self.inner().table.try_acquire(holder, accesses, worker)
    }

    /// Asks for the locks of a step.
    ///
    /// # Errors
    /// The wait would never end.
    pub(crate) fn request(
        &self,
        holder: Holder,
        accesses: &[LockAccess],
        worker: &str,
    ) -> Result<Granted, LockRefused> {
        let mut inner = self.inner();
        match inner.table.request(holder, accesses, worker)? {
            Acquisition::Granted => Ok(Granted::Now),
            // Only a new wait can close a circle, and whoever closes it can still step back.
            Acquisition::Blocked(blocked) if inner.table.deadlocked().contains(&holder.build) => {
                let granted = inner.table.release(holder);
                inner.answer(granted);
                Err(LockRefused::Deadlock(blocked.key.to_string()))
            }
            Acquisition::Blocked(blocked) => {
                let (sender, receiver) = oneshot::channel();
                inner.waiters.insert(holder, sender);
                Ok(Granted::Later {
                    blocked_on: blocked.key.to_string(),
                    wait: receiver,
                })
            }
        }
    }

    /// Gives back what the holder has and ends its waiting; a build gives back for its steps as well.
    pub(crate) fn release(&self, holder: Holder) {
        let mut inner = self.inner();
        inner.waiters.remove(&holder);
        let granted = inner.table.release(holder);
        inner.answer(granted);
        drop(inner);
        self.freed.notify_one();
    }

    /// Waits until something was given back since the last call.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the table as it was before the call that panicked.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn answer(&mut self, granted: Vec<Holder>) {
        for holder in granted {
            if let Some(waiter) = self.waiters.remove(&holder) {
                // Who no longer listens is about to release.
                let _ = waiter.send(Ok(()));
            }
        }
    }
}

/// Locks that a step can never have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LockRefused {
    #[error(transparent)]
    Never(#[from] LockError),
    #[error(
        "waiting for lock {0} would never end: its holder waits for a lock that this build holds; let all builders take these locks in the same order"
    )]
    Deadlock(String),
}

/// Answer to a request for locks.
pub(crate) enum Granted {
    /// They are held.
    Now,
    /// They are held once `wait` says so.
    Later {
        /// What is waited for, for people.
        blocked_on: String,
        wait: oneshot::Receiver<Result<(), LockError>>,
    },
}

#[cfg(test)]
mod tests {
    use toolpost_core::locks::LockScope;

    use super::*;

    #[tokio::test]
    async fn a_released_lock_wakes_who_waits_and_who_could_not_start() {
        let locks = LockManager::new([LockSpec::new("db", LockScope::Master)]);
        let wanted = [LockAccess::exclusive("db")];
        let (first, second) = (Holder::step(1, 0), Holder::step(2, 0));
        assert!(matches!(
            locks.request(first, &wanted, "w"),
            Ok(Granted::Now)
        ));
        let Ok(Granted::Later { blocked_on, wait }) = locks.request(second, &wanted, "w") else {
            panic!("granted twice");
        };
        assert_eq!(blocked_on, "`db`");
        let third = locks.try_acquire(Holder::build(3), &wanted, "w");
        assert!(matches!(third, Ok(Acquisition::Blocked(_))));
        locks.release(Holder::build(1));
        assert_eq!(wait.await, Ok(Ok(())));
        locks.freed().await;
    }

    #[tokio::test]
    async fn whoever_would_close_a_circle_of_waits_is_refused() {
        let specs = ["a", "b"].map(|name| LockSpec::new(name, LockScope::Master));
        let locks = LockManager::new(specs);
        let take = |build, name: &str| {
            locks.try_acquire(Holder::build(build), &[LockAccess::exclusive(name)], "w")
        };
        assert_eq!(take(1, "a"), Ok(Acquisition::Granted));
        assert_eq!(take(2, "b"), Ok(Acquisition::Granted));
        let want = |build, name: &str| {
            locks.request(Holder::step(build, 0), &[LockAccess::exclusive(name)], "w")
        };
        let Ok(Granted::Later { wait, .. }) = want(1, "b") else {
            panic!("not free");
        };
        let refused = want(2, "a").err();
        assert_eq!(refused, Some(LockRefused::Deadlock("`a`".into())));
        locks.release(Holder::build(2));
        assert_eq!(wait.await, Ok(Ok(())));
    }

    #[tokio::test]
    async fn a_lock_that_is_configured_away_ends_the_wait() {
        let locks = LockManager::new([LockSpec::new("db", LockScope::Master)]);
        let wanted = [LockAccess::exclusive("db")];
        assert!(matches!(
            locks.request(Holder::step(1, 0), &wanted, "w"),
            Ok(Granted::Now)
        ));
        let Ok(Granted::Later { wait, .. }) = locks.request(Holder::step(2, 0), &wanted, "w")
        else {
            panic!("granted twice");
        };
        locks.configure([]);
        assert!(matches!(wait.await, Ok(Err(LockError::Unknown { .. }))));
    }
}
