//! Named values of builds.

use bytes::Bytes;
use toolpost_core::{BuildId, Event};

use crate::sql::args;
use crate::{Result, Store, StoreError};

impl Store {
    /// Sets a named value of a build, in place of one that is there.
    ///
    /// # Errors
    /// When the build is unknown or the database fails.
    pub async fn set_build_data(
        &self,
        build: BuildId,
        name: &str,
        value: Bytes,
        source: &str,
    ) -> Result<()> {
        let (name, source) = (name.to_owned(), source.to_owned());
        self.write("set_build_data", move |tx| {
            let (name, value, source) = (name.clone(), value.clone(), source.clone());
            Box::pin(async move {
                const OPERATION: &str = "set_build_data";
                let sql = "SELECT builder_id FROM builds WHERE id = $1";
                let builder = tx.fetch_optional(OPERATION, sql, args![build]).await?;
                let builder = builder.ok_or_else(|| StoreError::not_found("build", build))?;
                let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
                let sql = "INSERT INTO build_data (build_id, name, value, length, source) \
                    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (build_id, name) DO UPDATE SET \
                    value = excluded.value, length = excluded.length, source = excluded.source";
                let args = args![build, name, value, length, source];
                tx.execute(OPERATION, sql, args).await?;
                tx.emit(Event::BuildChanged(build, builder.first()?));
                Ok(())
            })
        })
        .await
    }

    /// A named value of a build, and who set it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn build_data(&self, build: BuildId, name: &str) -> Result<Option<(Bytes, String)>> {
        let mut connection = self.read("build_data").await?;
        let sql = "SELECT value, source FROM build_data WHERE build_id = $1 AND name = $2";
        let found = connection.fetch_optional("build_data", sql, args![build, name]);
        let Some(row) = found.await? else {
            return Ok(None);
        };
        let mut cells = row.cells();
        let value: Vec<u8> = cells.get()?;
        Ok(Some((value.into(), cells.get()?)))
    }
}
