//! Deliveries of reporters: each is made, given up or discarded, in the order of its stream.

use toolpost_core::report::Delivery;
use toolpost_core::{DeliveryId, Event, ReporterId, Timestamp};

use crate::resources::read_all;
use crate::sql::{Value, args};
use crate::tx::Tx;
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

/// What comes after a try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is tried again then.
    Retry(Timestamp),
    /// It is given up.
    Dead,
}

/// How a delivery was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was told.
    Delivered,
    /// There was nothing to tell.
    Skipped,
}

/// Longest text that is kept of a try, bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024;

impl Store {
    /// The next delivery of each stream of a reporter, also of those that are to be tried later: by the time at which
    /// they are due, then age. The cost depends on how many streams have something waiting for a second try.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery_heads(&self, reporter: ReporterId, limit: u32) -> Result<Vec<Delivery>> {
        let mut connection = self.read("delivery_heads").await?;
        let limit = limit.min(ROWS_PER_LIST_MAX);
        let end = "WHERE t.reporter_id = $1 AND t.status = 'pending' AND NOT EXISTS \
            (SELECT 1 FROM deliveries o WHERE o.reporter_id = t.reporter_id \
            AND o.stream = t.stream AND o.status = 'pending' AND o.id < t.id) \
            ORDER BY t.next_at, t.id LIMIT $2";
        read_all(
            &mut connection,
            "delivery_heads",
            end,
            args![reporter, limit],
        )
        .await
    }

    /// Records that a delivery was made, whatever somebody has decided about it meanwhile.
    ///
    /// # Errors
    /// When the delivery is unknown or the database fails.
    pub async fn delivery_made(
        &self,
        delivery: DeliveryId,
        made: Made,
        text: &str,
        now: Timestamp,
    ) -> Result<()> {
        let status = match made {
            Made::Delivered => "delivered",
            Made::Skipped => "skipped",
        };
        let sql = "UPDATE deliveries SET status = $2, text = $3, settled_at = $4, \
            attempts = attempts + 1 WHERE id = $1 RETURNING reporter_id";
        let args = args![delivery, status, shortened(text), now];
        self.settle("delivery_made", delivery, sql, args).await
    }

    /// Records a try that failed. A delivery that somebody discarded meanwhile stays so.
    ///
    /// # Errors
    /// When the delivery is unknown or the database fails.
    pub async fn delivery_failed(
        &self,
        delivery: DeliveryId,
        after: AfterFailure,
        text: &str,
        now: Timestamp,
    ) -> Result<()> {
        let (dead, next_at) = match after {
            AfterFailure::Retry(at) => (false, at),
            AfterFailure::Dead => (true, now),
        };
        let sql = "UPDATE deliveries SET attempts = attempts + 1, text = $2, next_at = $3, \
            settled_at = CASE WHEN status <> 'pending' THEN settled_at WHEN $4 = 1 THEN $5 END, \
            status = CASE WHEN status = 'pending' AND $4 = 1 THEN 'dead' ELSE status END \
            WHERE id = $1 RETURNING reporter_id";
        let args = args![delivery, shortened(text), next_at, dead, now];
        self.settle("delivery_failed", delivery, sql, args).await
    }

    /// Makes a delivery due at once, whatever its status: its tries are counted anew, its key stays.
    ///
    /// # Errors
    /// When the delivery is unknown or the database fails.
    pub async fn resend_delivery(&self, delivery: DeliveryId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE deliveries SET status = 'pending', attempts = 0, next_at = $2, \
            settled_at = NULL WHERE id = $1 RETURNING reporter_id";
        self.settle("resend_delivery", delivery, sql, args![delivery, now])
            .await
    }

    /// Makes all dead deliveries of a reporter due at once. Gives how many those were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resend_dead(&self, reporter: ReporterId, now: Timestamp) -> Result<u64> {
        self.write("resend_dead", move |tx| {
            Box::pin(async move {
                let sql = "UPDATE deliveries SET status = 'pending', attempts = 0, next_at = $2, \
                    settled_at = NULL WHERE reporter_id = $1 AND status = 'dead'";
                let changed = tx.execute("resend_dead", sql, args![reporter, now]).await?;
                if changed > 0 {
                    tx.emit(Event::Reporter(reporter));
                }
                Ok(changed)
            })
        })
        .await
    }

    /// Says that a pending or dead delivery need not be made. Says whether it was one of those.
    ///
    /// # Errors
    /// When the delivery is unknown or the database fails.
    pub async fn discard_delivery(&self, delivery: DeliveryId, now: Timestamp) -> Result<bool> {
        self.write("discard_delivery", move |tx| {
            Box::pin(async move {
                let sql = "UPDATE deliveries SET status = 'discarded', settled_at = $2 \
                    WHERE id = $1 AND status IN ('pending', 'dead') RETURNING reporter_id";
                let changed = tx
                    .fetch_optional("discard_delivery", sql, args![delivery, now])
                    .await?;
                if let Some(row) = &changed {
                    tx.emit(Event::Reporter(row.first()?));
                } else {
                    known(tx, delivery).await?;
                }
                Ok(changed.is_some())
            })
        })
        .await
    }

    /// Deletes up to `limit` deliveries that were made, skipped or discarded before `settled_before`, or given up
    /// before `dead_before`. Gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_deliveries(
        &self,
        settled_before: Timestamp,
        dead_before: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        self.write("prune_deliveries", move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries \
                    WHERE settled_at IS NOT NULL AND settled_at < \
                    CASE WHEN status = 'dead' THEN $2 ELSE $1 END \
                    ORDER BY settled_at, id LIMIT $3)";
                let limit = limit.min(ROWS_PER_LIST_MAX);
                let args = args![settled_before, dead_before, limit];
                tx.execute("prune_deliveries", sql, args).await
            })
        })
        .await
    }

    /// Runs a statement that gives the reporter of the delivery, and tells that something became of it.
    async fn settle(
        &self,
        operation: &'static str,
        delivery: DeliveryId,
        sql: &'static str,
        args: Vec<Value>,
    ) -> Result<()> {
        self.write(operation, move |tx| {
            let args = args.clone();
            Box::pin(async move {
                let reporter = tx
                    .fetch_optional(operation, sql, args)
                    .await?
                    .ok_or_else(|| StoreError::not_found("delivery", delivery))?
                    .first()?;
                tx.emit(Event::Reporter(reporter));
                Ok(())
            })
        })
        .await
    }
}

async fn known(tx: &mut Tx, delivery: DeliveryId) -> Result<()> {
    let sql = "SELECT id FROM deliveries WHERE id = $1";
    tx.fetch_optional("discard_delivery", sql, args![delivery])
        .await?
        .map(drop)
        .ok_or_else(|| StoreError::not_found("delivery", delivery))
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}
