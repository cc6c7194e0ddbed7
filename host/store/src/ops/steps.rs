//! Steps of a build.

use std::collections::BTreeSet;
use std::sync::Arc;

use toolpost_core::resources::Resources;
use toolpost_core::{BuildId, Event, Results, StepId, Timestamp};

use super::resources;
use crate::sql::{Value, args};
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

/// A step to add.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewStep {
    /// Its name; made unique in the build by a number at the end.
    pub name: String,
    /// Digest of the plugin that runs it, for a plugin step.
    pub plugin_digest: Option<String>,
}

impl Store {
    /// Adds a step at the end of a build.
    ///
    /// # Errors
    /// When the build is unknown or the database fails.
    pub async fn add_step(&self, build: BuildId, step: NewStep) -> Result<StepId> {
        let added = self.add_steps(build, vec![step]).await?;
        added.first().copied().ok_or(StoreError::Conflict {
            what: format!("build {build}"),
        })
    }

    /// Adds steps at the end of a build, in this order.
    ///
    /// # Errors
    /// When the build is unknown or the database fails.
    pub async fn add_steps(&self, build: BuildId, steps: Vec<NewStep>) -> Result<Vec<StepId>> {
        let steps: Arc<[NewStep]> = steps.into();
        self.write("add_steps", move |tx| {
            let steps = steps.clone();
            Box::pin(async move { add(tx, build, &steps).await })
        })
        .await
    }

    /// Says that a step runs, and since when it has its locks.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn start_step(
        &self,
        step: StepId,
        now: Timestamp,
        locks_acquired_at: Option<Timestamp>,
    ) -> Result<()> {
        self.write("start_step", move |tx| {
            let sql = "UPDATE steps SET started_at = COALESCE(started_at, $1), \
                locks_acquired_at = COALESCE($2, locks_acquired_at), state_string = 'running' \
                WHERE id = $3 RETURNING build_id";
            let args = args![now, locks_acquired_at, step];
            Box::pin(change(tx, step, sql, args, Event::StepStarted))
        })
        .await
    }

    /// Says which plugin version runs the step.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn set_step_plugin(&self, step: StepId, digest: &str) -> Result<()> {
        let digest = digest.to_owned();
        self.write("set_step_plugin", move |tx| {
            let sql = "UPDATE steps SET plugin_digest = $1 WHERE id = $2 RETURNING build_id";
            Box::pin(change(
                tx,
                step,
                sql,
                args![&digest, step],
                Event::StepChanged,
            ))
        })
        .await
    }

    /// Sets the line about what the step does now.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn set_step_state(&self, step: StepId, state: &str) -> Result<()> {
        let state = state.to_owned();
        self.write("set_step_state", move |tx| {
            let sql = "UPDATE steps SET state_string = $1 WHERE id = $2 RETURNING build_id";
            Box::pin(change(
                tx,
                step,
                sql,
                args![&state, step],
                Event::StepChanged,
            ))
        })
        .await
    }

    /// Adds a link to a step; the same name replaces the link.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn add_step_url(&self, step: StepId, name: &str, url: &str) -> Result<()> {
        let link = (name.to_owned(), url.to_owned());
        self.write("add_step_url", move |tx| {
            let link = link.clone();
            Box::pin(async move { add_url(tx, step, link).await })
        })
        .await
    }

    /// Ends a step, with what it used of its worker; does nothing when it has ended.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn finish_step(
        &self,
        step: StepId,
        results: Results,
        state: &str,
        hidden: bool,
        resources: Option<Resources>,
        now: Timestamp,
    ) -> Result<()> {
        let state = state.to_owned();
        self.write("finish_step", move |tx| {
            let state = state.clone();
            Box::pin(async move {
                let sql = "UPDATE steps SET complete = 1, complete_at = $1, results = $2, \
                    state_string = $3, hidden = $4 WHERE id = $5 AND complete = 0 \
                    RETURNING build_id, number";
                let args = args![now, results, state, hidden, step];
                if let Some(row) = tx.fetch_optional("finish_step", sql, args).await? {
                    let mut cells = row.cells();
                    let (build, number) = (cells.get()?, cells.get()?);
                    if let Some(resources) = &resources {
                        resources::put(tx, build, number, resources).await?;
                    }
                    tx.emit(Event::StepFinished(step, build));
                    return Ok(());
                }
                let sql = "SELECT id FROM steps WHERE id = $1";
                tx.fetch_optional("finish_step", sql, args![step])
                    .await?
                    .map(drop)
                    .ok_or_else(|| StoreError::not_found("step", step))
            })
        })
        .await
    }
}

/// What a step says before it runs.
const FIRST_STATE: &str = "pending";

async fn add(tx: &mut Tx, build: BuildId, steps: &[NewStep]) -> Result<Vec<StepId>> {
    const OPERATION: &str = "add_steps";
    // Steps may be added by several tasks of a build at a time.
    tx.lock_row(OPERATION, "builds", build.0).await?;
    let sql = "SELECT name FROM steps WHERE build_id = $1";
    let present = tx.fetch_all(OPERATION, sql, args![build]).await?;
    let mut names: BTreeSet<String> = present
        .iter()
        .map(crate::sql::Row::first)
        .collect::<Result<_>>()?;
    let first = i64::try_from(present.len()).unwrap_or(i64::MAX);
    let rows = (first..)
        .zip(steps)
        .map(|(number, step)| {
            let name = unique(&mut names, &step.name);
            args![number, name, build, FIRST_STATE, &step.plugin_digest]
        })
        .collect();
    let into = "INSERT INTO steps (number, name, build_id, state_string, plugin_digest)";
    let rows = tx
        .insert(OPERATION, into, rows, "RETURNING number, id")
        .await?;
    let mut added: Vec<(i64, StepId)> = rows
        .iter()
        .map(|row| {
            let mut cells = row.cells();
            Ok((cells.get()?, cells.get()?))
        })
        .collect::<Result<_>>()?;
    added.sort();
    for (_, step) in &added {
        tx.emit(Event::StepAdded(*step, build));
    }
    Ok(added.into_iter().map(|(_, step)| step).collect())
}

/// `name`, `name_1`, `name_2` ...: the first that is not taken; takes it.
fn unique(taken: &mut BTreeSet<String>, name: &str) -> String {
    let mut candidate = name.to_owned();
    let mut n = 0;
    while !taken.insert(candidate.clone()) {
        n += 1;
        candidate = format!("{name}_{n}");
    }
    candidate
}

/// Runs a statement that gives the build of the step, and tells what happened.
async fn change(
    tx: &mut Tx,
    step: StepId,
    sql: &'static str,
    args: Vec<Value>,
    event: fn(StepId, BuildId) -> Event,
) -> Result<()> {
    let build = tx
        .fetch_optional("change_step", sql, args)
        .await?
        .ok_or_else(|| StoreError::not_found("step", step))?
        .first()?;
    tx.emit(event(step, build));
    Ok(())
}

async fn add_url(tx: &mut Tx, step: StepId, (name, url): (String, String)) -> Result<()> {
    tx.lock_row("add_step_url", "steps", step.0).await?;
    let sql = "SELECT urls FROM steps WHERE id = $1";
    let mut urls: Vec<(String, String)> = tx
        .fetch_optional("add_step_url", sql, args![step])
        .await?
        .ok_or_else(|| StoreError::not_found("step", step))?
        .cells()
        .json()?;
    match urls.iter_mut().find(|(present, _)| *present == name) {
        Some(link) => link.1 = url,
        None => urls.push((name, url)),
    }
    let text = serde_json::Value::from_iter(urls.into_iter().map(|(name, url)| vec![name, url]));
    let sql = "UPDATE steps SET urls = $1 WHERE id = $2 RETURNING build_id";
    let args = args![text.to_string(), step];
    change(tx, step, sql, args, Event::StepChanged).await
}
