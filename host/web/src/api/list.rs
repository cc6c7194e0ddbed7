//! Answers with rows of the store: one row, one page of rows, or, when nobody set a limit, page after page as a stream.
//!
//! Invariant: no more than [`PAGE_ROWS`] rows, the ids of others, and [`WHOLE_BYTES_MAX`] of what was written of others are in
//! memory for a request.

use std::collections::{HashSet, VecDeque};
use std::marker::PhantomData;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt as _;
use toolpost_core::model::{Build, BuildRequest, Builder, Buildset, Worker};
use toolpost_store::{Filter, IDS_PER_LIST_MAX, Op, Query, Store};

use super::codebases;
use super::json;
use super::path::{BuildRef, Scope, WorkerRef};
use super::query::Spec;
use super::resolve;
use super::rows::{Row, by_id, write_row};
use super::schema::Resource;
use crate::error::ApiError;

/// Rows that are read at a time.
const PAGE_ROWS: u32 = 1_000;

/// Bodies of patches that the rows of a page have, bytes; the next page has the others. One row may have more.
const PAGE_PATCH_BYTES_MAX: u64 = 4 << 20;

/// An answer that is longer is sent while it is read, and not kept for others, bytes. Ten thousand builders are less.
const WHOLE_BYTES_MAX: usize = 2 << 20;

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
    /// No condition.
    Anything,
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
        (Scope::Seen(sight), resource) => {
            let filter = match resource {
                Resource::Builder
                | Resource::Build
                | Resource::BuildRequest
                | Resource::TestResultSet
                | Resource::TestResult => sight.filter("builderid"),
                Resource::Buildset | Resource::SourceStamp => sight.filter_any("builderid"),
                _ => None,
            };
            filter.map_or(Narrowed::Anything, Narrowed::Filter)
        }
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
            Narrowed::Anything => {}
            Narrowed::Empty => return Ok(Answer::Whole(empty(R::RESOURCE))),
            Narrowed::Missing(what) => return Err(ApiError::not_found(what)),
        }
    }
    let mut reading = Reading::<R>::new(store.clone(), spec);
    let mut body = Vec::new();
    while let Some(mut piece) = reading.piece().await? {
        if body.is_empty() {
            body = piece;
        } else {
            body.append(&mut piece);
        }
        if body.len() > WHOLE_BYTES_MAX && !reading.done {
            return Ok(Answer::Stream(reading.rest(body)));
        }
    }
    Ok(Answer::Whole(body))
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

/// Rows that were read together, with what they show of others.
struct Page<R: Row> {
    rows: Vec<R>,
    related: R::Related,
    /// Whether there are, or may be, further rows within the limit of the request.
    more: bool,
}

impl<R: Row> Page<R> {
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

/// How the rows behind a page are found.
enum Way {
    /// In the order of ids, by where the page ended, however far that is.
    Behind(Op),
    /// In any other order by their ids, which are sorted once for all pages; `None` as long as there was one page only.
    Sorted(Option<VecDeque<i64>>),
}

/// A list that is read page by page.
struct Reading<R: Row> {
    store: Store,
    spec: Spec,
    way: Way,
    rows_done: u32,
    /// The ids of the last page.
    ids: Vec<i64>,
    done: bool,
    rows: PhantomData<fn() -> R>,
}

impl<R: Row> Reading<R> {
    fn new(store: Store, spec: Spec) -> Self {
        let way = match spec.query.order.first() {
            None => Way::Behind(Op::Gt),
            Some(order) if order.field != R::ID => Way::Sorted(None),
            Some(order) if order.descending => Way::Behind(Op::Lt),
            Some(_) => Way::Behind(Op::Gt),
        };
        Self {
            store,
            spec,
            way,
            rows_done: 0,
            ids: Vec::new(),
            done: false,
            rows: PhantomData,
        }
    }

    /// The next page as a piece of the answer; `None` after the last.
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        if self.done {
            return Ok(None);
        }
        let page = self.page().await?;
        let mut out = if self.rows_done == 0 {
            open(R::RESOURCE)
        } else {
            Vec::new()
        };
        page.write(&mut out, &self.spec, self.rows_done);
        let count = u32::try_from(page.rows.len()).unwrap_or(u32::MAX);
        self.rows_done = self.rows_done.saturating_add(count);
        self.ids = page.rows.iter().map(Row::id).collect();
        if !page.more {
            close(&mut out, self.total().await?);
            self.done = true;
        }
        Ok(Some(out))
    }

    async fn page(&mut self) -> Result<Page<R>, ApiError> {
        let left = self.spec.query.limit;
        let left = left.map(|limit| limit.saturating_sub(self.rows_done));
        let page_rows = left.map_or(PAGE_ROWS, |left| left.min(PAGE_ROWS));
        let mut query = self.spec.query.clone();
        query.limit = Some(page_rows);
        let mut rows = match (&mut self.way, self.ids.last()) {
            _ if page_rows == 0 => Vec::new(),
            (_, None) => self.store.list::<R>(&query).await?,
            (Way::Behind(further), Some(last)) => {
                query = query.filter(R::ID, *further, last);
                query.offset = 0;
                self.store.list::<R>(&query).await?
            }
            (Way::Sorted(ids), Some(_)) => {
                let ids = match ids {
                    Some(ids) => ids,
                    None => ids.insert(others::<R>(&self.store, &self.spec, &self.ids).await?),
                };
                let here = ids.drain(..ids.len().min(page_rows as usize)).collect();
                in_order(&self.store, here).await?
            }
        };
        let full = rows.len() >= page_rows as usize;
        let cut = cut_off_heavy(&mut rows);
        if let Way::Sorted(Some(ids)) = &mut self.way {
            for id in cut.iter().rev() {
                ids.push_front(*id);
            }
        }
        Ok(Page {
            related: R::related(&self.store, &rows, &self.spec).await?,
            more: !cut.is_empty() || full && left.is_none_or(|left| left > page_rows),
            rows,
        })
    }

    /// How many rows there are in all, after so many were shown.
    async fn total(&self) -> Result<i64, ApiError> {
        let (query, shown) = (&self.spec.query, self.rows_done);
        let limited = query.limit.is_some_and(|limit| shown >= limit);
        let beyond_the_end = shown == 0 && query.offset > 0;
        if limited || beyond_the_end {
            return Ok(self.store.count::<R>(query).await?);
        }
        Ok(i64::from(shown) + i64::from(query.offset))
    }

    /// What was read already, and pages until the end. A failure on the way breaks the connection off, so that nobody takes a
    /// part for the whole.
    fn rest(self, read: Vec<u8>) -> Body {
        let first = futures::stream::iter([Ok(Bytes::from(read))]);
        let further = futures::stream::try_unfold(self, async |mut reading| {
            let piece = reading.piece().await?;
            Ok::<_, ApiError>(piece.map(|piece| (Bytes::from(piece), reading)))
        });
        Body::from_stream(first.chain(further))
    }
}

/// Takes off the rows with which a page would hold too much. Gives their ids.
fn cut_off_heavy<R: Row>(rows: &mut Vec<R>) -> Vec<i64> {
    let mut bytes = 0;
    let fits = rows.iter().position(|row| {
        bytes += row.patch_bytes();
        bytes > PAGE_PATCH_BYTES_MAX
    });
    let cut = rows.split_off(fits.map_or(rows.len(), |count| count.max(1)));
    cut.iter().map(Row::id).collect()
}

/// Which rows follow those that were shown, in the order that is asked for.
async fn others<R: Row>(
    store: &Store,
    spec: &Spec,
    shown: &[i64],
) -> Result<VecDeque<i64>, ApiError> {
    let shown: HashSet<i64> = shown.iter().copied().collect();
    let mut ids = store.list_ids::<R>(&spec.query).await?;
    if ids.len() >= IDS_PER_LIST_MAX as usize {
        return Err(ApiError::TooMuchWork);
    }
    ids.retain(|id| !shown.contains(id));
    Ok(ids.into())
}

/// The rows with these ids, in the order of the ids.
async fn in_order<R: Row>(store: &Store, ids: Vec<i64>) -> Result<Vec<R>, ApiError> {
    let mut rows = by_id::<R>(store, ids.iter().copied()).await?;
    Ok(ids.iter().filter_map(|id| rows.remove(id)).collect())
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
            Narrowed::Anything => {}
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
            Narrowed::Anything => {}
            Narrowed::Empty | Narrowed::Missing(_) => return Ok(None),
        }
    }
    resolve::first(store, query).await
}

/// The worker of a reference when it is within the scopes.
pub(crate) async fn worker_within(
    store: &Store,
    reference: &WorkerRef,
    scopes: &[Scope],
) -> Result<Option<Worker>, ApiError> {
    let key = match reference {
        WorkerRef::Id(id) => Query::new().eq("workerid", id),
        WorkerRef::Name(name) => Query::new().eq("name", name),
    };
    within(store, key, scopes).await
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
