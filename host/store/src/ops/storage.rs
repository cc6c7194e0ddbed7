//! What plugins keep: values by key, a set of them for each plugin, within limits.

use bytes::Bytes;

use crate::sql::{Backend, Row, args};
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

/// How much a plugin may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageLimits {
    /// Longest key, bytes.
    pub key_bytes_max: usize,
    /// Largest value, bytes.
    pub value_bytes_max: usize,
    /// All keys and values together, bytes.
    pub total_bytes_max: usize,
}

impl Default for StorageLimits {
    /// What the contract with plugins promises.
    fn default() -> Self {
        Self {
            key_bytes_max: 256,
            value_bytes_max: 64 * 1024,
            total_bytes_max: 1024 * 1024,
        }
    }
}

/// What is asked of the value that is there before another one is put in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// It is this one; `None`: there is none.
    Value(Option<Bytes>),
}

impl Store {
    /// The value that a plugin keeps under this key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_value(&self, plugin: &str, key: &str) -> Result<Option<Bytes>> {
        let mut connection = self.read("plugin_value").await?;
        connection
            .fetch_optional("plugin_value", VALUE_SQL, args![plugin, key])
            .await?
            .map(|row| value(&row))
            .transpose()
    }

    /// Puts a value under this key, or removes it, if what is there is what is expected. Says whether it was.
    ///
    /// # Errors
    /// [`StoreError::StorageFull`] when a limit does not allow it; otherwise when the database fails.
    pub async fn set_plugin_value(
        &self,
        plugin: &str,
        key: &str,
        expected: Expected,
        new: Option<Bytes>,
        limits: StorageLimits,
    ) -> Result<bool> {
        check("key", key.len(), limits.key_bytes_max, plugin)?;
        let size = new.as_ref().map_or(0, Bytes::len);
        check("value", size, limits.value_bytes_max, plugin)?;
        let set = Set {
            plugin: plugin.to_owned(),
            key: key.to_owned(),
            expected,
            new,
            total_bytes_max: limits.total_bytes_max,
        };
        self.write("set_plugin_value", move |tx| {
            let set = set.clone();
            Box::pin(async move { set.run(tx).await })
        })
        .await
    }

    /// The keys that a plugin keeps values under and that start with this, sorted by their bytes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_keys(&self, plugin: &str, prefix: &str, limit: u32) -> Result<Vec<String>> {
        let mut connection = self.read("plugin_keys").await?;
        let starts = match connection.backend() {
            Backend::Sqlite => "instr(key, $2) = 1",
            Backend::Postgres => "starts_with(key, $2)",
        };
        let sql = format!(
            "SELECT key FROM plugin_storage WHERE plugin = $1 AND key >= $2 AND ($2 = '' OR {starts}) \
             ORDER BY key LIMIT $3"
        );
        connection
            .fetch_all("plugin_keys", sql, args![plugin, prefix, limit])
            .await?
            .iter()
            .map(Row::first)
            .collect()
    }
}

const VALUE_SQL: &str = "SELECT value FROM plugin_storage WHERE plugin = $1 AND key = $2";

fn value(row: &Row) -> Result<Bytes> {
    row.first::<Vec<u8>>().map(Bytes::from)
}

fn check(what: &'static str, size: usize, limit: usize, plugin: &str) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(StoreError::StorageFull {
        plugin: plugin.to_owned(),
        reason: format!("its {what} would have {size} bytes, of at most {limit}"),
    })
}

#[derive(Clone)]
struct Set {
    plugin: String,
    key: String,
    expected: Expected,
    new: Option<Bytes>,
    total_bytes_max: usize,
}

impl Set {
    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        const OPERATION: &str = "set_plugin_value";
        // Two calls at once must not both find room for the last bytes, or both find what they expect.
        tx.lock_text(OPERATION, &self.plugin).await?;
        if let Expected::Value(expected) = &self.expected {
            let found = tx
                .fetch_optional(OPERATION, VALUE_SQL, args![&self.plugin, &self.key])
                .await?
                .map(|row| value(&row))
                .transpose()?;
            if found != *expected {
                return Ok(false);
            }
        }
        let Some(new) = &self.new else {
            let sql = "DELETE FROM plugin_storage WHERE plugin = $1 AND key = $2";
            tx.execute(OPERATION, sql, args![&self.plugin, &self.key])
                .await?;
            return Ok(true);
        };
        let size = self.key.len() + new.len();
        let sql = "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM plugin_storage \
            WHERE plugin = $1 AND key <> $2";
        let others: i64 = tx
            .fetch_one(OPERATION, sql, args![&self.plugin, &self.key])
            .await?
            .first()?;
        let total = usize::try_from(others)
            .unwrap_or(usize::MAX)
            .saturating_add(size);
        check("storage", total, self.total_bytes_max, &self.plugin)?;
        let sql = "INSERT INTO plugin_storage (plugin, key, value, size_bytes) \
            VALUES ($1, $2, $3, $4) ON CONFLICT (plugin, key) \
            DO UPDATE SET value = excluded.value, size_bytes = excluded.size_bytes";
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let args = args![&self.plugin, &self.key, new.clone(), size];
        tx.execute(OPERATION, sql, args).await?;
        Ok(true)
    }
}
