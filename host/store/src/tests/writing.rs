//! Transactions: groups, failures, events, full disks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use serde_json::json;
use tokio::sync::Barrier;
use toolpost_core::Event;

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at};
use crate::sql::{Backend, args};
use crate::{Result, Store, StoreError};

/// Writes of a party that has much to write.
const WRITES: usize = 200;

const PUT: &str = "INSERT INTO object_state (object, key, value) VALUES ('t', $1, $2)";

async fn put(store: &Store, key: String, then: fn() -> Result<()>) -> Result<()> {
    store
        .write("put", move |tx| {
            let key = key.clone();
            Box::pin(async move {
                tx.execute("put", PUT, args![key, "1"]).await?;
                tx.emit(Event::Configuration);
                then()
            })
        })
        .await
}

fn refuse() -> Result<()> {
    Err(StoreError::not_found("thing", 7))
}

fn blow_up() -> Result<()> {
    panic!("on purpose")
}

both! {
    async fn a_failing_job_undoes_itself_alone(db: &TestDb) {
        let store = db.open().await;
        db.take_events();
        let before = store.generation();
        let outcomes = join_all((0..60).map(|n| {
            let then = match n % 6 {
                0 => refuse,
                3 => blow_up,
                _ => || Ok(()),
            };
            put(&store, format!("k{n}"), then)
        }))
        .await;
        for (n, outcome) in outcomes.iter().enumerate() {
            let stored = store.get_state("t", &format!("k{n}")).await.unwrap();
            match n % 6 {
                0 => assert!(
                    matches!(outcome, Err(StoreError::NotFound { id: 7, .. })),
                    "{outcome:?}"
                ),
                3 => assert!(
                    matches!(outcome, Err(StoreError::Panicked { operation: "put" })),
                    "{outcome:?}"
                ),
                _ => assert!(outcome.is_ok(), "{outcome:?}"),
            }
            assert_eq!(stored, outcome.is_ok().then(|| json!(1)), "k{n}");
        }
        assert_eq!(db.take_events(), vec![Event::Configuration; 40]);
        let commits = store.generation() - before;
        match db.backend {
            Backend::Sqlite => assert!(commits < 20, "{commits} commits for 60 jobs"),
            Backend::Postgres => assert_eq!(commits, 40),
        }
        store.close().await;
    }

    async fn a_statement_that_fails_is_named(db: &TestDb) {
        let store = db.open().await;
        put(&store, "k".to_owned(), || Ok(())).await.unwrap();
        let error = put(&store, "k".to_owned(), || Ok(())).await.unwrap_err();
        assert!(error.to_string().starts_with("put: "), "{error}");
        assert!(matches!(
            error,
            StoreError::Query {
                operation: "put",
                ..
            }
        ));
        store.close().await;
    }

    async fn a_write_is_done_though_its_caller_goes_away(db: &TestDb) {
        let store = db.open().await;
        let started = Arc::new(Barrier::new(2));
        let task = tokio::spawn({
            let (store, started) = (store.clone(), started.clone());
            async move {
                store
                    .write("slow", move |tx| {
                        let started = started.clone();
                        Box::pin(async move {
                            tx.execute("slow", PUT, args!["k", "1"]).await?;
                            started.wait().await;
                            tx.execute("slow", PUT, args!["done", "true"]).await
                        })
                    })
                    .await
            }
        });
        started.wait().await;
        task.abort();
        // The write may have been quicker than the end of its caller.
        assert!(task.await.map_or_else(|e| e.is_cancelled(), |done| done.is_ok()));
        // Comes after it on SQLite; on PostgreSQL it waits for the row.
        store.set_state("t", "k", &json!(2)).await.unwrap();
        assert_eq!(
            store.get_state("t", "done").await.unwrap(),
            Some(json!(true))
        );
        store.close().await;
    }

    async fn who_writes_much_keeps_nobody_waiting(db: &TestDb) {
        let store = db.open().await;
        let done = AtomicUsize::new(0);
        let many = join_all((0..WRITES).map(|n| {
            // A handle each, as builds have.
            let (store, done) = (store.of_party("busy"), &done);
            async move {
                let key = format!("k{n}");
                store.set_state("busy", &key, &json!(n)).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
        let other = async {
            let other = store.of_party("other");
            other.set_state("other", "k", &json!(1)).await.unwrap();
            done.load(Ordering::Relaxed)
        };
        // The many are asked first.
        let (_, before) = tokio::join!(many, other);
        assert!(before < WRITES / 2, "{before} of {WRITES} were first");
        assert_eq!(done.into_inner(), WRITES);
        store.close().await;
    }

    async fn events_are_told_after_the_commit_and_before_the_answer(db: &TestDb) {
        let farm = Farm::on(db).await;
        db.take_events();
        farm.store.heartbeat(farm.master, at(5)).await.unwrap();
        assert_eq!(db.take_events(), []);
        let step = {
            let build = farm.running().await;
            farm.step(build, "x").await
        };
        let events = db.take_events();
        assert_eq!(
            events.last(),
            Some(&Event::StepAdded(step, toolpost_core::BuildId(1)))
        );
        farm.store.close().await;
    }

    async fn a_full_disk_is_said_and_got_over(db: &TestDb) {
        let store = db.open().await;
        db.fill_disk(&store).await;
        let large = json!("x".repeat(100_000));
        let outcomes = join_all((0..20).map(|n| {
            let (store, large) = (store.clone(), large.clone());
            async move { store.set_state("t", &format!("k{n}"), &large).await }
        }))
        .await;
        for outcome in outcomes {
            assert!(
                matches!(outcome, Err(StoreError::DiskFull { .. })),
                "{outcome:?}"
            );
        }
        assert_eq!(store.get_state("t", "k3").await.unwrap(), None);
        db.free_disk(&store).await;
        store.set_state("t", "k3", &large).await.unwrap();
        assert_eq!(store.get_state("t", "k3").await.unwrap(), Some(large));
        store.close().await;
    }

    async fn texts_with_nul_are_kept_without_it(db: &TestDb) {
        let farm = Farm::on(db).await;
        let build = farm.running().await;
        farm.store.set_build_state(build, "a\0b").await.unwrap();
        let build: toolpost_core::model::Build = farm.store.get(build).await.unwrap();
        assert_eq!(build.state_string, "a\u{fffd}b");
        farm.store.close().await;
    }
}

mod deadlock {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn victims_are_tried_again() {
        crate::tests::backend::on_postgres(|db| Box::pin(check(db))).await;
    }

    async fn check(db: &TestDb) {
        let farm = Farm::on(db).await;
        let meet = Arc::new(Barrier::new(2));
        let runs = Arc::new(AtomicUsize::new(0));
        let pair = [("a", "b"), ("b", "a")].map(|(first, second)| {
            let ids = [farm.builder(first).0, farm.builder(second).0];
            let (meet, runs) = (meet.clone(), runs.clone());
            farm.store.write("cross", move |tx| {
                let (meet, runs) = (meet.clone(), runs.clone());
                Box::pin(async move {
                    let run = runs.fetch_add(1, Ordering::SeqCst);
                    tx.lock_row("cross", "builders", ids[0]).await?;
                    if run < 2 {
                        meet.wait().await;
                    }
                    tx.lock_row("cross", "builders", ids[1]).await?;
                    tx.emit(Event::Configuration);
                    Ok(())
                })
            })
        });
        db.take_events();
        for outcome in join_all(pair).await {
            outcome.unwrap();
        }
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        assert_eq!(db.take_events(), vec![Event::Configuration; 2]);
        farm.store.close().await;
    }
}
