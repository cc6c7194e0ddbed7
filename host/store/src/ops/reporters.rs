//! Reporters: who there is, and how far each has come in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use toolpost_core::journal::JournalEntry;
use toolpost_core::{Event, JournalId, MasterId, ReporterId, Timestamp};

use crate::digest::digest_of;
use crate::sql::{args, json_ids};
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

/// Hexadecimal digits of a delivery's key: 128 bits.
const KEY_DIGITS: usize = 32;

impl Store {
    /// Gives the reporters with these names to this master. A name that is new, or that no configuration had, starts at
    /// the end of the journal: what happened before is not told.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn register_reporters(
        &self,
        master: MasterId,
        names: BTreeSet<String>,
    ) -> Result<BTreeMap<String, ReporterId>> {
        let names = Arc::new(names);
        self.write("register_reporters", move |tx| {
            let names = names.clone();
            Box::pin(async move {
                let mut ids = BTreeMap::new();
                for name in &*names {
                    ids.insert(name.clone(), register(tx, master, name).await?);
                }
                Ok(ids)
            })
        })
        .await
    }

    /// Takes this master's other reporters from it. Their deliveries stay as they are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retire_reporters(
        &self,
        master: MasterId,
        but: BTreeSet<ReporterId>,
    ) -> Result<()> {
        let but = Arc::new(but);
        self.write("retire_reporters", move |tx| {
            let but = but.clone();
            Box::pin(async move {
                let sql = format!(
                    "UPDATE reporters SET master_id = NULL \
                     WHERE master_id = $1 AND id NOT IN {} RETURNING id",
                    tx.ids(2)
                );
                let args = vec![master.into(), json_ids(but.iter().copied())];
                for row in tx.fetch_all("retire_reporters", sql, args).await? {
                    tx.emit(Event::Reporter(row.first()?));
                }
                Ok(())
            })
        })
        .await
    }

    /// Where a reporter is in the journal.
    ///
    /// # Errors
    /// When the reporter is unknown or the database fails.
    pub async fn reporter_cursor(&self, reporter: ReporterId) -> Result<JournalId> {
        let mut connection = self.read("reporter_cursor").await?;
        let sql = "SELECT cursor FROM reporters WHERE id = $1";
        connection
            .fetch_optional("reporter_cursor", sql, args![reporter])
            .await?
            .ok_or_else(|| StoreError::not_found("reporter", reporter))?
            .first()
    }

    /// Moves a reporter from `from` to `to` in the journal and makes a delivery of each entry in `wanted`, all or
    /// nothing. Gives how many deliveries that were.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the reporter is elsewhere by now or another master's; otherwise when the database
    /// fails.
    pub async fn fan_out(
        &self,
        reporter: ReporterId,
        master: MasterId,
        from: JournalId,
        to: JournalId,
        wanted: Vec<JournalEntry>,
        now: Timestamp,
    ) -> Result<u64> {
        let wanted = Arc::new(wanted);
        self.write("fan_out", move |tx| {
            let wanted = wanted.clone();
            Box::pin(async move {
                let name = advance(tx, reporter, master, from, to).await?;
                add_deliveries(tx, reporter, &name, &wanted, now).await
            })
        })
        .await
    }
}

async fn register(tx: &mut Tx, master: MasterId, name: &str) -> Result<ReporterId> {
    const OPERATION: &str = "register_reporters";
    let sql = "INSERT INTO reporters (name, master_id, cursor) \
        VALUES ($1, $2, (SELECT COALESCE(MAX(id), 0) FROM journal)) \
        ON CONFLICT (name) DO UPDATE SET master_id = excluded.master_id, \
        cursor = CASE WHEN reporters.master_id IS NULL THEN excluded.cursor \
        ELSE reporters.cursor END RETURNING id";
    let id = tx
        .fetch_one(OPERATION, sql, args![name, master])
        .await?
        .first()?;
    tx.emit(Event::Reporter(id));
    Ok(id)
}

/// Moves the cursor, if it is where it is expected, and gives the reporter's name.
async fn advance(
    tx: &mut Tx,
    reporter: ReporterId,
    master: MasterId,
    from: JournalId,
    to: JournalId,
) -> Result<String> {
    let sql = "UPDATE reporters SET cursor = $1 \
        WHERE id = $2 AND cursor = $3 AND master_id = $4 RETURNING name";
    tx.fetch_optional("fan_out", sql, args![to, reporter, from, master])
        .await?
        .ok_or_else(|| StoreError::Conflict {
            what: format!("reporter {reporter}"),
        })?
        .first()
}

async fn add_deliveries(
    tx: &mut Tx,
    reporter: ReporterId,
    name: &str,
    wanted: &[JournalEntry],
    now: Timestamp,
) -> Result<u64> {
    let rows = wanted
        .iter()
        .map(|entry| {
            let fact = entry.fact;
            args![
                reporter,
                key(name, entry),
                entry.id,
                fact.kind().name(),
                entry.at,
                fact.subject(),
                fact.builder(),
                fact.results(),
                fact.stream(),
                "pending",
                now,
            ]
        })
        .collect();
    let into = "INSERT INTO deliveries (reporter_id, key, journal_id, kind, at, subject_id, \
        builder_id, results, stream, status, next_at)";
    let added = tx.insert("fan_out", into, rows, "RETURNING id").await?;
    if !added.is_empty() {
        tx.emit(Event::Reporter(reporter));
    }
    Ok(added.len() as u64)
}

/// Depends on the time too: a database that was put back from a backup gives ids again, for other things.
fn key(reporter: &str, entry: &JournalEntry) -> String {
    let mut key = digest_of([
        Some(reporter),
        Some(&entry.id.to_string()),
        Some(&entry.at.0.to_string()),
        Some(&entry.fact.stream()),
    ]);
    key.truncate(KEY_DIGITS);
    key
}
