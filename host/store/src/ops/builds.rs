//! Builds: claimed and numbered in one transaction, finished in another.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use toolpost_core::model::Build;
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, Event, Fact, MasterId, Properties, Property, RequestId,
    Results, Timestamp, WorkerId,
};

use crate::ops::requests::complete_requests;
use crate::sql::{args, json_ids};
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

/// A build to start.
#[derive(Debug, Clone, PartialEq)]
pub struct StartBuild {
    /// The master that runs it.
    pub master: MasterId,
    /// The builder.
    pub builder: BuilderId,
    /// The worker.
    pub worker: WorkerId,
    /// The request to carry out, then those that are collapsed into it and end as `SKIPPED`.
    pub requests: Vec<RequestId>,
    /// Properties that the build starts with; `buildnumber` is added to them.
    pub properties: Properties,
}

/// What came of [`Store::finish_build`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildEnd {
    /// The build ended; its request is complete.
    Finished {
        /// The build set, when this was its last request.
        completed_buildset: Option<BuildsetId>,
    },
    /// The build ended; its request is back in the queue.
    Requeued,
    /// The build had ended before; nothing was changed.
    AlreadyComplete,
}

impl Store {
    /// Claims the requests and makes the build, with the builder's next number, in one transaction. `None` when
    /// one of the requests is no longer pending: another master was first, or somebody cancelled it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_build(&self, start: StartBuild, now: Timestamp) -> Result<Option<Build>> {
        let start = Arc::new(start);
        let outcome = self
            .write("start_build", move |tx| {
                let start = start.clone();
                Box::pin(async move { start_build(tx, &start, now).await })
            })
            .await;
        match outcome {
            Ok(build) => Ok(Some(build)),
            // An error, so that what the transaction had claimed already is rolled back.
            Err(StoreError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the line about what a running build does now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_build_state(&self, build: BuildId, state: &str) -> Result<()> {
        let state = state.to_owned();
        self.write("set_build_state", move |tx| {
            let sql = "UPDATE builds SET state_string = $1 WHERE id = $2 RETURNING builder_id";
            Box::pin(change(tx, build, sql, args![&state, build]))
        })
        .await
    }

    /// Adds to the time that the build spent waiting for locks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_build_locks_duration(&self, build: BuildId, duration_ms: i64) -> Result<()> {
        self.write("add_build_locks_duration", move |tx| {
            let sql = "UPDATE builds SET locks_duration_ms = locks_duration_ms + $1 \
                WHERE id = $2 RETURNING builder_id";
            Box::pin(change(tx, build, sql, args![duration_ms, build]))
        })
        .await
    }

    /// Sets a property of a build.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_build_property(
        &self,
        build: BuildId,
        name: &str,
        value: &Value,
        source: &str,
    ) -> Result<()> {
        let mut properties = Properties::new();
        properties.set(name, value.clone(), source);
        self.set_build_properties(build, properties).await
    }

    /// Sets several properties of a build at once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_build_properties(&self, build: BuildId, properties: Properties) -> Result<()> {
        let properties = Arc::new(properties);
        self.write("set_build_properties", move |tx| {
            let properties = properties.clone();
            Box::pin(async move {
                put_properties(tx, build, &properties).await?;
                let sql = "SELECT builder_id FROM builds WHERE id = $1";
                change(tx, build, sql, args![build]).await
            })
        })
        .await
    }

    /// The properties of a build.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn build_properties(&self, build: BuildId) -> Result<Properties> {
        let mut found = self.properties_of_builds(&[build]).await?;
        Ok(found.remove(&build).unwrap_or_default())
    }

    /// The properties of several builds, for lists.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn properties_of_builds(
        &self,
        builds: &[BuildId],
    ) -> Result<BTreeMap<BuildId, Properties>> {
        const OPERATION: &str = "properties_of_builds";
        let mut connection = self.read(OPERATION).await?;
        let sql = format!(
            "SELECT build_id, name, value, source FROM build_properties WHERE build_id IN {}",
            connection.ids(1)
        );
        let ids = json_ids(builds.iter().copied());
        let mut found: BTreeMap<BuildId, Vec<(String, Property)>> = BTreeMap::new();
        for row in connection.fetch_all(OPERATION, sql, vec![ids]).await? {
            let mut cells = row.cells();
            let build = cells.get()?;
            let name = cells.get()?;
            let property = Property {
                value: cells.json()?,
                source: cells.get()?,
            };
            found.entry(build).or_default().push((name, property));
        }
        Ok(found
            .into_iter()
            .map(|(build, properties)| (build, properties.into_iter().collect()))
            .collect())
    }

    /// Ends a build. Its request is complete with the same result, and the build set too when it was the last; with
    /// [`Results::Retry`] the request goes back to the queue instead.
    ///
    /// # Errors
    /// When the build is unknown or the database fails.
    pub async fn finish_build(
        &self,
        build: BuildId,
        results: Results,
        state: &str,
        now: Timestamp,
    ) -> Result<BuildEnd> {
        let state = state.to_owned();
        self.write("finish_build", move |tx| {
            let state = state.clone();
            Box::pin(async move { finish(tx, build, results, &state, now).await })
        })
        .await
    }
}

/// What a build says before its first step says more.
const FIRST_STATE: &str = "starting";

async fn start_build(tx: &mut Tx, start: &StartBuild, now: Timestamp) -> Result<Build> {
    let (request, collapsed) = start
        .requests
        .split_first()
        .ok_or_else(|| StoreError::not_found("request", 0))?;
    claim(tx, start, now).await?;
    if !collapsed.is_empty() {
        complete_requests(tx, collapsed, Results::Skipped, now).await?;
    }
    let number = next_number(tx, start.builder).await?;
    let sql = "INSERT INTO builds \
        (number, builder_id, request_id, worker_id, master_id, started_at, state_string) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
    let args = args![
        number,
        start.builder,
        *request,
        start.worker,
        start.master,
        now,
        FIRST_STATE
    ];
    let id = tx.fetch_one("start_build", sql, args).await?.first()?;
    // Only this transaction knows the number.
    let mut properties = start.properties.clone();
    properties.set("buildnumber", number, "Build");
    put_properties(tx, id, &properties).await?;
    tx.emit(Event::BuildStarted(id, start.builder));
    tx.note(now, Fact::BuildStarted(id, start.builder));
    Ok(Build {
        id,
        number,
        builder_id: start.builder,
        request_id: *request,
        worker_id: Some(start.worker),
        master_id: start.master,
        started_at: now,
        complete: false,
        complete_at: None,
        locks_duration_ms: 0,
        state_string: FIRST_STATE.to_owned(),
        results: None,
    })
}

/// Claims all requests or fails with a conflict.
async fn claim(tx: &mut Tx, start: &StartBuild, now: Timestamp) -> Result<()> {
    let sql = format!(
        "UPDATE requests SET claimed = 1 WHERE id IN {} AND builder_id = $2 \
         AND claimed = 0 AND complete = 0 RETURNING id",
        tx.ids(1)
    );
    let args = vec![
        json_ids(start.requests.iter().copied()),
        start.builder.into(),
    ];
    let rows = tx.fetch_all("claim_requests", sql, args).await?;
    let lost = || StoreError::Conflict {
        what: format!("a request of builder {}", start.builder),
    };
    if rows.len() != start.requests.len() {
        return Err(lost());
    }
    let claims = start
        .requests
        .iter()
        .map(|request| args![*request, start.master, now])
        .collect();
    let into = "INSERT INTO claims (request_id, master_id, claimed_at)";
    let after = "ON CONFLICT (request_id) DO NOTHING RETURNING request_id";
    let claimed = tx.insert("claim_requests", into, claims, after).await?;
    if claimed.len() != start.requests.len() {
        return Err(lost());
    }
    for request in &start.requests {
        tx.emit(Event::RequestClaimed(*request, start.builder));
    }
    Ok(())
}

async fn next_number(tx: &mut Tx, builder: BuilderId) -> Result<i64> {
    let sql = "UPDATE builders SET last_number = last_number + 1 WHERE id = $1 \
        RETURNING last_number";
    tx.fetch_optional("next_build_number", sql, args![builder])
        .await?
        .ok_or_else(|| StoreError::not_found("builder", builder))?
        .first()
}

async fn put_properties(tx: &mut Tx, build: BuildId, properties: &Properties) -> Result<()> {
    let rows = properties
        .iter()
        .map(|(name, property)| args![build, name, property.value.to_string(), &property.source])
        .collect();
    let into = "INSERT INTO build_properties (build_id, name, value, source)";
    let after = "ON CONFLICT (build_id, name) \
        DO UPDATE SET value = excluded.value, source = excluded.source";
    tx.insert("set_build_properties", into, rows, after).await?;
    Ok(())
}

/// Runs a statement that gives the builder of the build, and tells that the build changed.
async fn change(
    tx: &mut Tx,
    build: BuildId,
    sql: &'static str,
    args: Vec<crate::sql::Value>,
) -> Result<()> {
    let builder = tx
        .fetch_optional("change_build", sql, args)
        .await?
        .ok_or_else(|| StoreError::not_found("build", build))?
        .first()?;
    tx.emit(Event::BuildChanged(build, builder));
    Ok(())
}

async fn finish(
    tx: &mut Tx,
    build: BuildId,
    results: Results,
    state: &str,
    now: Timestamp,
) -> Result<BuildEnd> {
    const OPERATION: &str = "finish_build";
    let sql = "UPDATE builds SET complete = 1, complete_at = $1, results = $2, \
        state_string = $3 WHERE id = $4 AND complete = 0 RETURNING request_id, builder_id";
    let args = args![now, results, state, build];
    let Some(row) = tx.fetch_optional(OPERATION, sql, args).await? else {
        let sql = "SELECT id FROM builds WHERE id = $1";
        return match tx.fetch_optional(OPERATION, sql, args![build]).await? {
            Some(_) => Ok(BuildEnd::AlreadyComplete),
            None => Err(StoreError::not_found("build", build)),
        };
    };
    let mut cells = row.cells();
    let (request, builder): (RequestId, BuilderId) = (cells.get()?, cells.get()?);
    tx.emit(Event::BuildFinished(build, builder));
    tx.note(now, Fact::BuildFinished(build, builder, results));
    if results == Results::Retry {
        requeue(tx, request, builder).await?;
        return Ok(BuildEnd::Requeued);
    }
    let completed = complete_requests(tx, &[request], results, now).await?;
    Ok(BuildEnd::Finished {
        completed_buildset: completed.into_iter().next(),
    })
}

async fn requeue(tx: &mut Tx, request: RequestId, builder: BuilderId) -> Result<()> {
    let sql = "UPDATE requests SET claimed = 0 WHERE id = $1 AND complete = 0";
    if tx.execute("requeue", sql, args![request]).await? > 0 {
        let sql = "DELETE FROM claims WHERE request_id = $1";
        tx.execute("requeue", sql, args![request]).await?;
        tx.emit(Event::RequestUnclaimed(request, builder));
    }
    Ok(())
}
