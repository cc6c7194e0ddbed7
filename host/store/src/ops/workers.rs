//! Workers: connection, pause, what they said of themselves.

use std::collections::BTreeMap;

use serde_json::Value;
use toolpost_core::{Event, Fact, MasterId, Timestamp, WorkerId};

use crate::sql::args;
use crate::tx::Tx;
use crate::{Result, Store, StoreError};

impl Store {
    /// Records that the worker is, or is no longer, connected to this master, and what it said of itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_worker_connected(
        &self,
        worker: WorkerId,
        master: MasterId,
        connected: bool,
        info: Option<BTreeMap<String, Value>>,
        now: Timestamp,
    ) -> Result<()> {
        let info = info.map(|info| Value::from_iter(info).to_string());
        self.write("set_worker_connected", move |tx| {
            let info = info.clone();
            Box::pin(async move {
                let sql = "UPDATE workers SET info = COALESCE($1, info) WHERE id = $2 RETURNING id";
                update(tx, worker, sql, args![info, worker]).await?;
                connect(tx, worker, master, connected, now).await
            })
        })
        .await
    }

    /// Records that a worker which connects from elsewhere can be used by this master, with the number of its session and what
    /// it said of itself.
    ///
    /// # Errors
    /// When the worker is unknown or the database fails.
    pub async fn attach_worker(
        &self,
        worker: WorkerId,
        master: MasterId,
        session: i64,
        info: BTreeMap<String, Value>,
        now: Timestamp,
    ) -> Result<()> {
        let info = Value::from_iter(info).to_string();
        self.write("attach_worker", move |tx| {
            let info = info.clone();
            Box::pin(async move {
                let sql = "UPDATE workers SET info = $1, session = $2 WHERE id = $3 RETURNING id";
                update(tx, worker, sql, args![info, session, worker]).await?;
                connect(tx, worker, master, true, now).await
            })
        })
        .await
    }

    /// Records that the connection of a worker to this master broke. It is lost when it has no other; when it comes
    /// back, it is found.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn worker_lost(
        &self,
        worker: WorkerId,
        master: MasterId,
        now: Timestamp,
    ) -> Result<()> {
        self.write("worker_lost", move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM worker_connections \
                    WHERE worker_id = $1 AND master_id = $2 RETURNING worker_id";
                let gone = tx
                    .fetch_optional("worker_lost", sql, args![worker, master])
                    .await?;
                if gone.is_some() {
                    tx.emit(Event::Worker(worker));
                    lose(tx, worker, now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Pauses a worker, or lets it go on.
    ///
    /// # Errors
    /// When the worker is unknown or the database fails.
    pub async fn set_worker_paused(
        &self,
        worker: WorkerId,
        paused: bool,
        reason: Option<&str>,
    ) -> Result<()> {
        let reason = reason.map(str::to_owned);
        self.write("set_worker_paused", move |tx| {
            let args = args![paused, &reason, worker];
            let sql =
                "UPDATE workers SET paused = $1, pause_reason = $2 WHERE id = $3 RETURNING id";
            Box::pin(update(tx, worker, sql, args))
        })
        .await
    }

    /// Asks a worker to shut down when it is idle, or takes that back.
    ///
    /// # Errors
    /// When the worker is unknown or the database fails.
    pub async fn set_worker_graceful(&self, worker: WorkerId, graceful: bool) -> Result<()> {
        self.write("set_worker_graceful", move |tx| {
            let sql = "UPDATE workers SET graceful = $1 WHERE id = $2 RETURNING id";
            Box::pin(update(tx, worker, sql, args![graceful, worker]))
        })
        .await
    }
}

async fn update(
    tx: &mut Tx,
    worker: WorkerId,
    sql: &'static str,
    args: Vec<crate::sql::Value>,
) -> Result<()> {
    tx.fetch_optional("update_worker", sql, args)
        .await?
        .ok_or_else(|| StoreError::not_found("worker", worker))?;
    tx.emit(Event::Worker(worker));
    Ok(())
}

async fn connect(
    tx: &mut Tx,
    worker: WorkerId,
    master: MasterId,
    connected: bool,
    now: Timestamp,
) -> Result<()> {
    if connected {
        let sql = "INSERT INTO worker_connections (worker_id, master_id, connected_at) \
            VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        tx.execute("connect_worker", sql, args![worker, master, now])
            .await?;
        found(tx, worker, now).await?;
    } else {
        let sql = "DELETE FROM worker_connections WHERE worker_id = $1 AND master_id = $2";
        tx.execute("disconnect_worker", sql, args![worker, master])
            .await?;
    }
    Ok(())
}

/// Disconnects the workers of a master that stops in order. They are not lost: they went because they were to.
pub(super) async fn disconnect_all(tx: &mut Tx, master: MasterId) -> Result<Vec<WorkerId>> {
    let sql = "DELETE FROM worker_connections WHERE master_id = $1 RETURNING worker_id";
    let rows = tx
        .fetch_all("disconnect_workers", sql, args![master])
        .await?;
    let workers: Vec<WorkerId> = rows.iter().map(|row| row.first()).collect::<Result<_>>()?;
    for worker in &workers {
        tx.emit(Event::Worker(*worker));
    }
    Ok(workers)
}

/// Disconnects the workers of a master that died.
pub(super) async fn lose_all(tx: &mut Tx, master: MasterId, now: Timestamp) -> Result<()> {
    for worker in disconnect_all(tx, master).await? {
        lose(tx, worker, now).await?;
    }
    Ok(())
}

/// Notes that a worker is lost, unless it has a connection left.
async fn lose(tx: &mut Tx, worker: WorkerId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE workers SET lost_at = $2 WHERE id = $1 AND lost_at IS NULL \
        AND NOT EXISTS (SELECT 1 FROM worker_connections x WHERE x.worker_id = workers.id)";
    if tx.execute("worker_lost", sql, args![worker, now]).await? > 0 {
        tx.note(now, Fact::WorkerLost(worker));
    }
    Ok(())
}

/// Notes that a worker is back, if it was lost.
async fn found(tx: &mut Tx, worker: WorkerId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE workers SET lost_at = NULL WHERE id = $1 AND lost_at IS NOT NULL";
    if tx.execute("worker_found", sql, args![worker]).await? > 0 {
        tx.note(now, Fact::WorkerFound(worker));
    }
    Ok(())
}
