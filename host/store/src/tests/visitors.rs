//! Reads for whoever asks from outside.

use futures::FutureExt as _;
use toolpost_core::model::SourceStamp;

use super::backend::TestDb;
use super::both;
use crate::sql::args;
use crate::{Op, Query, Store, StoreError};

/// Enough that to look at all of them takes much longer than a statement may.
const MANY: i64 = 200_000;

/// A store whose visitors have one connection, and so many milliseconds for each statement.
async fn crowded(db: &TestDb, statement_ms_max: u64) -> Store {
    let mut options = db.options();
    options.visitors_max = 1;
    options.visitor_statement_ms_max = statement_ms_max;
    let store = Store::open(options).await.unwrap();
    store
        .write("fill", |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO sourcestamps (digest, codebase, repository, project, created_at) \
                    WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
                    SELECT 'd' || i, '', 'https://example.org/' || i, '', i FROM n";
                tx.execute("fill", sql, args![MANY]).await
            })
        })
        .await
        .unwrap();
    store
}

/// What no index finds.
fn needle() -> Query {
    Query::new().filter("repository", Op::Contains, "needle")
}

both! {
async fn a_visitors_statement_is_interrupted_when_it_takes_too_long(db: &TestDb) {
    let store = crowded(db, 1).await;
    let visitors = store.for_visitors();
    for _ in 0..3 {
        let outcome = visitors.list::<SourceStamp>(&needle()).await;
        assert!(
            matches!(outcome, Err(StoreError::TooMuchWork { operation: "list" })),
            "{outcome:?}"
        );
    }
    let outcome = visitors.count::<SourceStamp>(&needle()).await;
    assert!(matches!(outcome, Err(StoreError::TooMuchWork { .. })), "{outcome:?}");
    // The master's own parts have the time that they need.
    assert_eq!(store.list::<SourceStamp>(&needle()).await.unwrap(), []);
    assert_eq!(store.count::<SourceStamp>(&Query::new()).await.unwrap(), MANY);
}
}

#[tokio::test]
async fn a_connection_is_lent_again_when_its_statement_was_given_up() {
    super::backend::on_sqlite(|db| {
        Box::pin(async move {
            let store = crowded(db, 60_000).await.for_visitors();
            for id in 1..20 {
                let query = needle();
                let given_up = store.list::<SourceStamp>(&query);
                // Asked once, and dropped while the database is at work.
                let outcome = given_up.now_or_never();
                assert!(outcome.is_none(), "{outcome:?}");
                // There is one connection, and a statement that looks at one row is never interrupted.
                let found = store.find::<SourceStamp>(id).await.unwrap().unwrap();
                assert_eq!(found.id.0, id);
            }
            store.close().await;
            let closed = store.find::<SourceStamp>(1).await;
            assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
        })
    })
    .await;
}

both! {
async fn a_large_total_is_told_again_and_a_small_one_is_counted(db: &TestDb) {
    let mut options = db.options();
    options.visitor_statement_ms_max = 60_000;
    let store = Store::open(options).await.unwrap();
    let visitors = store.for_visitors();
    let count = async |store: &Store| store.count::<SourceStamp>(&Query::new()).await.unwrap();
    for number in 1..4 {
        let sql = format!(
            "INSERT INTO sourcestamps (digest, codebase, repository, project, created_at) VALUES ('{number}', '', '', '', 0)"
        );
        store
            .write("add", move |tx| {
                let sql = sql.clone();
                Box::pin(async move { tx.execute("add", sql, args![]).await })
            })
            .await
            .unwrap();
        assert_eq!((count(&visitors).await, count(&store).await), (number, number));
    }
}
}
