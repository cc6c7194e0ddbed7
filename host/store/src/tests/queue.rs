//! Requests: heads of the queue, claims, collapsing, cancelling.

use std::collections::BTreeSet;

use futures::future::join_all;
use toolpost_core::model::{Build, BuildRequest, Buildset};
use toolpost_core::{BuilderId, Event, RequestId, Results};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at, buildset, stamp};
use crate::ops::requests::heads_sql;
use crate::sql::{Backend, args};
use crate::{Cancel, NewBuildset, Query, StoreError};

/// Makes so many pending requests for each builder.
const MANY_SQL: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
    INSERT INTO requests (buildset_id, builder_id, priority, submitted_at, waited_for, collapse_key) \
    SELECT 1, b.id, n.i % 3, n.i * 1000, 0, 'many' FROM n CROSS JOIN builders b";

both! {
    async fn heads_come_by_priority_then_age(db: &TestDb) {
        let farm = Farm::on(db).await;
        let old = farm.request("a", 10).await;
        let young = farm.request("a", 20).await;
        let older = farm.request("a", 5).await;
        let urgent = farm
            .add(
                NewBuildset {
                    builders: vec![farm.builder("a")],
                    priority: 7,
                    waited_for: true,
                    ..buildset()
                },
                30,
            )
            .await
            .requests[&farm.builder("a")];
        let of_b = farm.request("b", 1).await;
        let heads = farm.store.pending_heads(3).await.unwrap();
        let ids: Vec<_> = heads.iter().map(|head| head.id).collect();
        assert_eq!(ids, [urgent, older, old, of_b]);
        assert_eq!(
            (
                heads[0].priority,
                heads[0].waited_for,
                heads[0].submitted_at
            ),
            (7, true, at(30))
        );
        assert_eq!(heads[3].builder, farm.builder("b"));
        let a = BTreeSet::from([farm.builder("a")]);
        let of_a = farm.store.pending_heads_of(&a, 2).await.unwrap();
        assert_eq!(of_a, heads[..2]);
        for (request, before) in [(urgent, 0), (older, 1), (old, 2), (young, 3), (of_b, 0)] {
            assert_eq!(farm.store.pending_before(request, 9).await.unwrap(), before);
        }
        assert_eq!(farm.store.pending_before(young, 2).await.unwrap(), 2);
        let counts = farm.store.pending_counts().await.unwrap();
        assert_eq!(counts, [(farm.builder("a"), 4), (farm.builder("b"), 1)]);

        farm.start(&[urgent], 40).await.unwrap();
        farm.store.cancel_request(older, at(40)).await.unwrap();
        farm.store.set_request_priority(young, 1).await.unwrap();
        let ids: Vec<_> = farm
            .store
            .pending_heads(9)
            .await
            .unwrap()
            .iter()
            .map(|head| head.id)
            .collect();
        assert_eq!(ids, [young, old, of_b]);
        let complete = farm.store.set_request_priority(older, 1).await;
        assert!(matches!(complete, Err(StoreError::NotFound { .. })));
        farm.store.close().await;
    }

    async fn heads_are_found_without_reading_the_queue(db: &TestDb) {
        let farm = Farm::on(db).await;
        farm.add(buildset(), 1).await;
        let analyze = match db.backend {
            Backend::Sqlite => "SELECT 1",
            Backend::Postgres => "ANALYZE requests",
        };
        let (heads, explain) = match db.backend {
            Backend::Sqlite => (heads_sql(Backend::Sqlite), "EXPLAIN QUERY PLAN "),
            Backend::Postgres => (heads_sql(Backend::Postgres), "EXPLAIN "),
        };
        let plan: Vec<String> = farm
            .store
            .write("many", move |tx| {
                let sql = format!("{explain}{heads}");
                Box::pin(async move {
                    tx.execute("many", MANY_SQL, args![50_000]).await?;
                    tx.script("analyze", analyze).await?;
                    let column = match tx.backend() {
                        Backend::Sqlite => 3,
                        Backend::Postgres => 0,
                    };
                    let rows = tx.fetch_all("explain", sql, args![5]).await?;
                    rows.iter()
                        .map(|row| {
                            let mut cells = row.cells();
                            for _ in 0..column {
                                cells.get::<i64>()?;
                            }
                            cells.get()
                        })
                        .collect()
                })
            })
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("requests_pending"), "{plan}");
        match db.backend {
            Backend::Sqlite => assert!(
                !plan.contains("SCAN requests") && !plan.contains("SCAN r"),
                "{plan}"
            ),
            Backend::Postgres => assert!(!plan.contains("Seq Scan"), "{plan}"),
        }
        let heads = farm.store.pending_heads(2).await.unwrap();
        let seen: Vec<_> = heads
            .iter()
            .map(|head| (head.priority, head.submitted_at))
            .collect();
        assert_eq!(seen, [(2, at(2)), (2, at(5)), (2, at(2)), (2, at(5))]);
        assert_eq!(
            farm.store.pending_counts().await.unwrap()[1],
            (farm.builder("b"), 50_000)
        );
        farm.store.close().await;
    }

    async fn a_request_is_claimed_once_whoever_asks(db: &TestDb) {
        let farm = Farm::on(db).await;
        let other = farm.store.register_master("other", at(0)).await.unwrap();
        let mut requests = Vec::new();
        for second in 1..=10 {
            requests.push(farm.request("a", second).await);
        }
        let mut tries = Vec::new();
        for request in &requests {
            for master in [farm.master, other] {
                for _ in 0..3 {
                    let mut start = farm.to_start(&[*request]);
                    start.master = master;
                    let store = farm.store.clone();
                    tries.push(tokio::spawn(async move {
                        store.start_build(start, at(50)).await
                    }));
                }
            }
        }
        let mut won = Vec::new();
        for outcome in join_all(tries).await {
            won.extend(outcome.unwrap().unwrap());
        }
        let built: BTreeSet<RequestId> = won.iter().map(|build| build.request_id).collect();
        assert_eq!((won.len(), built.len()), (10, 10));
        let numbers: BTreeSet<i64> = won.iter().map(|build| build.number).collect();
        assert_eq!(numbers, (1..=10).collect(), "numbers have no gaps");
        for build in &won {
            let request: BuildRequest = farm.store.get(build.request_id).await.unwrap();
            assert_eq!(request.claimed_by, Some(build.master_id));
            assert_eq!(farm.store.get::<Build>(build.id).await.unwrap(), *build);
        }
        assert_eq!(farm.store.pending_heads(5).await.unwrap(), []);
        farm.store.close().await;
    }

    async fn each_builder_counts_for_itself(db: &TestDb) {
        let farm = Farm::on(db).await;
        let mut seen = Vec::new();
        for name in ["a", "b", "a"] {
            let request = farm.request(name, 1).await;
            let mut start = farm.to_start(&[request]);
            start.builder = farm.builder(name);
            seen.push(
                farm.store
                    .start_build(start, at(2))
                    .await
                    .unwrap()
                    .unwrap()
                    .number,
            );
        }
        assert_eq!(seen, [1, 1, 2]);
        // A request of another builder is not this builder's to claim.
        let request = farm.request("b", 1).await;
        assert_eq!(farm.start(&[request], 3).await, None);
        farm.store.close().await;
    }

    async fn collapsed_requests_are_skipped_all_or_none(db: &TestDb) {
        let farm = Farm::on(db).await;
        let mut sets = Vec::new();
        for second in 1..=3 {
            sets.push(farm.buildset(&["a"], second).await);
        }
        let requests: Vec<_> = sets
            .iter()
            .map(|set| set.requests[&farm.builder("a")])
            .collect();
        farm.store.cancel_request(requests[0], at(4)).await.unwrap();
        db.take_events();
        assert_eq!(
            farm.start(&[requests[2], requests[1], requests[0]], 5)
                .await,
            None
        );
        assert_eq!(db.take_events(), [], "what was claimed first is free again");
        let build = farm.start(&[requests[2], requests[1]], 6).await.unwrap();
        assert_eq!(build.request_id, requests[2]);
        assert_eq!(
            db.take_events(),
            [
                Event::RequestClaimed(requests[2], farm.builder("a")),
                Event::RequestClaimed(requests[1], farm.builder("a")),
                Event::RequestComplete(requests[1], farm.builder("a")),
                Event::BuildsetComplete(sets[1].id),
                Event::BuildStarted(build.id, farm.builder("a")),
            ]
        );
        let collapsed: BuildRequest = farm.store.get(requests[1]).await.unwrap();
        assert_eq!(
            (collapsed.results, collapsed.complete_at),
            (Some(Results::Skipped), Some(at(6)))
        );
        let set: Buildset = farm.store.get(sets[1].id).await.unwrap();
        assert_eq!(set.results, Some(Results::Skipped));
        assert!(
            !farm
                .store
                .get::<Buildset>(sets[2].id)
                .await
                .unwrap()
                .complete
        );
        farm.store.close().await;
    }

    async fn build_sets_that_one_build_ends_have_their_own_results(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (a, b) = (farm.builder("a"), farm.builder("b"));
        let head = farm.buildset(&["a"], 1).await;
        let alone = farm.buildset(&["a"], 2).await;
        let left = farm.buildset(&["a", "b"], 3).await;
        let cancelled = farm.buildset(&["a", "b"], 4).await;
        farm.store.cancel_request(cancelled.requests[&b], at(5)).await.unwrap();
        let requests = [&head, &alone, &left, &cancelled].map(|set| set.requests[&a]);
        farm.start(&requests, 6).await.unwrap();
        let mut seen = Vec::new();
        for set in [&head, &alone, &left, &cancelled] {
            let set: Buildset = farm.store.get(set.id).await.unwrap();
            seen.push((set.complete, set.results));
        }
        assert_eq!(
            seen,
            [
                (false, None),
                (true, Some(Results::Skipped)),
                (false, None),
                (true, Some(Results::Cancelled)),
            ]
        );
        farm.store.close().await;
    }

    async fn only_compatible_requests_are_offered_for_collapsing(db: &TestDb) {
        let farm = Farm::on(db).await;
        let a = vec![farm.builder("a")];
        let set = |branch: &str, revision: &str| NewBuildset {
            builders: a.clone(),
            sourcestamps: vec![stamp(branch, revision)],
            ..buildset()
        };
        let one = farm.add(set("main", "r1"), 1).await.requests[&a[0]];
        let two = farm.add(set("main", "r2"), 2).await.requests[&a[0]];
        let _other_branch = farm.add(set("dev", "r1"), 3).await;
        let _waited_for = farm
            .add(
                NewBuildset {
                    waited_for: true,
                    ..set("main", "r1")
                },
                4,
            )
            .await;
        let _other_builder = farm.request("b", 5).await;
        let claimed = farm.add(set("main", "r3"), 6).await.requests[&a[0]];
        farm.start(&[claimed], 7).await.unwrap();
        let three = farm.add(set("main", "r4"), 8).await.requests[&a[0]];

        let found = farm.store.pending_for_collapse(two, 10).await.unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|candidate| {
                (
                    candidate.request.id,
                    candidate.sourcestamps[0].revision.as_deref().unwrap(),
                    candidate.has_changes,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [(one, "r1", false), (two, "r2", false), (three, "r4", false)]
        );
        let found = farm.store.pending_for_collapse(three, 1).await.unwrap();
        assert_eq!(
            found
                .iter()
                .map(|candidate| candidate.request.id)
                .collect::<Vec<_>>(),
            [one, three]
        );
        let unknown = farm.store.pending_for_collapse(RequestId(99), 1).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
        farm.store.close().await;
    }

    async fn a_pending_request_can_be_cancelled(db: &TestDb) {
        let farm = Farm::on(db).await;
        let set = farm.buildset(&["a", "b"], 1).await;
        let (a, b) = (
            set.requests[&farm.builder("a")],
            set.requests[&farm.builder("b")],
        );
        assert_eq!(
            farm.store.cancel_request(b, at(2)).await.unwrap(),
            Cancel::Cancelled
        );
        assert_eq!(
            farm.store.cancel_request(b, at(3)).await.unwrap(),
            Cancel::Complete
        );
        let build = farm.start(&[a], 4).await.unwrap();
        assert_eq!(
            farm.store.cancel_request(a, at(5)).await.unwrap(),
            Cancel::Claimed(farm.master)
        );
        assert!(!farm.store.get::<Buildset>(set.id).await.unwrap().complete);
        farm.store
            .finish_build(build.id, Results::Success, "done", at(6))
            .await
            .unwrap();
        let set: Buildset = farm.store.get(set.id).await.unwrap();
        assert_eq!(
            (set.results, set.complete_at),
            (Some(Results::Cancelled), Some(at(6)))
        );
        let unknown = farm.store.cancel_request(RequestId(99), at(7)).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { id: 99, .. })));
        farm.store.close().await;
    }

    async fn a_build_set_for_nobody_is_complete(db: &TestDb) {
        let farm = Farm::on(db).await;
        db.take_events();
        let set = farm.add(buildset(), 1).await;
        assert_eq!(
            db.take_events(),
            [
                Event::BuildsetAdded(set.id),
                Event::BuildsetComplete(set.id)
            ]
        );
        let set: Buildset = farm.store.get(set.id).await.unwrap();
        assert_eq!((set.complete, set.results), (true, Some(Results::Success)));
        let unknown = NewBuildset {
            builders: vec![BuilderId(99)],
            ..buildset()
        };
        assert!(farm.store.add_buildset(unknown, at(2)).await.is_err());
        assert_eq!(
            farm.store.count::<Buildset>(&Query::new()).await.unwrap(),
            1
        );
        farm.store.close().await;
    }
}
