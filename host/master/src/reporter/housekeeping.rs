//! Deletes what nobody needs any more: deliveries that are done, and the journal behind all who read it.

use std::time::Duration;

use toolpost_core::model::Scheduler;
use toolpost_core::schedule::plugin::PluginSchedulerState;
use toolpost_core::{JournalId, Timestamp};
use toolpost_store::{Query, Store, StoreError};
use tracing::warn;

use crate::clock::Clock;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(10 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long deliveries that were made can be looked at.
const SETTLED_DAYS: u32 = 14;

/// How long deliveries that were given up can be sent again.
const DEAD_DAYS: u32 = 90;

/// How long the journal is kept behind all who read it, for people who look for what happened.
const JOURNAL_DAYS: u32 = 7;

/// Rows of one transaction.
const ROWS_PER_ROUND: u32 = 2_000;

/// Looks now and then, until it is dropped.
pub(crate) async fn keep_house(store: Store, clock: std::sync::Arc<dyn Clock>) {
    loop {
        clock.sleep(INTERVAL).await;
        if let Err(error) = clean(&store, clock.now()).await {
            warn!("old entries of the journal and old deliveries stay for now: {error}");
        }
    }
}

/// Deletes everything that is old enough.
pub(super) async fn clean(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let (settled, dead) = (before(now, SETTLED_DAYS), before(now, DEAD_DAYS));
    while store
        .prune_deliveries(settled, dead, ROWS_PER_ROUND)
        .await?
        >= ROWS_PER_ROUND.into()
    {}
    let passed = passed_by_schedulers(store).await?;
    let old = before(now, JOURNAL_DAYS);
    while store.prune_journal(passed, old, ROWS_PER_ROUND).await? >= ROWS_PER_ROUND.into() {}
    Ok(())
}

/// The entry up to which every scheduler that reads the journal has read it.
async fn passed_by_schedulers(store: &Store) -> Result<JournalId, StoreError> {
    let mut passed = store.journal_end().await?;
    let schedulers: Vec<Scheduler> = store.list(&Query::new()).await?;
    for scheduler in schedulers
        .iter()
        .filter(|scheduler| scheduler.master_id.is_some())
    {
        let stored = store.scheduler_state(scheduler.id).await?;
        // Those of other kinds read no journal.
        if PluginSchedulerState::is_one(&stored.state) {
            // Where one is whose state cannot be read is not known: all stays.
            let cursor = PluginSchedulerState::from_value(&stored.state)
                .map_or(JournalId(0), |state| state.cursor());
            passed = passed.min(cursor);
        }
    }
    Ok(passed)
}

fn before(now: Timestamp, days: u32) -> Timestamp {
    let age_ms = i64::try_from((DAY * days).as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(age_ms))
}
