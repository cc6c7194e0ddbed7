//! Opening, migrating, locking, closing.

use insta::assert_snapshot;

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at};
use crate::migrate::MIGRATIONS;
use crate::sql::{Backend, args};
use crate::{Store, StoreError, StoreOptions};

both! {
    async fn a_database_is_migrated_once_and_keeps_its_records(db: &TestDb) {
        let farm = Farm::on(db).await;
        farm.store.close().await;
        let store = db.open().await;
        let again = store.register_master("m", at(1)).await.unwrap();
        assert_eq!(again, farm.master);
        let versions = store
            .write("versions", |tx| {
                Box::pin(async move {
                    let sql = "SELECT version FROM schema_version ORDER BY version";
                    let rows = tx.fetch_all("versions", sql, args![]).await?;
                    rows.iter()
                        .map(|row| row.first::<i64>())
                        .collect::<crate::Result<Vec<_>>>()
                })
            })
            .await
            .unwrap();
        let numbers: Vec<i64> = MIGRATIONS.iter().map(|(number, _)| *number).collect();
        assert_eq!(versions, numbers);
        store.close().await;
    }

    async fn a_database_of_a_newer_program_is_refused(db: &TestDb) {
        let store = db.open().await;
        store
            .write("newer", |tx| {
                Box::pin(async move {
                    let sql = "INSERT INTO schema_version (version) VALUES (99)";
                    tx.execute("newer", sql, args![]).await
                })
            })
            .await
            .unwrap();
        store.close().await;
        let error = db.try_open().await.unwrap_err();
        let newest = MIGRATIONS.last().unwrap().0;
        assert_eq!(
            error.to_string(),
            format!(
                "the database has schema version 99, this program knows versions up to {newest}; \
                 run a newer Toolpost, or restore a backup"
            )
        );
    }

    async fn several_may_migrate_at_the_same_time(db: &TestDb) {
        let opened = futures::future::join_all((0..4).map(|_| db.try_open())).await;
        let (open, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        match db.backend {
            Backend::Postgres => assert_eq!(open.len(), 4),
            Backend::Sqlite => {
                assert_eq!(open.len(), 1);
                assert!(
                    refused
                        .iter()
                        .all(|error| matches!(error, Err(StoreError::InUse { .. })))
                );
            }
        }
        for store in open {
            store.unwrap().close().await;
        }
    }

    async fn a_closed_store_says_so(db: &TestDb) {
        let farm = Farm::on(db).await;
        farm.store.close().await;
        let write = farm.store.heartbeat(farm.master, at(1)).await;
        assert!(matches!(write, Err(StoreError::Closed)), "{write:?}");
        let read = farm.store.last_change().await;
        assert!(matches!(read, Err(StoreError::Closed)), "{read:?}");
        // A second time is harmless.
        farm.store.close().await;
    }
}

#[tokio::test]
async fn a_sqlite_file_belongs_to_one_store_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/farm.db");
    let options = || StoreOptions::new(format!("sqlite:{}", path.display()), dir.path());
    let first = Store::open(options()).await.unwrap();
    let error = Store::open(options()).await.unwrap_err().to_string();
    let pid = std::process::id().to_string();
    let error = error
        .replace(path.to_str().unwrap(), "PATH")
        .replace(&pid, "PID");
    assert_snapshot!(error, @"database PATH is in use by another Toolpost (pid PID); stop that one, or give this one a database of its own");
    first.close().await;
    Store::open(options()).await.unwrap().close().await;
}

#[tokio::test]
async fn bad_urls_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let table = [
        "mysql://somebody:secret@host/name",
        "sqlite:",
        "sqlite::memory:",
        "farm.db",
        "postgres://user:secret@host:notaport/name",
    ];
    let mut errors = Vec::new();
    for url in table {
        let error = Store::open(StoreOptions::new(url, dir.path())).await;
        errors.push(error.unwrap_err().to_string());
    }
    assert_snapshot!(errors.join("\n"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("farm.db");
    std::fs::write(&path, "x".repeat(10_000)).unwrap();
    let url = format!("sqlite:{}", path.display());
    let error = Store::open(StoreOptions::new(url, dir.path()))
        .await
        .unwrap_err();
    let error = error.to_string().replace(path.to_str().unwrap(), "PATH");
    assert_snapshot!(error, @"cannot open database PATH: error returned from database: (code: 26) file is not a database");
}
