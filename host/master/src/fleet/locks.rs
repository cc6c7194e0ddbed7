//! Who holds which lock and who waits for which, for people.

use std::collections::BTreeSet;

use toolpost_core::distribute::WaitReason;
use toolpost_core::locks::{Holder, LockMode};

use crate::engine::Engine;
use crate::status::{LockReport, LockStatus, LockUser, LockedOut};

impl Engine {
    /// The locks as they are now.
    pub(crate) fn lock_report(&self) -> LockReport {
        let (views, stuck) = self.locks.look(|locks| (locks.view(), locks.deadlocked()));
        let user = |&(holder, mode): &(Holder, LockMode)| self.lock_user(holder, mode, &stuck);
        let mut locks: Vec<LockStatus> = views
            .into_iter()
            .map(|view| LockStatus {
                scope: view.scope,
                max: view.max,
                holders: view.holders.iter().map(user).collect(),
                queue: view.queue.iter().map(user).collect(),
                locked_out: Vec::new(),
                key: view.key,
            })
            .collect();
        let mut never = Vec::new();
        for waiting in &*self.waiting() {
            let (builder, request) = (waiting.builder, waiting.first);
            let out = LockedOut { builder, request };
            match &waiting.reason {
                WaitReason::Lock(key) => {
                    let lock = locks.iter_mut().find(|lock| lock.key == *key);
                    if let Some(lock) = lock {
                        lock.locked_out.push(out);
                    }
                }
                WaitReason::LockNever(error) => never.push((out, error.to_string())),
                _ => {}
            }
        }
        let hopeless = self.builds.hopeless().borrow().clone();
        LockReport {
            locks,
            never,
            hopeless: hopeless
                .iter()
                .map(|(build, reason)| (*build, reason.clone()))
                .collect(),
        }
    }

    fn lock_user(&self, holder: Holder, mode: LockMode, stuck: &BTreeSet<u64>) -> LockUser {
        let (build, builder, step) = match self.builds.of_holder(holder.build, holder.step) {
            Some((build, builder, step)) => (Some(build), Some(builder), step),
            None => (None, None, None),
        };
        LockUser {
            build,
            builder,
            step,
            mode,
            is_stuck: stuck.contains(&holder.build),
        }
    }
}
