//! The queue as a round of the distributor sees it: many requests of each builder that has a worker, and the first one of every
//! other builder, so that it can be told why that waits.
//!
//! A farm may have thousands of builders whose workers are away, with a hundred thousand requests. None of them can start, so
//! a round does not read them; the first ones are read again only now and then when that takes long.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use toolpost_core::BuilderId;
use toolpost_store::{PendingRequest, Store, StoreError};

/// Reading the first requests of all builders is worth a thought only when it takes longer than this.
const QUICK: Duration = Duration::from_millis(5);

/// So many times as long as it took they are left alone.
const TIMES_AS_LONG: u32 = 20;

/// What is known of the queue.
#[derive(Default)]
pub(crate) struct Queue {
    firsts: Vec<PendingRequest>,
    /// When the firsts are to be read again.
    due: Option<Instant>,
    /// Whether the last look has left them alone.
    left_alone: bool,
}

impl Queue {
    /// The heads of the queues: so many requests of builders that may start one, one of each other.
    pub(crate) async fn heads(
        &mut self,
        store: &Store,
        able: &BTreeSet<BuilderId>,
        per_builder: u32,
    ) -> Result<Vec<PendingRequest>, StoreError> {
        let mut heads = store.pending_heads_of(able, per_builder).await?;
        let started = Instant::now();
        self.left_alone = self.due.is_some_and(|due| started < due);
        if !self.left_alone {
            self.firsts = store.pending_heads(1).await?;
            let took = started.elapsed();
            self.due = (took > QUICK).then(|| started + took * TIMES_AS_LONG);
        }
        let others = self.firsts.iter();
        heads.extend(
            others
                .filter(|request| !able.contains(&request.builder))
                .cloned(),
        );
        Ok(heads)
    }

    /// Waits until what was left alone is to be read again; for ever when nothing was.
    pub(crate) async fn due(&self) {
        match self.due {
            Some(due) if self.left_alone => tokio::time::sleep_until(due).await,
            _ => std::future::pending().await,
        }
    }
}
