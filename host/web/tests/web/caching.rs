//! What caches may keep, and how little goes over the wire when nothing has changed.

use axum::http::Method;
use toolpost_core::Results;

use crate::support::{Asker as _, BuildSpec, TestFarm, build, step};

async fn farm() -> TestFarm {
    let farm = TestFarm::new().await;
    let spec = build("unit").ends(Results::Success, "good");
    farm.build(spec.step(step("make").log("stdio", "one\n")))
        .await;
    farm.build(
        build("docs")
            .runs()
            .step(step("make").runs("making").log("stdio", "x\n")),
    )
    .await;
    farm
}

#[tokio::test]
async fn who_knows_an_answer_is_only_told_that_it_is_true() {
    let farm = farm().await;
    for path in [
        "/api/v2/builds",
        "/api/v2/logs/1/raw",
        "/api/v2/application.spec",
        "/builders",
        "/reference",
    ] {
        let first = farm.get(path).await;
        assert_eq!(first.status.as_u16(), 200, "{path}");
        assert_eq!(first.header("cache-control"), "no-cache", "{path}");
        assert_eq!(
            first.header("vary"),
            "accept, accept-encoding, authorization, cookie",
            "{path}"
        );
        let tag = first.header("etag").to_owned();
        let known = [
            ("accept", "application/json"),
            ("if-none-match", tag.as_str()),
        ];
        let again = farm.get_with(path, &known).await;
        assert_eq!(
            (again.status.as_u16(), again.body.as_str()),
            (304, ""),
            "{path}"
        );
        assert_eq!(again.header("etag"), tag, "{path}");
    }
    // A log that grows has none.
    assert_eq!(farm.get("/api/v2/logs/2/raw").await.header("etag"), "");
    let tag = farm.get("/api/v2/builds").await.header("etag").to_owned();
    farm.build(build("unit")).await;
    let known = [
        ("accept", "application/json"),
        ("if-none-match", tag.as_str()),
    ];
    assert_eq!(
        farm.get_with("/api/v2/builds", &known)
            .await
            .status
            .as_u16(),
        200
    );
}

#[tokio::test]
async fn a_list_that_is_too_long_to_be_kept_is_known_by_the_state_of_the_store() {
    let farm = farm().await;
    let long = BuildSpec {
        reason: "x".repeat(3_000),
        ..build("docs")
    };
    for _ in 0..1_001 {
        farm.request(&long).await;
    }
    let path = "/api/v2/buildsets";
    let first = farm.get(path).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag:?}");
    let known = [
        ("accept", "application/json"),
        ("if-none-match", tag.as_str()),
    ];
    let again = farm.get_with(path, &known).await;
    assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
    farm.request(&build("docs")).await;
    assert_eq!(farm.get_with(path, &known).await.status.as_u16(), 200);
}

#[tokio::test]
async fn what_somebody_gets_is_kept_by_nobody() {
    let farm = farm().await;
    for header in [
        ("cookie", "theme=dark; session=1"),
        ("authorization", "Bearer x"),
    ] {
        for path in [
            "/api/v2/builds",
            "/api/v2/logs/1/raw",
            "/builders",
            "/api/v2/buildrequests/1/why",
        ] {
            let answer = farm.send(Method::GET, path, &[header], "").await;
            assert_eq!(
                answer.header("cache-control"),
                "private, no-store",
                "{path}"
            );
        }
    }
    let chosen = [("cookie", "theme=dark")];
    let answer = farm.send(Method::GET, "/builders", &chosen, "").await;
    assert_eq!(answer.header("cache-control"), "no-cache");
}
