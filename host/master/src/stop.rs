//! Draining, and the end of a master.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use toolpost_core::Results;
use toolpost_core::step::Stop;
use tracing::{info, warn};

use crate::engine::Engine;

/// How long builds that are interrupted at the end may take to end by themselves.
const INTERRUPT_WAIT: Duration = Duration::from_secs(30);

/// How long reporters have to tell what has happened until the last build ended.
const REPORTS_WAIT: Duration = Duration::from_secs(10);

/// How long commands that still run at the very end have before they are killed.
const WORKER_GRACE: Duration = Duration::from_secs(2);

/// Whether a master takes new builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It does.
    Running,
    /// It does not until it is told otherwise.
    Draining,
    /// It never will again.
    Stopping,
}

/// Where the end of a master stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ending {
    /// Builds may run until then.
    deadline: Option<Instant>,
    /// Somebody asked a second time: everything else is over then as well.
    is_hurried: bool,
    done: bool,
}

impl Engine {
    pub(crate) fn set_draining(&self, draining: bool) {
        self.phase.send_if_modified(|phase| {
            let wanted = if draining {
                Phase::Draining
            } else {
                Phase::Running
            };
            let changes = *phase != Phase::Stopping && *phase != wanted;
            if changes {
                *phase = wanted;
            }
            changes
        });
        self.distribute.notify_one();
    }

    /// Ends the master; see [`crate::MasterHandle::shutdown`]. The first caller ends it, later ones may only
    /// shorten the time that builds have.
    pub(crate) async fn shutdown(self: &Arc<Self>, limit: Duration) {
        let deadline = Instant::now() + limit;
        let first = self.phase.send_replace(Phase::Stopping) != Phase::Stopping;
        self.ending.send_modify(|ending| {
            ending.is_hurried = !first;
            ending.deadline = Some(ending.deadline.map_or(deadline, |at| at.min(deadline)));
        });
        let mut ending = self.ending.subscribe();
        if first {
            let engine = Arc::clone(self);
            tokio::spawn(async move { engine.end().await });
        }
        // The sender lives as long as `self`.
        let _ = ending.wait_for(|ending| ending.done).await;
    }

    async fn end(&self) {
        self.stop_loops().await;
        self.stop_sources().await;
        let running = self.builds.count();
        if running > 0 {
            info!("waiting for {running} running builds");
        }
        let mut ending = self.ending.subscribe();
        tokio::select! {
            () = self.builds.idle() => {}
            () = passed(&mut ending) => self.interrupt_builds().await,
        }
        self.abandon.cancel();
        self.build_tasks.close();
        self.build_tasks.wait().await;
        self.stop_port.cancel();
        self.workers.remote.close(WORKER_GRACE).await;
        let local = self.workers.connected();
        for worker in local.values().filter(|worker| worker.session.is_none()) {
            worker.link.shut_down(WORKER_GRACE).await;
        }
        let now = self.clock.now();
        // Whatever was given up is put back in the queue here, not only at the next start.
        // One that never began leaves that to the next start, which first ends what was left running on the workers.
        let has_begun = *self.ready.borrow();
        if has_begun && let Err(error) = self.store.recover_master(self.master_id, now).await {
            warn!("builds that were given up are put back at the next start: {error}");
        }
        let until = Instant::now() + REPORTS_WAIT;
        self.finish_reporters(|| over(self.ending.subscribe(), until))
            .await;
        let now = self.clock.now();
        if let Err(error) = self.store.stop_master(self.master_id, now).await {
            warn!("the end of this master was not stored: {error}");
        }
        info!("master `{}` ended", self.name);
        self.ending.send_modify(|ending| ending.done = true);
    }

    async fn interrupt_builds(&self) {
        warn!(
            "{} builds are interrupted and will run again",
            self.builds.count()
        );
        for stops in self.builds.all_stops() {
            let stop = Stop {
                results: Results::Retry,
                reason: "the master was stopped".into(),
            };
            // A build that does not listen has ended.
            let _ = stops.send(stop).await;
        }
        if tokio::time::timeout(INTERRUPT_WAIT, self.builds.idle())
            .await
            .is_err()
        {
            warn!(
                "{} builds did not stop and are given up",
                self.builds.count()
            );
        }
    }

    async fn stop_loops(&self) {
        let loops = std::mem::take(&mut *self.loops.lock().await);
        for actor in loops {
            actor.stop().await;
        }
    }
}

/// Returns at this time, or earlier when somebody is in a hurry.
async fn over(mut ending: watch::Receiver<Ending>, until: Instant) {
    loop {
        let now = *ending.borrow_and_update();
        let hurried = now.deadline.filter(|_| now.is_hurried);
        tokio::select! {
            () = tokio::time::sleep_until(hurried.map_or(until, |at| at.min(until))) => return,
            changed = ending.changed() => if changed.is_err() { return },
        }
    }
}

/// Returns when the deadline has passed, also one that is moved forward meanwhile.
async fn passed(ending: &mut watch::Receiver<Ending>) {
    loop {
        let deadline = ending.borrow_and_update().deadline;
        let sleep = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => return,
            changed = ending.changed() => if changed.is_err() { return },
        }
    }
}
