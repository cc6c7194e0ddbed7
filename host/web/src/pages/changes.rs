//! `/changes`: what change sources reported, and how those stand who act on it.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use toolpost_core::model::Change;
use toolpost_master::{PollerStatus, SchedulerStatus};
use toolpost_store::{NewSkip, Op, Query};

use super::build::is_web_address;
use super::filters;
use super::parts::{When, duration, first_line, short};
use super::shell::{Ask, Section, Shell};
use crate::error::ApiError;
use crate::state::Web;

/// Changes on a page.
const CHANGES_PER_PAGE: u32 = 50;

/// Events on the page that schedulers have passed over.
const SKIPS_MAX: u32 = 20;

#[derive(Template)]
#[template(path = "changes.html")]
struct ChangesPage {
    shell: Shell,
    rows: Vec<ChangeRow>,
    pollers: Vec<PollerRow>,
    schedulers: Vec<SchedulerRow>,
    skipped: Vec<SkippedRow>,
    older: Option<i64>,
    is_newest: bool,
}

struct ChangeRow {
    change: Change,
    subject: String,
    more: String,
    revision: String,
    link: Option<String>,
    when: When,
}

struct PollerRow {
    poller: PollerStatus,
    polled: Option<When>,
    every: String,
}

struct SchedulerRow {
    scheduler: SchedulerStatus,
    fires: Option<When>,
    /// Since when it has failed at the same event.
    stuck_since: Option<When>,
}

/// An event that a scheduler has passed over.
struct SkippedRow {
    scheduler: String,
    at: When,
    skip: NewSkip,
}

pub(super) async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask))).await
}

async fn render(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let shell = Shell::new(web, ask, Section::Changes, "Changes")
        .watch(["changes/*/new", "schedulers/*/*"]);
    let mut query = Query::new().order("-changeid").limit(CHANGES_PER_PAGE + 1);
    let before = ask.number("before", 0);
    if before > 0 {
        query = query.filter("changeid", Op::Lt, before);
    }
    let mut changes = web.store.list::<Change>(&query).await?;
    let has_older = changes.len() > CHANGES_PER_PAGE as usize;
    changes.truncate(CHANGES_PER_PAGE as usize);
    let pollers = web.master.pollers().into_iter().map(|poller| PollerRow {
        polled: poller.polled_at.map(|at| When::new(at, shell.now)),
        every: duration(i64::try_from(poller.interval.as_millis()).unwrap_or(i64::MAX)),
        poller,
    });
    let schedulers = web.master.schedulers().into_iter();
    let schedulers = schedulers.map(|scheduler| SchedulerRow {
        fires: scheduler.fires_at.map(|at| When::new(at, shell.now)),
        stuck_since: scheduler
            .stuck
            .as_ref()
            .map(|stuck| When::new(stuck.since, shell.now)),
        scheduler,
    });
    let schedulers: Vec<SchedulerRow> = schedulers.collect();
    let skipped = web.store.scheduler_skips(None, SKIPS_MAX).await?;
    let skipped = skipped.into_iter().filter_map(|row| {
        let of = schedulers
            .iter()
            .find(|of| of.scheduler.id == row.scheduler)?;
        Some(SkippedRow {
            scheduler: of.scheduler.name.clone(),
            at: When::new(row.at, shell.now),
            skip: row.skip,
        })
    });
    let page = ChangesPage {
        skipped: skipped.collect(),
        schedulers,
        pollers: pollers.collect(),
        older: changes
            .last()
            .filter(|_| has_older)
            .map(|change| change.id.0),
        is_newest: before <= 0,
        rows: changes
            .into_iter()
            .map(|change| ChangeRow::new(change, &shell))
            .collect(),
        shell,
    };
    Ok(page.render()?)
}

impl ChangeRow {
    fn new(change: Change, shell: &Shell) -> Self {
        let subject = first_line(&change.comments).to_owned();
        let more = change
            .comments
            .trim()
            .strip_prefix(subject.as_str())
            .unwrap_or_default();
        Self {
            more: more.trim().to_owned(),
            revision: change
                .revision
                .as_deref()
                .map(short)
                .unwrap_or_default()
                .to_owned(),
            link: change.revlink.clone().filter(|link| is_web_address(link)),
            when: When::new(change.when, shell.now),
            subject,
            change,
        }
    }
}
