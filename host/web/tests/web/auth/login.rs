//! Logging in and out.

use axum::http::{Method, header};
use insta::assert_snapshot;
use serde_json::json;

use super::{PASSWORD, basic, call_as, cookie_of, farm, get_as, log_in, settings, users};
use crate::support::{Asker as _, TestFarm};

#[tokio::test]
async fn programs_log_in_as_at_buildbot_and_out_again() {
    let farm = farm().await;
    let refused = farm.get("/auth/login").await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header(header::WWW_AUTHENTICATE),
        "Basic realm=\"Toolpost\", charset=\"UTF-8\""
    );
    let shown = basic("eve", PASSWORD);
    let path = "/auth/login?redirect=/builders";
    let entered = farm.get_with(path, &[("authorization", &shown)]).await;
    assert_eq!(entered.status, 302);
    assert_eq!(entered.header(header::LOCATION), "/builders");
    let set = entered.header(header::SET_COOKIE);
    let (_, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/; Max-Age=604800");
    let cookie = cookie_of(&entered);
    let shown = ("cookie", cookie.as_str());
    // The owner is who is logged in, whatever else is said.
    let forced =
        json!({"owner": "root", "username": "root", "reason": "x", "builderNames": ["unit"]});
    let answer = call_as(
        &farm,
        shown,
        "/api/v2/forceschedulers/force",
        "force",
        forced,
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.shown());
    let asked = farm.master.asked();
    assert!(asked[0].ends_with("for eve@example.org"), "{asked:?}");
    let page = farm.get_with("/", &[("accept", "text/html"), shown]).await;
    assert!(
        page.body.contains("<span class=\"muted\">eve</span>"),
        "{}",
        page.body
    );
    let left = farm.get_with("/auth/logout", &[shown]).await;
    assert_eq!(
        (left.status.as_u16(), left.header(header::LOCATION)),
        (302, "/")
    );
    assert!(left.header(header::SET_COOKIE).contains("Max-Age=0"));
    let answer = call_as(&farm, shown, "/api/v2/builds/1", "stop", json!({})).await;
    assert_snapshot!(answer.shown(), @r#"
    403
    {"error":{"code":-32600,"message":"log in to stop (build 1 of unit)"},"id":1,"jsonrpc":"2.0"}
    "#);
}

#[tokio::test]
async fn people_log_in_on_a_page_and_go_on_where_they_were() {
    let farm = farm().await;
    farm.master.said().web = settings(&format!(
        "{}\n[[web.auth.rule]]\nactions = [\"view\"]\nroles = [\"user\"]",
        users()
    ));
    let away = farm.page("/builders?tag=fast").await;
    assert_eq!(away.status, 303);
    let login = away.header(header::LOCATION).to_owned();
    assert_eq!(login, "/login?redirect=%2Fbuilders%3Ftag%3Dfast");
    let page = farm.page(&login).await;
    assert!(
        page.body
            .contains("name=\"redirect\" value=\"/builders?tag=fast\""),
        "{}",
        page.body
    );
    let wrong = "username=eve&password=hunter2&redirect=%2Fbuilders";
    let refused = farm.post("/auth/login", wrong).await;
    assert_eq!(refused.status, 401);
    assert!(
        refused.body.contains("do not fit together"),
        "{}",
        refused.body
    );
    assert!(!refused.body.contains("hunter2"));
    let right = "username=eve&password=correct+horse&redirect=%2F%2Fevil.example";
    let entered = farm.post("/auth/login", right).await;
    assert_eq!(
        (entered.status.as_u16(), entered.header(header::LOCATION)),
        (302, "/")
    );
    let cookie = cookie_of(&entered);
    let page = farm
        .get_with("/builders", &[("accept", "text/html"), ("cookie", &cookie)])
        .await;
    assert_eq!(page.status, 200);
    // Programs are told, not led.
    assert_snapshot!(farm.get("/api/v2/builders").await.shown(), @r#"
    403
    {"error":"log in to look at this farm"}
    "#);
}

#[tokio::test]
async fn who_comes_from_buildbots_interface_is_led_back_to_its_view() {
    let farm = farm().await;
    farm.master.said().farm.ui.dir = Some("/nowhere".into());
    let path = "/auth/login?redirect=/builders/1";
    let away = farm.page(path).await;
    assert_eq!(
        (away.status.as_u16(), away.header(header::LOCATION)),
        (303, "/login?redirect=%2F%23%2Fbuilders%2F1")
    );
    let shown = basic("eve", PASSWORD);
    let entered = farm.get_with(path, &[("authorization", &shown)]).await;
    assert_eq!(entered.header(header::LOCATION), "/#/builders/1");
    let cookie = cookie_of(&entered);
    for (method, expected) in [
        (Method::GET, "/#/builders/1"),
        (Method::POST, "/builders/1"),
    ] {
        let path = "/auth/logout?redirect=/builders/1";
        let left = farm.send(method, path, &[("cookie", &cookie)], "").await;
        assert_eq!(left.header(header::LOCATION), expected);
    }
    let elsewhere = farm.page("/auth/login?redirect=//evil.example").await;
    assert_eq!(elsewhere.header(header::LOCATION), "/login?redirect=%2F");
}

#[tokio::test]
async fn behind_tls_cookies_are_for_encrypted_connections_only() {
    let farm = TestFarm::new().await;
    let secure = format!("[master]\nurl = \"https://ci.example/\"\n{}", users());
    farm.master.said().web = settings(&secure);
    let shown = basic("eve", PASSWORD);
    let entered = farm
        .get_with("/auth/login", &[("authorization", &shown)])
        .await;
    let set = entered.header(header::SET_COOKIE);
    assert!(set.starts_with("__Host-toolpost_session="), "{set}");
    assert!(set.contains("; Secure"), "{set}");
    assert_eq!(
        entered.header(header::STRICT_TRANSPORT_SECURITY),
        "max-age=31536000"
    );
    // The name without the prefix could be set by others.
    let (_, secret) = set.split_once('=').expect("a value");
    let secret = secret.split(';').next().expect("a value");
    let plain = format!("toolpost_session={secret}");
    let asked = json!({"name": "x"});
    let made = call_as(&farm, ("cookie", &plain), "/api/v2/tokens", "create", asked).await;
    assert_eq!(made.status, 403);
}

#[tokio::test]
async fn sessions_end_by_themselves_and_with_their_user() {
    let farm = farm().await;
    for (later_ms, expected) in [(86_400_000, 200), (86_400_000 * 3, 403)] {
        let cookie = log_in(&farm, "root").await;
        farm.later(later_ms);
        let answer = get_as(&farm, ("cookie", &cookie), "/api/v2/audit").await;
        assert_eq!(answer.status, expected, "{later_ms}");
    }
    let cookie = log_in(&farm, "root").await;
    let without = users().replace("[web.auth.user.root]", "[web.auth.user.toor]");
    farm.master.said().web = settings(&without);
    let answer = get_as(&farm, ("cookie", &cookie), "/api/v2/audit").await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn a_file_has_users_too() {
    let farm = TestFarm::new().await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let line = |name: &str, group: &str| format!("{name}:{}::Zoe Z.:{group}\n", super::hash());
    std::fs::write(file.path(), line("zoe", "ops")).expect("written");
    let text = format!(
        "[web.auth]\nusers_file = {:?}\n[web.auth.role.admin]\ngroups = [\"ops\"]",
        file.path()
    );
    farm.master.said().web = settings(&text);
    let cookie = log_in(&farm, "zoe").await;
    let audit = get_as(&farm, ("cookie", &cookie), "/api/v2/audit").await;
    assert_eq!(audit.json()["audit"][0]["who"], "zoe");
    std::fs::write(file.path(), line("yan", "ops")).expect("written");
    let shown = basic("zoe", PASSWORD);
    let gone = farm
        .get_with("/auth/login", &[("authorization", &shown)])
        .await;
    assert_eq!(gone.status, 401);
}

#[tokio::test]
async fn what_was_done_is_on_record() {
    let farm = farm().await;
    let ada = log_in(&farm, "ada").await;
    let root = log_in(&farm, "root").await;
    let stop = json!({"reason": "enough"});
    call_as(
        &farm,
        ("cookie", &ada),
        "/api/v2/builds/1",
        "stop",
        stop.clone(),
    )
    .await;
    call_as(
        &farm,
        ("cookie", &ada),
        "/api/v2/workers/1",
        "kill",
        json!({}),
    )
    .await;
    call_as(
        &farm,
        ("cookie", &root),
        "/api/v2/builds/2",
        "rebuild",
        json!({}),
    )
    .await;
    farm.call("/api/v2/builds/1", "stop", stop).await;
    assert_eq!(
        farm.master.asked(),
        ["stop 1 \"enough\" ada", "rebuild 2 root"]
    );
    let audit = get_as(&farm, ("cookie", &root), "/api/v2/audit")
        .await
        .json();
    let shown: Vec<String> = audit["audit"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| {
            let fields = ["who", "via", "address", "action", "target", "outcome"];
            fields
                .map(|name| entry[name].as_str().expect("a text"))
                .join(" | ")
        })
        .collect();
    assert_eq!(
        shown,
        [
            "root | password | 127.0.0.1 | rebuild | build 2 of docs | failed",
            "ada | password | 127.0.0.1 | kill-worker | worker local | refused",
            "ada | password | 127.0.0.1 | stop | build 1 of unit | done",
            "root | password | 127.0.0.1 | log-in |  | done",
            "ada | password | 127.0.0.1 | log-in |  | done",
        ]
    );
    let page = farm
        .get_with("/audit", &[("accept", "text/html"), ("cookie", &root)])
        .await;
    assert!(page.body.contains("build 1 of unit"), "{}", page.body);
    for (path, cookie) in [("/audit", &ada), ("/api/v2/audit", &ada)] {
        let refused = get_as(&farm, ("cookie", cookie), path).await;
        assert_eq!(refused.status, 403, "{path}");
    }
    let head = farm.send(Method::HEAD, "/audit", &[], "").await;
    assert_eq!(head.status, 403);
}
