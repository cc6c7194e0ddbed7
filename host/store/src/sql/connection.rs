//! A connection to either database, through which every statement goes by name.

use std::borrow::Cow;
use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres, Sqlite, SqliteConnection};

use super::{Row, Value, bind_postgres, bind_sqlite, json_ids};
use crate::visitors::Visitor;
use crate::{Result, StoreError};

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// A statement's text. Values never go into it; names of columns come from this crate only.
pub(crate) type Sql = Cow<'static, str>;

/// A statement that takes longer is worth a line in the log, milliseconds.
const SLOW_STATEMENT_MS: u128 = 1_000;

/// Rows of one multi-row insert: far below the argument limits of both databases.
const ROWS_PER_INSERT: usize = 250;

/// One connection.
#[derive(Debug)]
pub enum Connection {
    /// SQLite's writer owns its connection.
    Writer(Box<SqliteConnection>),
    /// A reader of SQLite.
    Reader(PoolConnection<Sqlite>),
    /// A reader of SQLite for whoever asks from outside.
    Visitor(Visitor),
    /// PostgreSQL.
    Postgres(PoolConnection<Postgres>),
}

impl Connection {
    pub(crate) fn backend(&self) -> Backend {
        match self {
            Self::Writer(_) | Self::Reader(_) | Self::Visitor(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }

    /// Runs a statement and gives the number of rows that it changed.
    pub(crate) async fn execute(
        &mut self,
        operation: &'static str,
        sql: impl Into<Sql> + Send,
        args: Vec<Value>,
    ) -> Result<u64> {
        let sql = sql.into();
        tracing::trace!(operation, sql = &*sql);
        let sql = AssertSqlSafe(sql);
        let started = Instant::now();
        let outcome = async {
            Ok(match self {
                Self::Writer(connection) => sqlx::query_with(sql, bind_sqlite(args)?)
                    .execute(&mut **connection)
                    .await?
                    .rows_affected(),
                Self::Reader(connection) => sqlx::query_with(sql, bind_sqlite(args)?)
                    .execute(&mut **connection)
                    .await?
                    .rows_affected(),
                Self::Visitor(visitor) => {
                    let query = sqlx::query_with(sql, bind_sqlite(args)?);
                    let done = query.execute(visitor.begin()?).await;
                    visitor.end();
                    done?.rows_affected()
                }
                Self::Postgres(connection) => sqlx::query_with(sql, bind_postgres(&args)?)
                    .execute(&mut **connection)
                    .await?
                    .rows_affected(),
            })
        }
        .await;
        trace(operation, started);
        outcome.map_err(|source| StoreError::query(operation, source))
    }

    /// Runs a statement and gives its rows.
    pub(crate) async fn fetch_all(
        &mut self,
        operation: &'static str,
        sql: impl Into<Sql> + Send,
        args: Vec<Value>,
    ) -> Result<Vec<Row>> {
        let sql = sql.into();
        tracing::trace!(operation, sql = &*sql);
        let sql = AssertSqlSafe(sql);
        let started = Instant::now();
        let outcome = async {
            Ok(match self {
                Self::Writer(connection) => sqlx::query_with(sql, bind_sqlite(args)?)
                    .fetch_all(&mut **connection)
                    .await?
                    .into_iter()
                    .map(Row::Sqlite)
                    .collect(),
                Self::Reader(connection) => sqlx::query_with(sql, bind_sqlite(args)?)
                    .fetch_all(&mut **connection)
                    .await?
                    .into_iter()
                    .map(Row::Sqlite)
                    .collect(),
                Self::Visitor(visitor) => {
                    let query = sqlx::query_with(sql, bind_sqlite(args)?);
                    let rows = query.fetch_all(visitor.begin()?).await;
                    visitor.end();
                    rows?.into_iter().map(Row::Sqlite).collect()
                }
                Self::Postgres(connection) => sqlx::query_with(sql, bind_postgres(&args)?)
                    .fetch_all(&mut **connection)
                    .await?
                    .into_iter()
                    .map(Row::Postgres)
                    .collect(),
            })
        }
        .await;
        trace(operation, started);
        outcome.map_err(|source| StoreError::query(operation, source))
    }

    /// Runs a statement of one column of numbers. Unlike rows, these take little room.
    pub(crate) async fn fetch_ids(
        &mut self,
        operation: &'static str,
        sql: impl Into<Sql> + Send,
        args: Vec<Value>,
    ) -> Result<Vec<i64>> {
        let sql = sql.into();
        tracing::trace!(operation, sql = &*sql);
        let sql = AssertSqlSafe(sql);
        let started = Instant::now();
        let outcome = async {
            match self {
                Self::Writer(connection) => {
                    let query = sqlx::query_scalar_with(sql, bind_sqlite(args)?);
                    query.fetch_all(&mut **connection).await
                }
                Self::Reader(connection) => {
                    let query = sqlx::query_scalar_with(sql, bind_sqlite(args)?);
                    query.fetch_all(&mut **connection).await
                }
                Self::Visitor(visitor) => {
                    let query = sqlx::query_scalar_with(sql, bind_sqlite(args)?);
                    let ids = query.fetch_all(visitor.begin()?).await;
                    visitor.end();
                    ids
                }
                Self::Postgres(connection) => {
                    let query = sqlx::query_scalar_with(sql, bind_postgres(&args)?);
                    query.fetch_all(&mut **connection).await
                }
            }
        }
        .await;
        trace(operation, started);
        outcome.map_err(|source| StoreError::query(operation, source))
    }

    /// Runs a statement that gives one row or none.
    pub(crate) async fn fetch_optional(
        &mut self,
        operation: &'static str,
        sql: impl Into<Sql> + Send,
        args: Vec<Value>,
    ) -> Result<Option<Row>> {
        let rows = self.fetch_all(operation, sql, args).await?;
        Ok(rows.into_iter().next())
    }

    /// Runs a statement that gives exactly one row.
    pub(crate) async fn fetch_one(
        &mut self,
        operation: &'static str,
        sql: impl Into<Sql> + Send,
        args: Vec<Value>,
    ) -> Result<Row> {
        self.fetch_optional(operation, sql, args)
            .await?
            .ok_or_else(|| StoreError::query(operation, sqlx::Error::RowNotFound))
    }

    /// Runs statements without arguments and results, separated by semicolons.
    pub(crate) async fn script(
        &mut self,
        operation: &'static str,
        sql: impl Into<Sql> + Send,
    ) -> Result<()> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql.into()));
        match self {
            Self::Writer(connection) => script.execute(&mut **connection).await.map(drop),
            Self::Reader(connection) => script.execute(&mut **connection).await.map(drop),
            // Nobody from outside has a script to run.
            Self::Visitor(_) => Err(sqlx::Error::PoolClosed),
            Self::Postgres(connection) => script.execute(&mut **connection).await.map(drop),
        }
        .map_err(|source| StoreError::query(operation, source))
    }

    /// Inserts rows, many with one statement. `into` is the beginning (`INSERT INTO t (a, b)`), `after` the end
    /// (`ON CONFLICT ... RETURNING ...`); gives the returned rows in no order.
    pub(crate) async fn insert(
        &mut self,
        operation: &'static str,
        into: &str,
        rows: Vec<Vec<Value>>,
        after: &str,
    ) -> Result<Vec<Row>> {
        let mut returned = Vec::new();
        let mut rows = rows.into_iter().peekable();
        while let Some(columns) = rows.peek().map(Vec::len) {
            let batch: Vec<_> = rows.by_ref().take(ROWS_PER_INSERT).collect();
            let sql = insert_sql(into, columns, batch.len(), after);
            let args = batch.into_iter().flatten().collect();
            returned.extend(self.fetch_all(operation, sql, args).await?);
        }
        Ok(returned)
    }

    /// A subselect over the ids in the JSON array that is argument `$n`. The text stays the same for any number
    /// of ids.
    pub(crate) fn ids(&self, n: usize) -> String {
        match self.backend() {
            Backend::Sqlite => format!("(SELECT value FROM json_each(${n}))"),
            Backend::Postgres => {
                format!("(SELECT json_array_elements_text(${n}::json)::bigint)")
            }
        }
    }

    /// Makes other transactions that come to this row wait for the end of this one. SQLite has one writer anyway.
    pub(crate) async fn lock_row(
        &mut self,
        operation: &'static str,
        table: &'static str,
        id: i64,
    ) -> Result<()> {
        if self.backend() == Backend::Postgres {
            let sql = format!("SELECT id FROM {table} WHERE id = $1 FOR UPDATE");
            self.fetch_all(operation, sql, vec![id.into()]).await?;
        }
        Ok(())
    }

    /// The same for several rows, which all transactions lock in one order, so that no two wait for each other.
    pub(crate) async fn lock_rows(
        &mut self,
        operation: &'static str,
        table: &'static str,
        ids: impl IntoIterator<Item: Into<i64>>,
    ) -> Result<()> {
        if self.backend() == Backend::Postgres {
            let list = self.ids(1);
            let sql = format!("SELECT id FROM {table} WHERE id IN {list} ORDER BY id FOR UPDATE");
            self.fetch_all(operation, sql, vec![json_ids(ids)]).await?;
        }
        Ok(())
    }

    /// Makes other transactions that ask for the same key wait for the end of this one. SQLite has one writer
    /// anyway.
    pub(crate) async fn lock_key(&mut self, operation: &'static str, key: i64) -> Result<()> {
        if self.backend() == Backend::Postgres {
            let sql = "SELECT pg_advisory_xact_lock($1)";
            self.execute(operation, sql, vec![key.into()]).await?;
        }
        Ok(())
    }

    /// The same for a text. Different texts may have to wait for each other too, though hardly ever do.
    pub(crate) async fn lock_text(&mut self, operation: &'static str, text: &str) -> Result<()> {
        if self.backend() == Backend::Postgres {
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
            self.execute(operation, sql, vec![text.into()]).await?;
        }
        Ok(())
    }
}

fn insert_sql(into: &str, columns: usize, rows: usize, after: &str) -> String {
    use std::fmt::Write;
    let mut sql = String::with_capacity(into.len() + after.len() + rows * columns * 6);
    sql.push_str(into);
    sql.push_str(" VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            let n = row * columns + column + 1;
            let _infallible = write!(sql, "{comma}${n}");
        }
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(after);
    sql
}

fn trace(operation: &'static str, started: Instant) {
    let elapsed = started.elapsed();
    if elapsed.as_millis() >= SLOW_STATEMENT_MS {
        let elapsed_ms = elapsed.as_millis();
        tracing::warn!(operation, "statement {operation} took {elapsed_ms} ms");
    } else {
        tracing::trace!(operation, elapsed_us = elapsed.as_micros());
    }
}
