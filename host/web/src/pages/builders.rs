//! `/builders`: every builder with its last results; and `/builders/N`: one of them with its history.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Response;
use axum::response::{IntoResponse, Redirect};
use futures::future::try_join_all;
use toolpost_core::model::{Build, BuildRequest, Builder, Master, Worker};
use toolpost_master::ForceForm;
use toolpost_store::{Filter, Op, Query, Store};

use super::filters;
use super::parts::{Outcome, Took, When, duration};
use super::pending::{RequestRow, request_rows};
use super::plot::{Bar, Plot};
use super::rows::{BuildRow, builds};
use super::shell::{Ask, Section, Shell};
use crate::api::path::BuilderRef;
use crate::api::resolve;
use crate::error::ApiError;
use crate::state::Web;

/// Builders on a page of the list.
const BUILDERS_PER_PAGE: u32 = 50;

/// Results in the strip of a builder.
const STRIP_BUILDS: u32 = 12;

/// Rows of the history on one page.
const HISTORY_ROWS: u32 = 25;

/// Bars of the plot.
const PLOT_BUILDS: u32 = 60;

/// Requests shown on the page of a builder.
const PENDING_ROWS: u32 = 10;

/// Masters and workers whose names are looked up.
const NAMES_MAX: u32 = 1_000;

#[derive(Template)]
#[template(path = "builders.html")]
struct BuildersPage {
    shell: Shell,
    search: String,
    tags: Vec<TagLink>,
    rows: Vec<BuilderRow>,
    total: i64,
    previous: Option<String>,
    next: Option<String>,
}

/// A tag that can be switched on and off.
struct TagLink {
    name: String,
    on: bool,
    href: String,
}

struct BuilderRow {
    id: i64,
    name: String,
    description: String,
    tags: Vec<String>,
    strip: Vec<StripItem>,
    last: Option<LastBuild>,
    running: usize,
    pending: i64,
}

/// A build in a strip.
struct StripItem {
    id: i64,
    number: i64,
    outcome: Outcome,
    took: String,
}

/// The newest build that ended.
struct LastBuild {
    id: i64,
    number: i64,
    outcome: Outcome,
    state: String,
    ended: When,
    took: Took,
}

/// What the list is narrowed to.
struct Narrowing {
    search: String,
    tags: BTreeSet<String>,
    page: u32,
}

impl Narrowing {
    fn of(ask: &Ask) -> Self {
        let query = ask.uri.query().unwrap_or_default();
        let tags = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, value)| name == "tag" && !value.is_empty())
            .map(|(_, value)| value.into_owned())
            .collect();
        Self {
            search: ask.param("q").unwrap_or_default().trim().to_owned(),
            tags,
            page: u32::try_from(ask.number("page", 1)).unwrap_or(1).max(1),
        }
    }

    fn href(&self, tags: &BTreeSet<String>, page: u32) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.search.is_empty() {
            query.append_pair("q", &self.search);
        }
        for tag in tags {
            query.append_pair("tag", tag);
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/builders{mark}{query}")
    }

    fn tag_link(&self, name: &str) -> TagLink {
        let mut tags = self.tags.clone();
        let on = !tags.insert(name.to_owned());
        if on {
            tags.remove(name);
        }
        TagLink {
            name: name.to_owned(),
            on,
            href: self.href(&tags, 1),
        }
    }

    fn query(&self, masters: &[Master]) -> Query {
        let mut query = Query::new().order("name");
        // What no master has configured any more keeps its history, but is not listed.
        let configured = masters.iter().map(|master| master.id.to_string()).collect();
        query.filters.push(contains("masterids", configured));
        for tag in &self.tags {
            query.filters.push(contains("tags", vec![tag.clone()]));
        }
        if !self.search.is_empty() {
            query
                .filters
                .push(contains("name", vec![self.search.clone()]));
        }
        query
            .limit(BUILDERS_PER_PAGE)
            .offset((self.page - 1).saturating_mul(BUILDERS_PER_PAGE))
    }
}

fn contains(field: &str, values: Vec<String>) -> Filter {
    Filter {
        field: field.to_owned(),
        op: Op::Contains,
        values,
    }
}

pub(super) async fn list(State(web): State<Web>, ask: Ask) -> Response<Body> {
    ask.answer(&web, Box::pin(render_list(&web, &ask))).await
}

async fn render_list(web: &Web, ask: &Ask) -> Result<String, ApiError> {
    let store = &web.store;
    let narrowing = Narrowing::of(ask);
    let masters = store.list::<Master>(&Query::new().limit(NAMES_MAX)).await?;
    let query = ask.sight.narrow(narrowing.query(&masters));
    let (builders, total) = if masters.is_empty() {
        (Vec::new(), 0)
    } else {
        (
            store.list::<Builder>(&query).await?,
            store.count::<Builder>(&query).await?,
        )
    };
    let pending: BTreeMap<i64, i64> = store
        .pending_counts()
        .await?
        .into_iter()
        .map(|(id, count)| (id.0, count))
        .collect();
    let shell = Shell::new(web, ask, Section::Builders, "Builders").watch([
        "builds/*/new",
        "builds/*/finished",
        "builders/*/*",
        "buildrequests/*/*",
    ]);
    let histories = builders.iter().map(|builder| history(store, builder));
    let histories = try_join_all(histories).await?;
    let mut tags: BTreeSet<&str> = builders
        .iter()
        .flat_map(|builder| &builder.tags)
        .map(AsRef::as_ref)
        .collect();
    tags.extend(narrowing.tags.iter().map(AsRef::<str>::as_ref));
    let shown_to = i64::from(narrowing.page) * i64::from(BUILDERS_PER_PAGE);
    let page = BuildersPage {
        tags: tags
            .into_iter()
            .map(|tag| narrowing.tag_link(tag))
            .collect(),
        previous: (narrowing.page > 1).then(|| narrowing.href(&narrowing.tags, narrowing.page - 1)),
        next: (shown_to < total).then(|| narrowing.href(&narrowing.tags, narrowing.page + 1)),
        rows: builders
            .into_iter()
            .zip(histories)
            .map(|(builder, builds)| BuilderRow::new(builder, &builds, &pending, &shell))
            .collect(),
        search: narrowing.search,
        total,
        shell,
    };
    Ok(page.render()?)
}

/// The newest builds of a builder, newest first.
async fn history(store: &Store, builder: &Builder) -> Result<Vec<Build>, ApiError> {
    let query = Query::new()
        .eq("builderid", builder.id)
        .order("-number")
        .limit(STRIP_BUILDS);
    Ok(store.list::<Build>(&query).await?)
}

impl BuilderRow {
    fn new(
        builder: Builder,
        builds: &[Build],
        pending: &BTreeMap<i64, i64>,
        shell: &Shell,
    ) -> Self {
        let last = builds
            .iter()
            .find(|build| build.complete)
            .map(|build| LastBuild {
                id: build.id.0,
                number: build.number,
                outcome: Outcome::of(build.results, build.complete),
                state: build.state_string.clone(),
                ended: When::new(build.complete_at.unwrap_or(build.started_at), shell.now),
                took: Took::new(build.started_at, build.complete_at, shell.now),
            });
        let strip = builds.iter().map(|build| {
            let end = build.complete_at.unwrap_or(shell.now);
            StripItem {
                id: build.id.0,
                number: build.number,
                outcome: Outcome::of(build.results, build.complete),
                took: duration(end.0 - build.started_at.0),
            }
        });
        Self {
            id: builder.id.0,
            strip: strip.collect(),
            last,
            running: builds.iter().filter(|build| !build.complete).count(),
            pending: pending.get(&builder.id.0).copied().unwrap_or(0),
            description: builder.description.unwrap_or_default(),
            tags: builder.tags,
            name: builder.name,
        }
    }
}

#[derive(Template)]
#[template(path = "builder.html")]
struct BuilderPage {
    shell: Shell,
    builder: Builder,
    workers: Vec<Worker>,
    forms: Vec<ForceForm>,
    running: Vec<BuildRow>,
    builds: Vec<BuildRow>,
    plot: Plot,
    pending: Vec<RequestRow>,
    pending_count: i64,
    newer: Option<String>,
    older: Option<String>,
}

pub(super) async fn one(
    State(web): State<Web>,
    Path(builder): Path<String>,
    ask: Ask,
) -> Response<Body> {
    ask.answer(&web, Box::pin(render_one(&web, &ask, &builder)))
        .await
}

async fn find(web: &Web, builder: &str) -> Result<Builder, ApiError> {
    resolve::builder(&web.store, &BuilderRef::parse(builder))
        .await?
        .ok_or_else(|| ApiError::not_found(format!("builder {builder}")))
}

async fn render_one(web: &Web, ask: &Ask, builder: &str) -> Result<String, ApiError> {
    let store = &web.store;
    let builder = find(web, builder).await?;
    let id = builder.id.0;
    let page = u32::try_from(ask.number("page", 1)).unwrap_or(1).max(1);
    let shell = Shell::new(web, ask, Section::Builders, builder.name.clone()).watch([
        format!("builders/{id}/builds/*/*"),
        format!("builders/{id}/buildrequests/*/*"),
        format!("builders/{id}/*"),
    ]);
    let of_builder = Query::new().eq("builderid", id);
    let ended = of_builder.clone().eq("complete", true).order("-number");
    let running = of_builder
        .clone()
        .eq("complete", false)
        .order("-number")
        .limit(HISTORY_ROWS);
    let history = ended
        .clone()
        .limit(HISTORY_ROWS + 1)
        .offset((page - 1).saturating_mul(HISTORY_ROWS));
    let mut history = builds(store, &history, shell.now).await?;
    let has_older = history.len() > HISTORY_ROWS as usize;
    history.truncate(HISTORY_ROWS as usize);
    let mut plotted = store.list::<Build>(&ended.limit(PLOT_BUILDS)).await?;
    plotted.reverse();
    let waiting = of_builder.eq("complete", false).eq("claimed", false);
    let href = |page: u32| format!("/builders/{id}?page={page}");
    let rendered = BuilderPage {
        workers: store
            .list::<Worker>(
                &Query::new()
                    .eq("builderid", id)
                    .order("name")
                    .limit(NAMES_MAX),
            )
            .await?,
        forms: forms_of(web, &builder.name).await?,
        running: builds(store, &running, shell.now).await?,
        builds: history,
        plot: Plot(plotted.iter().filter_map(bar).collect()),
        pending_count: store.count::<BuildRequest>(&waiting).await?,
        pending: request_rows(
            web,
            &waiting
                .order("-priority")
                .order("buildrequestid")
                .limit(PENDING_ROWS),
            shell.now,
        )
        .await?,
        newer: (page > 1).then(|| href(page - 1)),
        older: has_older.then(|| href(page + 1)),
        builder,
        shell,
    };
    Ok(rendered.render()?)
}

/// The force schedulers that may start a builder.
async fn forms_of(web: &Web, builder: &str) -> Result<Vec<ForceForm>, ApiError> {
    let mut forms = crate::forms::plain(web).await?;
    forms.retain(|form| form.builders.iter().any(|name| name == builder));
    Ok(forms)
}

fn bar(build: &Build) -> Option<Bar> {
    Some(Bar {
        build_id: build.id.0,
        number: build.number,
        results: build.results?,
        duration_ms: (build.complete_at?.0 - build.started_at.0).max(0),
    })
}

/// `/builders/B/builds/N`: leads to the page of that build.
pub(super) async fn numbered(
    State(web): State<Web>,
    Path((builder, number)): Path<(String, i64)>,
    ask: Ask,
) -> Response<Body> {
    let reference = crate::api::path::BuildRef::Numbered(BuilderRef::parse(&builder), number);
    match resolve::build(&web.store, &reference).await {
        Ok(Some(build)) => Redirect::to(&format!("/builds/{}", build.id)).into_response(),
        Ok(None) => {
            let what = format!("build {number} of builder {builder}");
            ask.fail(&web, &ApiError::not_found(what))
        }
        Err(error) => ask.fail(&web, &error),
    }
}
