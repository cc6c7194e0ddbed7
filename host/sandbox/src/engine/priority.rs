//! Threads that yield to the rest of the master, and threads that it yields to.

use std::time::Duration;

use rustix::process::Pid;

/// How much nicer than the rest of the process plugin threads are.
pub(crate) const PLUGIN_NICE: i32 = 10;

/// Makes the calling thread, and what it starts from now on, nicer by so much, and gives it the turns that the system gives to
/// everybody; best effort, since not every system allows it.
pub fn lower_thread_priority(by: i32) {
    // Elsewhere the call with no process id changes the whole process.
    if !cfg!(target_os = "linux") {
        return;
    }
    let current = rustix::process::getpriority_process(None).unwrap_or(0);
    if let Err(error) = rustix::process::setpriority_process(None, (current + by).min(19)) {
        tracing::debug!("a thread keeps the priority that it has: {error}");
    }
    set_or_tell(None, Duration::ZERO);
}

/// Lets the calling thread, and what it starts from now on, run for short turns at a time, and in exchange at once when it wakes
/// up beside one with longer turns: without that, Linux (6.6 and later) leaves a core to whom it has begun to compute there, of
/// whatever priority, until the clock of the kernel ticks, 1 to 4 ms later. For threads that many people wait for and that have
/// little to do for each. Linux takes 0.1 to 100 ms. Best effort: older systems know no such thing.
pub fn shorten_thread_turns(turn: Duration) {
    set_or_tell(None, turn);
}

/// The same for another thread of this process.
pub fn shorten_turns_of(thread: Pid, turn: Duration) {
    set_or_tell(Some(thread), turn);
}

fn set_or_tell(thread: Option<Pid>, turn: Duration) {
    if let Err(error) = set_turn(thread, turn) {
        tracing::debug!("a thread keeps the turns that it has: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn set_turn(_thread: Option<Pid>, _turn: Duration) -> std::io::Result<()> {
    Ok(())
}

/// Zero stands for what the system gives to everybody.
#[cfg(target_os = "linux")]
fn set_turn(thread: Option<Pid>, turn: Duration) -> std::io::Result<()> {
    let attributes = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(0),
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_flags: 0,
        sched_nice: rustix::process::getpriority_process(thread)?,
        sched_priority: 0,
        sched_runtime: u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX),
        sched_deadline: 0,
        sched_period: 0,
    };
    // Number 0 is the calling thread.
    let thread = thread.map_or(0, Pid::as_raw_pid);
    #[expect(
        unsafe_code,
        reason = "there is no safe interface to `sched_setattr`, which alone sets the length of turns"
    )]
    // SAFETY: the system reads `size` bytes from a structure that lives until the call has returned, and keeps no pointer.
    // There are no flags.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const attributes, 0) };
    match done {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn turns_are_shortened_without_a_change_of_priority() {
        let inside = std::thread::spawn(|| {
            lower_thread_priority(PLUGIN_NICE);
            let before = rustix::process::getpriority_process(None).unwrap();
            set_turn(None, Duration::from_micros(200)).unwrap();
            (before, rustix::process::getpriority_process(None).unwrap())
        });
        let (before, after) = inside.join().unwrap();
        assert_eq!(before, after);
    }

    #[test]
    fn only_the_calling_thread_is_lowered() {
        let before = rustix::process::getpriority_process(None).unwrap();
        let inside = std::thread::spawn(|| {
            lower_thread_priority(PLUGIN_NICE);
            rustix::process::getpriority_process(None).unwrap()
        });
        assert_eq!(inside.join().unwrap(), (before + PLUGIN_NICE).min(19));
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), before);
    }
}
