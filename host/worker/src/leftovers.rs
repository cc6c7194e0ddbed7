//! Ends what a worker that was killed left running.
//!
//! A process group outlives its worker's sudden death, and would work on in a directory in which its
//! build is about to run again. Every command therefore carries a mark in its environment: the
//! worker's session and base directory. What left the session on purpose (a daemon) is left alone.
//! Only Linux shows the environment of other processes; elsewhere nothing is found.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use crate::processes;

/// The environment variable that holds the mark.
pub(crate) const MARK_VARIABLE: &str = "TOOLPOST_WORKER";

/// How often to look again for what was killed or forked meanwhile.
const SWEEPS_MAX: u32 = 100;
const SWEEP_WAIT: Duration = Duration::from_millis(20);

/// What the commands of one worker carry.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    session: i32,
    base_dir: OsString,
}

impl Mark {
    /// The mark of this process's worker on this base directory (in its canonical form).
    pub(crate) fn new(base_dir: &Path) -> Self {
        let own = i32::try_from(std::process::id()).ok();
        Self {
            // As the sweep reads it: 0 for a session that began outside of this process id
            // namespace, which `getsid` of `rustix` takes for a mistake of the kernel.
            session: own.and_then(processes::stat).map_or(0, |stat| stat.session),
            base_dir: base_dir.as_os_str().to_owned(),
        }
    }

    pub(crate) fn value(&self) -> OsString {
        let mut value = format!("{}:", self.session).into_bytes();
        value.extend_from_slice(self.base_dir.as_bytes());
        OsString::from_vec(value)
    }

    /// Kills what carries the mark of an earlier worker on the same base directory, until nothing is
    /// left of it (or gives up after some seconds); how many processes that were.
    pub(crate) async fn end_leftovers(&self) -> usize {
        let mut killed = std::collections::BTreeSet::new();
        for _ in 0..SWEEPS_MAX {
            let mark = self.clone();
            let swept = tokio::task::spawn_blocking(move || sweep(&mark.base_dir)).await;
            match swept {
                Ok(swept) if !swept.is_empty() => killed.extend(swept),
                _ => break,
            }
            tokio::time::sleep(SWEEP_WAIT).await;
        }
        killed.len()
    }
}

#[cfg(not(target_os = "linux"))]
fn sweep(_base_dir: &std::ffi::OsStr) -> Vec<i32> {
    Vec::new()
}

#[cfg(target_os = "linux")]
use linux::sweep;

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::{MARK_VARIABLE, processes};

    /// Kills every process with a mark for this directory; their ids.
    pub(super) fn sweep(base_dir: &OsStr) -> Vec<i32> {
        let own = i32::try_from(std::process::id()).ok();
        processes::ids()
            .filter(|id| Some(*id) != own && kill_if_marked(*id, base_dir))
            .collect()
    }

    fn kill_if_marked(id: i32, base_dir: &OsStr) -> bool {
        if !is_marked(id, base_dir) {
            return false;
        }
        let Some(pid) = Pid::from_raw(id) else {
            return false;
        };
        // The handle holds the process, so the second look is at the one that is killed.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return false;
        };
        is_marked(id, base_dir) && pidfd_send_signal(handle, Signal::KILL).is_ok()
    }

    fn is_marked(id: i32, base_dir: &OsStr) -> bool {
        // Processes of others cannot be read, nor are they ours.
        let Some(mark) = processes::variable(id, MARK_VARIABLE) else {
            return false;
        };
        let Some(session) = marked_session(&mark, base_dir) else {
            return false;
        };
        processes::stat(id).is_some_and(|stat| stat.session == session)
    }

    /// The session in a mark, if that is for this base directory.
    fn marked_session(mark: &[u8], base_dir: &OsStr) -> Option<i32> {
        let colon = mark.iter().position(|byte| *byte == b':')?;
        let (session, dir) = mark.split_at(colon);
        if &dir[1..] != base_dir.as_bytes() {
            return None;
        }
        std::str::from_utf8(session).ok()?.parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_a_mark_for_the_same_directory_counts() {
            let marked = |mark: &str| marked_session(mark.as_bytes(), OsStr::new("/base:dir"));
            assert_eq!(marked("42:/base:dir"), Some(42));
            assert_eq!(marked("42:/base:dir2"), None);
            assert_eq!(marked("x:/base:dir"), None);
            assert_eq!(marked(""), None);
        }
    }
}
