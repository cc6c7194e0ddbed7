//! Everybody who belongs to one command: its process group, and those that have left that. Signals reach all of them, and
//! dropping it ends the group.

use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{Pid, kill_process_group, test_kill_process_group};

use crate::cgroup::Group;
use crate::command::family::{self, Family};
use crate::command::spec::InterruptSignal;
use crate::command::usage::Usage;

/// The members of a process group that this worker made, whose id is the process id of its first process, and of its family.
///
/// The id stays taken as long as the group has a member, and numbers are given out in turn, so a
/// signal cannot reach strangers as long as the group was seen alive, or its first process not yet
/// reaped, a moment ago.
#[derive(Debug)]
pub(crate) struct Members {
    id: Option<Pid>,
    family: Family,
    group: Option<Arc<Group>>,
    armed: bool,
    /// Nobody is to survive.
    killed: bool,
}

impl Members {
    /// Those of the child with this process id; dropping it kills its process group until disarmed.
    pub(crate) fn new(process_id: u32, family: Family, group: Option<Arc<Group>>) -> Self {
        let id = i32::try_from(process_id).ok().and_then(Pid::from_raw);
        Self {
            id,
            family,
            group,
            armed: true,
            killed: false,
        }
    }

    /// Sends a signal to everybody.
    pub(crate) async fn signal(&mut self, signal: InterruptSignal) {
        self.killed |= signal == InterruptSignal::Kill;
        // Looked for before their parents end.
        let strays = self.strays().await;
        self.signal_process_group(signal);
        for stray in strays {
            family::send(stray, signal);
        }
        if let (Some(group), true) = (&self.group, self.killed) {
            group.kill();
        }
    }

    /// Those that are not in the process group any more.
    async fn strays(&self) -> Vec<i32> {
        let Some(id) = self.id else { return Vec::new() };
        let id = id.as_raw_nonzero().get();
        let mut strays = self.family.strays(id).await;
        if let Some(group) = &self.group {
            let members = group.members().into_iter();
            strays.extend(members.filter(|one| family::is_outside(*one, id)));
            strays.sort_unstable();
            strays.dedup();
        }
        strays
    }

    fn signal_process_group(&self, signal: InterruptSignal) {
        let Some(id) = self.id else { return };
        match kill_process_group(id, signal.to_system()) {
            // macOS says "not permitted" of a group of which only zombies are left.
            Ok(()) | Err(Errno::SRCH | Errno::PERM) => {}
            Err(error) => tracing::warn!(
                "process group {} cannot be sent {signal}: {error}",
                id.as_raw_nonzero()
            ),
        }
    }

    /// Whether somebody is left. The dead of whom nobody took notice yet belong to a process group as well; where the system lets
    /// us tell, they do not count. Looks at every process for that.
    pub(crate) async fn alive(&self) -> bool {
        let Some(id) = self.id else { return false };
        if test_kill_process_group(id).is_ok() && works(id).await {
            return true;
        }
        let strays = self.strays().await;
        if self.killed {
            // One may have been born while the others were killed.
            for stray in &strays {
                family::send(*stray, InterruptSignal::Kill);
            }
        }
        !strays.is_empty()
    }

    /// What all of them used, where they are counted together; else as `told` of the first.
    pub(crate) fn usage(&self, told: Usage) -> Usage {
        let group = self.group.as_ref();
        group.map_or(told, |group| group.usage(told))
    }

    /// The limit of memory, if somebody was killed because of it.
    pub(crate) fn memory_exceeded(&self) -> Option<u64> {
        self.group.as_ref()?.memory_exceeded()
    }

    /// From now on the group is left alone.
    pub(crate) fn disarm(&mut self) {
        self.armed = false;
    }
}

#[cfg(target_os = "linux")]
async fn works(group: Pid) -> bool {
    let group = group.as_raw_nonzero().get();
    let look = move || crate::processes::group_works(group);
    tokio::task::spawn_blocking(look).await.unwrap_or(true)
}

#[cfg(not(target_os = "linux"))]
async fn works(_group: Pid) -> bool {
    true
}

impl Drop for Members {
    fn drop(&mut self) {
        if self.armed {
            self.signal_process_group(InterruptSignal::Kill);
            if let Some(group) = &self.group {
                group.kill();
            }
        }
    }
}
