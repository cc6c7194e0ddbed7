//! Reporters and their deliveries.

use std::collections::BTreeMap;

use toolpost_core::report::{Delivery, DeliveryStatus, Reporter};
use toolpost_core::{JournalId, ReporterId, Timestamp};

use super::sealed::Stored;
use super::table::{Table, int, text, time};
use crate::ops::journal::read_entry;
use crate::sql::{Cells, Connection, args, json_ids};
use crate::{Result, StoreError};

impl Stored for Reporter {
    const TABLE: &'static Table = &Table {
        resource: "reporter",
        from: "reporters t",
        columns: "t.id, t.name, t.master_id, t.cursor",
        fields: &[
            int("reporterid", "t.id"),
            text("name", "t.name"),
            int("masterid", "t.master_id").null(),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            name: cells.get()?,
            master_id: cells.get()?,
            cursor: cells.get()?,
            entries_ahead: 0,
            pending: 0,
            dead: 0,
            oldest_pending_at: None,
        })
    }

    async fn complete(connection: &mut Connection, rows: &mut [Self]) -> Result<()> {
        let end = "SELECT COALESCE(MAX(id), 0) FROM journal";
        let end: JournalId = connection.fetch_one(COUNTS, end, args![]).await?.first()?;
        let pending = counts(connection, rows, "pending").await?;
        let dead = counts(connection, rows, "dead").await?;
        for reporter in rows {
            reporter.entries_ahead = (end.0 - reporter.cursor.0).max(0);
            if let Some((count, oldest)) = pending.get(&reporter.id) {
                reporter.pending = *count;
                reporter.oldest_pending_at = Some(*oldest);
            }
            reporter.dead = dead.get(&reporter.id).map_or(0, |(count, _)| *count);
        }
        Ok(())
    }
}

const COUNTS: &str = "count_deliveries";

/// How many deliveries of each reporter have this status, and when the oldest of them happened.
async fn counts(
    connection: &mut Connection,
    reporters: &[Reporter],
    status: &'static str,
) -> Result<BTreeMap<ReporterId, (i64, Timestamp)>> {
    // The status is in the text, because the partial indices are found by it.
    let sql = format!(
        "SELECT reporter_id, COUNT(*), MIN(at) FROM deliveries \
         WHERE status = '{status}' AND reporter_id IN {} GROUP BY reporter_id",
        connection.ids(1)
    );
    let ids = json_ids(reporters.iter().map(|reporter| reporter.id));
    connection
        .fetch_all(COUNTS, sql, vec![ids])
        .await?
        .iter()
        .map(|row| {
            let mut cells = row.cells();
            Ok((cells.get()?, (cells.get()?, cells.get()?)))
        })
        .collect()
}

impl Stored for Delivery {
    const TABLE: &'static Table = &Table {
        resource: "delivery",
        from: "deliveries t",
        columns: "t.id, t.reporter_id, t.key, t.stream, t.status, t.attempts, t.next_at, t.text, \
            t.settled_at, t.journal_id, t.kind, t.at, t.subject_id, t.builder_id, t.results",
        fields: &[
            int("deliveryid", "t.id"),
            int("reporterid", "t.reporter_id"),
            text("key", "t.key"),
            text("event", "t.kind"),
            time("at", "t.at"),
            int("subjectid", "t.subject_id"),
            int("builderid", "t.builder_id").null(),
            int("results", "t.results").null(),
            text("stream", "t.stream"),
            text("status", "t.status"),
            int("attempts", "t.attempts"),
            time("next_at", "t.next_at"),
            text("text", "t.text").null(),
            time("settled_at", "t.settled_at").null(),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        let id = cells.get()?;
        let (reporter_id, key, stream) = (cells.get()?, cells.get()?, cells.get()?);
        let status: String = cells.get()?;
        let attempts: i64 = cells.get()?;
        Ok(Self {
            id,
            reporter_id,
            key,
            stream,
            status: DeliveryStatus::from_name(&status).ok_or_else(|| StoreError::Corrupt {
                what: format!("status of delivery {id}"),
                reason: format!("{status:?} is no status"),
            })?,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            next_at: cells.get()?,
            text: cells.get()?,
            settled_at: cells.get()?,
            entry: read_entry(cells)?,
        })
    }
}
