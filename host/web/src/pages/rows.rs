//! Rows that several pages show: builds with the names of what they belong to.

use std::collections::{BTreeMap, BTreeSet};

use toolpost_core::Timestamp;
use toolpost_core::model::{Build, Builder, Worker};
use toolpost_store::{Filter, Op, Query, Store};

use super::parts::{Outcome, Took, When};
use crate::api::rows::by_id;
use crate::error::ApiError;

/// A build in a list.
pub(crate) struct BuildRow {
    pub(crate) id: i64,
    pub(crate) number: i64,
    pub(crate) builder_id: i64,
    pub(crate) builder: String,
    pub(crate) worker: Option<String>,
    pub(crate) outcome: Outcome,
    pub(crate) state: String,
    pub(crate) started: When,
    pub(crate) took: Took,
}

/// A filter for any of these ids.
pub(crate) fn any_of(field: &str, ids: impl IntoIterator<Item = i64>) -> Option<Filter> {
    let ids: BTreeSet<i64> = ids.into_iter().collect();
    (!ids.is_empty()).then(|| Filter {
        field: field.to_owned(),
        op: Op::Eq,
        values: ids.iter().map(ToString::to_string).collect(),
    })
}

/// The builds that a query gives, with names.
pub(crate) async fn builds(
    store: &Store,
    query: &Query,
    now: Timestamp,
) -> Result<Vec<BuildRow>, ApiError> {
    let builds = store.list::<Build>(query).await?;
    let builders = by_id::<Builder>(store, builds.iter().map(|build| build.builder_id.0)).await?;
    let workers = builds
        .iter()
        .filter_map(|build| build.worker_id)
        .map(|id| id.0);
    let workers = by_id::<Worker>(store, workers).await?;
    Ok(builds
        .into_iter()
        .map(|build| {
            let worker = build.worker_id.and_then(|id| workers.get(&id.0));
            BuildRow {
                id: build.id.0,
                number: build.number,
                builder_id: build.builder_id.0,
                builder: builder_name(&builders, build.builder_id.0),
                worker: worker.map(|worker| worker.name.clone()),
                outcome: Outcome::of(build.results, build.complete),
                started: When::new(build.started_at, now),
                took: Took::new(build.started_at, build.complete_at, now),
                state: build.state_string,
            }
        })
        .collect())
}

/// The name of a builder, or its id when it is gone.
pub(crate) fn builder_name(builders: &BTreeMap<i64, Builder>, id: i64) -> String {
    builders
        .get(&id)
        .map_or_else(|| format!("builder {id}"), |builder| builder.name.clone())
}
