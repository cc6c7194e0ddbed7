//! Threads that yield to the rest of the master.

/// How much nicer than the rest of the process plugin threads are.
const NICE: i32 = 10;

/// Lowers the priority of the calling thread; best effort, since not every system allows it.
pub(crate) fn lower_thread_priority() {
    // On Linux the call with no process id changes the calling thread only.
    let current = rustix::process::getpriority_process(None).unwrap_or(0);
    if let Err(error) = rustix::process::setpriority_process(None, (current + NICE).min(19)) {
        tracing::debug!("plugin threads keep the normal priority: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_is_lowered() {
        let before = rustix::process::getpriority_process(None).unwrap();
        let inside = std::thread::spawn(|| {
            lower_thread_priority();
            rustix::process::getpriority_process(None).unwrap()
        });
        assert_eq!(inside.join().unwrap(), (before + NICE).min(19));
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), before);
    }
}
