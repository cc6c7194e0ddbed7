//! Arguments of statements.

use std::borrow::Cow;

use bytes::Bytes;
use sqlx::Arguments;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use toolpost_core::{
    ArtifactId, BranchId, BuildDataId, BuildId, BuilderId, BuildsetId, ChangeId, ChangeSourceId,
    CodebaseId, CommitId, DeliveryId, ForcedId, JournalId, LogId, MasterId, PatchId, ProjectId,
    ReporterId, RequestId, Results, SchedulerId, SourceStampId, StepId, TestResultId,
    TestResultSetId, Timestamp, WorkerId,
};

/// One argument. The kind decides the type that PostgreSQL is told, also for NULL.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Bytes>),
}

/// The arguments of a statement, `$1` first.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::sql::Value::from($value)),*] };
}
pub(crate) use args;

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(value.0))
    }
}

impl From<Results> for Value {
    fn from(value: Results) -> Self {
        Self::Int(Some(value.code().into()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<Bytes> for Value {
    fn from(value: Bytes) -> Self {
        Self::Bytes(Some(value))
    }
}

impl From<Option<Bytes>> for Value {
    fn from(value: Option<Bytes>) -> Self {
        Self::Bytes(value)
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(value: Option<Timestamp>) -> Self {
        Self::Int(value.map(|value| value.0))
    }
}

impl From<Option<Results>> for Value {
    fn from(value: Option<Results>) -> Self {
        Self::Int(value.map(|value| value.code().into()))
    }
}

macro_rules! ids {
    ($($id:ty),+ $(,)?) => {$(
        impl From<$id> for Value {
            fn from(value: $id) -> Self {
                Self::Int(Some(value.0))
            }
        }

        impl From<Option<$id>> for Value {
            fn from(value: Option<$id>) -> Self {
                Self::Int(value.map(|value| value.0))
            }
        }
    )+};
}
ids!(
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
    WorkerId,
);

/// Ids as the JSON array that [`super::Connection::ids`] takes apart.
pub(crate) fn json_ids(ids: impl IntoIterator<Item = impl Into<i64>>) -> Value {
    let ids: Vec<String> = ids.into_iter().map(|id| id.into().to_string()).collect();
    Value::Text(Some(format!("[{}]", ids.join(","))))
}

/// PostgreSQL cannot store NUL in a text, so neither backend does.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

pub(crate) fn bind_sqlite(values: Vec<Value>) -> Result<SqliteArguments, sqlx::Error> {
    let mut bound = SqliteArguments::default();
    for value in values {
        match value {
            Value::Int(value) => bound.add(value),
            Value::Text(None) => bound.add(None::<String>),
            Value::Text(Some(text)) => match without_nul(&text) {
                Cow::Owned(clean) => bound.add(clean),
                Cow::Borrowed(_) => bound.add(text),
            },
            Value::Bytes(value) => bound.add(value.map(|bytes| bytes.to_vec())),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(bound)
}

pub(crate) fn bind_postgres(values: &[Value]) -> Result<PgArguments, sqlx::Error> {
    let mut bound = PgArguments::default();
    for value in values {
        match value {
            Value::Int(value) => bound.add(*value),
            Value::Text(value) => bound.add(value.as_deref().map(without_nul)),
            Value::Bytes(value) => bound.add(value.as_deref()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(bound)
}
