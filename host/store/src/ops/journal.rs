//! The journal: entries are added by the writes that they tell of, and read with a cursor.

use toolpost_core::journal::{Fact, JournalEntry, JournalKind};
use toolpost_core::{JournalId, Timestamp};

use crate::sql::{Cells, args};
use crate::tx::Tx;
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

impl Store {
    /// What happened after this entry, oldest first. Ids become visible in their order, so a cursor over them passes
    /// over none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn journal_after(&self, after: JournalId, limit: u32) -> Result<Vec<JournalEntry>> {
        let mut connection = self.read("journal_after").await?;
        let limit = limit.min(ROWS_PER_LIST_MAX);
        let sql = "SELECT id, kind, at, subject_id, builder_id, results FROM journal \
            WHERE id > $1 ORDER BY id LIMIT $2";
        connection
            .fetch_all("journal_after", sql, args![after, limit])
            .await?
            .iter()
            .map(|row| read_entry(&mut row.cells()))
            .collect()
    }

    /// The newest entry's id; zero when nothing has happened yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn journal_end(&self) -> Result<JournalId> {
        let mut connection = self.read("journal_end").await?;
        let sql = "SELECT COALESCE(MAX(id), 0) FROM journal";
        connection
            .fetch_one("journal_end", sql, args![])
            .await?
            .first()
    }

    /// Deletes up to `limit` entries that happened before `older_than`, that every configured reporter has looked at
    /// and that lie before `passed`, which is where the others who read the journal have come to. Gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_journal(
        &self,
        passed: JournalId,
        older_than: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        self.write("prune_journal", move |tx| {
            Box::pin(async move {
                // The newest entry stays: it says where the journal ends.
                let sql = "DELETE FROM journal WHERE id IN (SELECT id FROM journal \
                    WHERE id <= $1 AND at < $2 AND id < (SELECT MAX(id) FROM journal) \
                    AND id <= (SELECT COALESCE(MIN(cursor), $1) FROM reporters \
                    WHERE master_id IS NOT NULL) ORDER BY id LIMIT $3)";
                let args = args![passed, older_than, limit.min(ROWS_PER_LIST_MAX)];
                tx.execute("prune_journal", sql, args).await
            })
        })
        .await
    }
}

/// PostgreSQL: transactions that add entries end one after the other, so that ids become visible in order.
const JOURNAL_LOCK: i64 = 0x6a6f_7572_6e61_6c00;

/// Adds what a job has noted. It is the last that a transaction does, because from here to its commit all others
/// that have something to add wait; and nothing is locked after it, so there is no circle of waiting.
pub(crate) async fn append(tx: &mut Tx) -> Result<()> {
    let facts = std::mem::take(&mut tx.facts);
    if facts.is_empty() {
        return Ok(());
    }
    tx.lock_key("append_journal", JOURNAL_LOCK).await?;
    let rows = facts
        .into_iter()
        .map(|(at, fact)| {
            args![
                fact.kind().name(),
                at,
                fact.subject(),
                fact.builder(),
                fact.results()
            ]
        })
        .collect();
    let into = "INSERT INTO journal (kind, at, subject_id, builder_id, results)";
    tx.insert("append_journal", into, rows, "").await?;
    Ok(())
}

/// Reads id, kind, time, subject, builder and results.
pub(crate) fn read_entry(cells: &mut Cells<'_>) -> Result<JournalEntry> {
    let id: JournalId = cells.get()?;
    let kind: String = cells.get()?;
    let at = cells.get()?;
    let (subject, builder, results) = (cells.get()?, cells.get()?, cells.get()?);
    let fact: Option<Fact> = JournalKind::from_name(&kind)
        .and_then(|kind| Fact::from_parts(kind, subject, builder, results));
    let fact = fact.ok_or_else(|| StoreError::Corrupt {
        what: format!("entry {id} of the journal"),
        reason: format!("{kind:?} is no kind of fact, or a part of it is missing"),
    })?;
    Ok(JournalEntry { id, at, fact })
}
