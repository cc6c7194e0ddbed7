//! A database of its own for each test.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use tempfile::TempDir;
use toolpost_core::Event;

use crate::sql::{Backend, args};
use crate::{Result, Store, StoreOptions};

/// An empty database with a directory for objects; both are gone when the test ends.
pub(crate) struct TestDb {
    pub(crate) backend: Backend,
    pub(crate) dir: TempDir,
    url: String,
    events: Arc<Mutex<Vec<Event>>>,
}

impl TestDb {
    fn new(backend: Backend, url: impl FnOnce(&TempDir) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            backend,
            url: url(&dir),
            dir,
            events: Arc::default(),
        }
    }

    /// Options of a store on it; its events are gathered here.
    pub(crate) fn options(&self) -> StoreOptions {
        let events = self.events.clone();
        StoreOptions::new(&self.url, self.dir.path().join("objects"))
            .on_commit(move |new| events.lock().unwrap().extend_from_slice(new))
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Store> {
        Store::open(self.options()).await
    }

    /// The events since the last call.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// Makes the database refuse to grow. SQLite may not take another page; in PostgreSQL a trigger says what a
    /// full disk says.
    pub(crate) async fn fill_disk(&self, store: &Store) {
        let backend = self.backend;
        store
            .write("fill_disk", move |tx| {
                Box::pin(async move {
                    if backend == Backend::Sqlite {
                        let pages: i64 = tx
                            .fetch_one("fill_disk", "PRAGMA page_count", args![])
                            .await?
                            .first()?;
                        let sql = format!("PRAGMA max_page_count = {pages}");
                        tx.fetch_all("fill_disk", sql, args![]).await.map(drop)
                    } else {
                        let sql = "CREATE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN \
                            RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; \
                            END $$ LANGUAGE plpgsql; \
                            CREATE TRIGGER full_disk BEFORE INSERT ON log_chunks \
                            EXECUTE FUNCTION full_disk(); \
                            CREATE TRIGGER full_disk BEFORE INSERT ON object_state \
                            EXECUTE FUNCTION full_disk()";
                        tx.script("fill_disk", sql).await
                    }
                })
            })
            .await
            .unwrap();
    }

    /// Takes back [`Self::fill_disk`].
    pub(crate) async fn free_disk(&self, store: &Store) {
        let sql = match self.backend {
            Backend::Sqlite => "PRAGMA max_page_count = 1073741823",
            Backend::Postgres => "DROP FUNCTION full_disk() CASCADE",
        };
        store
            .write("free_disk", move |tx| {
                Box::pin(async move { tx.script("free_disk", sql).await })
            })
            .await
            .unwrap();
    }
}

type Check = for<'d> fn(&'d TestDb) -> BoxFuture<'d, ()>;

pub(crate) async fn on_sqlite(check: Check) {
    let db = TestDb::new(Backend::Sqlite, |dir| {
        format!("sqlite:{}", dir.path().join("farm.db").display())
    });
    check(&db).await;
}

pub(crate) async fn on_postgres(check: Check) {
    let admin_url = std::env::var("TOOLPOST_TEST_POSTGRES_URL").expect(
        "TOOLPOST_TEST_POSTGRES_URL is not set: run the tests with `cargo xtask test`, or start the \
         databases with `cargo xtask services`",
    );
    let schema = format!("test_{:016x}", rand::random::<u64>());
    admin(&admin_url, format!("CREATE SCHEMA {schema}")).await;
    let separator = if admin_url.contains('?') { '&' } else { '?' };
    let db = TestDb::new(Backend::Postgres, |_| {
        format!("{admin_url}{separator}options[search_path]={schema}")
    });
    let outcome = AssertUnwindSafe(check(&db)).catch_unwind().await;
    admin(&admin_url, format!("DROP SCHEMA {schema} CASCADE")).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

async fn admin(url: &str, sql: String) {
    use sqlx::{AssertSqlSafe, Connection, PgConnection};
    let mut connection = PgConnection::connect(url).await.unwrap();
    // A test that failed may have left a transaction open.
    let sql = format!("SET client_min_messages = warning; SET lock_timeout = '5s'; {sql}");
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}
