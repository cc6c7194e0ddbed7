//! Masters, configurations, workers, state.

use std::collections::BTreeMap;

use serde_json::json;
use toolpost_core::model::{Builder, ChangeSource, Master, Scheduler, Worker};
use toolpost_core::{Event, MasterId};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at, names};
use crate::{ConfiguredNames, ConfiguredWorker, Op, Query, StoreError};

both! {
    async fn masters_live_by_their_heartbeats(db: &TestDb) {
        let store = db.open().await;
        let one = store.register_master("one", at(10)).await.unwrap();
        let two = store.register_master("two", at(10)).await.unwrap();
        store.heartbeat(one, at(20)).await.unwrap();
        db.take_events();
        assert_eq!(store.expire_masters(at(15)).await.unwrap(), [two]);
        assert_eq!(store.expire_masters(at(15)).await.unwrap(), []);
        assert_eq!(db.take_events(), [Event::Master(two)]);
        let masters: Vec<Master> = store.list(&Query::new()).await.unwrap();
        let seen: Vec<_> = masters
            .iter()
            .map(|master| (master.name.as_str(), master.active, master.last_active))
            .collect();
        assert_eq!(seen, [("one", true, at(20)), ("two", false, at(10))]);
        store.heartbeat(two, at(30)).await.unwrap();
        assert!(store.get::<Master>(two).await.unwrap().active);
        let unknown = store.heartbeat(MasterId(99), at(30)).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { id: 99, .. })));
        store.stop_master(one, at(40)).await.unwrap();
        assert!(!store.get::<Master>(one).await.unwrap().active);
        store.close().await;
    }

    async fn a_configuration_is_what_was_said_last(db: &TestDb) {
        let farm = Farm::on(db).await;
        db.take_events();
        let same = farm
            .store
            .sync_configuration(farm.master, names(), at(1))
            .await
            .unwrap();
        assert_eq!(same, farm.ids);
        assert_eq!(
            db.take_events(),
            [],
            "an equal configuration changes nothing"
        );

        let mut next = names();
        next.builders.remove(1);
        next.builders[0].tags = vec!["fast".to_owned()];
        next.workers[0].builders.pop();
        next.workers.push(ConfiguredWorker {
            name: "idle".to_owned(),
            builders: Vec::new(),
        });
        next.schedulers = vec!["t".to_owned()];
        next.change_sources.clear();
        let ids = farm
            .store
            .sync_configuration(farm.master, next, at(2))
            .await
            .unwrap();
        assert_eq!(ids.builders["a"], farm.builder("a"));
        assert_eq!(
            db.take_events(),
            [
                Event::Builder(farm.builder("a")),
                Event::Builder(farm.builder("b")),
                Event::Worker(farm.worker()),
                Event::Worker(ids.workers["idle"]),
                Event::Scheduler(farm.ids.schedulers["s"]),
                Event::Scheduler(ids.schedulers["t"]),
            ]
        );
        let builders: Vec<Builder> = farm.store.list(&Query::new()).await.unwrap();
        let seen: Vec<_> = builders
            .iter()
            .map(|builder| {
                (
                    builder.name.as_str(),
                    builder.tags.len(),
                    builder.masters.clone(),
                )
            })
            .collect();
        assert_eq!(seen, [("a", 1, vec![farm.master]), ("b", 0, vec![])]);
        let worker: Worker = farm.store.get(farm.worker()).await.unwrap();
        assert_eq!(worker.configured_on, [(farm.master, farm.builder("a"))]);
        let configured = Query::new().filter("configured_by", Op::Contains, farm.master);
        let listed: Vec<Worker> = farm.store.list(&configured).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|w| (&*w.name, w.masters.len(), w.configured_on.len())).collect();
        assert_eq!(listed, [("w", 1, 1), ("idle", 1, 0)]);
        let schedulers: Vec<Scheduler> = farm.store.list(&Query::new()).await.unwrap();
        let owners: Vec<_> = schedulers
            .iter()
            .map(|s| (s.name.as_str(), s.master_id))
            .collect();
        assert_eq!(owners, [("s", None), ("t", Some(farm.master))]);
        let sources: Vec<ChangeSource> = farm.store.list(&Query::new()).await.unwrap();
        assert_eq!(sources[0].master_id, None);
        // A name that comes back is the same record.
        let back = farm
            .store
            .sync_configuration(farm.master, names(), at(3))
            .await
            .unwrap();
        assert_eq!(back, farm.ids);
        let idle: Worker = farm.store.get(ids.workers["idle"]).await.unwrap();
        assert_eq!(idle.masters, []);
        assert_eq!(farm.store.count::<Worker>(&configured).await.unwrap(), 1);
        farm.store.close().await;
    }

    async fn two_masters_may_share_builders(db: &TestDb) {
        let farm = Farm::on(db).await;
        let other = farm.store.register_master("other", at(0)).await.unwrap();
        let ids = farm
            .store
            .sync_configuration(other, names(), at(0))
            .await
            .unwrap();
        assert_eq!(ids, farm.ids);
        let a = farm.builder("a");
        let builder: Builder = farm.store.get(a).await.unwrap();
        assert_eq!(builder.masters, [farm.master, other]);
        farm.store.stop_master(farm.master, at(1)).await.unwrap();
        let builder: Builder = farm.store.get(a).await.unwrap();
        assert_eq!(builder.masters, [other]);
        let none = ConfiguredNames::default();
        farm.store
            .sync_configuration(other, none, at(2))
            .await
            .unwrap();
        let builder: Builder = farm.store.get(a).await.unwrap();
        assert_eq!(builder.masters, []);
        farm.store.close().await;
    }

    async fn a_thousand_builders_are_configured_at_once(db: &TestDb) {
        let farm = Farm::on(db).await;
        let mut many = ConfiguredNames::default();
        for n in 0..1000 {
            let mut builder = names().builders[0].clone();
            builder.name = format!("builder {n}");
            many.builders.push(builder);
        }
        let mut worker = names().workers[0].clone();
        worker.builders = many
            .builders
            .iter()
            .map(|builder| builder.name.clone())
            .collect();
        many.workers.push(worker);
        let ids = farm
            .store
            .sync_configuration(farm.master, many, at(1))
            .await
            .unwrap();
        assert_eq!(ids.builders.len(), 1000);
        let worker: Worker = farm.store.get(farm.worker()).await.unwrap();
        assert_eq!(worker.configured_on.len(), 1000);
        let with_master = Query::new().eq("masterid", farm.master);
        assert_eq!(
            farm.store.count::<Builder>(&with_master).await.unwrap(),
            1000
        );
        farm.store.close().await;
    }

    async fn workers_connect_pause_and_retire(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, worker) = (&farm.store, farm.worker());
        let info = BTreeMap::from([("system".to_owned(), json!("Linux"))]);
        store
            .set_worker_connected(worker, farm.master, true, Some(info.clone()), at(1))
            .await
            .unwrap();
        store
            .set_worker_connected(worker, farm.master, true, None, at(2))
            .await
            .unwrap();
        store
            .set_worker_paused(worker, true, Some("too hot"))
            .await
            .unwrap();
        store.set_worker_graceful(worker, true).await.unwrap();
        let found: Worker = store.get(worker).await.unwrap();
        assert_eq!(found.info, info);
        assert_eq!(found.connected_to, [farm.master]);
        assert!(found.paused && found.graceful);
        assert_eq!(found.pause_reason.as_deref(), Some("too hot"));
        store.set_worker_paused(worker, false, None).await.unwrap();
        db.take_events();
        store.recover_master(farm.master, at(3)).await.unwrap();
        assert_eq!(db.take_events(), [Event::Worker(worker)]);
        let found: Worker = store.get(worker).await.unwrap();
        assert_eq!(found.connected_to, []);
        assert_eq!((found.paused, found.pause_reason), (false, None));
        let unknown = store
            .set_worker_graceful(toolpost_core::WorkerId(99), true)
            .await;
        assert!(matches!(unknown, Err(StoreError::NotFound { id: 99, .. })));
        store.close().await;
    }

    async fn state_is_kept_by_object_and_key(db: &TestDb) {
        let store = db.open().await;
        assert_eq!(store.get_state("poller", "last").await.unwrap(), None);
        let value = json!({"main": "abc", "nul": "\u{0}", "list": [1, 2.5, null]});
        store.set_state("poller", "last", &value).await.unwrap();
        store
            .set_state("poller", "other", &json!(null))
            .await
            .unwrap();
        assert_eq!(
            store.get_state("poller", "last").await.unwrap(),
            Some(value)
        );
        assert_eq!(
            store.get_state("poller", "other").await.unwrap(),
            Some(json!(null))
        );
        store.set_state("poller", "last", &json!(1)).await.unwrap();
        assert_eq!(
            store.get_state("poller", "last").await.unwrap(),
            Some(json!(1))
        );
        store.close().await;
    }
}
