//! The journal, and what plugins keep.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use tokio::sync::Barrier;
use toolpost_core::model::Worker;
use toolpost_core::{Fact, JournalId, Results};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at};
use crate::{Expected, NewChange, StorageLimits, Store, StoreError, WorkerEnd};

async fn facts(store: &Store) -> Vec<Fact> {
    let entries = store.journal_after(JournalId(0), 1_000).await.unwrap();
    assert!(entries.is_sorted_by(|a, b| a.id < b.id));
    entries.iter().map(|entry| entry.fact).collect()
}

/// Ends a build like this.
async fn finish(farm: &Farm, build: toolpost_core::BuildId, results: Results) {
    farm.store
        .finish_build(build, results, "done", at(9))
        .await
        .unwrap();
}

both! {
    async fn what_happens_is_in_the_journal_in_its_order(db: &TestDb) {
        let farm = Farm::on(db).await;
        let changes = vec![NewChange { repository: "r".to_owned(), ..NewChange::default() }];
        let changes = farm.store.add_changes("c", changes, None, at(1)).await.unwrap();
        let set = farm.buildset(&["a"], 2).await;
        let request = set.requests[&farm.builder("a")];
        let first = farm.start(&[request], 3).await.unwrap().id;
        finish(&farm, first, Results::Retry).await;
        let second = farm.start(&[request], 4).await.unwrap().id;
        finish(&farm, second, Results::Failure).await;
        // A repetition adds nothing.
        finish(&farm, second, Results::Success).await;
        let a = farm.builder("a");
        assert_eq!(
            facts(&farm.store).await,
            [
                Fact::ChangeAdded(changes[0]),
                Fact::RequestAdded(request, a),
                Fact::BuildStarted(first, a),
                Fact::BuildFinished(first, a, Results::Retry),
                Fact::BuildStarted(second, a),
                Fact::BuildFinished(second, a, Results::Failure),
                Fact::BuildsetComplete(set.id, Results::Failure),
            ]
        );
        let entries = farm.store.journal_after(JournalId(0), 2).await.unwrap();
        assert_eq!([entries[0].at, entries[1].at], [at(1), at(2)]);
        let later = farm.store.journal_after(entries[1].id, 1).await.unwrap();
        assert_eq!(later[0].fact, Fact::BuildStarted(first, a));
        farm.store.close().await;
    }

    async fn what_is_rolled_back_is_not_in_the_journal(db: &TestDb) {
        let farm = Farm::on(db).await;
        let request = [farm.request("a", 1).await];
        let race = join_all((0..6).map(|_| farm.start(&request, 2))).await;
        assert_eq!(race.iter().flatten().count(), 1);
        let started = facts(&farm.store).await;
        assert_eq!(started.len(), 2, "{started:?}");
        farm.store.close().await;
    }

    async fn a_dead_masters_builds_and_workers_are_told(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, worker) = (&farm.store, farm.worker());
        let connect = |connected, second| {
            store.set_worker_connected(worker, farm.master, connected, None, at(second))
        };
        connect(true, 1).await.unwrap();
        let build = farm.running().await;
        store.recover_master(farm.master, at(3)).await.unwrap();
        store.recover_master(farm.master, at(3)).await.unwrap();
        connect(true, 4).await.unwrap();
        connect(true, 5).await.unwrap();
        let told = facts(store).await;
        assert_eq!(
            told[2..],
            [
                Fact::BuildFinished(build, farm.builder("a"), Results::Retry),
                Fact::WorkerLost(worker),
                Fact::WorkerFound(worker),
            ]
        );
        // Who goes because it is asked to is not lost.
        connect(false, 6).await.unwrap();
        connect(true, 7).await.unwrap();
        store.stop_master(farm.master, at(8)).await.unwrap();
        connect(true, 9).await.unwrap();
        assert_eq!(facts(store).await.len(), told.len());
        store.close().await;
    }

    async fn a_worker_with_a_connection_left_is_not_lost(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, worker) = (&farm.store, farm.worker());
        let other = store.register_master("other", at(0)).await.unwrap();
        for master in [farm.master, other] {
            store.set_worker_connected(worker, master, true, None, at(1)).await.unwrap();
        }
        let lost = || WorkerEnd { reason: "silence".into(), lost: true, dismissed: false };
        store.detach_worker(worker, other, lost(), at(2)).await.unwrap();
        assert_eq!(facts(store).await, []);
        store.detach_worker(worker, farm.master, lost(), at(3)).await.unwrap();
        store.detach_worker(worker, farm.master, lost(), at(4)).await.unwrap();
        assert_eq!(facts(store).await, [Fact::WorkerLost(worker)]);
        assert_eq!(store.get::<Worker>(worker).await.unwrap().connected_to, []);
        store.close().await;
    }

    async fn a_reader_beside_many_writers_passes_over_nothing(db: &TestDb) {
        let farm = Arc::new(Farm::on(db).await);
        const WRITERS: i64 = 6;
        const EACH: i64 = 15;
        let start = Arc::new(Barrier::new(WRITERS as usize + 1));
        let writers = (0..WRITERS).map(|writer| {
            let (farm, start) = (farm.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                for n in 0..EACH {
                    farm.buildset(&["a", "b"], writer * EACH + n).await;
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        start.wait().await;
        let mut seen = Vec::new();
        let mut cursor = JournalId(0);
        let expected = usize::try_from(2 * WRITERS * EACH).unwrap();
        while seen.len() < expected {
            for entry in farm.store.journal_after(cursor, 7).await.unwrap() {
                cursor = entry.id;
                seen.push(entry.fact.subject());
            }
            tokio::task::yield_now().await;
            if seen.len() < expected && writers.iter().all(tokio::task::JoinHandle::is_finished) {
                let rest = farm.store.journal_after(cursor, 1_000).await.unwrap();
                assert_eq!(seen.len() + rest.len(), expected, "an entry was passed over");
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), expected);
        assert_eq!(farm.store.journal_end().await.unwrap(), cursor);
        join_all(writers).await;
        farm.store.close().await;
    }

    async fn the_journal_is_pruned_behind_all_who_read_it(db: &TestDb) {
        let farm = Farm::on(db).await;
        let store = &farm.store;
        for second in 1..=6 {
            farm.request("a", second).await;
        }
        let ids: Vec<_> = store
            .journal_after(JournalId(0), 10)
            .await
            .unwrap()
            .iter()
            .map(|entry| entry.id)
            .collect();
        let left = async || store.journal_after(JournalId(0), 10).await.unwrap().len();
        // Up to where others have come, then what is old enough, then so many.
        assert_eq!(store.prune_journal(ids[1], at(100), 1).await.unwrap(), 1);
        assert_eq!(store.prune_journal(ids[1], at(100), 10).await.unwrap(), 1);
        assert_eq!(store.prune_journal(ids[5], at(4), 10).await.unwrap(), 1);
        assert_eq!(left().await, 3);
        // A reporter is in the way until it has gone on, or is gone.
        let names = ["r".to_owned()].into();
        let reporter = store.register_reporters(farm.master, names).await.unwrap()["r"];
        farm.request("a", 7).await;
        let end = store.journal_end().await.unwrap();
        assert_eq!(store.prune_journal(end, at(100), 10).await.unwrap(), 3);
        farm.request("a", 8).await;
        assert_eq!(store.prune_journal(JournalId(999), at(100), 10).await.unwrap(), 0);
        store.fan_out(reporter, farm.master, ids[5], end, vec![], at(9)).await.unwrap();
        assert_eq!(store.prune_journal(JournalId(999), at(100), 10).await.unwrap(), 1);
        store.retire_reporters(farm.master, [].into()).await.unwrap();
        // The newest stays, because it says where the journal ends.
        assert_eq!(store.prune_journal(JournalId(999), at(100), 10).await.unwrap(), 0);
        assert_eq!(left().await, 1);
        store.close().await;
    }

    async fn a_plugin_keeps_values_by_key(db: &TestDb) {
        let store = db.open().await;
        let limits = StorageLimits::default();
        let set = |plugin: &'static str, key: &'static str, value: Option<&'static [u8]>| {
            let value = value.map(Bytes::from_static);
            store.set_plugin_value(plugin, key, Expected::Any, value, limits)
        };
        for (plugin, key, value) in [
            ("p", "b/2", b"\0\xff".as_slice()),
            ("p", "b/10", b"x"),
            ("p", "a", b""),
            ("p", "b%", b"y"),
            ("q", "b/3", b"z"),
        ] {
            assert!(set(plugin, key, Some(value)).await.unwrap());
        }
        let get = async |plugin, key| store.plugin_value(plugin, key).await.unwrap();
        assert_eq!(get("p", "b/2").await, Some(Bytes::from_static(b"\0\xff")));
        assert_eq!(get("p", "a").await, Some(Bytes::new()));
        assert_eq!(get("q", "a").await, None);
        let keys = async |prefix| store.plugin_keys("p", prefix, 10).await.unwrap();
        assert_eq!(keys("").await, ["a", "b%", "b/10", "b/2"]);
        assert_eq!(keys("b/").await, ["b/10", "b/2"]);
        assert_eq!(store.plugin_keys("p", "b", 2).await.unwrap(), ["b%", "b/10"]);
        set("p", "b/2", None).await.unwrap();
        set("p", "b/2", None).await.unwrap();
        assert_eq!(keys("b/").await, ["b/10"]);
        store.close().await;
    }

    async fn values_are_compared_before_they_are_set(db: &TestDb) {
        let store = db.open().await;
        let swap = |expected: Option<&'static str>, new: &'static str| {
            let expected = Expected::Value(expected.map(Bytes::from));
            let new = Some(Bytes::from(new));
            store.set_plugin_value("p", "k", expected, new, StorageLimits::default())
        };
        assert!(!swap(Some("1"), "2").await.unwrap());
        assert!(swap(None, "1").await.unwrap());
        assert!(!swap(None, "2").await.unwrap());
        assert!(swap(Some("1"), "2").await.unwrap());
        assert_eq!(store.plugin_value("p", "k").await.unwrap(), Some(Bytes::from("2")));
        let race = join_all(["a", "b", "c", "d", "e"].map(|new| swap(Some("2"), new))).await;
        assert_eq!(race.iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
        store.close().await;
    }

    async fn a_plugin_keeps_no_more_than_it_may(db: &TestDb) {
        let store = db.open().await;
        let limits = StorageLimits { key_bytes_max: 4, value_bytes_max: 8, total_bytes_max: 20 };
        let set = |plugin: &'static str, key: &'static str, bytes: usize| {
            let value = Some(Bytes::from(vec![b'x'; bytes]));
            store.set_plugin_value(plugin, key, Expected::Any, value, limits)
        };
        let full = async |plugin, key, bytes, said: &str| {
            let error = set(plugin, key, bytes).await.unwrap_err();
            assert!(matches!(error, StoreError::StorageFull { .. }), "{error:?}");
            assert_eq!(error.to_string(), format!("plugin p cannot keep that: {said}"));
        };
        full("p", "12345", 0, "its key would have 5 bytes, of at most 4").await;
        full("p", "k", 9, "its value would have 9 bytes, of at most 8").await;
        assert!(set("p", "k1", 8).await.unwrap());
        assert!(set("p", "k2", 8).await.unwrap());
        full("p", "k3", 0, "its storage would have 22 bytes, of at most 20").await;
        // What is replaced does not count, and others have room of their own.
        assert!(set("p", "k1", 1).await.unwrap());
        assert!(set("p", "k3", 0).await.unwrap());
        assert!(set("q", "k1", 8).await.unwrap());
        // Of calls at once, only so many find room.
        let race = join_all(["r1", "r2", "r3", "r4"].map(|key| set("r", key, 8))).await;
        assert_eq!(race.iter().filter(|outcome| outcome.is_ok()).count(), 2);
        store.close().await;
    }
}
