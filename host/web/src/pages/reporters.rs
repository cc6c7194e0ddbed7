//! `/reporters`: who is told, how far behind each is, and what could not be told.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use toolpost_core::Timestamp;
use toolpost_core::journal::Fact;
use toolpost_core::report::{Delivery, Reporter};
use toolpost_master::ReporterStatus;
use toolpost_store::{Query, Store};

use super::filters;
use super::parts::When;
use super::shell::{Ask, Section, Shell};
use crate::error::ApiError;
use crate::state::Web;

/// Reporters on the page.
const REPORTERS_MAX: u32 = 200;

/// Deliveries of each reporter that are shown because they were given up, and because they failed and wait.
const DELIVERIES_MAX: u32 = 50;

#[derive(Template)]
#[template(path = "reporters.html")]
struct ReportersPage {
    shell: Shell,
    rows: Vec<ReporterRow>,
}

struct ReporterRow {
    reporter: Reporter,
    status: Option<ReporterStatus>,
    oldest: Option<When>,
    dead: Vec<DeliveryRow>,
    failing: Vec<DeliveryRow>,
}

struct DeliveryRow {
    id: i64,
    event: &'static str,
    what: String,
    /// Page of what it is about.
    link: Option<String>,
    attempts: u32,
    text: String,
    at: When,
    next: When,
}

pub(super) async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask))).await
}

async fn render(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let shell = Shell::new(web, ask, Section::Reporters, "Reporters").watch([
        "reporters/*/*",
        "plugins/*/*",
        "configuration/*/*",
    ]);
    let query = Query::new().order("name").limit(REPORTERS_MAX);
    let mut said: BTreeMap<String, ReporterStatus> = web
        .master
        .reporters()
        .into_iter()
        .map(|status| (status.name.clone(), status))
        .collect();
    let mut rows = Vec::new();
    for reporter in web.store.list::<Reporter>(&query).await? {
        let status = said.remove(&reporter.name);
        let row = ReporterRow::read(&web.store, reporter, status, shell.now).await?;
        // One that no configuration names is shown for what it left.
        if row.status.is_some() || row.reporter.pending + row.reporter.dead > 0 {
            rows.push(row);
        }
    }
    Ok(ReportersPage { shell, rows }.render()?)
}

impl ReporterRow {
    async fn read(
        store: &Store,
        reporter: Reporter,
        status: Option<ReporterStatus>,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let of_reporter = Query::new()
            .eq("reporterid", reporter.id)
            .limit(DELIVERIES_MAX);
        let dead = of_reporter
            .clone()
            .eq("status", "dead")
            .order("-deliveryid");
        let dead = if reporter.dead > 0 {
            store.list::<Delivery>(&dead).await?
        } else {
            Vec::new()
        };
        let pending = of_reporter.eq("status", "pending").order("next_at");
        let pending = if reporter.pending > 0 {
            store.list::<Delivery>(&pending).await?
        } else {
            Vec::new()
        };
        Ok(Self {
            status,
            oldest: reporter.oldest_pending_at.map(|at| When::new(at, now)),
            dead: rows(dead, now),
            failing: rows(
                pending.into_iter().filter(|delivery| delivery.attempts > 0),
                now,
            ),
            reporter,
        })
    }

    fn is_held(&self) -> bool {
        self.status
            .as_ref()
            .is_some_and(|status| status.held.is_some() || status.error.is_some())
    }
}

fn rows(deliveries: impl IntoIterator<Item = Delivery>, now: Timestamp) -> Vec<DeliveryRow> {
    deliveries
        .into_iter()
        .map(|delivery| DeliveryRow {
            id: delivery.id.0,
            event: delivery.entry.fact.kind().name(),
            link: link(&delivery.entry.fact),
            what: delivery.stream,
            attempts: delivery.attempts,
            text: delivery.text.unwrap_or_default(),
            at: When::new(delivery.entry.at, now),
            next: When::new(delivery.next_at, now),
        })
        .collect()
}

fn link(fact: &Fact) -> Option<String> {
    match fact {
        Fact::BuildStarted(build, _) | Fact::BuildFinished(build, ..) => {
            Some(format!("/builds/{build}"))
        }
        Fact::RequestAdded(_, builder) => Some(format!("/builders/{builder}")),
        Fact::WorkerLost(worker)
        | Fact::WorkerFound(worker)
        | Fact::WorkerMissing(worker)
        | Fact::WorkerBack(worker) => Some(format!("/workers/{worker}")),
        Fact::ChangeAdded(_) | Fact::BuildsetComplete(..) => None,
    }
}
