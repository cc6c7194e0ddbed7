//! Paths of codebases that are more than a list or a row: where two commits part, and the test results between them.

use serde_json::{Value, json};
use toolpost_core::CommitId;
use toolpost_core::codebase::CommonCommit;
use toolpost_store::{Filter, Op, Store};

use super::memory;
use super::schema::Resource;
use super::special::members;
use crate::error::ApiError;

/// Where two commits part, and the commits from there to each.
pub(super) async fn common(
    store: &Store,
    first: i64,
    second: i64,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let found = store
        .common_commit(CommitId(first), CommitId(second))
        .await?;
    let item = found.map(|found| {
        let ids = |commits: &[CommitId]| commits.iter().map(|id| id.0).collect::<Value>();
        members(json!({
            "common": found.common.0,
            "to1": ids(&found.to_first),
            "to2": ids(&found.to_second),
        }))
    });
    memory::single(Resource::CommitGraph, item, raw_query)
}

/// Which sets of test results are of builds of the commits from one to a later one; `None` when the later one does not go back to
/// the first.
pub(super) async fn between(
    store: &Store,
    first: i64,
    second: i64,
) -> Result<Option<Filter>, ApiError> {
    let found = store
        .common_commit(CommitId(first), CommitId(second))
        .await?;
    let commits = match found {
        Some(CommonCommit {
            common, to_second, ..
        }) if common.0 == first => to_second,
        _ => return Ok(None),
    };
    Ok(Some(Filter {
        field: "commitid".into(),
        op: Op::Eq,
        values: commits.iter().map(ToString::to_string).collect(),
    }))
}
