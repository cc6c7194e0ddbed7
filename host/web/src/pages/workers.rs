//! `/workers`: the machines, what they do, and whether they take builds.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use toolpost_core::model::{Builder, Worker};
use toolpost_store::Query;

use super::rows::{BuildRow, builder_name, builds};
use super::shell::{Ask, Section, Shell};
use crate::api::rows::by_id;
use crate::error::ApiError;
use crate::state::Web;

/// Workers on the page.
const WORKERS_MAX: u32 = 500;

/// Running builds that are looked at.
const RUNNING_MAX: u32 = 1_000;

#[derive(Template)]
#[template(path = "workers.html")]
struct WorkersPage {
    shell: Shell,
    rows: Vec<WorkerRow>,
}

struct WorkerRow {
    worker: Worker,
    connected: bool,
    info: Vec<(String, String)>,
    builders: Vec<(i64, String)>,
    running: Vec<BuildRow>,
}

pub(super) async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask))).await
}

async fn render(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let store = &web.store;
    let shell = Shell::new(web, ask, Section::Workers, "Workers").watch([
        "workers/*/*",
        "builds/*/new",
        "builds/*/finished",
    ]);
    let workers = store
        .list::<Worker>(&Query::new().order("name").limit(WORKERS_MAX))
        .await?;
    let workers: Vec<_> = workers
        .into_iter()
        .filter(|worker| !worker.configured_on.is_empty())
        .collect();
    let builders = workers
        .iter()
        .flat_map(|worker| &worker.configured_on)
        .map(|(_, id)| id.0);
    let builders = by_id::<Builder>(store, builders).await?;
    let query = Query::new()
        .eq("complete", false)
        .order("-buildid")
        .limit(RUNNING_MAX);
    let mut running: BTreeMap<String, Vec<BuildRow>> = BTreeMap::new();
    for build in builds(store, &query, shell.now).await? {
        if let Some(worker) = build.worker.clone() {
            running.entry(worker).or_default().push(build);
        }
    }
    let rows = workers
        .into_iter()
        .map(|worker| {
            let mut of_worker: Vec<_> = worker
                .configured_on
                .iter()
                .map(|(_, id)| (id.0, builder_name(&builders, id.0)))
                .collect();
            of_worker.sort_by(|a, b| a.1.cmp(&b.1));
            of_worker.dedup();
            WorkerRow {
                connected: !worker.connected_to.is_empty(),
                info: info(&worker),
                builders: of_worker,
                running: running.remove(&worker.name).unwrap_or_default(),
                worker,
            }
        })
        .collect();
    Ok(WorkersPage { shell, rows }.render()?)
}

/// What a worker said of itself, as far as it is text or numbers and fits on a line.
fn info(worker: &Worker) -> Vec<(String, String)> {
    const VALUE_CHARS_MAX: usize = 120;
    worker
        .info
        .iter()
        .filter_map(|(name, value)| {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Number(_) | serde_json::Value::Bool(_) => value.to_string(),
                _ => return None,
            };
            let fits = !text.is_empty() && text.chars().count() <= VALUE_CHARS_MAX;
            fits.then(|| (name.replace('_', " "), text))
        })
        .collect()
}
