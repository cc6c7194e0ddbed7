//! The resources of the REST API: lists by its field names, and single records.

mod codebases;
mod farm;
mod kept;
mod reports;
mod select;
pub(crate) mod table;
mod work;

use std::future::Future;

use toolpost_core::codebase::{Codebase, CodebaseBranch, CodebaseCommit, Project};
use toolpost_core::kept::{Artifact, BuildData, TestResult, TestResultSet};
use toolpost_core::model::{
    Build, BuildRequest, Builder, Buildset, Change, ChangeSource, Log, Master, Scheduler,
    SourceStamp, Step, Worker,
};
use toolpost_core::report::{Delivery, Reporter};

use crate::sql::{Cells, Connection, Value};
use crate::{Query, Result, Store, StoreError};
use select::{FEW_ROWS, Select, Wanted};
use table::Table;
pub(crate) use work::log_type;

/// A record that can be listed by the fields of the REST API.
pub trait Resource: sealed::Stored {}

pub(crate) mod sealed {
    use super::{Cells, Connection, Future, Result, Table};

    /// How a resource is stored.
    pub trait Stored: Sized + Send + 'static {
        /// Where.
        const TABLE: &'static Table;

        /// Reads the columns of the table.
        fn read(cells: &mut Cells<'_>) -> Result<Self>;

        /// Adds what is in other tables, with one query for all rows.
        fn complete(
            _connection: &mut Connection,
            _rows: &mut [Self],
        ) -> impl Future<Output = Result<()>> + Send {
            async { Ok(()) }
        }
    }
}

macro_rules! resources {
    ($($name:ident),+ $(,)?) => {$(
        impl Resource for $name {}
    )+};
}
resources!(
    Artifact,
    Build,
    BuildData,
    BuildRequest,
    Builder,
    Buildset,
    Change,
    ChangeSource,
    Codebase,
    CodebaseBranch,
    CodebaseCommit,
    Delivery,
    Log,
    Master,
    Project,
    Reporter,
    Scheduler,
    SourceStamp,
    Step,
    TestResult,
    TestResultSet,
    Worker,
);

impl Store {
    /// The records that a query asks for.
    ///
    /// # Errors
    /// When a field is unknown, a value does not fit its field, or the database fails.
    pub async fn list<R: Resource>(&self, query: &Query) -> Result<Vec<R>> {
        let mut connection = self.read("list").await?;
        let (sql, args) = rows_of(&mut connection, R::TABLE, Wanted::Rows, query).await?;
        read_rows(&mut connection, "list", sql, args).await
    }

    /// The ids of the records that a query asks for, [`IDS_PER_LIST_MAX`](crate::IDS_PER_LIST_MAX) at most: what it takes to read many records in an
    /// order without sorting them again for each page.
    ///
    /// # Errors
    /// As for [`Self::list`].
    pub async fn list_ids<R: Resource>(&self, query: &Query) -> Result<Vec<i64>> {
        let mut connection = self.read("list_ids").await?;
        let (sql, args) = rows_of(&mut connection, R::TABLE, Wanted::Ids, query).await?;
        connection.fetch_ids("list_ids", sql, args).await
    }

    /// How many records the filters of a query let through; order and page are ignored. Visitors are told an older number
    /// for a moment when it is large (see [`Self::for_visitors`]).
    ///
    /// # Errors
    /// When a field is unknown, a value does not fit its field, or the database fails.
    pub async fn count<R: Resource>(&self, query: &Query) -> Result<i64> {
        let (sql, args) = Select::count(R::TABLE, self.backend(), &query.filters)?.finish();
        let counts = self.visitors_counts();
        let counts = counts.map(|counts| (counts, format!("{sql} {args:?}")));
        let count = async || {
            let mut connection = self.read("count").await?;
            connection.fetch_one("count", sql, args).await?.first()
        };
        match counts {
            Some((counts, key)) => counts.total(key, count).await,
            None => count().await,
        }
    }

    /// The record with this id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none; otherwise when the database fails.
    pub async fn get<R: Resource>(&self, id: impl Into<i64> + Send) -> Result<R> {
        let id = id.into();
        self.find(id)
            .await?
            .ok_or_else(|| StoreError::not_found(R::TABLE.resource, id))
    }

    /// The record with this id, when there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find<R: Resource>(&self, id: impl Into<i64> + Send) -> Result<Option<R>> {
        let id: i64 = id.into();
        let mut connection = self.read("get").await?;
        let rows = read_all(&mut connection, "get", "WHERE t.id = $1", vec![id.into()]).await?;
        Ok(rows.into_iter().next())
    }
}

/// The statement for the rows of a query.
async fn rows_of(
    connection: &mut Connection,
    table: &'static Table,
    wanted: Wanted,
    query: &Query,
) -> Result<(String, Vec<Value>)> {
    let backend = connection.backend();
    let few = match Select::how_many_are_recent(table, backend, query)? {
        Some(select) => {
            let (sql, args) = select.finish();
            let found: i64 = connection.fetch_one("list", sql, args).await?.first()?;
            found <= FEW_ROWS
        }
        None => false,
    };
    Ok(Select::rows(table, backend, wanted, query, few)?.finish())
}

/// The records of a statement that ends like this.
pub(crate) async fn read_all<R: Resource>(
    connection: &mut Connection,
    operation: &'static str,
    end: &str,
    args: Vec<Value>,
) -> Result<Vec<R>> {
    let sql = format!("SELECT {} FROM {} {end}", R::TABLE.columns, R::TABLE.from);
    read_rows(connection, operation, sql, args).await
}

async fn read_rows<R: Resource>(
    connection: &mut Connection,
    operation: &'static str,
    sql: String,
    args: Vec<Value>,
) -> Result<Vec<R>> {
    let mut rows: Vec<R> = connection
        .fetch_all(operation, sql, args)
        .await?
        .iter()
        .map(|row| R::read(&mut row.cells()))
        .collect::<Result<_>>()?;
    R::complete(connection, &mut rows).await?;
    Ok(rows)
}
