//! Masters: registration, heartbeats, and taking back what a dead one was doing.

use toolpost_core::{
    BuildId, BuilderId, Event, Fact, LogId, MasterId, RequestId, Results, StepId, Timestamp,
};

use crate::ops::workers;
use crate::sql::{args, json_ids};
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

/// What [`Store::recover_master`] took back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Builds that were running; they ended with `RETRY`.
    pub builds: Vec<BuildId>,
    /// Requests that are back in the queue.
    pub requests: Vec<RequestId>,
    /// Logs that were open; they are closed as they are.
    pub logs: Vec<LogId>,
    /// Workers that ran the builds, each with the number of its last session, if they connect from elsewhere.
    pub sessions: Vec<(String, i64)>,
}

impl Store {
    /// Makes the master with this name known and active; the same name gives the same id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn register_master(&self, name: &str, now: Timestamp) -> Result<MasterId> {
        let name = name.to_owned();
        self.write("register_master", move |tx| {
            Box::pin(register(tx, name.clone(), now))
        })
        .await
    }

    /// Says that the master lives.
    ///
    /// # Errors
    /// When the master is unknown or the database fails.
    pub async fn heartbeat(&self, master: MasterId, now: Timestamp) -> Result<()> {
        self.write("heartbeat", move |tx| Box::pin(beat(tx, master, now)))
            .await
    }

    /// Marks masters that were last heard of before `older_than` as inactive and gives their ids, once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expire_masters(&self, older_than: Timestamp) -> Result<Vec<MasterId>> {
        self.write("expire_masters", move |tx| Box::pin(expire(tx, older_than)))
            .await
    }

    /// Marks a master that ends in order as inactive and disconnects its workers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stop_master(&self, master: MasterId, now: Timestamp) -> Result<()> {
        self.write("stop_master", move |tx| {
            Box::pin(async move {
                let sql = "UPDATE masters SET active = 0, last_active = $1 WHERE id = $2";
                tx.execute("stop_master", sql, args![now, master]).await?;
                workers::disconnect_all(tx, master, now).await?;
                tx.emit(Event::Master(master));
                Ok(())
            })
        })
        .await
    }

    /// Takes back everything that a master left unfinished: its builds end with `RETRY`, their steps and logs are
    /// closed, their requests go back to the queue, its workers are disconnected. Safe to call again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recover_master(&self, master: MasterId, now: Timestamp) -> Result<Recovered> {
        let recovered = self
            .write("recover_master", move |tx| {
                Box::pin(recover(tx, master, now))
            })
            .await?;
        for log in &recovered.logs {
            self.tidy_closed_log(*log).await;
        }
        for build in &recovered.builds {
            self.tidy_artifacts(*build).await;
        }
        Ok(recovered)
    }
}

async fn register(tx: &mut Tx, name: String, now: Timestamp) -> Result<MasterId> {
    let sql = "INSERT INTO masters (name, active, last_active) VALUES ($1, 1, $2) \
        ON CONFLICT (name) DO UPDATE SET active = 1, last_active = excluded.last_active \
        RETURNING id";
    let id = tx
        .fetch_one("register_master", sql, args![name, now])
        .await?
        .first()?;
    tx.emit(Event::Master(id));
    Ok(id)
}

/// Says that the master lives.
pub(super) async fn beat(tx: &mut Tx, master: MasterId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE masters SET last_active = $1, active = 1 WHERE id = $2 RETURNING id";
    tx.fetch_optional("heartbeat", sql, args![now, master])
        .await?
        .map(drop)
        .ok_or_else(|| StoreError::not_found("master", master))
}

async fn expire(tx: &mut Tx, older_than: Timestamp) -> Result<Vec<MasterId>> {
    let sql = "UPDATE masters SET active = 0 WHERE active = 1 AND last_active < $1 RETURNING id";
    let rows = tx
        .fetch_all("expire_masters", sql, args![older_than])
        .await?;
    let mut expired: Vec<MasterId> = rows.iter().map(|row| row.first()).collect::<Result<_>>()?;
    expired.sort();
    for master in &expired {
        tx.emit(Event::Master(*master));
    }
    Ok(expired)
}

/// The steps of the builds that the master `$1` left running.
const LEFT_STEPS: &str = "SELECT s.id FROM steps s JOIN builds b ON b.id = s.build_id \
    WHERE b.master_id = $1 AND b.complete = 0";

async fn recover(tx: &mut Tx, master: MasterId, now: Timestamp) -> Result<Recovered> {
    let recovered = Recovered {
        sessions: sessions(tx, master).await?,
        logs: close_logs(tx, master, now).await?,
        builds: {
            end_steps(tx, master, now).await?;
            end_builds(tx, master, now).await?
        },
        requests: unclaim(tx, master).await?,
    };
    workers::lose_all(tx, master, now).await?;
    Ok(recovered)
}

/// Where commands of this master may still run.
async fn sessions(tx: &mut Tx, master: MasterId) -> Result<Vec<(String, i64)>> {
    let sql = "SELECT DISTINCT w.name, w.session FROM builds b JOIN workers w ON w.id = b.worker_id \
        WHERE b.master_id = $1 AND b.complete = 0 AND w.session <> 0 ORDER BY w.name";
    let rows = tx.fetch_all("recover_master", sql, args![master]).await?;
    let sessions = rows.iter().map(|row| {
        let mut cells = row.cells();
        Ok((cells.get()?, cells.get()?))
    });
    sessions.collect()
}

async fn close_logs(tx: &mut Tx, master: MasterId, now: Timestamp) -> Result<Vec<LogId>> {
    let sql = format!(
        "UPDATE logs SET complete = 1, complete_at = $2 WHERE complete = 0 AND step_id IN ({LEFT_STEPS}) \
         RETURNING id, step_id"
    );
    let mut logs = Vec::new();
    for row in tx
        .fetch_all("recover_master", sql, args![master, now])
        .await?
    {
        let mut cells = row.cells();
        let (log, step): (LogId, StepId) = (cells.get()?, cells.get()?);
        tx.emit(Event::LogFinished(log, step));
        logs.push(log);
    }
    logs.sort();
    Ok(logs)
}

async fn end_steps(tx: &mut Tx, master: MasterId, now: Timestamp) -> Result<()> {
    let sql = format!(
        "UPDATE steps SET complete = 1, complete_at = $2, \
         results = CASE WHEN started_at IS NULL THEN $3 ELSE $4 END \
         WHERE complete = 0 AND id IN ({LEFT_STEPS}) RETURNING id, build_id"
    );
    let args = args![master, now, Results::Skipped, Results::Retry];
    for row in tx.fetch_all("recover_master", sql, args).await? {
        let mut cells = row.cells();
        tx.emit(Event::StepFinished(cells.get()?, cells.get()?));
    }
    Ok(())
}

async fn end_builds(tx: &mut Tx, master: MasterId, now: Timestamp) -> Result<Vec<BuildId>> {
    let sql = "UPDATE builds SET complete = 1, complete_at = $2, results = $3, \
        state_string = 'interrupted: its master stopped' \
        WHERE complete = 0 AND master_id = $1 RETURNING id, builder_id";
    let mut builds = Vec::new();
    let args = args![master, now, Results::Retry];
    for row in tx.fetch_all("recover_master", sql, args).await? {
        let mut cells = row.cells();
        let (build, builder): (BuildId, BuilderId) = (cells.get()?, cells.get()?);
        tx.emit(Event::BuildFinished(build, builder));
        tx.note(now, Fact::BuildFinished(build, builder, Results::Retry));
        builds.push(build);
    }
    builds.sort();
    Ok(builds)
}

async fn unclaim(tx: &mut Tx, master: MasterId) -> Result<Vec<RequestId>> {
    // Driven by the few running requests, not by all claims that the master ever made.
    let sql = "UPDATE requests SET claimed = 0 WHERE complete = 0 AND claimed = 1 AND EXISTS \
        (SELECT 1 FROM claims c WHERE c.request_id = requests.id AND c.master_id = $1) \
        RETURNING id, builder_id";
    let mut requests = Vec::new();
    for row in tx.fetch_all("recover_master", sql, args![master]).await? {
        let mut cells = row.cells();
        let (request, builder): (RequestId, BuilderId) = (cells.get()?, cells.get()?);
        tx.emit(Event::RequestUnclaimed(request, builder));
        requests.push(request);
    }
    requests.sort();
    let sql = format!("DELETE FROM claims WHERE request_id IN {}", tx.ids(1));
    let ids = json_ids(requests.iter().copied());
    tx.execute("recover_master", sql, vec![ids]).await?;
    Ok(requests)
}
