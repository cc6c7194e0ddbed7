//! `/logs/N`: one log. Without scripts page by page; with them in a window that asks for what can be seen.

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, header};
use axum::response::{IntoResponse, Redirect};
use serde_json::json;
use toolpost_core::model::{Build, Builder, Log, LogType, Step};
use toolpost_store::Store;

use super::build::id_of;
use super::filters;
use super::shell::{Ask, Section, Shell};
use crate::ansi::{self, Style};
use crate::api::search::{Match, Search};
use crate::error::ApiError;
use crate::state::Web;

/// Lines on a page without scripts.
const PAGE_LINES: i64 = 1_000;

/// Lines that a script may ask for at once.
const ANSWER_LINES_MAX: i64 = 2_000;

/// Lines with what was looked for, on one page.
const MATCHES_PER_PAGE: u32 = 100;

/// Lines before the first one that are looked at for colours that still hold there.
const COLOUR_LINES_BEFORE: i64 = 100;

/// A line, ready to be shown.
pub(crate) struct LineView {
    pub(crate) number: i64,
    /// `o`, `e` or `h`, as in the log.
    pub(crate) stream: char,
    pub(crate) html: String,
}

/// Lines of a log as HTML. Colours that were set before the first of them hold, if that was not long ago.
pub(crate) async fn lines(
    store: &Store,
    log: &Log,
    first: i64,
    count: i64,
) -> Result<Vec<LineView>, ApiError> {
    let from = (first - COLOUR_LINES_BEFORE).max(0);
    let end = first.saturating_add(count).min(log.num_lines);
    let mut views = Vec::with_capacity(usize::try_from(end - first).unwrap_or(0));
    let mut style = Style::default();
    let mut next = from;
    while next < end {
        let wanted = u32::try_from(end - next).unwrap_or(u32::MAX);
        let read = store.log_lines(log.id, next, wanted).await?;
        if read.count == 0 {
            break;
        }
        for (line, number) in read.lines().zip(next..) {
            let view = line_view(&mut style, log.log_type, line, number);
            if number >= first {
                views.push(view);
            }
        }
        next += read.count;
    }
    Ok(views)
}

fn line_view(style: &mut Style, log_type: LogType, line: &[u8], number: i64) -> LineView {
    let (stream, text) = match (log_type, line) {
        (LogType::Stdio, [letter @ (b'o' | b'e' | b'h'), text @ ..]) => (char::from(*letter), text),
        (_, text) => ('o', text),
    };
    if stream == 'h' {
        // What the master says is not part of what the program says.
        *style = Style::default();
    }
    let mut html = String::with_capacity(text.len() + 16);
    ansi::write_line(style, &String::from_utf8_lossy(text), &mut html);
    LineView {
        number: number + 1,
        stream,
        html,
    }
}

/// The last lines of a log.
pub(super) async fn tail(store: &Store, log: &Log, count: u32) -> Result<Vec<LineView>, ApiError> {
    let first = (log.num_lines - i64::from(count)).max(0);
    lines(store, log, first, count.into()).await
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    shell: Shell,
    log: Log,
    step: Step,
    build: Build,
    builder: Builder,
    first: i64,
    lines: Vec<LineView>,
    previous: Option<i64>,
    next: Option<i64>,
    end: i64,
    search: Option<SearchView>,
    /// Where a program can follow the log.
    tail: String,
}

/// What was looked for, and what was found.
struct SearchView {
    asked: String,
    is_regex: bool,
    ignores_case: bool,
    matches: Vec<MatchView>,
    /// Why nothing could be looked for.
    problem: Option<String>,
    /// Where it goes on.
    next: Option<String>,
}

/// A line that was found: what stands before, in and after the place.
struct MatchView {
    /// Counted from one.
    line: i64,
    before: String,
    found: String,
    after: String,
}

impl MatchView {
    fn new(found: &Match) -> Self {
        let mut text = found.text.chars();
        let at = found.column.saturating_sub(found.text_from);
        let before: String = text.by_ref().take(at).collect();
        let within: String = text.by_ref().take(found.length).collect();
        let cut = if found.text_from > 0 { "…" } else { "" };
        Self {
            line: found.line + 1,
            before: format!("{cut}{before}"),
            found: within,
            after: text.collect(),
        }
    }
}

/// Looks for what the reader asks for.
async fn search(web: &Web, ask: &Ask, log: &Log) -> Result<Option<SearchView>, ApiError> {
    let Some(asked) = ask.param("q").filter(|asked| !asked.is_empty()) else {
        return Ok(None);
    };
    let is_on = |name: &str| ask.param(name).is_some_and(|value| value == "1");
    let (is_regex, ignores_case) = (is_on("regex"), is_on("nocase"));
    let mut view = SearchView {
        is_regex,
        ignores_case,
        matches: Vec::new(),
        problem: None,
        next: None,
        asked,
    };
    let from = ask.number("cursor", 0);
    let search = Search::new(&view.asked, is_regex, !ignores_case, MATCHES_PER_PAGE, from);
    let found = match search {
        Ok(search) => search.run(web, log).await?,
        Err(error) => {
            view.problem = Some(error.to_string());
            return Ok(Some(view));
        }
    };
    view.next = found.cursor.map(|cursor| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &view.asked);
        for (name, on) in [("regex", is_regex), ("nocase", ignores_case)] {
            if on {
                query.append_pair(name, "1");
            }
        }
        query.append_pair("cursor", &cursor.to_string());
        format!("/logs/{}?{}", log.id, query.finish())
    });
    view.matches = found.matches.iter().map(MatchView::new).collect();
    Ok(Some(view))
}

pub(super) async fn page(
    State(web): State<Web>,
    Path(log): Path<String>,
    ask: Ask,
) -> Response<Body> {
    ask.answer(&web, Box::pin(render(&web, &ask, &log))).await
}

async fn find(web: &Web, log: &str) -> Result<Log, ApiError> {
    Ok(web.store.get::<Log>(id_of("log", log)?).await?)
}

async fn render(web: &Web, ask: &Ask, log: &str) -> Result<String, ApiError> {
    let store = &web.store;
    let log = find(web, log).await?;
    let step = store.get::<Step>(log.step_id).await?;
    let build = store.get::<Build>(step.build_id).await?;
    let builder = store.get::<Builder>(build.builder_id).await?;
    let title = format!(
        "{} of {}, {} #{}",
        log.name, step.name, builder.name, build.number
    );
    let mut shell = Shell::new(web, ask, Section::Builders, title);
    if !log.complete {
        shell = shell.watch([format!("logs/{}/*", log.id)]);
    }
    shell.is_log = true;
    let end = (log.num_lines - PAGE_LINES).max(0);
    let asked = match ask.param("line") {
        // Somebody asks for a line to look at, counted from one: what is before it helps.
        Some(line) => line
            .trim()
            .parse::<i64>()
            .map_or(0, |line| line - 1 - PAGE_LINES / 10),
        None => ask.number("first", 0),
    };
    let first = asked.clamp(0, (log.num_lines - 1).max(0));
    let search = search(web, ask, &log).await?;
    let farm = web.master.farm();
    let page = LogPage {
        search,
        tail: format!(
            "{}/api/v2/logs/{}/tail",
            farm.url.trim_end_matches('/'),
            log.id
        ),
        lines: lines(store, &log, first, PAGE_LINES).await?,
        previous: (first > 0).then(|| (first - PAGE_LINES).max(0)),
        next: (first + PAGE_LINES < log.num_lines).then_some(first + PAGE_LINES),
        end,
        first,
        log,
        step,
        build,
        builder,
        shell,
    };
    Ok(page.render()?)
}

/// `/logs/N/lines?first=F&count=C` or `?tail=C`: lines for the script.
pub(super) async fn lines_json(
    State(web): State<Web>,
    Path(log): Path<String>,
    ask: Ask,
) -> Response<Body> {
    match lines_answer(&web, &ask, &log).await {
        Ok(response) => response,
        Err(error) => ask.fail(&web, &error),
    }
}

async fn lines_answer(web: &Web, ask: &Ask, log: &str) -> Result<Response<Body>, ApiError> {
    let log = find(web, log).await?;
    let (first, count) = match ask.number("tail", -1) {
        tail if tail >= 0 => {
            let count = tail.min(ANSWER_LINES_MAX);
            ((log.num_lines - count).max(0), count)
        }
        _ => (
            ask.number("first", 0).max(0),
            ask.number("count", ANSWER_LINES_MAX)
                .clamp(0, ANSWER_LINES_MAX),
        ),
    };
    let lines = lines(&web.store, &log, first, count).await?;
    let streams: String = lines.iter().map(|line| line.stream).collect();
    let html: Vec<_> = lines.into_iter().map(|line| line.html).collect();
    let body = json!({
        "first": first,
        "total": log.num_lines,
        "complete": log.complete,
        "streams": streams,
        "lines": html,
    });
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    // A finished log never changes.
    let keep = if log.complete {
        "private, max-age=3600"
    } else {
        "no-store"
    };
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static(keep),
    );
    Ok((headers, body.to_string()).into_response())
}

/// `/logs/N/raw`: leads to the API's.
pub(super) async fn raw(Path(log): Path<i64>) -> Redirect {
    Redirect::to(&format!("/api/v2/logs/{log}/raw_inline"))
}
