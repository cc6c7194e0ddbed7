//! Records as plugins of all kinds are told of them: what the contract says once is made here once.

use serde_json::{Map, Value};
use toolpost_core::model::{Build, BuildRequest, Change, SourceStamp};
use toolpost_core::{Properties, Results};
use toolpost_sandbox::reporter as wire;
use toolpost_store::{Query, Store, StoreError};

pub(crate) fn change(change: Change) -> wire::Change {
    wire::Change {
        id: number(change.id),
        author: change.author,
        comments: change.comments,
        files: change.files,
        branch: change.branch,
        revision: change.revision,
        category: change.category,
        repository: change.repository,
        project: change.project,
        codebase: change.codebase,
        revlink: change.revlink,
        when_ms: number(change.when.0),
        properties: values(&change.properties),
    }
}

pub(crate) fn stamps(stamps: &[SourceStamp]) -> Vec<wire::SourceStamp> {
    let specs = stamps.iter().map(|stamp| stamp.spec.clone());
    specs.map(Into::into).collect()
}

pub(crate) fn results(results: Results) -> wire::Results {
    match results {
        Results::Success => wire::Results::Success,
        Results::Warnings => wire::Results::Warnings,
        Results::Failure => wire::Results::Failure,
        Results::Skipped => wire::Results::Skipped,
        Results::Exception => wire::Results::Exception,
        Results::Retry => wire::Results::Retry,
        Results::Cancelled => wire::Results::Cancelled,
    }
}

/// An object of values by name.
pub(crate) fn values(properties: &Properties) -> String {
    let object: Map<String, Value> = properties
        .iter()
        .map(|(name, property)| (name.to_owned(), property.value.clone()))
        .collect();
    Value::Object(object).to_string()
}

/// Ids, counts and times are not negative.
pub(crate) fn number(id: impl Into<i64>) -> u64 {
    u64::try_from(id.into()).unwrap_or(0)
}

/// The newest build of a request: of one that was tried again, the last. A request that was cancelled, or done together
/// with another, has none.
pub(crate) async fn last_build(
    store: &Store,
    request: &BuildRequest,
) -> Result<Option<Build>, StoreError> {
    let query = Query::new()
        .eq("buildrequestid", request.id)
        .order("-buildid")
        .limit(1);
    Ok(store.list(&query).await?.pop())
}
