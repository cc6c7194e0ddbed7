//! Answers with rows of the store: one row, one page of rows, or, when nobody set a limit, page after page as a stream.
//!
//! Invariant: no more than [`PAGE_ROWS`] rows are in memory for a request.

use axum::body::Body;
use bytes::Bytes;
use toolpost_core::model::{Build, BuildRequest, Builder, Buildset};
use toolpost_store::{Filter, Op, Order, Query, Store};

use super::codebases;
use super::json;
use super::path::{BuildRef, Scope};
use super::query::Spec;
use super::resolve;
use super::rows::{Row, write_row};
use super::schema::Resource;
use crate::error::ApiError;

/// Rows that are read at a time.
const PAGE_ROWS: u32 = 1_000;

/// An answer's body.
pub(crate) enum Answer {
    /// All of it, in compact JSON.
    Whole(Vec<u8>),
    /// Too much to hold: compact JSON, piece by piece.
    Stream(Body),
}

/// What a scope means for a query.
enum Narrowed {
    /// One more condition.
    Filter(Filter),
    /// Nothing can be in it.
    Empty,
    /// It does not exist.
    Missing(&'static str),
}

fn is(field: &str, value: impl ToString) -> Narrowed {
    any_of(field, [value])
}

fn any_of(field: &str, values: impl IntoIterator<Item: ToString>) -> Narrowed {
    let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() {
        return Narrowed::Empty;
    }
    Narrowed::Filter(Filter {
        field: field.to_owned(),
        op: Op::Eq,
        values,
    })
}

/// Finds out which condition on a resource's fields a scope is.
async fn narrow(store: &Store, resource: Resource, scope: &Scope) -> Result<Narrowed, ApiError> {
    Ok(match (scope, resource) {
        (Scope::Master(id), Resource::Builder) => Narrowed::Filter(Filter {
            field: "masterids".into(),
            op: Op::Contains,
            values: vec![id.to_string()],
        }),
        (Scope::Master(id), _) => is("masterid", id),
        (Scope::Builder(builder), Resource::Master) => {
            let builder = resolve::builder(store, builder).await?;
            any_of(
                "masterid",
                builder.map_or(vec![], |builder| builder.masters),
            )
        }
        (Scope::Builder(builder), _) => match resolve::builder_id(store, builder).await? {
            Some(id) => is("builderid", id),
            None => Narrowed::Empty,
        },
        (Scope::Build(build), Resource::Change) => {
            let Some(build) = resolve::build(store, build).await? else {
                return Ok(Narrowed::Empty);
            };
            let request = store.get::<BuildRequest>(build.request_id).await?;
            is("bsid", request.buildset_id)
        }
        (Scope::Build(build), _) => match resolve::build_id(store, build).await? {
            Some(id) => is("buildid", id),
            None => Narrowed::Missing("build"),
        },
        (Scope::Step(step), _) => match resolve::step_id(store, step).await? {
            Some(id) => is("stepid", id),
            None => Narrowed::Empty,
        },
        (Scope::Buildset(id), _) => is("bsid", id),
        (Scope::Worker(id), _) => is("workerid", id),
        (Scope::Change(id), _) => any_of("bsid", buildsets(store, "changeid", *id).await?),
        (Scope::SourceStamp(id), _) => is("ssid", id),
        (Scope::Request(id), _) => is("buildrequestid", id),
        (Scope::TestResultSet(id), _) => is("test_result_setid", id),
        (Scope::Project(project), _) => {
            let project = resolve::project(store, project).await?;
            any_of("projectid", project.map(|project| project.id))
        }
        (Scope::Codebase(id), _) => is("codebaseid", id),
        (Scope::CommitRange(first, second), _) => {
            match codebases::between(store, *first, *second).await? {
                Some(filter) => Narrowed::Filter(filter),
                None => Narrowed::Empty,
            }
        }
        (Scope::Reporter(id), _) => is("reporterid", id),
        (Scope::TriggeredBy(id), _) => {
            any_of("bsid", buildsets(store, "parent_buildid", *id).await?)
        }
    })
}

/// The ids of the newest build sets of which a field has this value.
async fn buildsets(store: &Store, field: &str, value: i64) -> Result<Vec<i64>, ApiError> {
    let query = Query::new()
        .eq(field, value)
        .order("-bsid")
        .limit(PAGE_ROWS);
    let sets = store.list::<Buildset>(&query).await?;
    Ok(sets.iter().map(|set| set.id.0).collect())
}

/// The rows that a query string asks for within the scopes.
pub(crate) async fn collection<R: Row>(
    store: &Store,
    scopes: &[Scope],
    raw_query: Option<&str>,
) -> Result<Answer, ApiError> {
    let mut spec = Spec::parse(R::RESOURCE, raw_query, true)?;
    for scope in scopes {
        match narrow(store, R::RESOURCE, scope).await? {
            Narrowed::Filter(filter) => spec.query.filters.push(filter),
            Narrowed::Empty => return Ok(Answer::Whole(empty(R::RESOURCE))),
            Narrowed::Missing(what) => return Err(ApiError::not_found(what)),
        }
    }
    let page = Page::<R>::read(store, &spec, None).await?;
    if !page.more {
        return Ok(Answer::Whole(whole(store, &spec, page).await?));
    }
    Ok(Answer::Stream(stream(store.clone(), spec, page)))
}

/// An empty list.
fn empty(resource: Resource) -> Vec<u8> {
    format!("{{\"{}\":[],\"meta\":{{\"total\":0}}}}", resource.plural()).into_bytes()
}

/// Opens the envelope up to the first row.
fn open(resource: Resource) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 * 1024);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(resource.plural().as_bytes());
    out.extend_from_slice(b"\":[");
    out
}

/// Closes the envelope after the last row.
fn close(out: &mut Vec<u8>, total: i64) {
    out.extend_from_slice(b"],\"meta\":{\"total\":");
    json::int(out, total);
    out.extend_from_slice(b"}}");
}

/// A page that is the whole answer.
async fn whole<R: Row>(store: &Store, spec: &Spec, page: Page<R>) -> Result<Vec<u8>, ApiError> {
    let shown = i64::try_from(page.rows.len()).unwrap_or(i64::MAX);
    let limited = spec.query.limit.is_some_and(|limit| shown >= limit.into());
    let beyond_the_end = shown == 0 && spec.query.offset > 0;
    let total = if limited || beyond_the_end {
        store.count::<R>(&spec.query).await?
    } else {
        shown + i64::from(spec.query.offset)
    };
    let mut out = open(R::RESOURCE);
    page.write(&mut out, spec, 0);
    close(&mut out, total);
    Ok(out)
}

/// Rows that were read together, with what they show of others.
struct Page<R: Row> {
    rows: Vec<R>,
    related: R::Related,
    /// Whether there are, or may be, further rows within the limit of the request.
    more: bool,
}

/// Where the next page starts.
#[derive(Clone, Copy)]
struct Cursor {
    rows_done: u32,
    last_id: i64,
}

impl<R: Row> Page<R> {
    async fn read(store: &Store, spec: &Spec, cursor: Option<Cursor>) -> Result<Self, ApiError> {
        let mut query = spec.query.clone();
        let done = cursor.map_or(0, |cursor| cursor.rows_done);
        let wanted = query.limit.map(|limit| limit.saturating_sub(done));
        let page_rows = wanted.map_or(PAGE_ROWS, |wanted| wanted.min(PAGE_ROWS));
        query.limit = Some(page_rows);
        if let Some(cursor) = cursor {
            if query.order.is_empty() {
                // In the order of ids, a page is found by where the last one ended, however far that is.
                query = query.filter(R::ID, Op::Gt, cursor.last_id);
                query.offset = 0;
            } else {
                query.offset = query.offset.saturating_add(done);
            }
        }
        let rows = if page_rows == 0 {
            Vec::new()
        } else {
            store.list::<R>(&query).await?
        };
        let full = rows.len() >= page_rows as usize;
        let related = R::related(store, &rows, spec).await?;
        Ok(Self {
            more: full && wanted.is_none_or(|wanted| wanted > page_rows),
            rows,
            related,
        })
    }

    /// Writes the rows, separated by commas; `rows_before` were written already.
    fn write(&self, out: &mut Vec<u8>, spec: &Spec, rows_before: u32) {
        for (at, row) in self.rows.iter().enumerate() {
            if at > 0 || rows_before > 0 {
                out.push(b',');
            }
            write_row(out, row, &self.related, spec);
        }
    }
}

/// Pages until the end. A failure on the way breaks the connection off, so that nobody takes a part for the whole.
fn stream<R: Row>(store: Store, mut spec: Spec, first: Page<R>) -> Body {
    if !spec.query.order.is_empty() {
        // Equal keys must not change places between two pages.
        spec.query.order.push(Order {
            field: R::ID.to_owned(),
            descending: false,
        });
    }
    enum State<R: Row> {
        Write(Page<R>, u32),
        Read(Cursor),
        Done,
    }
    let start = (store, spec, State::Write(first, 0));
    Body::from_stream(futures::stream::try_unfold(
        start,
        async |(store, spec, state)| -> Result<_, ApiError> {
            let (page, done) = match state {
                State::Done => return Ok(None),
                State::Write(page, done) => (page, done),
                State::Read(cursor) => (
                    Page::<R>::read(&store, &spec, Some(cursor)).await?,
                    cursor.rows_done,
                ),
            };
            let mut out = if done == 0 {
                open(R::RESOURCE)
            } else {
                Vec::new()
            };
            page.write(&mut out, &spec, done);
            let count = u32::try_from(page.rows.len()).unwrap_or(u32::MAX);
            let rows_done = done.saturating_add(count);
            let next = match page.rows.last() {
                Some(last) if page.more => State::Read(Cursor {
                    rows_done,
                    last_id: last.id(),
                }),
                _ => {
                    let total = match spec.query.limit {
                        Some(_) => store.count::<R>(&spec.query).await?,
                        None => i64::from(spec.query.offset) + i64::from(rows_done),
                    };
                    close(&mut out, total);
                    State::Done
                }
            };
            Ok(Some((Bytes::from(out), (store, spec, next))))
        },
    ))
}

/// All rows of a short list that are within the scopes.
pub(crate) async fn rows_within<R: Row>(
    store: &Store,
    scopes: &[Scope],
) -> Result<Vec<R>, ApiError> {
    let mut query = Query::new().order(R::ID).limit(PAGE_ROWS);
    for scope in scopes {
        match narrow(store, R::RESOURCE, scope).await? {
            Narrowed::Filter(filter) => query.filters.push(filter),
            Narrowed::Empty => return Ok(Vec::new()),
            Narrowed::Missing(what) => return Err(ApiError::not_found(what)),
        }
    }
    Ok(store.list(&query).await?)
}

/// One row in its envelope.
pub(crate) async fn single<R: Row>(
    store: &Store,
    row: Option<R>,
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let spec = Spec::parse(R::RESOURCE, raw_query, false)?;
    let row = row.ok_or_else(|| ApiError::not_found(R::RESOURCE.name()))?;
    let rows = [row];
    let related = R::related(store, &rows, &spec).await?;
    let mut out = open(R::RESOURCE);
    write_row(&mut out, &rows[0], &related, &spec);
    out.extend_from_slice(b"],\"meta\":{}}");
    Ok(out)
}

/// The row with this id when it is within the scopes.
pub(crate) async fn single_by_id<R: Row>(
    store: &Store,
    id: i64,
    scopes: &[Scope],
    raw_query: Option<&str>,
) -> Result<Vec<u8>, ApiError> {
    let row = match scopes {
        [] => store.find::<R>(id).await?,
        _ => within::<R>(store, Query::new().eq(R::ID, id), scopes).await?,
    };
    single(store, row, raw_query).await
}

/// The first row of a query that is within the scopes.
pub(crate) async fn within<R: Row>(
    store: &Store,
    mut query: Query,
    scopes: &[Scope],
) -> Result<Option<R>, ApiError> {
    for scope in scopes {
        match narrow(store, R::RESOURCE, scope).await? {
            Narrowed::Filter(filter) => query.filters.push(filter),
            Narrowed::Empty | Narrowed::Missing(_) => return Ok(None),
        }
    }
    resolve::first(store, query).await
}

/// The builder of a reference when it is within the scopes.
pub(crate) async fn builder_within(
    store: &Store,
    reference: &super::path::BuilderRef,
    scopes: &[Scope],
) -> Result<Option<Builder>, ApiError> {
    let Some(builder) = resolve::builder(store, reference).await? else {
        return Ok(None);
    };
    if scopes.is_empty() {
        return Ok(Some(builder));
    }
    within(store, Query::new().eq(Builder::ID, builder.id), scopes).await
}

/// The build of a reference.
pub(crate) async fn build(store: &Store, reference: &BuildRef) -> Result<Build, ApiError> {
    resolve::build(store, reference)
        .await?
        .ok_or_else(|| ApiError::not_found("build"))
}
