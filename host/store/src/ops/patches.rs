//! Patches of source stamps: equal contents are one row.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use toolpost_core::PatchId;
use toolpost_core::model::SourceStampSpec;
use toolpost_core::patch::{PATCH_BODY_BYTES_MAX, Patch};

use crate::digest::{digest_of, hex};
use crate::sql::{Cells, args, json_ids};
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

const COLUMNS: &str = "level, body, author, comment, subdir";

impl Store {
    /// One patch.
    ///
    /// # Errors
    /// When it is unknown or the database fails.
    pub async fn patch(&self, id: PatchId) -> Result<Patch> {
        let mut found = self.patches([id]).await?;
        found
            .remove(&id)
            .ok_or_else(|| StoreError::not_found("patch", id))
    }

    /// Several patches; those that are not there are left out. Whoever asks for many holds all their bodies, each of
    /// [`PATCH_BODY_BYTES_MAX`] at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn patches(
        &self,
        ids: impl IntoIterator<Item = PatchId> + Send,
    ) -> Result<BTreeMap<PatchId, Patch>> {
        const OPERATION: &str = "patches";
        let mut ids: Vec<PatchId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut connection = self.read(OPERATION).await?;
        let list = connection.ids(1);
        let sql = format!("SELECT id, {COLUMNS} FROM patches WHERE id IN {list}");
        let rows = connection
            .fetch_all(OPERATION, sql, vec![json_ids(ids)])
            .await?;
        let patches = rows.iter().map(|row| {
            let mut cells = row.cells();
            Ok((cells.get()?, read(&mut cells)?))
        });
        patches.collect()
    }

    /// The first patch of these source stamps that there is not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unknown_patch<'a>(
        &self,
        stamps: impl IntoIterator<Item = &'a SourceStampSpec>,
    ) -> Result<Option<PatchId>> {
        const OPERATION: &str = "unknown_patch";
        let ids = stamps.into_iter().filter_map(|stamp| stamp.patch);
        let ids: BTreeSet<PatchId> = ids.collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let mut connection = self.read(OPERATION).await?;
        let sql = format!("SELECT id FROM patches WHERE id IN {}", connection.ids(1));
        let args = vec![json_ids(ids.iter().copied())];
        let rows = connection.fetch_all(OPERATION, sql, args).await?;
        let known: BTreeSet<PatchId> = rows.iter().map(|row| row.first()).collect::<Result<_>>()?;
        Ok(ids.difference(&known).next().copied())
    }
}

fn read(cells: &mut Cells<'_>) -> Result<Patch> {
    Ok(Patch {
        level: u32::try_from(cells.get::<i64>()?).unwrap_or_default(),
        body: cells.get()?,
        author: cells.get()?,
        comment: cells.get()?,
        subdir: cells.get()?,
    })
}

/// The row with these contents, made when there is none.
pub(super) async fn find_or_add(tx: &mut Tx, patch: &Patch) -> Result<PatchId> {
    const OPERATION: &str = "find_or_add_patch";
    if patch.body.len() > PATCH_BODY_BYTES_MAX {
        return Err(StoreError::PatchTooLarge {
            size_bytes: patch.body.len(),
            max_bytes: PATCH_BODY_BYTES_MAX,
        });
    }
    let body = hex(&Sha256::digest(&patch.body));
    let level = patch.level.to_string();
    let parts = [&body, &level, &patch.author, &patch.comment, &patch.subdir];
    let digest = digest_of(parts.map(|part| Some(part.as_str())));
    let find = "SELECT id FROM patches WHERE digest = $1";
    if let Some(row) = tx.fetch_optional(OPERATION, find, args![&digest]).await? {
        return row.first();
    }
    let sql = format!(
        "INSERT INTO patches (digest, size_bytes, {COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (digest) DO NOTHING RETURNING id"
    );
    let args = args![
        &digest,
        i64::try_from(patch.body.len()).unwrap_or(i64::MAX),
        i64::from(patch.level),
        Bytes::copy_from_slice(&patch.body),
        &patch.author,
        &patch.comment,
        &patch.subdir
    ];
    if let Some(row) = tx.fetch_optional(OPERATION, sql, args).await? {
        return row.first();
    }
    // Another transaction has just committed the same.
    let row = tx.fetch_one(OPERATION, find, args![&digest]).await?;
    row.first()
}
