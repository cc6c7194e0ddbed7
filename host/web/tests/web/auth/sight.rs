//! Builders that not everybody may see.

use std::time::Duration;

use axum::http::Method;
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{call_as, farm, get_as, log_in};
use crate::support::{Asker as _, TestFarm, build};

/// What has come by then has to have come.
const PATIENCE: Duration = Duration::from_secs(20);

fn names(answer: &Value, list: &str, field: &str) -> Vec<Value> {
    let rows = answer[list]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    rows.iter().map(|row| row[field].clone()).collect()
}

#[tokio::test]
async fn lists_have_what_may_be_seen() {
    let farm = farm().await;
    let (eve, ivy) = (log_in(&farm, "eve").await, log_in(&farm, "ivy").await);
    for (path, list, field, few, all) in [
        (
            "builders",
            "builders",
            "name",
            json!(["unit"]),
            json!(["docs", "unit"]),
        ),
        ("builds", "builds", "buildid", json!([1]), json!([1, 2])),
        (
            "workers/1/builds",
            "builds",
            "buildid",
            json!([1]),
            json!([1, 2]),
        ),
        (
            "buildrequests",
            "buildrequests",
            "buildrequestid",
            json!([1, 2]),
            json!([1, 2, 3, 4]),
        ),
        (
            "buildsets",
            "buildsets",
            "bsid",
            json!([1, 2]),
            json!([1, 2, 3, 4]),
        ),
        (
            "masters/1/builders",
            "builders",
            "name",
            json!(["unit"]),
            json!(["docs", "unit"]),
        ),
    ] {
        let path = format!("/api/v2/{path}");
        for (cookie, expected) in [(&eve, &few), (&ivy, &all), (&eve, &few)] {
            let answer = get_as(&farm, ("cookie", cookie), &path).await.json();
            assert_eq!(json!(names(&answer, list, field)), *expected, "{path}");
        }
        let answer = farm.get(&path).await.json();
        assert_eq!(json!(names(&answer, list, field)), few, "{path}");
    }
}

#[tokio::test]
async fn what_may_not_be_seen_is_not_there() {
    let farm = farm().await;
    let (eve, ivy) = (log_in(&farm, "eve").await, log_in(&farm, "ivy").await);
    for path in [
        "/api/v2/builders/docs",
        "/api/v2/builders/1",
        "/api/v2/builders/docs/builds",
        "/api/v2/builders/docs/builds/1",
        "/api/v2/builds/2",
        "/api/v2/builds/2/steps",
        "/api/v2/builds/2/properties",
        "/api/v2/builds/2/property_list",
        "/api/v2/steps/2",
        "/api/v2/steps/2/logs",
        "/api/v2/logs/2",
        "/api/v2/logs/2/contents",
        "/api/v2/logs/2/raw",
        "/api/v2/logs/2/raw_inline",
        "/api/v2/logs/2/tail",
        "/api/v2/logs/2/search?q=output",
        "/api/v2/buildrequests/3",
        "/api/v2/buildrequests/3/builds",
        "/api/v2/buildrequests/3/why",
        "/api/v2/buildsets/3",
        "/api/v2/buildsets/3/properties",
        "/builders/docs",
        "/builders/1",
        "/builders/docs/builds/1",
        "/builds/2",
        "/logs/2",
        "/logs/2/raw",
        "/logs/2/lines",
        "/requests/3",
        "/requests/3/why",
    ] {
        let hidden = get_as(&farm, ("cookie", &eve), path).await;
        assert_eq!(hidden.status, 404, "{path}: {}", hidden.shown());
        assert!(!hidden.body.contains("output of docs"), "{path}");
        let shown = get_as(&farm, ("cookie", &ivy), path).await;
        assert!(
            shown.status.is_success() || shown.status.is_redirection(),
            "{path}: {}",
            shown.shown()
        );
    }
    for path in ["/", "/builders", "/pending", "/workers/1"] {
        let page = get_as(&farm, ("cookie", &eve), path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains("docs"), "{path}: {}", page.body);
        let page = get_as(&farm, ("cookie", &ivy), path).await;
        assert!(page.body.contains("docs"), "{path}");
    }
    for (path, method) in [
        ("/api/v2/builds/2", "stop"),
        ("/api/v2/buildrequests/4", "cancel"),
    ] {
        let answer = call_as(&farm, ("cookie", &eve), path, method, json!({})).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let force = json!({"reason": "x", "builderNames": ["docs"]});
    let path = "/api/v2/forceschedulers/force";
    let answer = call_as(&farm, ("cookie", &eve), path, "force", force).await;
    assert_eq!(answer.status, 403, "{}", answer.shown());
    assert!(farm.master.asked().is_empty());
}

#[tokio::test]
async fn patches_are_seen_by_who_may_see_a_builder_that_has_them() {
    let farm = farm().await;
    let patch = crate::patches::hostile();
    let hidden = farm.build(build("docs").patched(patch.clone())).await;
    let (eve, ivy) = (log_in(&farm, "eve").await, log_in(&farm, "ivy").await);
    let (all, few) = (json!([1, 2]), json!([1]));
    let stamps = async |cookie: &String| {
        let answer = get_as(&farm, ("cookie", cookie), "/api/v2/sourcestamps").await;
        json!(names(&answer.json(), "sourcestamps", "ssid"))
    };
    let raw = format!("/builds/{}/patches/1", hidden.id);
    for (cookie, seen, status) in [(&eve, &few, 404), (&ivy, &all, 200)] {
        assert_eq!(stamps(cookie).await, *seen);
        let one = get_as(&farm, ("cookie", cookie), "/api/v2/sourcestamps/2").await;
        assert_eq!(one.status, status, "{}", one.shown());
        let file = get_as(&farm, ("cookie", cookie), &raw).await;
        assert_eq!(file.status, status, "{}", file.shown());
    }
    // What another builder has been asked to build with the same patch is no secret any more.
    farm.build(build("unit").patched(patch)).await;
    assert_eq!(stamps(&eve).await, all);
}

/// Reads a stream up to a text, and gives everything until then.
async fn read_until(body: &mut axum::body::BodyDataStream, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let piece = tokio::time::timeout(PATIENCE, body.next()).await;
        let piece = piece.unwrap_or_else(|_| panic!("{text} does not come after {read}"));
        let Some(piece) = piece else { break };
        read += &String::from_utf8_lossy(&piece.expect("no failure"));
    }
    read
}

async fn listen(farm: &TestFarm, cookie: &str, path: &str) -> axum::body::BodyDataStream {
    let response = farm
        .open(Method::GET, path, &[("cookie", cookie)], "")
        .await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body().into_data_stream();
    read_until(&mut body, "\n\n").await;
    body
}

#[tokio::test]
async fn streams_tell_what_may_be_seen_for_as_long_as_it_may() {
    let farm = farm().await;
    let (eve, ivy) = (log_in(&farm, "eve").await, log_in(&farm, "ivy").await);
    let path = "/sse?path=*/*/*&path=*/*/*/*&path=*/*/*/*/*&path=*/*/*/*/*/*/*";
    let mut of_eve = listen(&farm, &eve, path).await;
    let mut of_ivy = listen(&farm, &ivy, path).await;
    let secret = crate::support::step("secret-step").log("stdio", "x\n");
    let secret = farm.build(build("docs").step(secret)).await;
    let seen = farm
        .build(build("unit").step(crate::support::step("open-step").log("stdio", "y\n")))
        .await;
    let until = format!("\"{}\",\"finished\"", seen.id);
    let heard_by_ivy = read_until(&mut of_ivy, &until).await;
    assert!(heard_by_ivy.contains("secret-step"), "{heard_by_ivy}");
    let heard_by_eve = read_until(&mut of_eve, &until).await;
    assert!(heard_by_eve.contains("open-step"), "{heard_by_eve}");
    let key = format!("[\"builds\",\"{}\"", secret.id);
    for hidden in ["secret-step", "[\"builders\",\"1\"", key.as_str()] {
        assert!(!heard_by_eve.contains(hidden), "{hidden}: {heard_by_eve}");
    }
    farm.get_with("/auth/logout", &[("cookie", &ivy)]).await;
    farm.build(build("docs").step(crate::support::step("later-step")))
        .await;
    let rest = read_until(&mut of_ivy, "no such text").await;
    assert!(!rest.contains("later-step"), "{rest}");
}
