//! Reporters: how far behind they are, and what could not be told.

use insta::assert_snapshot;
use serde_json::json;
use toolpost_core::{DeliveryId, ReporterId};
use toolpost_master::ReporterStatus;
use toolpost_store::{AfterFailure, Made};

use crate::support::{Asker, NOW, TestFarm, build};

/// A reporter that was configured before two builds: it has told of the start of the first (1), given up its end (2),
/// failed with the start of the second (3), and has its end (4) before it.
pub(crate) async fn farm() -> TestFarm {
    let farm = TestFarm::new().await;
    let store = &farm.store;
    let names = ["room".to_owned(), "idle".to_owned()].into();
    let ids = store
        .register_reporters(farm.master_id, names)
        .await
        .expect("the store takes it");
    let room = ids["room"];
    farm.build(build("unit")).await;
    farm.build(build("docs")).await;
    let entries = store
        .journal_after(0.into(), 100)
        .await
        .expect("the store takes it");
    let end = store.journal_end().await.expect("the store takes it");
    let builds = entries
        .into_iter()
        .filter(|entry| entry.fact.stream().starts_with("build "))
        .filter(|entry| !entry.fact.stream().starts_with("build set"))
        .collect();
    store
        .fan_out(room, farm.master_id, 0.into(), end, builds, NOW)
        .await
        .expect("the store takes it");
    store
        .delivery_made(DeliveryId(1), Made::Delivered, "201 Created", NOW)
        .await
        .expect("the store takes it");
    store
        .delivery_failed(DeliveryId(2), AfterFailure::Dead, "401 <Unauthorized>", NOW)
        .await
        .expect("the store takes it");
    let later = AfterFailure::Retry(NOW.after(std::time::Duration::from_secs(60)));
    store
        .delivery_failed(DeliveryId(3), later, "no route to host", NOW)
        .await
        .expect("the store takes it");
    {
        let mut said = farm.master.said();
        said.reporters = vec![ReporterStatus {
            name: "room".to_owned(),
            held: Some("no plugin brings the reporter type `chat` now".to_owned()),
            error: None,
            running: 0,
        }];
        said.discarded = vec![DeliveryId(1)];
    }
    farm
}

#[tokio::test]
async fn reporters_are_listed_with_how_far_behind_they_are() {
    let farm = farm().await;
    let fields = "field=name&field=pending&field=dead&field=held&field=reporterid";
    assert_snapshot!(farm.get(&format!("/api/v2/reporters?{fields}")).await.shown(), @r#"
    200
    {"reporters":[{"dead":0,"held":null,"name":"idle","pending":0,"reporterid":1},{"dead":1,"held":"no plugin brings the reporter type `chat` now","name":"room","pending":2,"reporterid":2}],"meta":{"total":2}}
    "#);
    let all = farm
        .get("/api/v2/reporters?pending__gt=0&field=name&field=pending")
        .await;
    assert_snapshot!(all.shown(), @r#"
    200
    {"reporters":[{"name":"room","pending":2}],"meta":{"total":1}}
    "#);
    let one = farm.get("/api/v2/reporters/2").await;
    assert!(
        one.shown().contains("\"oldest_pending_at\":"),
        "{}",
        one.shown()
    );
    let metrics = farm.get("/metrics").await.body;
    for line in [
        "toolpost_reporter_deliveries_dead{reporter=\"room\"} 1",
        "toolpost_reporter_deliveries_pending{reporter=\"room\"} 2",
        "toolpost_reporter_deliveries_pending{reporter=\"idle\"} 0",
        "toolpost_reporter_entries_ahead{reporter=\"room\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert_snapshot!(farm.get("/api/v2/reporters/9").await.shown(), @r#"
    404
    {"error":"there is no reporter"}
    "#);
}

#[tokio::test]
async fn deliveries_are_filtered_and_paged() {
    let farm = farm().await;
    let fields = "field=deliveryid&field=status&field=event&field=attempts&field=text";
    let path = format!("/api/v2/reporters/2/deliveries?status=dead&{fields}");
    let dead = farm.get(&path);
    assert_snapshot!(dead.await.shown(), @r#"
    200
    {"deliveries":[{"attempts":1,"deliveryid":2,"event":"build-finished","status":"dead","text":"401 <Unauthorized>"}],"meta":{"total":1}}
    "#);
    let page = farm.get("/api/v2/reporters/2/deliveries?limit=2&offset=1&field=deliveryid");
    assert_snapshot!(page.await.shown(), @r#"
    200
    {"deliveries":[{"deliveryid":2},{"deliveryid":3}],"meta":{"total":4}}
    "#);
    let none = farm.get("/api/v2/reporters/1/deliveries");
    assert_snapshot!(none.await.shown(), @r#"
    200
    {"deliveries":[],"meta":{"total":0}}
    "#);
    let one = farm.get("/api/v2/deliveries/2?field=stream&field=results&field=subjectid");
    assert_snapshot!(one.await.shown(), @r#"
    200
    {"deliveries":[{"results":0,"stream":"build 1","subjectid":1}],"meta":{}}
    "#);
    let all = farm.get("/api/v2/deliveries?status__ne=pending&field=status");
    assert_snapshot!(all.await.shown(), @r#"
    200
    {"deliveries":[{"status":"delivered"},{"status":"dead"}],"meta":{"total":2}}
    "#);
}

#[tokio::test]
async fn deliveries_are_sent_again_and_discarded() {
    let farm = farm().await;
    let call = async |path, method| farm.call(path, method, json!({})).await.shown();
    assert_snapshot!(call("/api/v2/deliveries/2", "resend").await, @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":null}
    "#);
    assert_snapshot!(call("/api/v2/reporters/2", "resend").await, @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":3}
    "#);
    assert_snapshot!(call("/api/v2/deliveries/3", "discard").await, @r#"
    200
    {"id":1,"jsonrpc":"2.0","result":null}
    "#);
    assert_snapshot!(call("/api/v2/deliveries/1", "discard").await, @r#"
    409
    {"error":{"code":-32600,"message":"delivery 1 is done already"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_snapshot!(call("/api/v2/deliveries/1", "explode").await, @r#"
    501
    {"error":{"code":-32601,"message":"action: explode is not supported"},"id":1,"jsonrpc":"2.0"}
    "#);
    assert_eq!(
        farm.master.asked(),
        ["resend 2", "resend all of 2", "discard 3", "discard 1"]
    );
}

#[tokio::test]
async fn the_page_shows_what_was_given_up_with_buttons() {
    let farm = farm().await;
    let page = farm.page("/reporters").await.body;
    for part in [
        "<h2 id=\"r2-h\">room</h2>",
        "no plugin brings the reporter type `chat` now",
        "2, the oldest of <time",
        "401 &#60;Unauthorized&#62;",
        "action=\"/deliveries/2/resend\"",
        "action=\"/deliveries/2/discard\"",
        "action=\"/reporters/2/resend\"",
        "no route to host",
        "<a href=\"/builds/1\">build 1</a>",
        "in 1 min",
    ] {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
    // It is not configured and has nothing left.
    assert!(!page.contains("idle"), "{page}");
    for (path, to) in [
        ("/deliveries/2/resend", "/reporters?done=resend"),
        ("/reporters/2/resend", "/reporters?done=resend"),
        ("/deliveries/3/discard", "/reporters?done=discard"),
    ] {
        let answer = farm.post(path, "").await;
        assert_eq!(answer.header("location"), to, "{path}");
    }
    assert_eq!(
        farm.master.asked(),
        ["resend 2", "resend all of 2", "discard 3"]
    );
    let id = ReporterId(2);
    farm.store
        .resend_dead(id, NOW)
        .await
        .expect("the store takes it");
    let page = farm.page("/reporters").await.body;
    assert!(!page.contains("Send all again"), "{page}");
}
