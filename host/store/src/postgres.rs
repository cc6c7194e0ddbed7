//! PostgreSQL: a pool, a transaction for each job, and another try when the server asks for it.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection as _};

use crate::sql::Connection;
use crate::store::{Commits, bad_url};
use crate::tx::{Tx, run_job};
use crate::{Result, StoreError, StoreOptions, migrate};

/// Prepared statements that a connection keeps.
const STATEMENTS_KEPT: usize = 512;
/// A connection that was at rest for longer is asked whether it is still there before it is used.
const FRESH: Duration = Duration::from_secs(1);
/// How often a transaction is tried when the server calls it the victim of a deadlock.
const TRIES_MAX: u32 = 8;
/// The wait before the second try, milliseconds; twice as long before each further one.
const RETRY_WAIT_MS: u64 = 2;

pub(crate) struct Postgres {
    pub(crate) pool: PgPool,
    /// For whoever asks from outside, apart from the master's own parts; the server interrupts what takes too long.
    pub(crate) visitors: PgPool,
    commits: Arc<Commits>,
}

impl Postgres {
    pub(crate) async fn open(options: &StoreOptions, commits: Arc<Commits>) -> Result<Self> {
        let connect = PgConnectOptions::from_str(&options.url)
            .map_err(|error| bad_url(&options.url, &error.to_string()))?
            .application_name("toolpost")
            .statement_cache_capacity(STATEMENTS_KEPT)
            .options([("lock_timeout", options.busy_timeout_ms.to_string())])
            .disable_statement_logging();
        let database = format!(
            "{} on {}:{}",
            connect.get_database().unwrap_or(connect.get_username()),
            connect.get_host(),
            connect.get_port()
        );
        let wait_max = Duration::from_millis(options.busy_timeout_ms);
        let statement_ms_max = options.visitor_statement_ms_max.to_string();
        let visitors = pool_options()
            .max_connections(options.visitors_max)
            .acquire_timeout(wait_max)
            .connect_lazy_with(
                connect
                    .clone()
                    .options([("statement_timeout", statement_ms_max)]),
            );
        let pool = pool_options()
            .max_connections(options.connections_max)
            .acquire_timeout(wait_max)
            .connect_with(connect)
            .await
            .map_err(|source| StoreError::Open { database, source })?;
        let postgres = Self {
            pool,
            visitors,
            commits,
        };
        let mut connection = postgres.connection("open database").await?;
        migrate::migrate(&mut connection).await?;
        Ok(postgres)
    }

    pub(crate) async fn write<T, J>(&self, operation: &'static str, mut job: J) -> Result<T>
    where
        T: Send + 'static,
        J: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let connection = self.connection(operation).await?;
        let commits = self.commits.clone();
        // A task of its own, so that a caller that goes away does not leave a transaction half done on a pooled
        // connection.
        let task = tokio::spawn(async move {
            let mut tx = Tx::new(connection);
            let mut wait = Duration::from_millis(RETRY_WAIT_MS);
            for _ in 1..TRIES_MAX {
                match transaction(operation, &mut job, &mut tx).await {
                    Err(error) if error.try_again() => {
                        tracing::debug!(operation, "{operation} is tried again: {error}");
                    }
                    outcome => return publish(&commits, &tx, outcome),
                }
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            let outcome = transaction(operation, &mut job, &mut tx).await;
            publish(&commits, &tx, outcome)
        });
        task.await
            .unwrap_or(Err(StoreError::Panicked { operation }))
    }

    pub(crate) async fn close(&self) {
        self.visitors.close().await;
        self.pool.close().await;
    }

    async fn connection(&self, operation: &'static str) -> Result<Connection> {
        match self.pool.acquire().await {
            Ok(connection) => Ok(Connection::Postgres(connection)),
            Err(sqlx::Error::PoolClosed) => Err(StoreError::Closed),
            Err(source) => Err(StoreError::query(operation, source)),
        }
    }
}

/// What both pools have in common. To ask before each use would be one more way to the server and back for each statement.
fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new()
        .test_before_acquire(false)
        .before_acquire(|connection, at_rest| {
            Box::pin(async move {
                if at_rest.idle_for >= FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

fn publish<T>(commits: &Commits, tx: &Tx, outcome: Result<T>) -> Result<T> {
    if outcome.is_ok() {
        commits.publish(&tx.events);
    }
    outcome
}

async fn transaction<T, J>(operation: &'static str, job: &mut J, tx: &mut Tx) -> Result<T>
where
    J: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T>>,
{
    tx.events.clear();
    tx.script(operation, "BEGIN").await?;
    let outcome = run_job(operation, job, tx).await;
    let end = if outcome.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    let ended = tx.script(operation, end).await;
    let value = outcome?;
    ended?;
    Ok(value)
}
