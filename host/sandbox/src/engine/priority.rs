//! Threads that yield to the rest of the master.

/// How much nicer than the rest of the process plugin threads are.
pub(crate) const PLUGIN_NICE: i32 = 10;

/// Makes the calling thread, and what it starts from now on, nicer by so much; best effort, since not every system allows it.
pub fn lower_thread_priority(by: i32) {
    // Elsewhere the call with no process id changes the whole process.
    if !cfg!(target_os = "linux") {
        return;
    }
    let current = rustix::process::getpriority_process(None).unwrap_or(0);
    if let Err(error) = rustix::process::setpriority_process(None, (current + by).min(19)) {
        tracing::debug!("a thread keeps the priority that it has: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
