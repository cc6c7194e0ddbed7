//! Reporters and the other side: whom they trust, and what is told when the master stops.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use toolpost_harness::{Answer, Authority, Farm, Receiver, eventually};

use crate::support::{config, farm, first_party, gate, hook_key, shell, webhook_grants};

fn taken() -> Answer {
    Answer {
        after: Duration::ZERO,
        status: StatusCode::NO_CONTENT,
    }
}

/// A farm's configuration with a builder `b`, and a reporter that posts its builds to `url`.
fn reporting(steps: &str, url: &str, grants: &str, master: &str) -> String {
    config(&[("b", steps)])
        + &format!(
            r#"
[master]
{master}

[[reporter]]
name = "dashboard"
use = "webhook"
events = ["build-finished"]
url = "{url}"
signature = {{ secret = "hook-key" }}
retry = {{ first_wait = "100ms", longest_wait = "1s" }}
"#
        )
        + grants
}

async fn delivery(farm: &Farm, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let all = farm.api().get("deliveries").await;
        let delivery = all["deliveries"][0].clone();
        is_it(&delivery).then_some(delivery)
    })
    .await
}

#[tokio::test]
async fn a_host_that_an_own_authority_vouches_for_is_told_once_that_is_trusted() {
    let authority = Authority::new();
    let receiver = Receiver::start_tls(&authority, |_, _| taken()).await;
    let port = receiver.address().port();
    let url = format!("https://localhost:{port}/");
    let dir = tempfile::tempdir().unwrap();
    let grant = format!("grant.http_private = [\"localhost:{port}\"]");
    let grant = webhook_grants(&grant, &hook_key(dir.path()));
    let farm = farm(&reporting(&shell("true"), &url, &grant, ""))
        .plugin("reporter-webhook", first_party("reporter-webhook"))
        .start()
        .await;
    let request = farm.api().force("force", "b").await;
    farm.api().finished(request).await;
    let refused = delivery(&farm, "the delivery is tried", |delivery| {
        delivery["text"].is_string()
    })
    .await;
    assert_eq!(refused["status"], "pending", "{refused}");
    assert_eq!(receiver.count(), 0, "nothing was sent to a stranger");

    let trust = format!("ca_file = {:?}", authority.certificate());
    farm.write_config(&reporting(&shell("true"), &url, &grant, &trust));
    delivery(&farm, "it is delivered", |delivery| {
        delivery["status"] == "delivered"
    })
    .await;
    let [told] = &receiver.received()[..] else {
        panic!("told once");
    };
    assert_eq!(told.header("idempotency-key"), refused["key"]);
}

#[tokio::test]
async fn one_edit_grants_what_a_plugin_waits_for_and_uses_it() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, _| taken()).await;
    let address = receiver.address();
    let farm = farm(&config(&[("b", &shell("true"))]))
        .plugin("reporter-webhook", first_party("reporter-webhook"))
        .start()
        .await;
    let plugin = farm.api().plugin("reporter-webhook").await.unwrap();
    assert_eq!(plugin["state"], "unusable", "{plugin}");
    assert!(plugin["held"].is_object(), "{plugin}");

    let grant = format!("grant.http = [\"{address}\"]");
    let grant = webhook_grants(&grant, &hook_key(dir.path()));
    let url = format!("http://{address}/");
    farm.write_config(&reporting(&shell("true"), &url, &grant, ""));
    let plugin = eventually("the plugin is used", async || {
        let plugin = farm.api().plugin("reporter-webhook").await?;
        (plugin["uses"] != Value::Array(Vec::new())).then_some(plugin)
    })
    .await;
    assert_eq!(plugin["state"], "live", "{plugin}");
    assert_eq!(plugin["uses"][0]["reporter"], "dashboard", "{plugin}");
    assert!(
        !farm.output().contains("is not applied"),
        "{}",
        farm.output()
    );
    let request = farm.api().force("force", "b").await;
    farm.api().finished(request).await;
    eventually("it is told", async || (receiver.count() == 1).then_some(())).await;
}

#[tokio::test]
async fn what_ends_while_the_master_stops_is_told_before_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    let receiver = Receiver::start(|_, _| taken()).await;
    let address = receiver.address();
    let grant = format!("grant.http = [\"{address}\"]");
    let grant = webhook_grants(&grant, &hook_key(dir.path()));
    let config = reporting(&gate(&open), &format!("http://{address}/"), &grant, "");
    let mut farm = farm(&config)
        .plugin("reporter-webhook", first_party("reporter-webhook"))
        .start()
        .await;
    let request = farm.api().force("force", "b").await;
    farm.api().running(request, "gate").await;
    let (status, ()) = tokio::join!(farm.terminate(), async {
        std::fs::write(&open, "").unwrap();
    });
    assert!(status.success(), "{status}");
    let [told] = &receiver.received()[..] else {
        panic!("told once: {}", farm.output());
    };
    let told: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(told["build"]["results"], "success");
}
