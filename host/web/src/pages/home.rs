//! `/`: what runs, what ran, and whether all is well.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use toolpost_config::Problem;
use toolpost_core::model::{Build, Worker};
use toolpost_master::{Health, PollerStatus};
use toolpost_sandbox::PluginStatus;
use toolpost_store::Query;

use super::filters;
use super::parts::When;
use super::rows::{BuildRow, builds};
use super::shell::{Ask, Section, Shell};
use crate::error::ApiError;
use crate::state::Web;
use crate::ui;

/// Rows of each list.
const RUNNING_ROWS_MAX: u32 = 50;
const RECENT_ROWS_MAX: u32 = 25;

/// Workers that are counted.
const WORKERS_MAX: u32 = 10_000;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    shell: Shell,
    health: Health,
    started: When,
    running: Vec<BuildRow>,
    running_count: i64,
    recent: Vec<BuildRow>,
    pending_count: i64,
    workers_connected: usize,
    workers: usize,
    problems: Vec<ProblemView>,
    problems_since: When,
    needs_restart: Vec<String>,
    /// What keeps Buildbot's interface from being served.
    ui_problem: Option<String>,
    pollers: Vec<PollerStatus>,
    plugins: Vec<PluginStatus>,
}

impl Home {
    fn failing_pollers(&self) -> impl Iterator<Item = &PollerStatus> {
        self.pollers.iter().filter(|poller| poller.error.is_some())
    }

    fn refused_plugins(&self) -> impl Iterator<Item = &PluginStatus> {
        self.plugins
            .iter()
            .filter(|plugin| plugin.problem.is_some())
    }
}

/// A problem of the configuration, as a page shows it.
pub(crate) struct ProblemView {
    /// File, line and column.
    pub(crate) place: Option<String>,
    pub(crate) message: String,
    /// The line of the file, with marks under the place.
    pub(crate) excerpt: Option<String>,
    pub(crate) help: Option<String>,
}

impl ProblemView {
    fn new(problem: &Problem) -> Self {
        let excerpt = problem.place.as_ref().map(|place| {
            let number = place.line.to_string();
            let before: String = place
                .text
                .chars()
                .take(place.column.saturating_sub(1) as usize)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let marks = "^".repeat(place.width.max(1) as usize);
            let margin = " ".repeat(number.len());
            format!("{number} | {}\n{margin} | {before}{marks}", place.text)
        });
        Self {
            place: problem.place.as_ref().map(ToString::to_string),
            message: problem.message.clone(),
            excerpt,
            help: problem.help.clone(),
        }
    }
}

pub(crate) async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask))).await
}

async fn render(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let shell = Shell::new(web, ask, Section::Home, "Home").watch([
        "builds/*/*",
        "buildrequests/*/*",
        "workers/*/*",
        "masters/*/*",
        "plugins/*/*",
        "configuration/*/*",
    ]);
    let store = &web.store;
    let now = shell.now;
    let seen = ask.sight.narrow(Query::new());
    let running = seen.clone().eq("complete", false).order("-buildid");
    let recent = seen
        .eq("complete", true)
        .order("-buildid")
        .limit(RECENT_ROWS_MAX);
    let workers = store
        .list::<Worker>(&Query::new().limit(WORKERS_MAX))
        .await?;
    let workers: Vec<_> = workers
        .iter()
        .filter(|worker| !worker.masters.is_empty())
        .collect();
    let health = web.master.health();
    let configuration = web.master.configuration();
    let pending = store.pending_counts().await?;
    let home = Home {
        started: When::new(health.started_at, now),
        running_count: store.count::<Build>(&running).await?,
        running: builds(store, &running.limit(RUNNING_ROWS_MAX), now).await?,
        recent: builds(store, &recent, now).await?,
        pending_count: pending
            .iter()
            .filter(|(builder, _)| ask.sight.sees(*builder))
            .map(|(_, count)| count)
            .sum(),
        workers_connected: workers
            .iter()
            .filter(|worker| !worker.connected_to.is_empty())
            .count(),
        workers: workers.len(),
        problems: configuration
            .problems
            .iter()
            .map(ProblemView::new)
            .collect(),
        problems_since: When::new(configuration.checked_at, now),
        needs_restart: configuration.needs_restart,
        ui_problem: ui::problem(web).await,
        pollers: web.master.pollers(),
        plugins: web.master.plugins(),
        health,
        shell,
    };
    Ok(home.render()?)
}
