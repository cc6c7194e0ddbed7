//! Logging in at a real provider, the npm package `oidc-provider`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use axum::http::{Method, header};
use serde_json::{Value, json};

use super::{cookie_of, get_as, settings};
use crate::support::{Answer, Asker, TestFarm};

/// Where the farm says that it is; nobody listens there, because the test is the browser.
const FARM: &str = "http://127.0.0.1:9";

/// The provider; it ends when it is dropped.
struct Provider {
    process: Child,
    issuer: String,
}

impl Provider {
    fn start() -> Self {
        let directory = std::env::var_os("TOOLPOST_TEST_OIDC_PROVIDER").expect(
            "TOOLPOST_TEST_OIDC_PROVIDER is not set: run the tests with `cargo xtask test`",
        );
        let node = std::env::var_os("TOOLPOST_TEST_NODE");
        let people = json!({
            "1": {
                "preferred_username": "ada", "name": "Ada L.", "groups": ["ops"],
                "email": "ada@example.org", "email_verified": true,
            },
            "2": {
                "preferred_username": "eve", "groups": ["staff"],
                "email": "root@example.org", "email_verified": false,
            },
            "3": { "preferred_username": "mallory", "groups": ["strangers"] },
        });
        let mut process = Command::new(node.unwrap_or_else(|| "node".into()))
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/support/oidc.mjs"
            ))
            .arg(directory)
            .arg(format!("{FARM}/auth/callback/here"))
            .arg(people.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node.js runs");
        let told = process.stdout.take().expect("its output");
        let mut line = String::new();
        let read = BufReader::new(told).read_line(&mut line);
        read.expect("it says where it is");
        let told: Value = serde_json::from_str(&line).expect("JSON");
        let issuer = told["issuer"].as_str().expect("an address").to_owned();
        Self { process, issuer }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn farm(provider: &Provider) -> TestFarm {
    let farm = TestFarm::new().await;
    let text = format!(
        r#"
[master]
url = "{FARM}/"

[secret.oidc]
environment = "OIDC"

[web.auth.provider.here]
kind = "oidc"
issuer = "{}"
client_id = "farm"
client_secret = "oidc"
scopes = ["profile", "email", "groups"]
allow_groups = ["ops", "staff"]

[web.auth.role.admin]
groups = ["ops"]
emails = ["root@example.org"]
"#,
        provider.issuer
    );
    farm.master.said().web = settings(&text);
    farm
}

/// Begins a log-in; gives the address to go to, and the cookie.
async fn begin(farm: &TestFarm) -> (String, String) {
    let begun = farm.page("/auth/provider/here?redirect=/workers").await;
    assert_eq!(begun.status, 303, "{}", begun.shown());
    let set = begun.header(header::SET_COOKIE);
    assert!(set.contains("HttpOnly; SameSite=Lax; Path=/auth"), "{set}");
    (begun.header(header::LOCATION).to_owned(), cookie_of(&begun))
}

/// Goes where the provider leads somebody, until it leads back to the farm.
async fn at_provider(provider: &Provider, address: &str, who: &str) -> String {
    let no_redirects = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().redirect(no_redirects).build();
    let client = client.expect("a client");
    let mut cookies = BTreeMap::new();
    let mut address = format!("{address}&login_hint={who}");
    for _ in 0..10 {
        let shown: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = client.get(&address).header("cookie", shown.join("; "));
        let answer = request.send().await.expect("the provider answers");
        for set in answer.headers().get_all("set-cookie") {
            let pair = set.to_str().expect("a text").split(';').next();
            if let Some((name, value)) = pair.and_then(|pair| pair.split_once('=')) {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let to = answer.headers().get("location").cloned();
        let Some(to) = to else {
            panic!("{address}: {}", answer.text().await.unwrap_or_default());
        };
        let to = to.to_str().expect("an address");
        if let Some(path) = to.strip_prefix(FARM) {
            return path.to_owned();
        }
        address = match to.starts_with('/') {
            true => format!("{}{to}", provider.issuer),
            false => to.to_owned(),
        };
    }
    panic!("the provider leads nowhere");
}

async fn come_back(farm: &impl Asker, path: &str, cookie: &str) -> Answer {
    let headers = [("accept", "text/html"), ("cookie", cookie)];
    farm.send(Method::GET, path, &headers, "").await
}

#[tokio::test]
async fn people_log_in_at_a_provider() {
    let provider = Provider::start();
    let farm = farm(&provider).await;
    let page = farm.page("/login?redirect=/workers").await;
    let link = "href=\"/auth/provider/here?redirect=%2Fworkers\"";
    assert!(page.body.contains(link), "{}", page.body);
    let (address, cookie) = begin(&farm).await;
    for part in [
        "code_challenge_method=S256",
        "nonce=",
        "state=",
        "response_type=code",
    ] {
        assert!(address.contains(part), "{address}");
    }
    let back = at_provider(&provider, &address, "1").await;
    // Another browser cannot come back in place of the one that began.
    let stolen = come_back(&farm, &back, "toolpost_login=other").await;
    assert_eq!(stolen.status, 401, "{}", stolen.shown());
    let entered = come_back(&farm, &back, &cookie).await;
    assert_eq!(entered.status, 302, "{}", entered.shown());
    assert_eq!(entered.header(header::LOCATION), "/workers");
    let session = cookie_of(&entered);
    let audit = get_as(&farm, ("cookie", &session), "/api/v2/audit")
        .await
        .json();
    let entry = &audit["audit"][0];
    assert_eq!(
        (&entry["who"], &entry["via"]),
        (&json!("here:ada"), &json!("provider:here"))
    );
    // A state is good once.
    let again = come_back(&farm, &back, &cookie).await;
    assert_eq!(again.status, 401);
    let asked = json!({"name": "nightly"});
    let made = super::call_as(
        &farm,
        ("cookie", &session),
        "/api/v2/tokens",
        "create",
        asked,
    )
    .await;
    assert_eq!(made.status, 200);
}

#[tokio::test]
async fn who_begins_at_one_master_may_come_back_to_another() {
    let provider = Provider::start();
    let farm = farm(&provider).await;
    let other = farm.other_master();
    let (address, cookie) = begin(&farm).await;
    let (_, secret) = cookie.split_once('=').expect("a value");
    assert!(!address.contains(secret), "{address}");
    let back = at_provider(&provider, &address, "1").await;
    let entered = come_back(&other, &back, &cookie).await;
    assert_eq!(entered.status, 302, "{}", entered.shown());
    assert_eq!(entered.header(header::LOCATION), "/workers");
    let session = cookie_of(&entered);
    let here = get_as(&farm, ("cookie", &session), "/api/v2/audit").await;
    assert_eq!(here.status, 200, "{}", here.shown());
    // It was good once, wherever.
    for master in [&farm.router, &other] {
        assert_eq!(come_back(master, &back, &cookie).await.status, 401);
    }
    // And not for ever.
    let (address, cookie) = begin(&farm).await;
    let back = at_provider(&provider, &address, "1").await;
    farm.later(600_000);
    let late = come_back(&other, &back, &cookie).await;
    assert_eq!(late.status, 401, "{}", late.shown());
}

#[tokio::test]
async fn what_a_provider_does_not_vouch_for_is_not_believed() {
    let provider = Provider::start();
    let farm = farm(&provider).await;
    // Her address is that of an admin, and is not verified.
    let (address, cookie) = begin(&farm).await;
    let back = at_provider(&provider, &address, "2").await;
    let entered = come_back(&farm, &back, &cookie).await;
    assert_eq!(entered.status, 302, "{}", entered.shown());
    let session = cookie_of(&entered);
    let refused = get_as(&farm, ("cookie", &session), "/api/v2/audit").await;
    assert_eq!(refused.status, 403);
    // In none of the groups that are let in.
    let (address, cookie) = begin(&farm).await;
    let back = at_provider(&provider, &address, "3").await;
    let refused = come_back(&farm, &back, &cookie).await;
    assert_eq!(refused.status, 403, "{}", refused.shown());
    // Refused there.
    let (address, cookie) = begin(&farm).await;
    let back = at_provider(&provider, &address, "4").await;
    let refused = come_back(&farm, &back, &cookie).await;
    assert_eq!(refused.status, 401);
    // The answer of another provider, and a code that is none.
    for (more, expected) in [("&iss=https://evil.example", 401), ("", 500)] {
        let (address, cookie) = begin(&farm).await;
        let state = address
            .split("state=")
            .nth(1)
            .and_then(|rest| rest.split('&').next());
        let state = state.expect("a state");
        let path = format!("/auth/callback/here?state={state}&code=guessed{more}");
        let refused = come_back(&farm, &path, &cookie).await;
        assert_eq!(refused.status, expected, "{}", refused.shown());
        assert!(!refused.body.contains("the-secret-of-oidc"));
    }
}
