//! What people did, or wanted to do: the newest entries.

use toolpost_core::Timestamp;

use crate::sql::args;
use crate::{ROWS_PER_LIST_MAX, Result, Store};

/// Longest text of an entry, bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// Something that somebody did, or wanted to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditEntry {
    /// Who.
    pub who: String,
    /// How they were known: `password`, `provider:NAME`, `token LABEL`, `proxy`; empty for nobody.
    pub via: String,
    /// From where.
    pub address: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// What else they said.
    pub detail: String,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Grows in the order in which things were done.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub entry: AuditEntry,
}

impl Store {
    /// Remembers what somebody did, and forgets what is older than the newest so many entries.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_audit(
        &self,
        entry: AuditEntry,
        entries_max: u32,
        now: Timestamp,
    ) -> Result<()> {
        const OPERATION: &str = "add_audit";
        self.write(OPERATION, move |tx| {
            let short = |text: &str| text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned();
            let row = args![
                now,
                short(&entry.who),
                short(&entry.via),
                short(&entry.address),
                short(&entry.action),
                short(&entry.target),
                short(&entry.detail),
                &entry.outcome
            ];
            Box::pin(async move {
                let into =
                    "INSERT INTO audit (at, who, via, address, action, target, detail, outcome)";
                tx.insert(OPERATION, into, vec![row], "").await?;
                let sql = "DELETE FROM audit WHERE id <= (SELECT MAX(id) FROM audit) - $1";
                tx.execute(OPERATION, sql, args![entries_max]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Entries before one, newest first: of somebody, or of everybody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit(
        &self,
        of: Option<&str>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>> {
        let sql = "SELECT id, at, who, via, address, action, target, detail, outcome FROM audit \
            WHERE ($1 = '' OR who = $1) AND id < $2 ORDER BY id DESC LIMIT $3";
        let mut connection = self.read("audit").await?;
        let limit = limit.min(ROWS_PER_LIST_MAX);
        let args = args![of.unwrap_or_default(), before.unwrap_or(i64::MAX), limit];
        let rows = connection.fetch_all("audit", sql, args).await?;
        let read = |row: &crate::sql::Row| {
            let mut cells = row.cells();
            Ok(AuditRow {
                id: cells.get()?,
                at: cells.get()?,
                entry: AuditEntry {
                    who: cells.get()?,
                    via: cells.get()?,
                    address: cells.get()?,
                    action: cells.get()?,
                    target: cells.get()?,
                    detail: cells.get()?,
                    outcome: cells.get()?,
                },
            })
        };
        rows.iter().map(read).collect()
    }
}
