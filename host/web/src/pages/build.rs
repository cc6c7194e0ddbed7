//! `/builds/N`: one build with its steps and logs, where its sources come from, and its properties.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Response;
use toolpost_core::Results;
use toolpost_core::model::{
    Build, BuildRequest, Builder, Buildset, Change, Log, LogType, Step, StepUrl, Worker,
};
use toolpost_core::resources::Resources;
use toolpost_store::{Query, Store};

use super::filters;
use super::kept::Kept;
use super::log::{LineView, tail};
use super::parts::{Outcome, Took, When, duration, first_line, short};
use super::patch::SourceView;
use super::rows::any_of;
use super::shell::{Ask, Section, Shell};
use crate::error::ApiError;
use crate::state::Web;

/// Steps and logs of a build that the page shows.
const STEPS_MAX: u32 = 1_000;
const LOGS_MAX: u32 = 5_000;

/// Lines of a log that are shown under its step.
const TAIL_LINES: u32 = 40;

/// Logs of which the end is in the page from the beginning: those of failed steps, and of the running one.
const OPEN_TAILS_MAX: usize = 4;

#[derive(Template)]
#[template(path = "build.html")]
struct BuildPage {
    shell: Shell,
    build: Build,
    builder: Builder,
    worker: Option<Worker>,
    outcome: Outcome,
    started: When,
    took: Took,
    buildset: Option<Buildset>,
    sources: Vec<SourceView>,
    steps: Vec<StepView>,
    hidden_steps: usize,
    show_hidden: bool,
    changes: Vec<ChangeView>,
    properties: Vec<(String, String, String)>,
    kept: Kept,
    previous: Option<i64>,
    next: Option<i64>,
}

struct StepView {
    number: i32,
    name: String,
    outcome: Outcome,
    state: String,
    took: Option<Took>,
    waited: Option<String>,
    urls: Vec<StepUrl>,
    hidden: bool,
    plugin: Option<String>,
    /// What its commands used of the worker.
    used: Option<Resources>,
    /// Where what it asked of the master can be had.
    recording: Option<String>,
    logs: Vec<LogView>,
    open: bool,
}

struct LogView {
    id: i64,
    href: String,
    name: String,
    lines: i64,
    complete: bool,
    is_html: bool,
    tail: Vec<LineView>,
    /// Whether the end is read when the step is opened.
    lazy: bool,
}

struct ChangeView {
    author: String,
    subject: String,
    revision: String,
    revlink: Option<String>,
    when: When,
}

pub(super) async fn page(
    State(web): State<Web>,
    Path(build): Path<String>,
    ask: Ask,
) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask, &build))).await
}

/// Reads an id from a path.
pub(super) fn id_of(what: &'static str, id: &str) -> Result<i64, ApiError> {
    id.parse()
        .map_err(|_| ApiError::not_found(format!("{what} {id}")))
}

async fn render(web: &Web, ask: &Ask, build: &str) -> Result<String, ApiError> {
    let store = &web.store;
    let build = store.get::<Build>(id_of("build", build)?).await?;
    let builder = store.get::<Builder>(build.builder_id).await?;
    let title = format!("{} #{}", builder.name, build.number);
    let mut shell = Shell::new(web, ask, Section::Builders, title);
    if !build.complete {
        let id = build.id;
        shell = shell.watch([format!("builds/{id}/*"), format!("builds/{id}/steps/*/*")]);
    }
    let request = store.find::<BuildRequest>(build.request_id).await?;
    let buildset = match &request {
        Some(request) => store.find::<Buildset>(request.buildset_id).await?,
        None => None,
    };
    let changes = match &request {
        Some(request) => store.changes_of_buildset(request.buildset_id).await?,
        None => Vec::new(),
    };
    let worker = match build.worker_id {
        Some(id) => store.find::<Worker>(id).await?,
        None => None,
    };
    let show_hidden = ask.param("hidden").is_some();
    let mut steps = steps(store, &build, &shell).await?;
    let hidden_steps = steps.iter().filter(|step| step.hidden).count();
    steps.retain(|step| show_hidden || !step.hidden);
    let page = BuildPage {
        outcome: Outcome::of(build.results, build.complete),
        started: When::new(build.started_at, shell.now),
        took: Took::new(build.started_at, build.complete_at, shell.now),
        steps,
        hidden_steps,
        show_hidden,
        changes: changes
            .into_iter()
            .map(|change| ChangeView::new(change, &shell))
            .collect(),
        properties: properties(store, &build).await?,
        kept: Kept::of(store, &build).await?,
        sources: SourceView::of(store, &build, buildset.as_ref()).await?,
        previous: neighbour(store, &build, -1).await?,
        next: neighbour(store, &build, 1).await?,
        builder,
        worker,
        buildset,
        build,
        shell,
    };
    Ok(page.render()?)
}

/// The build of the same builder with the number before or after.
async fn neighbour(store: &Store, build: &Build, by: i64) -> Result<Option<i64>, ApiError> {
    let query = Query::new()
        .eq("builderid", build.builder_id)
        .eq("number", build.number + by)
        .limit(1);
    Ok(store
        .list::<Build>(&query)
        .await?
        .first()
        .map(|build| build.id.0))
}

/// Name, value and source of each property.
async fn properties(
    store: &Store,
    build: &Build,
) -> Result<Vec<(String, String, String)>, ApiError> {
    let properties = store.build_properties(build.id).await?;
    Ok(properties
        .iter()
        .map(|(name, property)| {
            let value = match property.value.as_str() {
                Some(text) => text.to_owned(),
                None => property.value.to_string(),
            };
            (name.to_owned(), value, property.source.clone())
        })
        .collect())
}

async fn steps(store: &Store, build: &Build, shell: &Shell) -> Result<Vec<StepView>, ApiError> {
    let query = Query::new()
        .eq("buildid", build.id)
        .order("number")
        .limit(STEPS_MAX);
    let steps = store.list::<Step>(&query).await?;
    let mut logs: BTreeMap<i64, Vec<Log>> = BTreeMap::new();
    if let Some(of_steps) = any_of("stepid", steps.iter().map(|step| step.id.0)) {
        let query = Query {
            filters: vec![of_steps],
            ..Query::new().order("logid").limit(LOGS_MAX)
        };
        for log in store.list::<Log>(&query).await? {
            logs.entry(log.step_id.0).or_default().push(log);
        }
    }
    let recorded = store.recorded_steps(build.id).await?;
    let mut views = Vec::with_capacity(steps.len());
    let mut tails = 0;
    for step in steps {
        let logs = logs.remove(&step.id.0).unwrap_or_default();
        let recording = recorded
            .contains(&step.id)
            .then(|| format!("/api/v2/steps/{}/recording", step.id));
        let view = StepView::new(store, step, logs, &mut tails, shell).await?;
        views.push(StepView { recording, ..view });
    }
    Ok(views)
}

impl StepView {
    async fn new(
        store: &Store,
        step: Step,
        logs: Vec<Log>,
        tails: &mut usize,
        shell: &Shell,
    ) -> Result<Self, ApiError> {
        let outcome = match step.started_at {
            None if !step.complete => Outcome::Pending,
            _ => Outcome::of(step.results, step.complete),
        };
        let bad = matches!(
            outcome,
            Outcome::Done(Results::Failure | Results::Exception)
        );
        let open = bad || outcome == Outcome::Running;
        let mut views = Vec::with_capacity(logs.len());
        for log in logs {
            let is_html = log.log_type == LogType::Html;
            let shown = open && *tails < OPEN_TAILS_MAX && !is_html && log.num_lines > 0;
            let lines = if shown {
                *tails += 1;
                tail(store, &log, TAIL_LINES).await?
            } else {
                Vec::new()
            };
            views.push(LogView {
                id: log.id.0,
                href: format!("/logs/{}", log.id),
                lines: log.num_lines,
                complete: log.complete,
                is_html,
                lazy: !shown && !is_html && log.num_lines > 0,
                tail: lines,
                name: log.name,
            });
        }
        let waited = match (step.started_at, step.locks_acquired_at) {
            (Some(started), Some(locked)) if locked.0 - started.0 >= 1000 => {
                Some(duration(locked.0 - started.0))
            }
            _ => None,
        };
        Ok(Self {
            number: step.number,
            took: step
                .started_at
                .map(|started| Took::new(started, step.complete_at, shell.now)),
            waited,
            outcome,
            state: step.state_string,
            urls: step
                .urls
                .into_iter()
                .filter(|url| is_web_address(&url.url))
                .collect(),
            hidden: step.hidden,
            plugin: step.plugin_digest,
            used: step.resources,
            recording: None,
            logs: views,
            open,
            name: step.name,
        })
    }
}

/// Whether a link leads to a web page, and not to a script.
pub(super) fn is_web_address(url: &str) -> bool {
    let lower = url.trim_start().to_ascii_lowercase();
    lower.starts_with("http://")
        || lower.starts_with("https://")
        || (lower.starts_with('/') && !lower.starts_with("//"))
}

impl ChangeView {
    fn new(change: Change, shell: &Shell) -> Self {
        Self {
            subject: first_line(&change.comments).to_owned(),
            revision: change
                .revision
                .as_deref()
                .map(short)
                .unwrap_or_default()
                .to_owned(),
            revlink: change.revlink.filter(|link| is_web_address(link)),
            when: When::new(change.when, shell.now),
            author: change.author,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_web_pages_only() {
        for (url, expected) in [
            ("https://example.org/x", true),
            ("HTTP://example.org", true),
            ("/builds/3", true),
            ("//elsewhere.example", false),
            ("javascript:alert(1)", false),
            (" JavaScript:alert(1)", false),
            ("data:text/html,x", false),
        ] {
            assert_eq!(is_web_address(url), expected, "{url}");
        }
    }
}
