//! What a step of a plugin has begun on the worker, to be ended before anything else begins there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use toolpost_sandbox::host::HostError;
use tracing::warn;

use super::outcome::Fault;

/// More than a worker takes to end a command: its grace, the wait for what was killed, the wait for its pipes.
const END_WAIT_MAX: Duration = Duration::from_secs(60);

/// Counts what runs for one call of a plugin. Invariant: once [`Work::end`] is done, nothing of it goes on and nothing begins,
/// or the fault says otherwise.
#[derive(Debug, Default)]
pub(crate) struct Work {
    tasks: TaskTracker,
    ending: CancellationToken,
    /// A command that not even SIGKILL has ended.
    is_left: Arc<AtomicBool>,
}

/// Something that runs, until it is dropped.
pub(crate) struct Begun {
    _token: TaskTrackerToken,
    /// Cancelled when it is to end.
    pub(super) ending: CancellationToken,
    is_left: Arc<AtomicBool>,
}

impl Work {
    /// Begins something; refused once the call has ended.
    pub(super) fn begin(&self) -> Result<Begun, HostError> {
        // Counted before it looks: either it is waited for, or it sees that it comes too late.
        let token = self.tasks.token();
        if self.tasks.is_closed() {
            return Err(has_ended());
        }
        Ok(Begun {
            _token: token,
            ending: self.ending.clone(),
            is_left: Arc::clone(&self.is_left),
        })
    }

    /// Ends what runs, and waits for that. Doing so again changes nothing.
    pub(super) async fn end(&self) -> Result<(), Fault> {
        self.tasks.close();
        self.ending.cancel();
        let waited = tokio::time::timeout(END_WAIT_MAX, self.tasks.wait()).await;
        if waited.is_ok() && !self.is_left.load(Ordering::Relaxed) {
            return Ok(());
        }
        let left = self.tasks.len();
        warn!("a step has ended, but not all that its plugin began on the worker: {left} tasks");
        Err(Fault::Exception(
            "a command of the plugin did not end, not even by SIGKILL: it may still run on the worker".into(),
        ))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

impl Begun {
    /// Says that what was begun cannot be ended.
    pub(super) fn is_left(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }
}

/// The answer to what comes after the end.
pub(super) fn has_ended() -> HostError {
    HostError::Permanent("the step has ended".into())
}
