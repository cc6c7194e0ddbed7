//! The programs that a chore has started, so that none of them outlives it.
//!
//! A program is known here from its start until it was waited for, because only then does its id
//! surely name it. On a signal each one that is still known is told to end, and then the chore ends.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// What a signal has to clean up.
#[derive(Default)]
struct Known {
    running: Vec<(Pid, Signal)>,
    directories: Vec<PathBuf>,
}

static KNOWN: Mutex<Known> = Mutex::new(Known {
    running: Vec::new(),
    directories: Vec::new(),
});

/// From now on SIGINT, SIGTERM and SIGHUP end the programs first and then this process.
pub(crate) fn stop_on_signals() -> Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("could not listen for signals")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // The lock is kept, so that nothing new starts while the process goes down.
            let known = known();
            for (pid, stop) in &known.running {
                // One that is ending by itself is as good as stopped.
                let _ = kill_process(*pid, *stop);
            }
            for directory in &known.directories {
                remove_directory(directory);
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Starts a program that a signal ends with `stop`.
pub(crate) fn spawn(command: &mut Command, stop: Signal) -> Result<Running> {
    let mut known = known();
    let child = command
        .spawn()
        .with_context(|| format!("could not start `{}`", command.get_program().display()))?;
    let pid = Pid::from_child(&child);
    known.running.push((pid, stop));
    Ok(Running { child, pid, stop })
}

/// Runs a program that prints for itself to its end.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    spawn(command, Signal::TERM)?.wait()
}

/// Removes `directory` on a signal too, which skips destructors.
pub(crate) fn remove_on_signal(directory: PathBuf) {
    known().directories.push(directory);
}

/// A program that was started; dropping it ends it.
pub(crate) struct Running {
    child: Child,
    pid: Pid,
    stop: Signal,
}

impl Running {
    /// The program's own handle, for its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        self.reap()
    }

    fn reap(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().context("could not wait for a program")?;
        known().running.retain(|(pid, _)| *pid != self.pid);
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let is_known = known().running.iter().any(|(pid, _)| *pid == self.pid);
        if is_known {
            // Neither can fail in a way that something could be done about here.
            let _ = kill_process(self.pid, self.stop);
            let _ = self.reap();
        }
    }
}

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server that is going down may still write, so one more try is worth it.
fn remove_directory(directory: &std::path::Path) {
    if std::fs::remove_dir_all(directory).is_err() {
        let _ = std::fs::remove_dir_all(directory);
    }
}
