//! The pages of workers and locks.

use serde_json::json;
use toolpost_core::{BuildId, RequestId};
use toolpost_master::LockedOut;
use toolpost_store::{WorkerEnd, WorkerSession};
use toolpost_web::WorkerSettings;

use crate::support::samples::locks;
use crate::support::{Answer, Asker, NOW, TestFarm, build, names};

fn says(answer: &Answer, words: &[&str]) {
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    for word in words {
        assert!(answer.body.contains(word), "{word:?} in {}", answer.body);
    }
}

/// `spare` has connected from elsewhere twice, and was lost in between.
async fn connected(farm: &TestFarm) {
    let (store, spare) = (&farm.store, farm.worker("spare"));
    let session = |number| WorkerSession {
        number,
        address: "192.0.2.7:40000".into(),
        info: [("admin".to_owned(), json!("Ada <ada@example.org>"))].into(),
        keeps_orders: false,
    };
    let end = WorkerEnd {
        reason: "it was silent for 60 s".into(),
        lost: true,
        dismissed: false,
    };
    let attached = store.attach_worker(spare, farm.master_id, session(1), NOW);
    attached.await.expect("attached");
    let lost = store.detach_worker(spare, farm.master_id, end, NOW);
    lost.await.expect("detached");
    for _ in 0..3 {
        let refused = store.note_refused(spare, "it had a wrong password", NOW);
        refused.await.expect("noted");
    }
    let attached = store.attach_worker(spare, farm.master_id, session(2), NOW);
    attached.await.expect("attached");
}

#[tokio::test]
async fn the_page_of_a_worker_says_who_it_is_what_it_does_and_why_it_was_lost() {
    let farm = TestFarm::new().await;
    connected(&farm).await;
    let settings = WorkerSettings {
        builds_max: Some(2),
        ..WorkerSettings::default()
    };
    farm.master.said().workers.insert("spare".into(), settings);
    let mut spec = build("unit").runs();
    spec.worker = "spare";
    farm.build(spec).await;
    let page = farm.page("/workers/spare").await;
    says(
        &page,
        &[
            "1 of 2",
            "from 192.0.2.7:40000",
            "it was silent for 60 s",
            "it had a wrong password",
            "3 times",
            "Ada &#60;ada@example.org&#62;",
            "href=\"/builders/2\">unit",
            "action=\"/workers/2/stop\"",
            "action=\"/workers/2/kill\"",
        ],
    );
    assert!(page.body.contains("<h2 id=\"running-h\">Running</h2>"));
}

#[tokio::test]
async fn a_worker_that_no_builder_uses_is_listed_and_its_page_says_so() {
    let farm = TestFarm::new().await;
    let mut names = names(&[("unit", &[])], &["local", "idle"]);
    names.workers[1].builders.clear();
    let configured = farm.store.sync_configuration(farm.master_id, names, NOW);
    configured.await.expect("configured");
    let list = farm.page("/workers").await;
    says(&list, &[">local</a>", ">idle</a>"]);
    assert!(
        !list.body.contains(">spare</a>"),
        "it is configured no more"
    );
    says(
        &farm.page("/workers/idle").await,
        &["No builder uses this worker"],
    );
    says(
        &farm.page("/workers/spare").await,
        &["No running master has this worker in its configuration"],
    );
    // As a stock master has it: all workers there ever were, and of a master those that its builders use.
    let workers = farm
        .get("/api/v2/workers?field=name&order=name")
        .await
        .json();
    assert_eq!(
        workers["workers"],
        json!([{"name": "idle"}, {"name": "local"}, {"name": "spare"}])
    );
    let of_master = farm
        .get("/api/v2/masters/1/workers?field=name")
        .await
        .json();
    assert_eq!(of_master["workers"], json!([{"name": "local"}]));
    says(&farm.page("/").await, &["<b>1 / 2</b>"]);
}

#[tokio::test]
async fn a_worker_is_offered_only_what_can_be_done_with_it() {
    let farm = TestFarm::new().await;
    let local = WorkerSettings {
        is_local: true,
        ..WorkerSettings::default()
    };
    farm.master.said().workers.insert("local".into(), local);
    // The one is a part of the master, the other is not here.
    for path in ["/workers/local", "/workers/spare"] {
        let page = farm.page(path).await;
        says(&page, &["/pause\""]);
        assert!(!page.body.contains("/kill\""), "{path}");
    }
}

#[tokio::test]
async fn locks_show_who_holds_them_and_who_waits_in_order() {
    let farm = TestFarm::new().await;
    for builder in ["unit", "docs"] {
        farm.build(build(builder).runs()).await;
    }
    farm.master.said().locks = locks("database");
    let page = farm.page("/locks").await;
    let order = [
        "database",
        "href=\"/workers/1\">on local",
        "2 of 3 in use",
        "holds",
        "unit #1",
        "2 units",
        "waits, 1.",
        "docs #1",
        "alone",
        "docs, request 9",
        "database that is free",
    ];
    let mut rest = page.body.as_str();
    for word in order {
        let (_, after) = rest.split_once(word).unwrap_or_else(|| {
            panic!("{word:?} comes in its order in {}", page.body);
        });
        rest = after;
    }
    assert!(!page.body.contains("will not end"));
}

#[tokio::test]
async fn waits_that_never_end_are_reported_first() {
    let farm = TestFarm::new().await;
    for builder in ["unit", "docs"] {
        farm.build(build(builder).runs()).await;
    }
    let mut report = locks("database");
    report.locks[0].queue[0].is_stuck = true;
    report.hopeless = vec![(BuildId(1), "builder `docs` needs lock `database`".into())];
    let out = LockedOut {
        builder: farm.builder("docs"),
        request: RequestId(3),
    };
    report.never = vec![(out, "there is no lock `disk`".into())];
    farm.master.said().locks = report;
    says(
        &farm.page("/locks").await,
        &[
            "3 waits that will not end",
            "<a href=\"/builds/2\">docs #1</a>: waits for lock `database` of worker `local`",
            "<a href=\"/builds/1\">unit #1</a>: builder `docs` needs lock",
            "<a href=\"/builders/1\">docs</a>: there is no lock `disk`",
            "for ever",
        ],
    );
}
