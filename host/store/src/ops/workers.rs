//! Workers: connection, pause, what they said of themselves.

use std::collections::BTreeMap;

use serde_json::Value;
use toolpost_core::{Event, MasterId, Timestamp, WorkerId};

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
    } else {
        let sql = "DELETE FROM worker_connections WHERE worker_id = $1 AND master_id = $2";
        tx.execute("disconnect_worker", sql, args![worker, master])
            .await?;
    }
    Ok(())
}
