//! Reporters and the other side: whom they trust, and what is told when the master stops.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use toolpost_harness::{Answer, Authority, Farm, Receiver, eventually};

use crate::secrets::assert_unknown;
use crate::support::{
    HOOK_KEY, config, farm, first_party, gate, hook_key, shell, webhook_grants, write_secret,
};

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

/// HMAC with SHA-256 in hexadecimal digits, after RFC 2104.
fn hmac_sha256(key: &[u8], text: &[u8]) -> String {
    const BLOCK: usize = 64;
    assert!(key.len() <= BLOCK);
    let pad = |with: u8| -> Vec<u8> {
        let key = key.iter().copied().chain(std::iter::repeat(0));
        key.take(BLOCK).map(|byte| byte ^ with).collect()
    };
    let inner = Sha256::digest([pad(0x36), text.to_vec()].concat());
    let outer = Sha256::digest([pad(0x5c), inner.to_vec()].concat());
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_hmac_of_this_test_is_that_of_rfc_4231() {
    assert_eq!(
        hmac_sha256(b"Jefe", b"what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[tokio::test]
async fn a_webhook_is_signed_shaped_by_templates_and_the_same_when_it_is_sent_again() {
    const TOKEN: &str = "a-token-of-the-chat-0123456789";
    let receiver = Receiver::start(|number, _| Answer {
        after: Duration::ZERO,
        status: match number {
            0 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        },
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("chat-token");
    write_secret(&token, TOKEN);
    let address = receiver.address();
    let grants = format!("grant.http = [\"{address}\"]");
    let grants = webhook_grants(&grants, &hook_key(dir.path()))
        .replace("\"hook-key\"]", "\"hook-key\", \"chat-token\"]");
    let more = format!(
        r#"
body = '{{"text": {{{{ (build.builder ~ " " ~ build.number ~ ": " ~ build.results) | tojson }}}}}}'
secrets = ["chat-token"]
headers.Authorization = "Bearer {{{{ secrets['chat-token'] }}}}"
{grants}
[secret.chat-token]
file = {token:?}
"#
    );
    let config = reporting(&shell("true"), &format!("http://{address}/"), &more, "");
    let farm = farm(&config)
        .plugin("reporter-webhook", first_party("reporter-webhook"))
        .start()
        .await;
    let request = farm.api().force("force", "b").await;
    farm.api().finished(request).await;
    let delivered = delivery(&farm, "it is delivered", |delivery| {
        delivery["status"] == "delivered"
    })
    .await;

    let [refused, taken] = &receiver.received()[..] else {
        panic!("it is sent twice: {delivered}");
    };
    for told in [refused, taken] {
        assert_eq!(told.line, "POST /");
        assert_eq!(told.body, br#"{"text": "b 1: success"}"#);
        assert_eq!(told.header("idempotency-key"), delivered["key"]);
        assert_eq!(told.header("authorization"), format!("Bearer {TOKEN}"));
        let signature = hmac_sha256(HOOK_KEY.as_bytes(), &told.body);
        let expected = format!("sha256={signature}");
        assert_eq!(told.header("x-hub-signature-256"), expected);
    }
    let told = farm.api().get("deliveries").await.to_string() + &farm.output();
    let page = farm.api().text("reporters").await.unwrap();
    for secret in [TOKEN, HOOK_KEY] {
        assert!(!told.contains(secret) && !page.contains(secret), "{told}");
        assert_unknown(&farm, secret);
    }
}
