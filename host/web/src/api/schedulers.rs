//! Schedulers: rows of the store as Buildbot has them, with what their actors say of themselves. Always asked for, because
//! what actors say changes without a commit.

use serde_json::{Map, Value, json};
use toolpost_core::model::Scheduler;
use toolpost_master::{SchedulerStatus, StuckEvent};
use toolpost_store::SkipRow;

use super::list;
use super::memory;
use super::path::Scope;
use super::query::Spec;
use super::rows::{Row, write_row};
use super::schema::Resource;
use crate::error::ApiError;
use crate::state::Web;

/// Events that schedulers have passed over, of those that are listed; the newest.
const SKIPS_MAX: u32 = 100;

/// Those within the scopes.
pub(super) async fn list(
    web: &Web,
    scopes: &[Scope],
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let rows = list::rows_within::<Scheduler>(&web.store, scopes).await?;
    let items = as_json(web, &rows).await?;
    memory::collection(Resource::Scheduler, items, raw_query)
}

/// One.
pub(super) async fn one(
    web: &Web,
    id: i64,
    scopes: &[Scope],
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let mut rows = list::rows_within::<Scheduler>(&web.store, scopes).await?;
    rows.retain(|row| row.id.0 == id);
    let item = as_json(web, &rows).await?.pop();
    memory::single(Resource::Scheduler, item, raw_query)
}

async fn as_json(web: &Web, rows: &[Scheduler]) -> Result<Vec<Map<String, Value>>, ApiError> {
    let spec = Spec::default();
    let masters = Scheduler::related(&web.store, rows, &spec).await?;
    let said = web.master.schedulers();
    let one = match rows {
        [one] => Some(one.id),
        _ => None,
    };
    let skips = web.store.scheduler_skips(one, SKIPS_MAX).await?;
    let items = rows.iter().map(|row| {
        let mut written = Vec::new();
        write_row(&mut written, row, &masters, &spec);
        // It was written as an object a line before.
        let mut fields: Map<String, Value> = serde_json::from_slice(&written).unwrap_or_default();
        add(
            &mut fields,
            said.iter().find(|status| status.name == row.name),
        );
        let skipped = skips.iter().filter(|skip| skip.scheduler == row.id);
        fields.insert("skipped".into(), skipped.map(skip_json).collect());
        fields
    });
    Ok(items.collect())
}

/// What Buildbot's schedulers do not have.
fn add(fields: &mut Map<String, Value>, status: Option<&SchedulerStatus>) {
    let own = [
        (
            "error",
            json!(status.and_then(|status| status.error.as_deref())),
        ),
        (
            "held",
            json!(status.and_then(|status| status.held.as_deref())),
        ),
        (
            "stuck",
            json!(status.and_then(|status| status.stuck.as_ref().map(stuck_json))),
        ),
        (
            "text",
            json!(status.map_or("", |status| status.text.as_str())),
        ),
        ("type", json!(status.map(|status| &status.scheduler_type))),
    ];
    fields.extend(own.map(|(name, value)| (name.to_owned(), value)));
}

fn stuck_json(stuck: &StuckEvent) -> Value {
    json!({
        "attempts": stuck.attempts,
        "event": stuck.event,
        "since": stuck.since.seconds(),
    })
}

fn skip_json(row: &SkipRow) -> Value {
    let skip = &row.skip;
    json!({
        "at": row.at.seconds(),
        "error": skip.error,
        "event": skip.event,
        "reason": skip.reason,
        "who": skip.who,
    })
}
