//! Build requests: the queue.

use std::collections::{BTreeMap, BTreeSet};

use toolpost_core::model::SourceStampSpec;
use toolpost_core::{BuilderId, BuildsetId, Event, MasterId, RequestId, Results, Timestamp};

use crate::ops::buildsets;
use crate::sql::{Backend, Connection, Row, args, json_ids};
use crate::tx::Tx;
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

/// A request that nobody runs yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRequest {
    /// Row id.
    pub id: RequestId,
    /// The builder that is to run it.
    pub builder: BuilderId,
    /// The build set that it is of.
    pub buildset: BuildsetId,
    /// Higher runs first.
    pub priority: i32,
    /// When it was made.
    pub submitted_at: Timestamp,
    /// Whether a trigger step waits for it.
    pub waited_for: bool,
}

/// A pending request with what decides whether it can be collapsed into another.
#[derive(Debug, Clone, PartialEq)]
pub struct CollapseCandidate {
    /// The request.
    pub request: PendingRequest,
    /// What it is to build, by codebase.
    pub sourcestamps: Vec<SourceStampSpec>,
    /// Whether its build set was made for changes.
    pub has_changes: bool,
}

/// What came of the wish to cancel a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// It was pending and is `CANCELLED` now.
    Cancelled,
    /// This master runs it: its build has to be stopped.
    Claimed(MasterId),
    /// It was complete already.
    Complete,
}

impl Store {
    /// The requests that each builder would run next, so many of each: by priority, then age. Only unclaimed and
    /// incomplete ones. The cost depends on what is returned, not on how many are pending.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_heads(&self, per_builder: u32) -> Result<Vec<PendingRequest>> {
        let mut connection = self.read("pending_heads").await?;
        let sql = heads_sql(connection.backend());
        connection
            .fetch_all("pending_heads", sql, args![per_builder])
            .await?
            .iter()
            .map(pending)
            .collect()
    }

    /// The same for these builders only.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_heads_of(
        &self,
        builders: &BTreeSet<BuilderId>,
        per_builder: u32,
    ) -> Result<Vec<PendingRequest>> {
        if builders.is_empty() {
            return Ok(Vec::new());
        }
        let ids = json_ids(builders.iter().copied());
        let mut connection = self.read("pending_heads_of").await?;
        let queued = format!("WITH queued (builder_id) AS {}", connection.ids(2));
        let sql = heads_of_sql(connection.backend(), &queued);
        let args = vec![per_builder.into(), ids];
        connection
            .fetch_all("pending_heads_of", sql, args)
            .await?
            .iter()
            .map(pending)
            .collect()
    }

    /// How many pending requests of the same builder would run before this one; counts no further than `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_before(&self, request: RequestId, limit: u32) -> Result<i64> {
        let mut connection = self.read("pending_before").await?;
        let sql = "SELECT COUNT(*) FROM (SELECT r.id FROM requests m \
            JOIN requests r ON r.builder_id = m.builder_id \
            WHERE m.id = $1 AND r.complete = 0 AND r.claimed = 0 AND (r.priority > m.priority \
            OR (r.priority = m.priority AND (r.submitted_at < m.submitted_at \
            OR (r.submitted_at = m.submitted_at AND r.id < m.id)))) LIMIT $2) before_it";
        let rows = connection
            .fetch_all("pending_before", sql, args![request, limit])
            .await?;
        rows.first().map_or(Ok(0), Row::first)
    }

    /// How many requests of each builder are pending.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_counts(&self) -> Result<Vec<(BuilderId, i64)>> {
        let mut connection = self.read("pending_counts").await?;
        let sql = "SELECT builder_id, COUNT(*) FROM requests \
            WHERE complete = 0 AND claimed = 0 GROUP BY builder_id ORDER BY builder_id LIMIT $1";
        connection
            .fetch_all("pending_counts", sql, args![ROWS_PER_LIST_MAX])
            .await?
            .iter()
            .map(|row| {
                let mut cells = row.cells();
                Ok((cells.get()?, cells.get()?))
            })
            .collect()
    }

    /// The request itself and the pending ones of its builder that no trigger waits for and that are for the same
    /// codebases, repositories, branches and projects; oldest first. `limit` counts the others.
    ///
    /// # Errors
    /// When the request is unknown or the database fails.
    pub async fn pending_for_collapse(
        &self,
        request: RequestId,
        limit: u32,
    ) -> Result<Vec<CollapseCandidate>> {
        let mut connection = self.read("pending_for_collapse").await?;
        let limit = limit.min(ROWS_PER_LIST_MAX);
        let rows = connection
            .fetch_all("pending_for_collapse", COLLAPSE_SQL, args![request, limit])
            .await?;
        let requests: Vec<PendingRequest> = rows.iter().map(pending).collect::<Result<_>>()?;
        if requests.iter().all(|found| found.id != request) {
            return Err(StoreError::not_found("request", request));
        }
        candidates(&mut connection, requests).await
    }

    /// Cancels a pending request. A claimed one is left to whoever runs it.
    ///
    /// # Errors
    /// When the request is unknown or the database fails.
    pub async fn cancel_request(&self, request: RequestId, now: Timestamp) -> Result<Cancel> {
        self.write("cancel_request", move |tx| {
            Box::pin(cancel(tx, request, now))
        })
        .await
    }

    /// Changes the priority of a request that is not complete.
    ///
    /// # Errors
    /// When the request is unknown or the database fails.
    pub async fn set_request_priority(&self, request: RequestId, priority: i32) -> Result<()> {
        self.write("set_request_priority", move |tx| {
            Box::pin(async move {
                let sql = "UPDATE requests SET priority = $1 WHERE id = $2 AND complete = 0 \
                    RETURNING builder_id";
                let builder: BuilderId = tx
                    .fetch_optional("set_request_priority", sql, args![priority, request])
                    .await?
                    .ok_or_else(|| StoreError::not_found("incomplete request", request))?
                    .first()?;
                tx.emit(Event::RequestAdded(request, builder));
                Ok(())
            })
        })
        .await
    }
}

const PENDING_COLUMNS: &str =
    "r.id, r.builder_id, r.buildset_id, r.priority, r.submitted_at, r.waited_for";

fn pending(row: &Row) -> Result<PendingRequest> {
    let mut cells = row.cells();
    Ok(PendingRequest {
        id: cells.get()?,
        builder: cells.get()?,
        buildset: cells.get()?,
        priority: cells.get()?,
        submitted_at: cells.get()?,
        waited_for: cells.get()?,
    })
}

/// Jumps from builder to builder through the index of the queue, and reads the head of each there. The
/// databases differ in how a subquery may depend on the row beside it.
pub(crate) fn heads_sql(backend: Backend) -> String {
    let queued = format!(
        "WITH RECURSIVE queued (builder_id) AS ( \
         SELECT MIN(builder_id) FROM requests WHERE {PENDING} \
         UNION ALL \
         SELECT (SELECT MIN(builder_id) FROM requests n WHERE {PENDING} \
         AND n.builder_id > queued.builder_id) FROM queued WHERE queued.builder_id IS NOT NULL)"
    );
    heads_of_sql(backend, &queued)
}

const PENDING: &str = "complete = 0 AND claimed = 0";

/// The heads of the queues of the builders in `queued`.
fn heads_of_sql(backend: Backend, queued: &str) -> String {
    let head = format!(
        "FROM requests h WHERE h.builder_id = q.builder_id AND {PENDING} \
         ORDER BY priority DESC, submitted_at, id LIMIT $1"
    );
    let order = "ORDER BY r.builder_id, r.priority DESC, r.submitted_at, r.id";
    match backend {
        Backend::Sqlite => format!(
            "{queued} SELECT {PENDING_COLUMNS} FROM queued q CROSS JOIN requests r \
             ON r.id IN (SELECT h.id {head}) WHERE q.builder_id IS NOT NULL {order}"
        ),
        Backend::Postgres => format!(
            "{queued} SELECT {PENDING_COLUMNS} FROM queued q CROSS JOIN LATERAL \
             (SELECT h.* {head}) r WHERE q.builder_id IS NOT NULL {order}"
        ),
    }
}

/// The request itself, and so many of the others.
const COLLAPSE_SQL: &str = "SELECT r.id, r.builder_id, r.buildset_id, r.priority, \
    r.submitted_at, r.waited_for FROM requests r WHERE r.id = $1 \
    UNION ALL SELECT * FROM (SELECT r.id, r.builder_id, r.buildset_id, r.priority, \
    r.submitted_at, r.waited_for FROM requests m JOIN requests r \
    ON r.builder_id = m.builder_id AND r.collapse_key = m.collapse_key AND r.id <> m.id \
    WHERE m.id = $1 AND r.complete = 0 AND r.claimed = 0 AND r.waited_for = 0 \
    ORDER BY r.id LIMIT $2) others";

/// Adds what the rules of collapsing look at, with two queries for all.
async fn candidates(
    connection: &mut Connection,
    mut requests: Vec<PendingRequest>,
) -> Result<Vec<CollapseCandidate>> {
    let buildsets: BTreeSet<BuildsetId> = requests.iter().map(|r| r.buildset).collect();
    let ids = json_ids(buildsets);
    let list = connection.ids(1);
    let sql = format!(
        "SELECT x.buildset_id, s.codebase, s.repository, s.branch, s.revision, s.project, s.patch_id \
         FROM buildset_sourcestamps x JOIN sourcestamps s ON s.id = x.sourcestamp_id \
         WHERE x.buildset_id IN {list} ORDER BY x.buildset_id, s.codebase, s.id"
    );
    let mut stamps: BTreeMap<BuildsetId, Vec<SourceStampSpec>> = BTreeMap::new();
    let rows = connection
        .fetch_all("pending_for_collapse", sql, vec![ids.clone()])
        .await?;
    for row in &rows {
        let mut cells = row.cells();
        let buildset = cells.get()?;
        stamps.entry(buildset).or_default().push(SourceStampSpec {
            codebase: cells.get()?,
            repository: cells.get()?,
            branch: cells.get()?,
            revision: cells.get()?,
            project: cells.get()?,
            patch: cells.get()?,
        });
    }
    let sql =
        format!("SELECT DISTINCT buildset_id FROM buildset_changes WHERE buildset_id IN {list}");
    let changed: BTreeSet<BuildsetId> = connection
        .fetch_all("pending_for_collapse", sql, vec![ids])
        .await?
        .iter()
        .map(Row::first)
        .collect::<Result<_>>()?;
    requests.sort_by_key(|request| request.id);
    Ok(requests
        .into_iter()
        .map(|request| CollapseCandidate {
            sourcestamps: stamps.get(&request.buildset).cloned().unwrap_or_default(),
            has_changes: changed.contains(&request.buildset),
            request,
        })
        .collect())
}

async fn cancel(tx: &mut Tx, request: RequestId, now: Timestamp) -> Result<Cancel> {
    tx.lock_row("cancel_request", "requests", request.0).await?;
    let sql = "SELECT r.complete, c.master_id FROM requests r \
        LEFT JOIN claims c ON c.request_id = r.id WHERE r.id = $1";
    let row = tx
        .fetch_optional("cancel_request", sql, args![request])
        .await?
        .ok_or_else(|| StoreError::not_found("request", request))?;
    let mut cells = row.cells();
    let (complete, claimed_by): (bool, Option<MasterId>) = (cells.get()?, cells.get()?);
    match claimed_by {
        _ if complete => Ok(Cancel::Complete),
        Some(master) => Ok(Cancel::Claimed(master)),
        None => {
            complete_requests(tx, &[request], Results::Cancelled, now).await?;
            Ok(Cancel::Cancelled)
        }
    }
}

/// Completes requests with this result, and the build sets that have no other left. Gives those build sets.
pub(super) async fn complete_requests(
    tx: &mut Tx,
    requests: &[RequestId],
    results: Results,
    now: Timestamp,
) -> Result<BTreeSet<BuildsetId>> {
    let sql = format!(
        "UPDATE requests SET complete = 1, complete_at = $2, results = $3 \
         WHERE id IN {} AND complete = 0 RETURNING id, builder_id, buildset_id",
        tx.ids(1)
    );
    let args = vec![
        json_ids(requests.iter().copied()),
        now.into(),
        results.into(),
    ];
    let mut buildsets = BTreeSet::new();
    for row in tx.fetch_all("complete_requests", sql, args).await? {
        let mut cells = row.cells();
        tx.emit(Event::RequestComplete(cells.get()?, cells.get()?));
        buildsets.insert(cells.get::<BuildsetId>()?);
    }
    buildsets::settle(tx, &buildsets, now).await
}
