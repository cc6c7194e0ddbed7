//! Small durable values: cursors of pollers and the like.

use serde_json::Value;

use crate::{Result, Store};

impl Store {
    /// The value that was stored under this object and key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get_state(&self, object: &str, key: &str) -> Result<Option<Value>> {
        todo!("{object} {key}")
    }

    /// Stores a value under this object and key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_state(&self, object: &str, key: &str, value: &Value) -> Result<()> {
        todo!("{object} {key} {value}")
    }
}
