//! Rows of results, read from left to right.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use toolpost_core::{
    ArtifactId, BranchId, BuildDataId, BuildId, BuilderId, BuildsetId, ChangeId, ChangeSourceId,
    CodebaseId, CommitId, DeliveryId, ForcedId, JournalId, LogId, MasterId, PatchId, ProjectId,
    Properties, Property, ReporterId, RequestId, Results, SchedulerId, SourceStampId, StepId,
    TestResultId, TestResultSetId, Timestamp, WorkerId,
};

use crate::{Result, StoreError};

/// A row of either database.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The columns, first one first.
    pub(crate) fn cells(&self) -> Cells<'_> {
        Cells { row: self, next: 0 }
    }

    /// The first column of a row that is about that one.
    pub(crate) fn first<T: FromCell>(&self) -> Result<T> {
        self.cells().get()
    }
}

/// Reads the columns of a row in their order; the type asked for is the type of the column.
#[derive(Debug)]
pub struct Cells<'r> {
    row: &'r Row,
    next: usize,
}

impl Cells<'_> {
    /// The next column.
    pub(crate) fn get<T: FromCell>(&mut self) -> Result<T> {
        let index = self.next;
        self.next += 1;
        T::from_cell(self.row, index)
    }

    /// The next column, a JSON text.
    pub(crate) fn json<T: json::FromJson>(&mut self) -> Result<T> {
        let index = self.next;
        let text: String = self.get()?;
        T::from_json(&text).map_err(|reason| corrupt(index, &reason))
    }
}

/// What a column can be read as.
pub(crate) trait FromCell: Sized {
    fn from_cell(row: &Row, index: usize) -> Result<Self>;
}

fn corrupt(index: usize, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        what: format!("column {index}"),
        reason: reason.to_string(),
    }
}

macro_rules! primitive {
    ($($type:ty),+) => {$(
        impl FromCell for $type {
            fn from_cell(row: &Row, index: usize) -> Result<Self> {
                match row {
                    Row::Sqlite(row) => sqlx::Row::try_get(row, index),
                    Row::Postgres(row) => sqlx::Row::try_get(row, index),
                }
                .map_err(|error| corrupt(index, &error))
            }
        }
    )+};
}
primitive!(
    i64,
    Option<i64>,
    String,
    Option<String>,
    Vec<u8>,
    Option<Vec<u8>>
);

impl FromCell for i32 {
    fn from_cell(row: &Row, index: usize) -> Result<Self> {
        let value = i64::from_cell(row, index)?;
        Self::try_from(value).map_err(|error| corrupt(index, &error))
    }
}

impl FromCell for bool {
    fn from_cell(row: &Row, index: usize) -> Result<Self> {
        Ok(i64::from_cell(row, index)? != 0)
    }
}

impl FromCell for Results {
    fn from_cell(row: &Row, index: usize) -> Result<Self> {
        let code = i64::from_cell(row, index)?;
        Self::from_code(code).ok_or_else(|| corrupt(index, &format!("{code} is no result")))
    }
}

impl FromCell for Option<Results> {
    fn from_cell(row: &Row, index: usize) -> Result<Self> {
        match Option::<i64>::from_cell(row, index)? {
            None => Ok(None),
            Some(_) => Results::from_cell(row, index).map(Some),
        }
    }
}

macro_rules! numbered {
    ($($id:ty),+ $(,)?) => {$(
        impl FromCell for $id {
            fn from_cell(row: &Row, index: usize) -> Result<Self> {
                i64::from_cell(row, index).map(Self)
            }
        }

        impl FromCell for Option<$id> {
            fn from_cell(row: &Row, index: usize) -> Result<Self> {
                Ok(Option::<i64>::from_cell(row, index)?.map(<$id>::from_number))
            }
        }

        impl FromNumber for $id {
            fn from_number(number: i64) -> Self {
                Self(number)
            }
        }
    )+};
}

/// Ids and times are newtypes over `i64`.
trait FromNumber {
    fn from_number(number: i64) -> Self;
}

numbered!(
    ArtifactId,
    BuildDataId,
    BuildId,
    BuilderId,
    BuildsetId,
    ChangeId,
    ChangeSourceId,
    DeliveryId,
    ForcedId,
    JournalId,
    LogId,
    MasterId,
    ReporterId,
    RequestId,
    SchedulerId,
    PatchId,
    SourceStampId,
    StepId,
    TestResultId,
    TestResultSetId,
    ProjectId,
    CodebaseId,
    BranchId,
    CommitId,
    Timestamp,
    WorkerId,
);

/// JSON texts of columns.
pub(crate) mod json {
    use super::{BTreeMap, Properties, Property};

    /// What a JSON column can be read as.
    pub(crate) trait FromJson: Sized {
        fn from_json(text: &str) -> Result<Self, serde_json::Error>;
    }

    impl FromJson for serde_json::Value {
        fn from_json(text: &str) -> Result<Self, serde_json::Error> {
            serde_json::from_str(text)
        }
    }

    impl FromJson for Vec<String> {
        fn from_json(text: &str) -> Result<Self, serde_json::Error> {
            serde_json::from_str(text)
        }
    }

    impl FromJson for Vec<(String, String)> {
        fn from_json(text: &str) -> Result<Self, serde_json::Error> {
            serde_json::from_str(text)
        }
    }

    impl FromJson for BTreeMap<String, serde_json::Value> {
        fn from_json(text: &str) -> Result<Self, serde_json::Error> {
            serde_json::from_str(text)
        }
    }

    impl FromJson for Properties {
        fn from_json(text: &str) -> Result<Self, serde_json::Error> {
            let stored: BTreeMap<String, (serde_json::Value, String)> = serde_json::from_str(text)?;
            Ok(stored
                .into_iter()
                .map(|(name, (value, source))| (name, Property { value, source }))
                .collect())
        }
    }
}
