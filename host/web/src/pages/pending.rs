//! `/pending`: requests that wait for a worker.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use toolpost_core::model::{BuildRequest, Builder, Buildset};
use toolpost_core::{BuilderId, Timestamp};
use toolpost_store::Query;

use super::filters;
use super::parts::{When, short};
use super::rows::builder_name;
use super::shell::{Ask, Section, Shell};
use crate::api::rows::by_id;
use crate::error::ApiError;
use crate::state::Web;

/// Rows on the page; the oldest of the highest priority are shown.
const ROWS_MAX: u32 = 200;

/// A waiting request.
pub(crate) struct RequestRow {
    pub(crate) id: i64,
    pub(crate) builder_id: i64,
    pub(crate) builder: String,
    pub(crate) priority: i32,
    pub(crate) reason: String,
    pub(crate) source: String,
    pub(crate) submitted: When,
    /// What its builder waits for, as the distributor has said it; empty when it has not looked since.
    pub(crate) waits_for: String,
}

/// The requests that a query gives, with the names and reasons of what they belong to.
pub(crate) async fn request_rows(
    web: &Web,
    query: &Query,
    now: Timestamp,
) -> Result<Vec<RequestRow>, ApiError> {
    let store = &web.store;
    let requests = store.list::<BuildRequest>(query).await?;
    let waiting: BTreeMap<BuilderId, String> = web
        .master
        .waiting()
        .into_iter()
        .map(|waiting| (waiting.builder, waiting.reason.to_string()))
        .collect();
    let builders = requests.iter().map(|request| request.builder_id.0);
    let builders = by_id::<Builder>(store, builders).await?;
    let sets = requests.iter().map(|request| request.buildset_id.0);
    let sets = by_id::<Buildset>(store, sets).await?;
    Ok(requests
        .into_iter()
        .map(|request| {
            let set = sets.get(&request.buildset_id.0);
            RequestRow {
                id: request.id.0,
                builder_id: request.builder_id.0,
                builder: builder_name(&builders, request.builder_id.0),
                priority: request.priority,
                reason: set.map(|set| set.reason.clone()).unwrap_or_default(),
                source: set.map(source_of).unwrap_or_default(),
                submitted: When::new(request.submitted_at, now),
                waits_for: waiting
                    .get(&request.builder_id)
                    .cloned()
                    .unwrap_or_default(),
            }
        })
        .collect())
}

/// Branch and revision of the first source stamp, in short.
fn source_of(set: &Buildset) -> String {
    let Some(stamp) = set.sourcestamps.first() else {
        return String::new();
    };
    let branch = stamp.spec.branch.as_deref().unwrap_or("default branch");
    let patch = match stamp.spec.patch {
        Some(_) => " + patch",
        None => "",
    };
    match &stamp.spec.revision {
        Some(revision) => format!("{branch} @ {}{patch}", short(revision)),
        None => format!("{branch}{patch}"),
    }
}

#[derive(Template)]
#[template(path = "pending.html")]
struct PendingPage {
    shell: Shell,
    rows: Vec<RequestRow>,
    total: i64,
}

pub(super) async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask))).await
}

async fn render(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let shell =
        Shell::new(web, ask, Section::Pending, "Pending requests").watch(["buildrequests/*/*"]);
    let waiting = ask.sight.narrow(Query::new());
    let waiting = waiting.eq("complete", false).eq("claimed", false);
    let rows = waiting
        .clone()
        .order("-priority")
        .order("buildrequestid")
        .limit(ROWS_MAX);
    let page = PendingPage {
        rows: request_rows(web, &rows, shell.now).await?,
        total: web.store.count::<BuildRequest>(&waiting).await?,
        shell,
    };
    Ok(page.render()?)
}
