//! The process group of one command: signals reach all of it, and dropping it ends all of it.

use rustix::io::Errno;
use rustix::process::{Pid, kill_process_group, test_kill_process_group};

use crate::command::spec::InterruptSignal;

/// A process group that this worker made; its id is the process id of its first process.
///
/// The id stays taken as long as the group has a member, and numbers are given out in turn, so a
/// signal cannot reach strangers as long as the group was seen alive, or its first process not yet
/// reaped, a moment ago.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    id: Option<Pid>,
    armed: bool,
}

impl ProcessGroup {
    /// The group of the child with this process id; dropping it kills the group until disarmed.
    pub(crate) fn new(process_id: Option<u32>) -> Self {
        let id = process_id
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Self { id, armed: true }
    }

    pub(crate) fn signal(&self, signal: InterruptSignal) {
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

    /// Whether a process of the group is left. The dead of whom nobody took notice yet belong to it
    /// as well; where the system lets us tell, they do not count. Looks at every process for that.
    pub(crate) async fn alive(&self) -> bool {
        match self.id {
            Some(id) if test_kill_process_group(id).is_ok() => works(id).await,
            _ => false,
        }
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

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.armed {
            self.signal(InterruptSignal::Kill);
        }
    }
}
