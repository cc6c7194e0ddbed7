//! `/workers`: the machines, what they do, and whether they take builds.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use toolpost_core::model::{Master, Worker};
use toolpost_store::{Filter, Op, Query};

use super::standing::{Load, Standing};
use crate::error::ApiError;
use crate::pages::filters;
use crate::pages::parts::When;
use crate::pages::rows::{BuildRow, any_of, builds};
use crate::pages::shell::{Ask, Section, Shell};
use crate::state::Web;

/// Workers on a page.
const WORKERS_PER_PAGE: u32 = 100;

/// Masters that are looked at.
const MASTERS_MAX: u32 = 1_000;

/// Running builds that are looked at.
const RUNNING_MAX: u32 = 1_000;

/// Running builds that are named beside a worker.
const RUNNING_SHOWN: usize = 4;

#[derive(Template)]
#[template(path = "workers.html")]
struct WorkersPage {
    shell: Shell,
    search: String,
    rows: Vec<WorkerRow>,
    total: i64,
    previous: Option<String>,
    next: Option<String>,
}

struct WorkerRow {
    worker: Worker,
    standing: Standing,
    load: Load,
    /// When it came, or when it went.
    since: Option<When>,
    gone: Option<When>,
    /// How many there are for it.
    builders: usize,
    running: Vec<BuildRow>,
    running_more: usize,
}

pub(crate) async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask))).await
}

async fn render(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let store = &web.store;
    let shell = Shell::new(web, ask, Section::Workers, "Workers").watch([
        "workers/*/*",
        "builds/*/new",
        "builds/*/finished",
        "configuration/*/*",
    ]);
    let search = ask.param("q").unwrap_or_default().trim().to_owned();
    let page = u32::try_from(ask.number("page", 1)).unwrap_or(1).max(1);
    let masters = store
        .list::<Master>(&Query::new().limit(MASTERS_MAX))
        .await?;
    let masters = masters.iter().map(|master| master.id.to_string()).collect();
    // One that no master has configured any more keeps its history, but is not listed.
    let mut query = Query::new().order("name");
    query.filters.push(contains("configured_by", masters));
    if !search.is_empty() {
        query.filters.push(contains("name", vec![search.clone()]));
    }
    let total = store.count::<Worker>(&query).await?;
    let query = query
        .limit(WORKERS_PER_PAGE)
        .offset((page - 1).saturating_mul(WORKERS_PER_PAGE));
    let workers = store.list::<Worker>(&query).await?;
    let href = |page: u32| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !search.is_empty() {
            query.append_pair("q", &search);
        }
        query.append_pair("page", &page.to_string());
        format!("/workers?{}", query.finish())
    };
    let shown_to = i64::from(page) * i64::from(WORKERS_PER_PAGE);
    let page = WorkersPage {
        previous: (page > 1).then(|| href(page - 1)),
        next: (shown_to < total).then(|| href(page + 1)),
        rows: rows(web, workers, &shell).await?,
        total,
        search,
        shell,
    };
    Ok(page.render()?)
}

fn contains(field: &str, values: Vec<String>) -> Filter {
    Filter {
        field: field.to_owned(),
        op: Op::Contains,
        values,
    }
}

async fn rows(web: &Web, workers: Vec<Worker>, shell: &Shell) -> Result<Vec<WorkerRow>, ApiError> {
    let store = &web.store;
    let mut running: BTreeMap<String, Vec<BuildRow>> = BTreeMap::new();
    let mut query = Query::new()
        .eq("complete", false)
        .order("buildid")
        .limit(RUNNING_MAX);
    if let Some(these) = any_of("workerid", workers.iter().map(|worker| worker.id.0)) {
        query.filters.push(these);
        for build in builds(store, &query, shell.now).await? {
            if let Some(worker) = build.worker.clone() {
                running.entry(worker).or_default().push(build);
            }
        }
    }
    let settings = web.master.worker_settings();
    let rows = workers.into_iter().map(|worker| {
        let builders = worker.configured_on.iter().map(|(_, id)| id.0);
        let builders = builders.collect::<BTreeSet<_>>().len();
        let mut running = running.remove(&worker.name).unwrap_or_default();
        let settings = settings.get(&worker.name).copied().unwrap_or_default();
        let standing = Standing::of(&worker, running.len());
        let load = Load::new(running.len(), settings);
        let running_more = running.len().saturating_sub(RUNNING_SHOWN);
        running.truncate(RUNNING_SHOWN);
        let when = |at: Option<_>| at.map(|at| When::new(at, shell.now));
        WorkerRow {
            standing,
            load,
            since: when(worker.connected_at).filter(|_| standing.is_connected()),
            gone: when(worker.gone_at),
            builders,
            running,
            running_more,
            worker,
        }
    });
    Ok(rows.collect())
}
