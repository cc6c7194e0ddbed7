//! Searching in logs, over the API and on the page of a log.

use insta::assert_snapshot;
use toolpost_store::LogStream;

use crate::support::{Asker as _, TestFarm, build, step};

async fn farm() -> TestFarm {
    let farm = TestFarm::new().await;
    let lines = [
        (LogStream::Header, "make all\n"),
        (LogStream::Output, "compiling <b>\n"),
        (LogStream::Error, "error: lost in a.c\n"),
        (LogStream::Output, "compiling c\n"),
        (LogStream::Error, "Error: lost in c.c\n"),
    ];
    farm.build(build("unit").step(step("compile").stdio(&lines)))
        .await;
    farm
}

#[tokio::test]
async fn what_is_found_comes_page_by_page() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/logs/1/search?q=error:&case=0&limit=1").await.shown(), @r#"
    200
    {"matches":[{"column":0,"length":6,"line":2,"logid":1,"stream":"e","text":"error: lost in a.c","text_from":0}],"meta":{"complete":true,"cursor":3,"lines":5}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builds/1/steps/compile/logs/stdio/search?q=error:&case=0&limit=1&cursor=3").await.shown(), @r#"
    200
    {"matches":[{"column":0,"length":6,"line":4,"logid":1,"stream":"e","text":"Error: lost in c.c","text_from":0}],"meta":{"complete":true,"cursor":null,"lines":5}}
    "#);
    assert_snapshot!(farm.get("/api/v2/logs/1/search?q=%5Ecompiling%20.%24&regex=1&limit=0").await.shown(), @r#"
    200
    {"matches":[],"meta":{"complete":true,"cursor":0,"lines":5}}
    "#);
    for (query, expected) in [
        ("", "400\n{\"error\":\"`q` says what is looked for\"}"),
        ("q=x&limit=-1", "400\n{\"error\":\"invalid limit\"}"),
        ("q=x&cursor=a", "400\n{\"error\":\"invalid cursor\"}"),
        ("q=x&regex=perhaps", "400\n{\"error\":\"invalid regex\"}"),
        (
            "q=x&from=1",
            "400\n{\"error\":\"unrecognized query parameter 'from'\"}",
        ),
    ] {
        let answer = farm.get(&format!("/api/v2/logs/1/search?{query}")).await;
        assert_eq!(answer.shown(), expected, "{query}");
    }
    let missing = farm.get("/api/v2/logs/9/search?q=x").await;
    assert_eq!(missing.status.as_u16(), 404);
}

#[tokio::test]
async fn the_page_of_a_log_shows_what_was_found() {
    let farm = farm().await;
    let page = farm.page("/logs/1?q=lost+in&nocase=1").await;
    for part in ["2 lines", "error: <mark>lost in</mark> a.c", "?line=5#L5"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let page = farm.page("/logs/1?q=%3Cb%3E").await;
    assert!(
        page.body.contains("<mark>&#60;b&#62;</mark>"),
        "{}",
        page.body
    );
    let page = farm.page("/logs/1?q=%28&regex=1").await;
    assert!(page.body.contains("no regular expression"), "{}", page.body);
}
