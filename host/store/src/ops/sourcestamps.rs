//! Source stamps: equal contents are one row.

use toolpost_core::model::SourceStampSpec;
use toolpost_core::{SourceStampId, Timestamp};

use crate::Result;
use crate::digest::digest_of;
use crate::sql::args;
use crate::tx::Tx;

const OPERATION: &str = "find_or_add_sourcestamp";

/// The row with these contents, made when there is none.
pub(super) async fn find_or_add(
    tx: &mut Tx,
    stamp: &SourceStampSpec,
    now: Timestamp,
) -> Result<SourceStampId> {
    let contents = [
        Some(stamp.codebase.as_str()),
        Some(&stamp.repository),
        stamp.branch.as_deref(),
        stamp.revision.as_deref(),
        Some(&stamp.project),
    ];
    let patch = stamp.patch.map(|patch| patch.to_string());
    // Without a patch it is what it was before there were any.
    let digest = digest_of(contents.into_iter().chain(patch.as_deref().map(Some)));
    if let Some(id) = find(tx, &digest).await? {
        return Ok(id);
    }
    let sql = "INSERT INTO sourcestamps \
        (digest, codebase, repository, branch, revision, project, patch_id, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (digest) DO NOTHING RETURNING id";
    let args = args![
        &digest,
        &stamp.codebase,
        &stamp.repository,
        &stamp.branch,
        &stamp.revision,
        &stamp.project,
        stamp.patch,
        now
    ];
    if let Some(row) = tx.fetch_optional(OPERATION, sql, args).await? {
        return row.first();
    }
    // Another transaction has just committed the same.
    find(tx, &digest)
        .await?
        .ok_or_else(|| crate::StoreError::Conflict {
            what: "a source stamp".to_owned(),
        })
}

async fn find(tx: &mut Tx, digest: &str) -> Result<Option<SourceStampId>> {
    let sql = "SELECT id FROM sourcestamps WHERE digest = $1";
    tx.fetch_optional(OPERATION, sql, args![digest])
        .await?
        .map(|row| row.first())
        .transpose()
}
