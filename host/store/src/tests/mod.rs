//! Tests of the store. Each body runs on SQLite and on PostgreSQL; see [`both`].

mod access;
mod backend;
mod builds;
mod changes;
mod codebases;
mod farm;
mod journal;
mod kept;
mod lists;
mod log_faults;
mod logs;
mod opening;
mod patches;
mod plugins;
mod queue;
mod recordings;
mod reporters;
mod setup;
mod visitors;
mod workers;
mod writing;

/// Runs each body as a test on both databases.
macro_rules! both {
    ($($(#[$attribute:meta])* async fn $name:ident($db:ident: &TestDb) $body:block)+) => {$(
        $(#[$attribute])*
        mod $name {
            use super::*;

            async fn check($db: &TestDb) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                crate::tests::backend::on_sqlite(|db| Box::pin(check(db))).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                crate::tests::backend::on_postgres(|db| Box::pin(check(db))).await;
            }
        }
    )+};
}
use both;
