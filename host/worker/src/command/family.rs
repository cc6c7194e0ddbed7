//! Who descends from a command, also after leaving its process group and session.
//!
//! Each command carries a word of its own in its environment, which those that it starts inherit. Who has it, and who descends
//! from one that has, belongs to the family; only one that was given another environment and whose parents are gone
//! before anybody looks escapes. Only Linux shows the environment and the parents of other processes; elsewhere a family is a process group.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// The environment variable that holds the word.
pub(crate) const FAMILY_VARIABLE: &str = "TOOLPOST_COMMAND";

/// A command and what descends from it.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    word: String,
    /// Members that were seen, each with the time of its start, which tells it from a later process with its number.
    seen: Arc<Mutex<BTreeMap<i32, u64>>>,
}

impl Family {
    /// One that no command had before, also not one of an earlier process with the same number.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        Self {
            word: format!("{}-{number}-{now}", std::process::id()),
            seen: Arc::default(),
        }
    }

    /// What the environment of the command holds.
    pub(crate) fn word(&self) -> OsString {
        self.word.clone().into()
    }

    /// Those that have left the process group and still do something. Looks at every process of the machine.
    pub(crate) async fn strays(&self, group: i32) -> Vec<i32> {
        let family = self.clone();
        let looked = tokio::task::spawn_blocking(move || family.look(group));
        looked.await.unwrap_or_default()
    }

    #[cfg(not(target_os = "linux"))]
    fn look(&self, _group: i32) -> Vec<i32> {
        Vec::new()
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn send(_stray: i32, _signal: crate::command::spec::InterruptSignal) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_outside(_id: i32, _group: i32) -> bool {
    false
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{is_outside, send};

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{BTreeMap, BTreeSet};

    use std::sync::PoisonError;

    use rustix::process::{Pid, kill_process};

    use super::{FAMILY_VARIABLE, Family};
    use crate::command::spec::InterruptSignal;
    use crate::processes::{self, ProcessStat};

    impl Family {
        pub(super) fn look(&self, group: i32) -> Vec<i32> {
            let all = processes::ids().filter_map(|id| Some((id, processes::stat(id)?)));
            let all: BTreeMap<i32, ProcessStat> = all.filter(|(_, stat)| !stat.dead).collect();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let known = all
                .iter()
                .filter(|(id, stat)| seen.get(*id) == Some(&stat.started) || self.is_named(**id));
            let members = with_descendants(known.map(|(id, _)| *id).collect(), &all);
            let members = members.iter().filter_map(|id| Some((*id, all.get(id)?)));
            *seen = members
                .clone()
                .map(|(id, stat)| (id, stat.started))
                .collect();
            let strays = members.filter(|(_, stat)| stat.group != group);
            strays.map(|(id, _)| id).collect()
        }

        fn is_named(&self, id: i32) -> bool {
            processes::variable(id, FAMILY_VARIABLE)
                .is_some_and(|value| value == self.word.as_bytes())
        }
    }

    /// To somebody who was there a moment ago.
    pub(crate) fn send(stray: i32, signal: InterruptSignal) {
        let Some(id) = Pid::from_raw(stray) else {
            return;
        };
        // Its number goes to a stranger only after all others were given out. It may have ended, or be one of root's that this
        // worker may not signal.
        let _ = kill_process(id, signal.to_system());
    }

    /// Whether a process lives and is not in a process group.
    pub(crate) fn is_outside(id: i32, group: i32) -> bool {
        processes::stat(id).is_some_and(|stat| !stat.dead && stat.group != group)
    }

    /// These, and whoever descends from one of them.
    pub(super) fn with_descendants(
        mut members: BTreeSet<i32>,
        all: &BTreeMap<i32, ProcessStat>,
    ) -> BTreeSet<i32> {
        loop {
            let before = members.len();
            let children = all
                .iter()
                .filter(|(_, stat)| members.contains(&stat.parent));
            let children: Vec<i32> = children.map(|(id, _)| *id).collect();
            members.extend(children);
            if members.len() == before {
                return members;
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn descendants_are_found_whatever_their_numbers() {
            let stat = |parent| ProcessStat {
                dead: false,
                started: 0,
                parent,
                group: 1,
                session: 1,
            };
            let all = [(1, 0), (5, 9), (9, 7), (7, 1), (3, 5), (4, 1)];
            let all = all.map(|(id, parent)| (id, stat(parent))).into();
            let family = with_descendants([9].into(), &all);
            assert_eq!(family, [3, 5, 9].into());
        }
    }
}
