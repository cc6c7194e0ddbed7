//! Logs that are followed.

use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt as _;
use toolpost_core::model::{Log, LogType};
use toolpost_core::{LogId, StepId};
use toolpost_store::{LogStream, LogWriter};
use toolpost_web::WebOptions;

use crate::support::{Asker as _, NOW, TestFarm, build, step};

/// A farm with a log that grows.
async fn farm(tails_max: usize) -> (TestFarm, LogWriter) {
    let web = WebOptions {
        tails_max,
        ..WebOptions::default()
    };
    let farm = TestFarm::with_options(&[("unit", &[])], web).await;
    farm.build(build("unit").runs().step(step("compile").runs("compiling")))
        .await;
    let log = farm.store.add_log(StepId(1), "stdio", LogType::Stdio);
    let log = log.await.expect("a log");
    let writer = farm.store.log_writer(log, LogType::Stdio);
    (farm, writer)
}

async fn add(writer: &mut LogWriter, text: &str) {
    writer.append(LogStream::Output, text.as_bytes()).await;
    writer.flush().await;
}

/// What comes next; `None` at the end.
async fn next(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.expect("the stream does not break off");
    let data = frame.into_data().expect("data");
    Some(String::from_utf8(data.to_vec()).expect("text"))
}

#[tokio::test]
async fn a_log_is_followed_to_its_end() {
    let (farm, mut writer) = farm(9).await;
    add(&mut writer, "one\ntwo\nthree\n").await;
    let open = farm
        .open(Method::GET, "/api/v2/logs/1/tail?lines=2", &[], "")
        .await;
    assert_eq!(open.headers()["content-type"], "text/plain; charset=utf-8");
    let mut body = open.into_body();
    assert_eq!(next(&mut body).await.as_deref(), Some("two\nthree\n"));
    add(&mut writer, "four\n").await;
    assert_eq!(next(&mut body).await.as_deref(), Some("four\n"));
    writer.finish(NOW).await.expect("finished");
    assert_eq!(next(&mut body).await, None);
    // Of a log that is complete the end is given, and that is all.
    let again = farm
        .get("/api/v2/builds/1/steps/0/logs/stdio/tail?lines=1")
        .await;
    assert_eq!(again.shown(), "200\nfour");
    let log: Log = farm.store.get(LogId(1).0).await.expect("the log");
    assert!(log.complete);
}

#[tokio::test]
async fn so_many_logs_are_followed_and_no_more() {
    let (farm, _writer) = farm(1).await;
    let open = farm.open(Method::GET, "/api/v2/logs/1/tail", &[], "").await;
    assert_eq!(open.status().as_u16(), 200);
    let refused = farm.get("/api/v2/logs/1/tail").await;
    assert_eq!(refused.status.as_u16(), 503, "{}", refused.body);
    assert!(
        refused.body.contains("as many logs are followed"),
        "{}",
        refused.body
    );
    // Who goes away makes room.
    drop(open);
    let open = farm.open(Method::GET, "/api/v2/logs/1/tail", &[], "").await;
    assert_eq!(open.status().as_u16(), 200);
    for (path, expected) in [
        ("9/tail", 404),
        ("1/tail?lines=x", 400),
        ("1/tail?from=1", 400),
    ] {
        let answer = farm.get(&format!("/api/v2/logs/{path}")).await;
        assert_eq!(answer.status.as_u16(), expected, "{path}");
    }
}
