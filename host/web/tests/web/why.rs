//! Why requests wait, over the API and on pages.

use insta::assert_snapshot;
use toolpost_core::distribute::{Standing, WaitReason};
use toolpost_core::locks::LockKey;
use toolpost_core::{BuilderId, RequestId, WorkerId};
use toolpost_master::{WaitCause, WaitState, WaitingBuilder, Why, WorkerStanding};

use crate::support::samples::locks;
use crate::support::{Asker as _, TestFarm, build};

/// Request 2 of builder `docs` waits for a lock that build 1 has on one worker, and the other is away.
async fn farm() -> TestFarm {
    let farm = TestFarm::new().await;
    farm.build(build("unit").runs()).await;
    let (_, request) = farm.request(&build("docs")).await;
    assert_eq!(request, RequestId(2));
    let lock = locks("db").locks.remove(0);
    let key: LockKey = lock.key.clone();
    let standing = |name: &str, standing| WorkerStanding {
        id: WorkerId(if name == "local" { 1 } else { 2 }),
        name: name.into(),
        running: 1,
        builds_max: Some(3),
        standing,
    };
    let mut said = farm.master.said();
    said.waiting = vec![WaitingBuilder {
        builder: BuilderId(1),
        first: request,
        reason: WaitReason::Lock(key.clone()),
    }];
    said.whys = vec![Why {
        request,
        builder: BuilderId(1),
        state: WaitState::Waiting(WaitCause::Rule(WaitReason::Lock(key.clone()))),
        before: Some(2),
        workers: vec![
            standing("local", Standing::Lock(key)),
            standing("spare", Standing::NotConnected),
        ],
        lock: Some(lock),
    }];
    drop(said);
    farm
}

#[tokio::test]
async fn a_request_says_who_is_in_its_way() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/buildrequests/2/why").await.shown(), @r#"
    200
    {"why":[{"builderid":1,"buildid":null,"buildrequestid":2,"lock":{"holders":[{"builderid":1,"buildid":1,"mode":"counting 2","step":"db"}],"max":3,"name":"db","queue":[{"builderid":1,"buildid":2,"mode":"exclusive","step":"db"}],"worker":"local"},"masterid":null,"position":3,"reason":"lock","retry_at":null,"state":"waiting","text":"lock `db` of worker `local` is not free; 2 requests of its builder are before it","workers":[{"builds_max":3,"name":"local","running":1,"standing":"lock","text":"lock `db` of worker `local` is not free","workerid":1},{"builds_max":3,"name":"spare","running":1,"standing":"not-connected","text":"it is not connected","workerid":2}]}],"meta":{}}
    "#);
    let chosen = farm
        .get("/api/v2/buildrequests/2/why?field=reason&field=position")
        .await;
    assert_snapshot!(chosen.shown(), @r#"
    200
    {"why":[{"position":3,"reason":"lock"}],"meta":{}}
    "#);
}

#[tokio::test]
async fn pages_say_it_too() {
    let farm = farm().await;
    let reason = "lock `db` of worker `local` is not free";
    for path in ["/pending", "/builders/docs", "/requests/2/why"] {
        let page = farm.page(path).await;
        assert!(page.body.contains(reason), "{path}: {}", page.body);
    }
    let page = farm.page("/requests/2/why").await;
    for part in [
        "2 requests of its builder are before it",
        "unit #1, step db",
        "it is not connected",
        "1 of 3",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
}
