//! The handle that everything goes through.

use crate::{Result, StoreOptions};

/// The records of a farm. Cheap to clone; all clones share one database.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// Opens the database, brings it to the newest schema and starts the writer.
    ///
    /// # Errors
    /// When the database cannot be used; see [`crate::StoreError`].
    pub async fn open(options: StoreOptions) -> Result<Self> {
        todo!("{options:?}")
    }

    /// Counts the commits of this store since it was opened. Equal numbers mean that nothing was written in between by this process.
    #[must_use]
    pub fn generation(&self) -> u64 {
        todo!()
    }

    /// Finishes the writes that wait, closes the database and gives up its lock. Later calls fail with
    /// [`crate::StoreError::Closed`].
    pub async fn close(&self) {
        todo!()
    }
}
