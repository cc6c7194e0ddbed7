//! What is answered when something is wrong.

use axum::http::Method;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Asker, TestFarm, build};

#[tokio::test]
async fn errors_of_the_api_have_buildbots_envelope() {
    let farm = TestFarm::new().await;
    farm.build(build("unit")).await;
    let mut shown = String::new();
    for path in [
        "/api/v2/nothing",
        "/api/v2/builds/x",
        "/api/v2/builds/99",
        "/api/v2/builds/99999999999999999999",
        "/api/v2/builders/nobody",
        "/api/v2/builders/nobody/builds",
        "/api/v2/builders/unit/builds/99",
        "/api/v2/builders/unit/builds/99/steps",
        "/api/v2/builds/1/steps/nothing",
        "/api/v2/builds/1/properties/x",
        "/api/v2/builds/99/properties",
        "/api/v2/masters/7/builders/1",
        "/api/v2/logs/1",
        "/api/v2/logs/1/contents",
        "/api/v2/logs/1/raw",
        "/api/v2/plugins/none",
        "/api/v2/forceschedulers/none",
        "/api/v2/builds?limit=x",
        "/api/v2/builds?order=nothing",
        "/api/v2/builds?nothing=1",
        "/api/v2/builds?number=x",
        "/api/v2/builds?number__contains=1",
        "/api/v2/builds/1?number=1",
        "/api/v2/builds?field=nothing",
        "/api/v2/%ff",
        "/api/v2/builds/",
    ] {
        let answer = farm.get(path).await;
        shown += &format!("{path}\n    {} {}\n", answer.status.as_u16(), answer.body);
        assert_eq!(
            answer.header("cache-control") == "no-store",
            !answer.status.is_success(),
            "{path}"
        );
    }
    assert_snapshot!(shown, @r#"
    /api/v2/nothing
        404 {"error":"invalid path: nothing"}
    /api/v2/builds/x
        404 {"error":"invalid path: builds/x"}
    /api/v2/builds/99
        404 {"error":"there is no build"}
    /api/v2/builds/99999999999999999999
        404 {"error":"invalid path: builds/99999999999999999999"}
    /api/v2/builders/nobody
        404 {"error":"there is no builder"}
    /api/v2/builders/nobody/builds
        200 {"builds":[],"meta":{"total":0}}
    /api/v2/builders/unit/builds/99
        404 {"error":"there is no build"}
    /api/v2/builders/unit/builds/99/steps
        404 {"error":"there is no build"}
    /api/v2/builds/1/steps/nothing
        404 {"error":"there is no step"}
    /api/v2/builds/1/properties/x
        404 {"error":"invalid path: builds/1/properties/x"}
    /api/v2/builds/99/properties
        404 {"error":"there is no build"}
    /api/v2/masters/7/builders/1
        404 {"error":"there is no builder"}
    /api/v2/logs/1
        404 {"error":"there is no log"}
    /api/v2/logs/1/contents
        404 {"error":"there is no log"}
    /api/v2/logs/1/raw
        404 {"error":"there is no log"}
    /api/v2/plugins/none
        404 {"error":"there is no plugin"}
    /api/v2/forceschedulers/none
        404 {"error":"there is no forcescheduler"}
    /api/v2/builds?limit=x
        400 {"error":"invalid limit"}
    /api/v2/builds?order=nothing
        400 {"error":"no such field 'nothing'"}
    /api/v2/builds?nothing=1
        400 {"error":"unrecognized query parameter 'nothing'"}
    /api/v2/builds?number=x
        400 {"error":"invalid filter value for number"}
    /api/v2/builds?number__contains=1
        400 {"error":"filter on \"number\": contains works on texts and lists only"}
    /api/v2/builds/1?number=1
        400 {"error":"this is not a collection"}
    /api/v2/builds?field=nothing
        400 {"error":"no such field 'nothing'"}
    /api/v2/%ff
        404 {"error":"invalid path: %ff"}
    /api/v2/builds/
        404 {"error":"invalid path: builds/"}
    "#);
}

#[tokio::test]
async fn methods_that_a_path_has_not_are_refused() {
    let farm = TestFarm::new().await;
    for (method, path) in [
        (Method::DELETE, "/api/v2/builds"),
        (Method::PUT, "/api/v2/builds/1"),
        (Method::POST, "/builders"),
        (Method::DELETE, "/"),
    ] {
        let answer = farm.send(method.clone(), path, &[], "").await;
        assert_eq!(
            answer.status.as_u16(),
            405,
            "{method} {path}: {}",
            answer.body
        );
    }
    let answer = farm.send(Method::DELETE, "/api/v2/builds", &[], "").await;
    assert_eq!(answer.header("allow"), "GET, HEAD");
    assert_snapshot!(answer.shown(), @r#"
    405
    {"error":"method DELETE is not supported here"}
    "#);
}

#[tokio::test]
async fn paths_say_which_methods_they_have() {
    let farm = TestFarm::new().await;
    farm.build(build("unit")).await;
    let mut shown = String::new();
    for (method, path) in [
        (Method::POST, "/api/v2/builds"),
        (Method::POST, "/api/v2"),
        (Method::OPTIONS, "/api/v2/builds/1"),
        (Method::GET, "/api/v2/plugins/reload"),
        (Method::TRACE, "/api"),
        (Method::PUT, "/api/v2/nothing"),
    ] {
        let answer = farm.send(method.clone(), path, &[], "").await;
        let allowed = answer.header("allow");
        let status = answer.status.as_u16();
        shown += &format!("{method} {path}: {status} {allowed:?} {}\n", answer.body);
    }
    assert_snapshot!(shown, @r#"
    POST /api/v2/builds: 405 "GET, HEAD" {"error":{"code":-32601,"message":"method POST is not supported here"},"jsonrpc":"2.0"}
    POST /api/v2: 405 "GET, HEAD" {"error":{"code":-32601,"message":"method POST is not supported here"},"jsonrpc":"2.0"}
    OPTIONS /api/v2/builds/1: 405 "GET, HEAD, POST" {"error":"method OPTIONS is not supported here"}
    GET /api/v2/plugins/reload: 405 "POST" {"error":"method GET is not supported here"}
    TRACE /api: 405 "GET,HEAD" 
    PUT /api/v2/nothing: 404 "" {"error":"invalid path: nothing"}
    "#);
    // A call is answered as one.
    let answer = farm.call("/api/v2/builds", "explode", json!({})).await;
    assert_snapshot!(answer.shown(), @r#"
    501
    {"error":{"code":-32601,"message":"action: explode is not supported"},"id":1,"jsonrpc":"2.0"}
    "#);
}

#[tokio::test]
async fn a_store_that_fails_is_not_shown_to_everybody() {
    let farm = TestFarm::new().await;
    farm.store.close().await;
    let answer = farm.get("/api/v2/builds").await;
    assert_snapshot!(answer.shown(), @r#"
    500
    {"error":"the database could not be read; the log of the master says why"}
    "#);
    let page = farm.page("/builders").await;
    assert_eq!(page.status.as_u16(), 500);
    assert!(page.body.contains("Something broke"), "{}", page.body);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let farm = TestFarm::new().await;
    assert_eq!(farm.get("/api/v2/builds/1").await.status.as_u16(), 404);
    farm.build(build("unit")).await;
    assert_eq!(farm.get("/api/v2/builds/1").await.status.as_u16(), 200);
}
