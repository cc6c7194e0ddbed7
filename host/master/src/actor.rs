//! Long-running tasks: each has a name, ends when it is told to, and is started again when it panics.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// A task that panics at once whenever it is started must not keep the machine busy.
const RESTART_WAIT: Duration = Duration::from_secs(5);

/// A running task.
pub(crate) struct Actor {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Actor {
    /// Runs what `body` gives until it returns or the actor is stopped, which drops it where it waits.
    /// After a panic it begins anew: every actor reads what it needs from the store.
    pub(crate) fn spawn<F, B>(name: String, mut body: B) -> Self
    where
        B: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            loop {
                let run = AssertUnwindSafe(body()).catch_unwind();
                tokio::select! {
                    () = stopped.cancelled() => return,
                    ended = run => if ended.is_ok() { return },
                }
                error!(actor = %name, "{name} stopped by a defect of this program; it begins anew");
                tokio::select! {
                    () = stopped.cancelled() => return,
                    () = tokio::time::sleep(RESTART_WAIT) => {}
                }
            }
        });
        Self { stop, task }
    }

    /// Waits until the task has ended by itself, or ends it when its time is over. Says whether it was the former.
    pub(crate) async fn finish(mut self, over: impl Future<Output = ()>) -> bool {
        tokio::select! {
            // A panic was reported when it happened.
            _ = &mut self.task => return true,
            () = over => {}
        }
        self.stop().await;
        false
    }

    /// Ends the task and waits until it has ended.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // A panic was reported when it happened.
        let _ = self.task.await;
    }
}
