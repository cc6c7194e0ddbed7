//! Tokens.

use axum::http::Method;
use serde_json::json;

use super::{call_as, farm, get_as, log_in, token_of};
use crate::support::Asker as _;

#[tokio::test]
async fn a_token_does_what_it_was_made_for() {
    let farm = farm().await;
    let scope = json!({"name": "nightly", "scope": ["force"], "builders": ["unit"]});
    let token = token_of(&farm, "root", scope).await;
    let shown = ("authorization", token.as_str());
    let path = "/api/v2/forceschedulers/force";
    let of = |builder: &str| json!({"reason": "x", "builderNames": [builder]});
    for (params, expected) in [(of("unit"), 200), (of("docs"), 403)] {
        let answer = call_as(&farm, shown, path, "force", params).await;
        assert_eq!(answer.status, expected, "{}", answer.shown());
    }
    assert_eq!(farm.master.asked().len(), 1);
    let stopped = call_as(&farm, shown, "/api/v2/builds/1", "stop", json!({})).await;
    assert_eq!(stopped.status, 403);
    let builders = get_as(&farm, shown, "/api/v2/builders?field=name")
        .await
        .json();
    assert_eq!(builders["builders"], json!([{"name": "unit"}]));
    let again = call_as(
        &farm,
        shown,
        "/api/v2/tokens",
        "create",
        json!({"name": "more"}),
    )
    .await;
    assert_eq!(again.status, 403, "a token makes no tokens");
    let cookie = log_in(&farm, "root").await;
    let audit = get_as(&farm, ("cookie", &cookie), "/api/v2/audit").await;
    let tokens = get_as(&farm, ("cookie", &cookie), "/api/v2/tokens").await;
    let (_, secret) = token.split_once(' ').expect("a token");
    for body in [&audit.body, &tokens.body] {
        assert!(!body.contains(secret), "{body}");
    }
    assert!(
        audit.body.contains("\"via\":\"token nightly\""),
        "{}",
        audit.body
    );
}

#[tokio::test]
async fn tokens_end() {
    let farm = farm().await;
    let day = token_of(&farm, "eve", json!({"name": "a day", "days": 1})).await;
    let ever = token_of(&farm, "eve", json!({"name": "for ever", "days": null})).await;
    farm.later(86_400_001);
    for (token, expected) in [(&day, 401), (&ever, 200)] {
        let answer = get_as(&farm, ("authorization", token), "/api/v2/builders").await;
        assert_eq!(answer.status, expected);
    }
    let cookies = [log_in(&farm, "ada").await, log_in(&farm, "eve").await];
    for (cookie, expected) in cookies.iter().zip([404, 200]) {
        let answer = call_as(
            &farm,
            ("cookie", cookie),
            "/api/v2/tokens/2",
            "revoke",
            json!({}),
        )
        .await;
        assert_eq!(answer.status, expected, "{}", answer.shown());
    }
    let revoked = get_as(&farm, ("authorization", &ever), "/api/v2/builders").await;
    assert_eq!(revoked.status, 401);
    // A page that shows one is refused as well.
    let headers = [("accept", "text/html"), ("authorization", ever.as_str())];
    assert_eq!(farm.send(Method::GET, "/", &headers, "").await.status, 401);
}

#[tokio::test]
async fn people_see_their_own_tokens_and_admins_all() {
    let farm = farm().await;
    token_of(&farm, "eve", json!({"name": "of eve", "scope": "control"})).await;
    token_of(&farm, "ada", json!({"name": "of ada"})).await;
    for (name, expected) in [("eve", 1), ("ada", 1), ("root", 2)] {
        let cookie = log_in(&farm, name).await;
        let answer = get_as(&farm, ("cookie", &cookie), "/api/v2/tokens")
            .await
            .json();
        assert_eq!(answer["meta"]["total"], expected, "{name}");
    }
    assert_eq!(farm.get("/api/v2/tokens").await.status, 403);
    let cookie = log_in(&farm, "eve").await;
    for wrong in [
        json!({}),
        json!({"name": "x", "scope": "everything"}),
        json!({"name": "x", "scope": 3}),
        json!({"name": "x", "builders": "unit"}),
        json!({"name": "x", "builders": ["["]}),
        json!({"name": "x", "days": 0}),
        json!({"name": "x".repeat(101)}),
    ] {
        let shown = ("cookie", cookie.as_str());
        let answer = call_as(&farm, shown, "/api/v2/tokens", "create", wrong.clone()).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.shown());
    }
}
