//! Everything a farm remembers: SQLite by default, PostgreSQL by URL, logs in compressed segments beside them.
//!
//! Each write is one transaction and is safe to run again; the events of a transaction are handed to
//! `on_commit` after its commit and nowhere else. Time comes in as an argument. Every query has a name
//! (see [`StoreError::Query`]) and every list has a limit.
//!
//! Never here: decisions. What runs next, what is collapsed, who reacts to a change is decided by
//! `toolpost-core` and `toolpost-master`; the store only refuses what would break the records, such as a second
//! claim on a request.

mod counts;
mod digest;
mod error;
mod logs;
mod migrate;
mod objects;
mod ops;
mod options;
mod parties;
mod postgres;
mod query;
mod resources;
mod sql;
mod sqlite;
mod store;
mod tx;
mod visitors;

pub use error::{Result, StoreError};
pub use logs::{LOG_LINES_PER_READ_MAX, LogLines, LogStream, LogWriter};
pub use ops::artifacts::{ArtifactWriter, NewArtifact};
pub use ops::audit::{AuditEntry, AuditRow};
pub use ops::builds::{BuildEnd, StartBuild};
pub use ops::buildsets::{AddedBuildset, NewBuildset, ParentBuild};
pub use ops::changes::NewChange;
pub use ops::codebases::ConfiguredProject;
pub use ops::configuration::{ConfiguredBuilder, ConfiguredIds, ConfiguredNames, ConfiguredWorker};
pub use ops::deliveries::{AfterFailure, Made};
pub use ops::forced::{ForcedRow, NewForced};
pub use ops::logins::NewLogin;
pub use ops::masters::Recovered;
pub use ops::plugins::{LivePluginRow, PluginEventKind, PluginEventRow, PluginVersionRow};
pub use ops::requests::{Cancel, CollapseCandidate, PendingRequest};
pub use ops::scheduler_skips::{NewSkip, SkipRow};
pub use ops::schedulers::{SchedulerCommit, SchedulerCommitted, SchedulerState};
pub use ops::sessions::{NewSession, SessionRow};
pub use ops::steps::NewStep;
pub use ops::storage::{Expected, StorageLimits};
pub use ops::test_results::{NewTestResult, NewTestResultSet};
pub use ops::tokens::{NewToken, TokenRow};
pub use ops::workers::{Presence, WorkerEnd, WorkerSession};
pub use options::{OnCommit, StoreOptions, Synchronous};
pub use query::{Filter, IDS_PER_LIST_MAX, Op, Order, Query, ROWS_PER_LIST_MAX};
pub use resources::Resource;
pub use store::Store;

#[cfg(test)]
mod tests;
