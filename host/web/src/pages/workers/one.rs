//! `/workers/N`: one machine.

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Response;
use toolpost_core::Timestamp;
use toolpost_core::model::{Builder, Worker, WorkerNote, WorkerNoteKind};
use toolpost_store::Query;

use super::standing::{Load, Standing};
use crate::api::path::WorkerRef;
use crate::api::resolve;
use crate::api::rows::by_id;
use crate::error::ApiError;
use crate::pages::filters;
use crate::pages::parts::{Took, When};
use crate::pages::rows::{BuildRow, builder_name, builds};
use crate::pages::shell::{Ask, Section, Shell};
use crate::state::Web;

/// Builds that ended, on one page.
const HISTORY_ROWS: u32 = 25;

/// Builds that run.
const RUNNING_ROWS: u32 = 200;

/// What became of its connections.
const NOTES_ROWS: u32 = 25;

/// What it says of itself comes in this order, and the rest after it.
const INFO_FIRST: [&str; 6] = ["admin", "host", "version", "system", "numcpus", "basedir"];

#[derive(Template)]
#[template(path = "worker.html")]
struct WorkerPage {
    shell: Shell,
    worker: Worker,
    is_local: bool,
    /// Milliseconds until it is missing when it is away.
    missing_ms: Option<u64>,
    standing: Standing,
    load: Load,
    since: Option<When>,
    gone: Option<When>,
    info: Vec<(String, String)>,
    builders: Vec<(i64, String)>,
    notes: Vec<NoteRow>,
    running: Vec<BuildRow>,
    builds: Vec<BuildRow>,
    newer: Option<String>,
    older: Option<String>,
}

/// What became of a connection.
struct NoteRow {
    kind: &'static str,
    class: &'static str,
    at: When,
    lasted: Option<Took>,
    text: String,
    times: i64,
}

impl NoteRow {
    fn new(note: WorkerNote, now: Timestamp) -> Self {
        Self {
            kind: note.kind.name(),
            class: match note.kind {
                WorkerNoteKind::Left => "r-pending",
                WorkerNoteKind::Lost | WorkerNoteKind::Missing => "r-failure",
                WorkerNoteKind::Refused | WorkerNoteKind::Odd => "r-warnings",
            },
            at: When::new(note.at, now),
            lasted: note.since.map(|since| Took::new(since, Some(note.at), now)),
            text: note.text,
            times: note.times,
        }
    }
}

pub(crate) async fn page(
    State(web): State<Web>,
    Path(worker): Path<String>,
    ask: Ask,
) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask, &worker)))
        .await
}

async fn find(web: &Web, worker: &str) -> Result<Worker, ApiError> {
    let unknown = || ApiError::not_found(format!("worker {worker}"));
    let reference = WorkerRef::parse(worker).ok_or_else(unknown)?;
    let found = resolve::worker(&web.store, &reference).await?;
    found.ok_or_else(unknown)
}

async fn render(web: &Web, ask: &Ask, worker: &str) -> Result<String, ApiError> {
    let store = &web.store;
    let worker = find(web, worker).await?;
    let id = worker.id.0;
    let page = u32::try_from(ask.number("page", 1)).unwrap_or(1).max(1);
    let shell = Shell::new(web, ask, Section::Workers, worker.name.clone()).watch([
        format!("workers/{id}/*"),
        format!("workers/{id}/builds/*/*"),
        "configuration/*/*".to_owned(),
    ]);
    let of_worker = ask.sight.narrow(Query::new()).eq("workerid", id);
    let running = of_worker.clone().eq("complete", false).order("-buildid");
    let running = builds(store, &running.limit(RUNNING_ROWS), shell.now).await?;
    let history = of_worker
        .eq("complete", true)
        .order("-buildid")
        .limit(HISTORY_ROWS + 1)
        .offset((page - 1).saturating_mul(HISTORY_ROWS));
    let mut history = builds(store, &history, shell.now).await?;
    let has_older = history.len() > HISTORY_ROWS as usize;
    history.truncate(HISTORY_ROWS as usize);
    let ids = worker.configured_on.iter();
    let ids = ids
        .filter(|(_, id)| ask.sight.sees(*id))
        .map(|(_, id)| id.0);
    let names = by_id::<Builder>(store, ids.clone()).await?;
    let mut builders: Vec<_> = ids.map(|id| (id, builder_name(&names, id))).collect();
    builders.sort_by(|a, b| a.1.cmp(&b.1));
    builders.dedup();
    let notes = store.worker_notes(worker.id, NOTES_ROWS).await?;
    let settings = web.master.worker_settings();
    let settings = settings.get(&worker.name).copied().unwrap_or_default();
    let standing = Standing::of(&worker, running.len());
    let when = |at: Option<_>| at.map(|at| When::new(at, shell.now));
    let href = |page: u32| format!("/workers/{id}?page={page}");
    let rendered = WorkerPage {
        load: Load::new(running.len(), settings),
        since: when(worker.connected_at).filter(|_| standing.is_connected()),
        gone: when(worker.gone_at),
        info: info(&worker),
        notes: notes
            .into_iter()
            .map(|note| NoteRow::new(note, shell.now))
            .collect(),
        newer: (page > 1).then(|| href(page - 1)),
        older: has_older.then(|| href(page + 1)),
        builds: history,
        is_local: settings.is_local,
        missing_ms: settings
            .missing_timeout
            .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        standing,
        builders,
        running,
        worker,
        shell,
    };
    Ok(rendered.render()?)
}

/// What a worker said of itself, as far as it is texts and numbers.
fn info(worker: &Worker) -> Vec<(String, String)> {
    let texts = worker.info.iter().filter_map(|(name, value)| {
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => value.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then(|| (name.clone(), text))
    });
    let mut texts: Vec<_> = texts.collect();
    let place = |name: &str| {
        let known = INFO_FIRST.iter().position(|first| *first == name);
        known.unwrap_or(INFO_FIRST.len())
    };
    texts.sort_by(|a, b| (place(&a.0), &a.0).cmp(&(place(&b.0), &b.0)));
    texts
}
