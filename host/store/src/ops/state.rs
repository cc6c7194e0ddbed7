//! Small durable values: cursors of pollers and the like.

use serde_json::Value;

use crate::sql::args;
use crate::tx::Tx;
use crate::{Result, Store};

impl Store {
    /// The value that was stored under this object and key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get_state(&self, object: &str, key: &str) -> Result<Option<Value>> {
        let mut connection = self.read("get_state").await?;
        let sql = "SELECT value FROM object_state WHERE object = $1 AND key = $2";
        connection
            .fetch_optional("get_state", sql, args![object, key])
            .await?
            .map(|row| row.cells().json())
            .transpose()
    }

    /// Stores a value under this object and key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_state(&self, object: &str, key: &str, value: &Value) -> Result<()> {
        let row = (object.to_owned(), key.to_owned(), value.to_string());
        self.write("set_state", move |tx| {
            let (object, key, value) = row.clone();
            Box::pin(async move { put_state(tx, &object, &key, &value).await })
        })
        .await
    }
}

/// Stores a JSON text under this object and key.
pub(super) async fn put_state(tx: &mut Tx, object: &str, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO object_state (object, key, value) VALUES ($1, $2, $3) \
        ON CONFLICT (object, key) DO UPDATE SET value = excluded.value";
    tx.execute("set_state", sql, args![object, key, value])
        .await?;
    Ok(())
}
