//! What wakes the keeper of the fleet beside events.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Rung by those who know that there is something to do.
#[derive(Debug, Default)]
pub(crate) struct FleetBell {
    rung: Notify,
    /// Whether a worker waits for its builds to end; only then does their end matter.
    leaving: AtomicBool,
}

impl FleetBell {
    /// There is something to look at.
    pub(crate) fn ring(&self) {
        self.rung.notify_one();
    }

    /// A build is not on its worker any more. The event that it has finished comes before that, so that who looks then may still
    /// see it there.
    pub(crate) fn build_ended(&self) {
        if self.leaving.load(Ordering::SeqCst) {
            self.ring();
        }
    }

    /// Whether a worker waits for its builds: said before they are looked at.
    pub(super) fn set_leaving(&self, leaving: bool) {
        self.leaving.store(leaving, Ordering::SeqCst);
    }

    /// Waits until it is rung.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }
}
