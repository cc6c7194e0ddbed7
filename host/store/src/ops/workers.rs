//! Workers: connections, orders, what they said of themselves.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use toolpost_core::model::WorkerNoteKind;
use toolpost_core::{Event, Fact, MasterId, Timestamp, WorkerId};

use super::worker_notes::{note, note_all};
use crate::sql::{Row, args, json_ids};
use crate::tx::Tx;
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

/// A connection with which a worker can be used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkerSession {
    /// By which the master knows it.
    pub number: i64,
    /// Where it comes from.
    pub address: String,
    /// What the worker said of itself.
    pub info: BTreeMap<String, Value>,
    /// Whether a worker that was told to end when it is idle still is to: it goes on where it was, or it was the master
    /// that was away.
    pub keeps_orders: bool,
}

/// Whether a worker is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A master has it.
    Connected,
    /// No master has it.
    Away,
    /// No master has had it for so long that somebody was told.
    Missing,
}

/// How a connection of a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerEnd {
    /// Why, for people.
    pub reason: String,
    /// Whether that was an accident.
    pub lost: bool,
    /// Whether the worker was told to end.
    pub dismissed: bool,
}

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
                if !connected {
                    let end = WorkerEnd {
                        reason: "it is not used any more".into(),
                        lost: false,
                        dismissed: false,
                    };
                    return detach(tx, worker, master, &end, now).await;
                }
                let sql = "UPDATE workers SET info = COALESCE($4, info)";
                connect(tx, worker, master, now, sql, args![info]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Records that a worker which connects from elsewhere can be used by this master. Whether it is to end when it is idle:
    /// an order that was given before is over with its connection, unless the connection `keeps_orders`.
    ///
    /// # Errors
    /// When the worker is unknown or the database fails.
    pub async fn attach_worker(
        &self,
        worker: WorkerId,
        master: MasterId,
        session: WorkerSession,
        now: Timestamp,
    ) -> Result<bool> {
        let info = Value::from_iter(session.info).to_string();
        let (number, address) = (session.number, session.address);
        let keeps_orders = session.keeps_orders;
        self.write("attach_worker", move |tx| {
            let (info, address) = (info.clone(), address.clone());
            Box::pin(async move {
                let sql = "UPDATE workers SET info = $4, session = $5, address = $6, dismissed = 0, \
                    graceful = CASE WHEN $7 = 1 AND dismissed = 0 THEN graceful ELSE 0 END";
                let args = args![info, number, address, keeps_orders];
                connect(tx, worker, master, now, sql, args).await
            })
        })
        .await
    }

    /// Records that a connection of a worker to this master is over. A worker without another one is gone, and lost, if it is
    /// to be told so; when it comes back, it is found.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn detach_worker(
        &self,
        worker: WorkerId,
        master: MasterId,
        end: WorkerEnd,
        now: Timestamp,
    ) -> Result<()> {
        self.write("detach_worker", move |tx| {
            let end = end.clone();
            Box::pin(async move { detach(tx, worker, master, &end, now).await })
        })
        .await
    }

    /// Records that a worker is missing, if it has no connection, was not told to end, and that was not recorded before in
    /// this absence; whether it was recorded now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn miss_worker(&self, worker: WorkerId, now: Timestamp) -> Result<bool> {
        self.write("miss_worker", move |tx| {
            Box::pin(async move {
                let sql = "UPDATE workers SET missing_at = $2 \
                    WHERE id = $1 AND missing_at IS NULL AND dismissed = 0 AND NOT EXISTS \
                    (SELECT 1 FROM worker_connections x WHERE x.worker_id = workers.id)";
                if tx.execute("miss_worker", sql, args![worker, now]).await? == 0 {
                    return Ok(false);
                }
                let kind = WorkerNoteKind::Missing;
                note(tx, worker, kind, None, "it has not been back", now).await?;
                tx.note(now, Fact::WorkerMissing(worker));
                tx.emit(Event::Worker(worker));
                Ok(true)
            })
        })
        .await
    }

    /// The workers of this master that are to end when they are idle.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leaving_workers(&self, master: MasterId) -> Result<Vec<(WorkerId, String)>> {
        let sql = "SELECT t.id, t.name FROM workers t \
            JOIN worker_connections x ON x.worker_id = t.id \
            WHERE t.graceful = 1 AND x.master_id = $1 ORDER BY t.id LIMIT $2";
        let args = args![master, ROWS_PER_LIST_MAX];
        self.names("leaving_workers", sql, args).await
    }

    /// Which of these workers are connected to any master, and which are missing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn presence_of(
        &self,
        workers: impl IntoIterator<Item = WorkerId> + Send,
    ) -> Result<HashMap<WorkerId, Presence>> {
        const OPERATION: &str = "presence_of";
        let ids = json_ids(workers);
        let mut connection = self.read(OPERATION).await?;
        let sql = format!(
            "SELECT t.id, t.missing_at, (SELECT MIN(x.master_id) FROM worker_connections x \
             WHERE x.worker_id = t.id) FROM workers t WHERE t.id IN {}",
            connection.ids(1)
        );
        let rows = connection.fetch_all(OPERATION, sql, vec![ids]).await?;
        let found = rows.iter().map(|row| {
            let mut cells = row.cells();
            let id = cells.get()?;
            let missing: Option<Timestamp> = cells.get()?;
            let connected_to: Option<MasterId> = cells.get()?;
            let presence = match (connected_to, missing) {
                (Some(_), _) => Presence::Connected,
                (None, Some(_)) => Presence::Missing,
                (None, None) => Presence::Away,
            };
            Ok((id, presence))
        });
        found.collect()
    }

    /// The workers that take no builds: those that are paused, and those that are to end when they are idle. All of them,
    /// however many there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resting_workers(&self) -> Result<Vec<WorkerId>> {
        const OPERATION: &str = "resting_workers";
        let sql = "SELECT t.id FROM workers t WHERE t.paused = 1 OR t.graceful = 1 ORDER BY t.id";
        let mut connection = self.read(OPERATION).await?;
        let rows = connection.fetch_all(OPERATION, sql, args![]).await?;
        rows.iter().map(|row| row.first()).collect()
    }

    /// The workers that are to end and have not been told so, because they are not connected.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unfinished_orders(&self) -> Result<Vec<(WorkerId, String)>> {
        let sql = "SELECT t.id, t.name FROM workers t \
            WHERE t.graceful = 1 AND t.dismissed = 0 ORDER BY t.id LIMIT $1";
        let args = args![ROWS_PER_LIST_MAX];
        self.names("unfinished_orders", sql, args).await
    }

    async fn names(
        &self,
        operation: &'static str,
        sql: &'static str,
        args: Vec<crate::sql::Value>,
    ) -> Result<Vec<(WorkerId, String)>> {
        let mut connection = self.read(operation).await?;
        let rows = connection.fetch_all(operation, sql, args).await?;
        let names = rows.iter().map(|row| {
            let mut cells = row.cells();
            Ok((cells.get()?, cells.get()?))
        });
        names.collect()
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
            Box::pin(async move { update(tx, worker, sql, args).await.map(drop) })
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
            let args = args![graceful, worker];
            Box::pin(async move { update(tx, worker, sql, args).await.map(drop) })
        })
        .await
    }
}

async fn update(
    tx: &mut Tx,
    worker: WorkerId,
    sql: impl Into<Cow<'static, str>> + Send,
    args: Vec<crate::sql::Value>,
) -> Result<Row> {
    let row = tx.fetch_optional("update_worker", sql, args).await?;
    let row = row.ok_or_else(|| StoreError::not_found("worker", worker))?;
    tx.emit(Event::Worker(worker));
    Ok(row)
}

/// Adds a connection, unless there is one to this master, along with these changes of the worker: the beginning of a statement
/// whose arguments are counted from four. Whether it is to end when it is idle. In few statements: a farm of thousands comes at once.
async fn connect(
    tx: &mut Tx,
    worker: WorkerId,
    master: MasterId,
    now: Timestamp,
    changes: &str,
    args: Vec<crate::sql::Value>,
) -> Result<bool> {
    let sql = format!(
        "{changes}, connected_at = CASE WHEN EXISTS (SELECT 1 FROM worker_connections x \
         WHERE x.worker_id = workers.id AND x.master_id = $2) THEN connected_at ELSE $3 END \
         WHERE id = $1 RETURNING graceful, lost_at, missing_at"
    );
    let mut all = args![worker, master, now];
    all.extend(args);
    let row = update(tx, worker, sql, all).await?;
    let mut cells = row.cells();
    let graceful = cells.get()?;
    let (lost, missing): (Option<Timestamp>, Option<Timestamp>) = (cells.get()?, cells.get()?);
    let sql = "INSERT INTO worker_connections (worker_id, master_id, connected_at) \
        VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    tx.execute("connect_worker", sql, args![worker, master, now])
        .await?;
    // Nobody looked for it, as for nearly all when a farm of thousands comes.
    if lost.is_some() || missing.is_some() {
        found(tx, worker, now).await?;
    }
    Ok(graceful)
}

/// Takes a connection away, if there is one.
async fn detach(
    tx: &mut Tx,
    worker: WorkerId,
    master: MasterId,
    end: &WorkerEnd,
    now: Timestamp,
) -> Result<()> {
    let sql = "DELETE FROM worker_connections \
        WHERE worker_id = $1 AND master_id = $2 RETURNING connected_at";
    let gone = tx
        .fetch_optional("detach_worker", sql, args![worker, master])
        .await?;
    let Some(gone) = gone else { return Ok(()) };
    let since: Timestamp = gone.first()?;
    let sql = "UPDATE workers SET gone_at = $2, gone_reason = $3, dismissed = $4 WHERE id = $1";
    let args = args![worker, now, &end.reason, end.dismissed];
    tx.execute("detach_worker", sql, args).await?;
    let kind = match end.lost {
        true => WorkerNoteKind::Lost,
        false => WorkerNoteKind::Left,
    };
    note(tx, worker, kind, Some(since), &end.reason, now).await?;
    tx.emit(Event::Worker(worker));
    if end.lost {
        lose(tx, worker, now).await?;
    }
    Ok(())
}

/// Disconnects the workers of a master that stops in order. They are not lost: they went because they were to.
pub(super) async fn disconnect_all(tx: &mut Tx, master: MasterId, now: Timestamp) -> Result<()> {
    let reason = "the master stopped";
    note_all(tx, master, WorkerNoteKind::Left, reason, now).await?;
    take_all(tx, master, reason, now).await?;
    Ok(())
}

/// Disconnects the workers of a master that died.
pub(super) async fn lose_all(tx: &mut Tx, master: MasterId, now: Timestamp) -> Result<()> {
    let reason = "the master ended without taking leave";
    note_all(tx, master, WorkerNoteKind::Lost, reason, now).await?;
    for worker in take_all(tx, master, reason, now).await? {
        lose(tx, worker, now).await?;
    }
    Ok(())
}

async fn take_all(
    tx: &mut Tx,
    master: MasterId,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<WorkerId>> {
    const OPERATION: &str = "disconnect_workers";
    let sql = "UPDATE workers SET gone_at = $2, gone_reason = $3 WHERE id IN \
        (SELECT worker_id FROM worker_connections WHERE master_id = $1)";
    tx.execute(OPERATION, sql, args![master, now, reason])
        .await?;
    let sql = "DELETE FROM worker_connections WHERE master_id = $1 RETURNING worker_id";
    let rows = tx.fetch_all(OPERATION, sql, args![master]).await?;
    let workers: Vec<WorkerId> = rows.iter().map(|row| row.first()).collect::<Result<_>>()?;
    for worker in &workers {
        tx.emit(Event::Worker(*worker));
    }
    Ok(workers)
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

/// Notes that a worker is back, if it was lost, and once more if it was missing: that is for others to hear.
async fn found(tx: &mut Tx, worker: WorkerId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE workers SET lost_at = NULL WHERE id = $1 AND lost_at IS NOT NULL";
    if tx.execute("worker_found", sql, args![worker]).await? > 0 {
        tx.note(now, Fact::WorkerFound(worker));
    }
    let sql = "UPDATE workers SET missing_at = NULL WHERE id = $1 AND missing_at IS NOT NULL";
    if tx.execute("worker_back", sql, args![worker]).await? > 0 {
        tx.note(now, Fact::WorkerBack(worker));
    }
    Ok(())
}
