//! What can go wrong between a caller and the records.

use std::path::PathBuf;

/// Results of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL names no database that this program can open.
    #[error(
        "cannot use {url:?} as a database: {reason}; write sqlite:PATH or postgres://USER@HOST/NAME"
    )]
    Url {
        /// As configured, without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process has the SQLite file.
    #[error(
        "database {} is in use by another Toolpost (pid {}); stop that one, or give this one a database of its own",
        path.display(),
        pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
    )]
    InUse {
        /// The database file.
        path: PathBuf,
        /// Who has it, as its lock file says.
        pid: Option<u32>,
    },
    /// The lock file or a directory of the store cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no database, or none that can be used.
    #[error("cannot open database {database}: {source}")]
    Open {
        /// Path, or host and name.
        database: String,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A newer program has migrated this database.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}; run a newer Toolpost, or restore a backup"
    )]
    NewerSchema {
        /// What the database says.
        found: i64,
        /// The newest that this program has.
        known: i64,
    },
    /// A statement failed.
    #[error("{operation}: {source}")]
    Query {
        /// Name of the operation.
        operation: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A visitor's statement took longer than these may, and was interrupted.
    #[error("{operation}: looking through the database for that would take too long")]
    TooMuchWork {
        /// Name of the operation.
        operation: &'static str,
    },
    /// There is no room for what was to be written. Nothing of the operation was kept; it may be tried again.
    #[error("{operation}: no space is left for the database; free some and try again")]
    DiskFull {
        /// Name of the operation.
        operation: &'static str,
    },
    /// The object store (log segments, plugin components) failed.
    #[error("object {key}: {source}")]
    Object {
        /// Name of the object.
        key: String,
        /// What the object store said.
        source: object_store::Error,
    },
    /// Somebody else moved the record in the meantime; read it again.
    #[error("{what} was changed by another master in the meantime")]
    Conflict {
        /// Which record.
        what: String,
    },
    /// There is no such record.
    #[error("there is no {what} {id}")]
    NotFound {
        /// Kind of record.
        what: &'static str,
        /// Its id.
        id: i64,
    },
    /// A plugin may not keep that much.
    #[error("plugin {plugin} cannot keep that: {reason}")]
    StorageFull {
        /// The plugin.
        plugin: String,
        /// Which limit.
        reason: String,
    },
    /// A patch is larger than any may be.
    #[error("a patch of {size_bytes} bytes is too large; {max_bytes} bytes can be kept")]
    PatchTooLarge {
        /// Length of its body, bytes.
        size_bytes: usize,
        /// Longest body, bytes.
        max_bytes: usize,
    },
    /// A query names a field that the resource does not have.
    #[error("{resource} has no field {field:?}; it has {}", known.join(", "))]
    UnknownField {
        /// The resource.
        resource: &'static str,
        /// The field asked for.
        field: String,
        /// The fields there are.
        known: Vec<&'static str>,
    },
    /// A filter cannot be applied.
    #[error("filter on {field:?}: {reason}")]
    Filter {
        /// The field.
        field: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A stored value cannot be read back.
    #[error("stored {what} cannot be read: {reason}")]
    Corrupt {
        /// Which value.
        what: String,
        /// Why.
        reason: String,
    },
    /// An operation panicked; its transaction was rolled back.
    #[error("{operation}: stopped by a defect of this program, nothing was written")]
    Panicked {
        /// Name of the operation.
        operation: &'static str,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// SQLITE_FULL, and SQLITE_IOERR_SHMSIZE, which is the same for the file beside the write-ahead log.
/// <https://www.sqlite.org/rescode.html>
const SQLITE_NO_SPACE: [&str; 2] = ["13", "4874"];
/// Class 53 "insufficient resources": disk_full. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const POSTGRES_DISK_FULL: &str = "53100";
/// SQLITE_INTERRUPT.
const SQLITE_INTERRUPTED: &str = "9";
/// Class 57 "operator intervention": query_canceled.
const POSTGRES_CANCELED: &str = "57014";
/// serialization_failure and deadlock_detected.
const POSTGRES_TRY_AGAIN: [&str; 2] = ["40001", "40P01"];

impl StoreError {
    /// A failed statement.
    pub(crate) fn query(operation: &'static str, source: sqlx::Error) -> Self {
        let code = source.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            Some(code) if SQLITE_NO_SPACE.contains(&code) || code == POSTGRES_DISK_FULL => {
                Self::DiskFull { operation }
            }
            Some(SQLITE_INTERRUPTED | POSTGRES_CANCELED) => Self::TooMuchWork { operation },
            _ => Self::Query { operation, source },
        }
    }

    /// Whether the database asks for the same transaction again.
    pub(crate) fn try_again(&self) -> bool {
        let Self::Query { source, .. } = self else {
            return false;
        };
        source
            .as_database_error()
            .and_then(|error| error.code())
            .is_some_and(|code| POSTGRES_TRY_AGAIN.contains(&code.as_ref()))
    }

    /// A missing record.
    pub(crate) fn not_found(what: &'static str, id: impl Into<i64>) -> Self {
        Self::NotFound {
            what,
            id: id.into(),
        }
    }
}
