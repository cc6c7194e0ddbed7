//! Reporters and their deliveries.

use std::collections::BTreeSet;

use toolpost_core::report::{Delivery, DeliveryStatus, Reporter};
use toolpost_core::{
    BuildId, DeliveryId, Event, Fact, JournalEntry, JournalId, MasterId, ReporterId, Results,
};

use super::backend::TestDb;
use super::both;
use super::setup::{Farm, at};
use crate::{AfterFailure, Made, Query, Store, StoreError};

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Two finished builds and a reporter that was configured before them, with a delivery of all that happened.
struct Reporting {
    farm: Farm,
    reporter: ReporterId,
    entries: Vec<JournalEntry>,
}

impl Reporting {
    async fn on(db: &TestDb) -> Self {
        let farm = Farm::on(db).await;
        let reporter = farm
            .store
            .register_reporters(farm.master, names(&["r"]))
            .await
            .unwrap()["r"];
        for _ in 0..2 {
            let build = farm.running().await;
            farm.store
                .finish_build(build, Results::Success, "done", at(3))
                .await
                .unwrap();
        }
        let entries = farm.store.journal_after(JournalId(0), 100).await.unwrap();
        let end = farm.store.journal_end().await.unwrap();
        // The starts and ends of the builds, which have the numbers 1 and 2.
        let wanted: Vec<_> = entries
            .iter()
            .filter(|entry| matches!(entry.fact, Fact::BuildStarted(..) | Fact::BuildFinished(..)))
            .copied()
            .collect();
        let made = farm
            .store
            .fan_out(
                reporter,
                farm.master,
                JournalId(0),
                end,
                wanted.clone(),
                at(4),
            )
            .await
            .unwrap();
        assert_eq!(made, 4);
        db.take_events();
        Self {
            farm,
            reporter,
            entries: wanted,
        }
    }

    fn store(&self) -> &Store {
        &self.farm.store
    }

    async fn heads(&self) -> Vec<Delivery> {
        self.store()
            .delivery_heads(self.reporter, 10)
            .await
            .unwrap()
    }

    /// Ids of the deliveries that may be made now or later.
    async fn ids(&self) -> Vec<i64> {
        self.heads().await.iter().map(|head| head.id.0).collect()
    }

    async fn get(&self, id: i64) -> Delivery {
        self.store().get(id).await.unwrap()
    }

    async fn retry(&self, id: i64, second: i64) {
        self.store()
            .delivery_failed(
                DeliveryId(id),
                AfterFailure::Retry(at(second)),
                "no route",
                at(5),
            )
            .await
            .unwrap();
    }

    async fn kill(&self, id: i64) {
        self.store()
            .delivery_failed(DeliveryId(id), AfterFailure::Dead, "401", at(5))
            .await
            .unwrap();
    }

    async fn made(&self, id: i64) {
        self.store()
            .delivery_made(DeliveryId(id), Made::Delivered, "201 Created", at(6))
            .await
            .unwrap();
    }
}

both! {
    async fn a_new_reporter_tells_only_of_what_comes(db: &TestDb) {
        let farm = Farm::on(db).await;
        let (store, master) = (&farm.store, farm.master);
        farm.request("a", 1).await;
        let end = store.journal_end().await.unwrap();
        let both = names(&["r", "s"]);
        let ids = store.register_reporters(master, both.clone()).await.unwrap();
        assert_eq!(store.reporter_cursor(ids["r"]).await.unwrap(), end);
        farm.request("a", 2).await;
        // Who is configured again goes on where it was.
        assert_eq!(store.register_reporters(master, both.clone()).await.unwrap(), ids);
        assert_eq!(store.reporter_cursor(ids["r"]).await.unwrap(), end);
        // Who was not configured for a time missed what happened then.
        store.retire_reporters(master, [ids["s"]].into()).await.unwrap();
        store.register_reporters(master, both).await.unwrap();
        let now = store.journal_end().await.unwrap();
        assert!(now > end);
        assert_eq!(store.reporter_cursor(ids["r"]).await.unwrap(), now);
        assert_eq!(store.reporter_cursor(ids["s"]).await.unwrap(), end);
        let unknown = store.reporter_cursor(ReporterId(99)).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { id: 99, .. })), "{unknown:?}");
        store.close().await;
    }

    async fn the_journal_is_fanned_out_once(db: &TestDb) {
        let reporting = Reporting::on(db).await;
        let (store, master) = (reporting.store(), reporting.farm.master);
        let end = store.journal_end().await.unwrap();
        let again = |from: JournalId, master: MasterId| {
            let wanted = reporting.entries.clone();
            store.fan_out(reporting.reporter, master, from, end, wanted, at(4))
        };
        let other = store.register_master("other", at(0)).await.unwrap();
        for outcome in [again(JournalId(0), master).await, again(end, other).await] {
            assert!(matches!(outcome, Err(StoreError::Conflict { .. })), "{outcome:?}");
        }
        // The cursor is not moved by what fails: these deliveries are there already.
        let twice = again(end, master).await;
        assert!(matches!(twice, Err(StoreError::Query { .. })), "{twice:?}");
        assert_eq!(store.reporter_cursor(reporting.reporter).await.unwrap(), end);
        let all: Vec<Delivery> = store.list(&Query::new()).await.unwrap();
        let keys: BTreeSet<_> = all.iter().map(|delivery| &delivery.key).collect();
        assert_eq!((all.len(), keys.len()), (4, 4));
        assert_eq!(all[0].entry, reporting.entries[0]);
        assert_eq!(all[0].status, DeliveryStatus::Pending);
        assert_eq!((all[0].attempts, all[0].next_at), (0, at(4)));
        store.close().await;
    }

    async fn deliveries_of_a_build_are_made_in_order_beside_those_of_others(db: &TestDb) {
        let reporting = Reporting::on(db).await;
        // 1 and 2 are of the first build, 3 and 4 of the second.
        assert_eq!(reporting.ids().await, [1, 3]);
        reporting.retry(1, 60).await;
        let heads = reporting.heads().await;
        assert_eq!(reporting.ids().await, [3, 1]);
        assert_eq!((heads[1].next_at, heads[1].attempts), (at(60), 1));
        assert_eq!(heads[1].text.as_deref(), Some("no route"));
        reporting.made(3).await;
        assert_eq!(reporting.ids().await, [4, 1]);
        // What is given up is no longer in the way.
        reporting.kill(1).await;
        assert_eq!(reporting.ids().await, [2, 4]);
        assert_eq!(db.take_events(), vec![Event::Reporter(reporting.reporter); 3]);
        let build = Fact::BuildFinished(BuildId(1), reporting.farm.builder("a"), Results::Success);
        assert_eq!(reporting.heads().await[0].entry.fact, build);
        reporting.store().close().await;
    }

    async fn a_dead_delivery_is_sent_again_with_its_key(db: &TestDb) {
        let reporting = Reporting::on(db).await;
        let before = reporting.get(1).await;
        reporting.retry(1, 60).await;
        reporting.kill(1).await;
        let dead = reporting.get(1).await;
        assert_eq!((dead.status, dead.attempts), (DeliveryStatus::Dead, 2));
        assert_eq!(dead.settled_at, Some(at(5)));
        reporting.store().resend_delivery(DeliveryId(1), at(7)).await.unwrap();
        let again = reporting.get(1).await;
        assert_eq!(again.key, before.key);
        assert_eq!((again.status, again.attempts), (DeliveryStatus::Pending, 0));
        assert_eq!((again.next_at, again.settled_at), (at(7), None));
        assert_eq!(reporting.ids().await, [3, 1]);
        reporting.kill(1).await;
        reporting.kill(3).await;
        assert_eq!(reporting.store().resend_dead(reporting.reporter, at(8)).await.unwrap(), 2);
        assert_eq!(reporting.store().resend_dead(reporting.reporter, at(8)).await.unwrap(), 0);
        let unknown = reporting.store().resend_delivery(DeliveryId(77), at(8)).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { id: 77, .. })), "{unknown:?}");
        reporting.store().close().await;
    }

    async fn a_discarded_delivery_is_tried_no_more(db: &TestDb) {
        let reporting = Reporting::on(db).await;
        let store = reporting.store();
        let discard = |id: i64| store.discard_delivery(DeliveryId(id), at(7));
        assert!(discard(1).await.unwrap());
        assert_eq!(reporting.ids().await, [2, 3]);
        // A try that was under way when it was discarded.
        reporting.kill(1).await;
        reporting.retry(1, 60).await;
        let discarded = reporting.get(1).await;
        assert_eq!(discarded.status, DeliveryStatus::Discarded);
        assert_eq!(discarded.settled_at, Some(at(7)));
        reporting.made(3).await;
        assert!(!discard(3).await.unwrap());
        assert_eq!(reporting.get(3).await.status, DeliveryStatus::Delivered);
        let unknown = discard(77).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { id: 77, .. })), "{unknown:?}");
        store.close().await;
    }

    async fn how_far_behind_a_reporter_is_can_be_seen(db: &TestDb) {
        let reporting = Reporting::on(db).await;
        let store = reporting.store();
        let other = store
            .register_reporters(reporting.farm.master, names(&["idle"]))
            .await
            .unwrap()["idle"];
        reporting.kill(3).await;
        reporting.made(1).await;
        reporting.farm.request("a", 9).await;
        let all: Vec<Reporter> = store.list(&Query::new()).await.unwrap();
        let seen: Vec<_> = all
            .iter()
            .map(|r| (r.id, r.entries_ahead, r.pending, r.dead, r.oldest_pending_at))
            .collect();
        assert_eq!(
            seen,
            [
                (reporting.reporter, 1, 2, 1, Some(at(3))),
                (other, 1, 0, 0, None),
            ]
        );
        let dead = Query::new().eq("reporterid", reporting.reporter).eq("status", "dead");
        let dead: Vec<Delivery> = store.list(&dead).await.unwrap();
        assert_eq!(dead.iter().map(|d| d.id.0).collect::<Vec<_>>(), [3]);
        assert_eq!(dead[0].text.as_deref(), Some("401"));
        store.close().await;
    }

    async fn settled_deliveries_are_deleted_in_time_and_dead_ones_later(db: &TestDb) {
        let reporting = Reporting::on(db).await;
        let store = reporting.store();
        reporting.made(1).await;
        reporting.kill(3).await;
        assert_eq!(store.prune_deliveries(at(6), at(5), 10).await.unwrap(), 0);
        assert_eq!(store.prune_deliveries(at(7), at(5), 10).await.unwrap(), 1);
        assert_eq!(store.prune_deliveries(at(7), at(6), 10).await.unwrap(), 1);
        assert_eq!(store.prune_deliveries(at(999), at(999), 10).await.unwrap(), 0);
        assert_eq!(reporting.ids().await, [2, 4]);
        store.close().await;
    }

    async fn a_long_text_is_shortened_between_its_letters(db: &TestDb) {
        let reporting = Reporting::on(db).await;
        let text = "\u{e9}".repeat(5_000);
        reporting
            .store()
            .delivery_failed(DeliveryId(1), AfterFailure::Dead, &format!("x{text}"), at(5))
            .await
            .unwrap();
        let kept = reporting.get(1).await.text.unwrap();
        assert_eq!(kept.len(), 4_095);
        reporting.store().close().await;
    }
}
