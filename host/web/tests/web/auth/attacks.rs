//! What somebody tries who has no business here.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{Method, header};
use futures::FutureExt as _;
use serde_json::json;

use super::{PASSWORD, basic, call_as, cookie_of, farm, farm_with, get_as, log_in, settings};
use crate::support::{Answer, Asker as _, TestFarm};

/// What has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_session_that_somebody_prepared_is_nobodys() {
    let farm = farm().await;
    let prepared = "toolpost_session=0123456789abcdef0123456789abcdef";
    let shown = basic("eve", PASSWORD);
    let headers = [("authorization", shown.as_str()), ("cookie", prepared)];
    let entered = farm.get_with("/auth/login", &headers).await;
    let cookie = cookie_of(&entered);
    assert_ne!(cookie, prepared);
    let force = json!({"reason": "x"});
    let path = "/api/v2/forceschedulers/force";
    let refused = call_as(&farm, ("cookie", prepared), path, "force", force).await;
    assert_eq!(refused.status, 403);
    // Another log-in of the same browser ends the former session.
    let headers = [
        ("authorization", shown.as_str()),
        ("cookie", cookie.as_str()),
    ];
    let again = farm.get_with("/auth/login", &headers).await;
    assert_ne!(cookie_of(&again), cookie);
    let stale = get_as(&farm, ("cookie", &cookie), "/api/v2/tokens").await;
    assert_eq!(stale.status, 403);
}

#[tokio::test]
async fn guessing_is_slow_and_tells_nothing() {
    let farm = farm().await;
    // Known to be right, it goes on being taken.
    log_in(&farm, "ada").await;
    let mut answers = Vec::new();
    for (name, password) in [("ada", "wrong"), ("nobody", "wrong"), ("ada", "")] {
        let shown = basic(name, password);
        let answer = farm
            .get_with("/auth/login", &[("authorization", &shown)])
            .await;
        answers.push(answer.shown());
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    let mut limited = 0;
    for _ in 0..10 {
        let shown = basic("ada", "wrong");
        let answer = farm
            .get_with("/auth/login", &[("authorization", &shown)])
            .await;
        limited += usize::from(answer.status == 429);
    }
    assert!((3..=5).contains(&limited), "{limited}");
    log_in(&farm, "ada").await;
}

#[tokio::test]
async fn pages_of_other_sites_do_nothing_in_their_readers_name() {
    let farm = farm().await;
    let cookie = log_in(&farm, "root").await;
    let evil = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("host", "ci.example"),
        ("origin", "https://evil.example"),
        ("cookie", cookie.as_str()),
    ];
    for path in [
        "/builds/1/stop",
        "/auth/logout",
        "/api/v2/builds/1",
        "/plugins/reload",
    ] {
        let answer = farm.send(Method::POST, path, &evil, "").await;
        assert_eq!(answer.status, 403, "{path}");
    }
    let sites = [
        ("sec-fetch-site", "cross-site"),
        ("cookie", cookie.as_str()),
    ];
    farm.get_with("/auth/logout", &sites).await;
    let shown = basic("eve", PASSWORD);
    let forced = [("sec-fetch-site", "cross-site"), ("authorization", &shown)];
    let answer = farm.get_with("/auth/login", &forced).await;
    assert_eq!(answer.header(header::SET_COOKIE), "");
    assert!(farm.master.asked().is_empty());
    let still = get_as(&farm, ("cookie", &cookie), "/api/v2/audit").await;
    assert_eq!(still.status, 200);
}

#[tokio::test]
async fn only_proxies_that_are_known_say_who_somebody_is() {
    let proxied = "[web]\nproxies = [\"10.0.0.0/8\"]\n[web.auth.header]\nuser = \"X-User\"\ngroups = \"X-Groups\"\n[web.auth.role.admin]\ngroups = [\"ops\"]\n";
    let farm = TestFarm::new().await;
    farm.master.said().web = settings(proxied);
    let named = [
        ("accept", "application/json"),
        ("x-user", "root"),
        ("x-groups", "dev, ops"),
        ("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.2"),
    ];
    for (from, expected) in [
        ("10.1.2.3:1", 200),
        ("[::ffff:10.1.2.3]:1", 200),
        ("192.0.2.1:1", 403),
    ] {
        let from: SocketAddr = from.parse().expect("an address");
        let answer = farm
            .open_from(from, Method::GET, "/api/v2/audit", &named, "")
            .await;
        assert_eq!(answer.status(), expected, "{from}");
    }
    let from: SocketAddr = "10.1.2.3:1".parse().expect("an address");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "reload", "params": {}}).to_string();
    let mut posted = named.to_vec();
    posted.push(("content-type", "application/json"));
    farm.open_from(from, Method::POST, "/api/v2/plugins", &posted, &body)
        .await;
    let audit = farm
        .open_from(from, Method::GET, "/api/v2/audit", &named, "")
        .await;
    let audit = Answer::read(audit).await.json();
    let entry = &audit["audit"][0];
    assert_eq!(
        (&entry["who"], &entry["via"]),
        (&json!("root"), &json!("proxy"))
    );
    assert_eq!(
        entry["address"], "198.51.100.7",
        "what is further left anybody may have written"
    );
}

#[tokio::test]
async fn odd_headers_are_no_way_in() {
    let farm = farm().await;
    let long = format!("Bearer tpt_{}", "a".repeat(100_000));
    let cookies = format!("toolpost_session={}", "b".repeat(100_000));
    for (name, value, expected) in [
        ("authorization", long.as_str(), 401),
        ("authorization", "Bearer ", 401),
        ("authorization", "Bearer tpt_' OR 1=1 --", 401),
        ("authorization", "Bearer", 403),
        ("authorization", "Digest username=\"root\"", 403),
        ("authorization", "Basic cm9vdDpjb3JyZWN0IGhvcnNl", 403),
        ("cookie", cookies.as_str(), 403),
        ("cookie", "toolpost_session=", 403),
        ("cookie", "toolpost_session", 403),
        ("cookie", ";;;=;toolpost_session=\"x", 403),
        ("x-user", "root", 403),
    ] {
        let answer = get_as(&farm, (name, value), "/api/v2/audit").await;
        let start = value.chars().take(30).collect::<String>();
        assert_eq!(answer.status, expected, "{name}: {start}");
        if expected == 401 {
            let challenge = answer.header(header::WWW_AUTHENTICATE);
            assert!(challenge.starts_with("Bearer "), "{challenge}");
        }
    }
}

#[tokio::test]
async fn who_asks_for_too_much_is_told_so() {
    let farm = farm_with("[web]\nrequests_per_second = 1").await;
    let mut refused = None;
    for _ in 0..20 {
        let answer = farm.get("/api/v2/builders").await;
        if answer.status == 429 {
            refused = Some(answer);
        }
    }
    let refused = refused.expect("a limit");
    assert_eq!(refused.header(header::RETRY_AFTER), "10");
    let other: SocketAddr = "192.0.2.9:1".parse().expect("an address");
    let answer = farm
        .open_from(other, Method::GET, "/api/v2/builders", &[], "")
        .await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn where_nobody_is_configured_everybody_may_do_everything() {
    let farm = farm().await;
    farm.master.said().web = settings("");
    farm.call("/api/v2/builds/1", "stop", json!({})).await;
    assert_eq!(farm.master.asked(), ["stop 1 \"no reason\" anonymous"]);
    let page = farm.page("/").await;
    assert!(!page.body.contains("Log in"), "{}", page.body);
    assert_eq!(farm.page("/login").await.status, 303);
}

#[tokio::test]
async fn who_does_not_wait_for_the_answer_is_on_record_as_well() {
    let farm = farm().await;
    let root = log_in(&farm, "root").await;
    // From now on it is known who that is, without asking the store.
    get_as(&farm, ("cookie", &root), "/api/v2/builders").await;
    let pause = json!({"reason": "nobody saw me"});
    let call = call_as(
        &farm,
        ("cookie", &root),
        "/api/v2/workers/1",
        "pause",
        pause,
    );
    assert!(call.now_or_never().is_none(), "it takes a while");
    let recorded = async {
        loop {
            let audit = get_as(&farm, ("cookie", &root), "/api/v2/audit").await;
            if audit.body.contains("nobody saw me") {
                return audit.json()["audit"][0].clone();
            }
        }
    };
    let entry = tokio::time::timeout(PATIENCE, recorded).await;
    assert_eq!(entry.expect("a record")["outcome"], "done");
    assert!(!farm.master.asked().is_empty());
}
