//! Connections of workers, what they leave behind, and orders to them.

use toolpost_core::model::{Worker, WorkerNoteKind};
use toolpost_core::{Event, Fact, JournalId, WorkerId};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at};
use crate::{Presence, WorkerEnd, WorkerSession};

fn session(number: i64) -> WorkerSession {
    WorkerSession {
        number,
        address: format!("192.0.2.1:{number}"),
        ..WorkerSession::default()
    }
}

fn ended(reason: &str, lost: bool, dismissed: bool) -> WorkerEnd {
    WorkerEnd {
        reason: reason.into(),
        lost,
        dismissed,
    }
}

async fn missing(farm: &Farm) -> usize {
    let entries = farm.store.journal_after(JournalId(0), 1_000).await.unwrap();
    let missing = Fact::WorkerMissing(farm.worker());
    entries.iter().filter(|entry| entry.fact == missing).count()
}

both! {
    async fn a_worker_remembers_how_its_connections_ended(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, worker, master) = (&farm.store, farm.worker(), farm.master);
        store.attach_worker(worker, master, session(7), at(1)).await.unwrap();
        let found: Worker = store.get(worker).await.unwrap();
        assert_eq!((found.connected_at, found.gone_at), (Some(at(1)), None));
        assert_eq!(found.address.as_deref(), Some("192.0.2.1:7"));
        store.detach_worker(worker, master, ended("silence", true, false), at(2)).await.unwrap();
        // Its connection is over already.
        store.detach_worker(worker, master, ended("again", true, false), at(3)).await.unwrap();
        for second in [4, 5] {
            store.note_refused(worker, "a wrong password", at(second)).await.unwrap();
        }
        store.attach_worker(worker, master, session(8), at(6)).await.unwrap();
        store.stop_master(master, at(7)).await.unwrap();
        let found: Worker = store.get(worker).await.unwrap();
        assert_eq!((found.connected_at, found.gone_at), (Some(at(6)), Some(at(7))));
        assert_eq!(found.gone_reason.as_deref(), Some("the master stopped"));
        let notes = store.worker_notes(worker, 10).await.unwrap();
        let notes: Vec<_> = notes
            .iter()
            .map(|note| (note.kind.name(), note.at, note.since, &*note.text, note.times))
            .collect();
        assert_eq!(
            notes,
            [
                ("left", at(7), Some(at(6)), "the master stopped", 1),
                ("refused", at(5), None, "a wrong password", 2),
                ("lost", at(2), Some(at(1)), "silence", 1),
            ]
        );
        store.close().await;
    }

    async fn a_worker_is_there_or_away_or_missing(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, worker, master) = (&farm.store, farm.worker(), farm.master);
        let presence = async || {
            let nobody = WorkerId(987_654);
            let found = store.presence_of([worker, nobody]).await.unwrap();
            assert!(!found.contains_key(&nobody));
            found[&worker]
        };
        store.attach_worker(worker, master, session(1), at(1)).await.unwrap();
        assert_eq!(presence().await, Presence::Connected);
        store.detach_worker(worker, master, ended("silence", true, false), at(2)).await.unwrap();
        assert_eq!(presence().await, Presence::Away);
        assert!(store.miss_worker(worker, at(3)).await.unwrap());
        assert_eq!(presence().await, Presence::Missing);
        store.attach_worker(worker, master, session(2), at(4)).await.unwrap();
        assert_eq!(presence().await, Presence::Connected);
        let back: Worker = store.get(worker).await.unwrap();
        assert_eq!(back.missing_at, None);
        farm.store.close().await;
    }

    async fn who_rests_takes_no_builds(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, worker) = (&farm.store, farm.worker());
        let resting = async || store.resting_workers().await.unwrap();
        assert_eq!(resting().await, []);
        store.set_worker_paused(worker, true, Some("a new disk")).await.unwrap();
        assert_eq!(resting().await, [worker]);
        store.set_worker_paused(worker, false, None).await.unwrap();
        assert_eq!(resting().await, []);
        store.set_worker_graceful(worker, true).await.unwrap();
        assert_eq!(resting().await, [worker]);
        farm.store.close().await;
    }

    async fn only_the_newest_notes_of_a_worker_are_kept(db: &TestDb) {
        let farm = Farm::on(db).await;
        for n in 0..60 {
            let why = format!("reason {n}");
            farm.store.note_refused(farm.worker(), &why, at(n)).await.unwrap();
        }
        let notes = farm.store.worker_notes(farm.worker(), 1_000).await.unwrap();
        let kept: Vec<_> = notes.iter().map(|note| &*note.text).collect();
        assert_eq!((kept.len(), kept[0], kept[49]), (50, "reason 59", "reason 10"));
        farm.store.close().await;
    }

    async fn an_order_to_end_is_over_with_the_connection_that_carries_it_out(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, worker, master) = (&farm.store, farm.worker(), farm.master);
        let attach = async |keeps_orders, second| {
            let session = WorkerSession { keeps_orders, ..session(second) };
            store.attach_worker(worker, master, session, at(second)).await.unwrap()
        };
        assert!(!attach(true, 1).await);
        store.set_worker_graceful(worker, true).await.unwrap();
        assert_eq!(store.leaving_workers(master).await.unwrap(), [(worker, "w".to_owned())]);
        // The master was killed before it could tell the worker.
        store.recover_master(master, at(2)).await.unwrap();
        assert_eq!(store.leaving_workers(master).await.unwrap(), []);
        assert_eq!(store.unfinished_orders().await.unwrap(), [(worker, "w".to_owned())]);
        assert!(attach(true, 3).await);
        store.detach_worker(worker, master, ended("told to end", false, true), at(4)).await.unwrap();
        let gone: Worker = store.get(worker).await.unwrap();
        assert!(gone.graceful && gone.dismissed);
        assert_eq!(store.unfinished_orders().await.unwrap(), []);
        // It did what it was told, and somebody started it again.
        assert!(!attach(true, 5).await);
        let back: Worker = store.get(worker).await.unwrap();
        assert!(!back.graceful && !back.dismissed);
        // As with Buildbot: who comes back by itself is not held to what was said before.
        store.set_worker_graceful(worker, true).await.unwrap();
        store.detach_worker(worker, master, ended("silence", true, false), at(6)).await.unwrap();
        assert!(!attach(false, 7).await);
        store.close().await;
    }

    async fn an_absence_is_told_once(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, worker, master) = (&farm.store, farm.worker(), farm.master);
        store.attach_worker(worker, master, session(1), at(1)).await.unwrap();
        assert!(!store.miss_worker(worker, at(2)).await.unwrap(), "it is here");
        store.detach_worker(worker, master, ended("silence", true, false), at(3)).await.unwrap();
        db.take_events();
        assert!(store.miss_worker(worker, at(4)).await.unwrap());
        assert_eq!(db.take_events(), [Event::Worker(worker)]);
        assert!(!store.miss_worker(worker, at(5)).await.unwrap(), "it was told");
        assert_eq!(missing(&farm).await, 1);
        let newest = store.worker_notes(worker, 1).await.unwrap().remove(0);
        assert_eq!((newest.kind, newest.at), (WorkerNoteKind::Missing, at(4)));
        store.attach_worker(worker, master, session(6), at(6)).await.unwrap();
        store.detach_worker(worker, master, ended("told to end", false, true), at(7)).await.unwrap();
        assert!(!store.miss_worker(worker, at(8)).await.unwrap(), "it was sent away");
        store.attach_worker(worker, master, session(9), at(9)).await.unwrap();
        store.recover_master(master, at(10)).await.unwrap();
        assert!(store.miss_worker(worker, at(11)).await.unwrap());
        assert_eq!(missing(&farm).await, 2);
        store.close().await;
    }
}
