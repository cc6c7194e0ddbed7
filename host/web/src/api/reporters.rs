//! Reporters: rows of the store, with what their actors say of themselves. Always asked for, because what actors say
//! changes without a commit.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use toolpost_core::report::Reporter;
use toolpost_master::ReporterStatus;
use toolpost_store::Query;

use super::memory;
use super::schema::Resource;
use crate::error::ApiError;
use crate::state::Web;

/// Reporters of one answer.
const REPORTERS_MAX: u32 = 1_000;

/// All of them, also those that no configuration names any more.
pub(super) async fn list(web: &Web, raw_query: Option<&str>) -> Result<Vec<u8>, ApiError> {
    let query = Query::new().order("name").limit(REPORTERS_MAX);
    let reporters: Vec<Reporter> = web.store.list(&query).await?;
    let said = said(web);
    let items = reporters
        .iter()
        .map(|reporter| as_json(reporter, said.get(&reporter.name)))
        .collect();
    memory::collection(Resource::Reporter, items, raw_query)
}

/// One.
pub(super) async fn one(web: &Web, id: i64, raw_query: Option<&str>) -> Result<Vec<u8>, ApiError> {
    let reporter: Option<Reporter> = web.store.find(id).await?;
    let said = said(web);
    let item = reporter.map(|reporter| as_json(&reporter, said.get(&reporter.name)));
    memory::single(Resource::Reporter, item, raw_query)
}

fn said(web: &Web) -> BTreeMap<String, ReporterStatus> {
    web.master
        .reporters()
        .into_iter()
        .map(|status| (status.name.clone(), status))
        .collect()
}

fn as_json(reporter: &Reporter, status: Option<&ReporterStatus>) -> Map<String, Value> {
    let fields = json!({
        "cursor": reporter.cursor.0,
        "dead": reporter.dead,
        "entries_ahead": reporter.entries_ahead,
        "error": status.and_then(|status| status.error.as_deref()),
        "held": status.and_then(|status| status.held.as_deref()),
        "masterid": reporter.master_id.map(|id| id.0),
        "name": reporter.name,
        "oldest_pending_at": reporter.oldest_pending_at.map(|at| at.seconds()),
        "pending": reporter.pending,
        "reporterid": reporter.id.0,
        "running": status.map_or(0, |status| status.running),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
