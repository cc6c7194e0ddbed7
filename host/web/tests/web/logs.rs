//! Contents of logs over the API, and the lines that pages ask for.

use insta::assert_snapshot;
use toolpost_core::model::LogType;
use toolpost_store::LogStream;

use crate::support::{Asker, TestFarm, build, step};

async fn farm() -> TestFarm {
    let farm = TestFarm::new().await;
    let spec = build("unit").step(
        step("compile stage")
            .stdio(&[
                (LogStream::Header, "make all\n"),
                (LogStream::Output, "\x1b[32mgreen\n"),
                (LogStream::Error, "still green? \"no\"\x1b[0m <b>\n"),
            ])
            .html("report", "<script>alert(1)</script>"),
    );
    farm.build(spec).await;
    farm
}

#[tokio::test]
async fn contents_are_given_by_line_numbers() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/api/v2/logs/1/contents").await.shown(), @r#"
    200
    {"logchunks":[{"content":"hmake all\no\u001b[32mgreen\nestill green? \"no\"\u001b[0m <b>\n","firstline":0,"logid":1}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/logs/1/contents?offset=1&limit=1").await.shown(), @r#"
    200
    {"logchunks":[{"content":"o\u001b[32mgreen\n","firstline":1,"logid":1}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/builds/1/steps/0/logs/stdio/contents?offset=2&field=firstline").await.shown(), @r#"
    200
    {"logchunks":[{"firstline":2}],"meta":{}}
    "#);
    assert_snapshot!(farm.get("/api/v2/logs/1/contents?offset=3").await.shown(), @r#"
    404
    {"error":"there is no line 3 in this log"}
    "#);
    assert_snapshot!(farm.get("/api/v2/logs/1/contents?limit=0").await.shown(), @r#"
    404
    {"error":"there is no line 0 in this log"}
    "#);
}

#[tokio::test]
async fn a_raw_log_has_a_heading_and_no_stream_letters() {
    let farm = farm().await;
    let raw = farm.get("/api/v2/logs/1/raw").await;
    assert_eq!(raw.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        raw.header("content-disposition"),
        "attachment; filename=\"unit_build_1_step_compile stage_log_stdio\""
    );
    assert_snapshot!(raw.shown().replace('\x1b', "ESC"), @r#"
    200
    Builder: unit
    Build number: 1
    Worker name: local
    make all
    ESC[32mgreen
    still green? "no"ESC[0m <b>
    "#);
    let inline = farm.get("/api/v2/steps/1/logs/stdio/raw_inline").await;
    assert_eq!(inline.header("content-disposition"), "");
    assert_eq!(inline.body, raw.body);
}

#[tokio::test]
async fn a_log_that_is_a_web_page_can_do_nothing() {
    let farm = farm().await;
    let page = farm.get("/api/v2/logs/2/raw_inline").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .starts_with("sandbox;")
    );
    assert_eq!(page.body.trim_end(), "<script>alert(1)</script>");
}

#[tokio::test]
async fn a_long_log_comes_whole_in_every_form() {
    let farm = TestFarm::new().await;
    let count = 25_000;
    let text: String = (0..count)
        .map(|n| format!("line {n} \"quoted\" \u{e9}\n"))
        .collect();
    farm.build(build("unit").step(step("long").log("stdio", text.clone())))
        .await;
    let raw = farm.get("/api/v2/logs/1/raw").await.body;
    assert!(raw.ends_with(&text), "the raw log is complete");
    let chunk = farm.get("/api/v2/logs/1/contents").await.json();
    let letters: String = text.lines().map(|line| format!("o{line}\n")).collect();
    assert!(
        chunk["logchunks"][0]["content"] == letters,
        "the chunk is complete"
    );
    assert_eq!(chunk["logchunks"][0]["firstline"], 0);
    let fields = farm
        .get("/api/v2/logs/1/contents?field=content&field=logid")
        .await
        .json();
    assert_eq!(
        fields["logchunks"][0].as_object().map(serde_json::Map::len),
        Some(2)
    );
    let middle = farm
        .get("/api/v2/logs/1/contents?offset=12345&limit=2")
        .await
        .json();
    assert_eq!(
        middle["logchunks"][0]["content"],
        "oline 12345 \"quoted\" \u{e9}\noline 12346 \"quoted\" \u{e9}\n"
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_are_shown_as_such() {
    let farm = TestFarm::new().await;
    let build = farm.build(build("unit").runs()).await;
    let (step, _) = farm
        .step(build.id, step("cat").runs("running"), crate::support::NOW)
        .await;
    let log = farm
        .store
        .add_log(step, "stdio", LogType::Stdio)
        .await
        .expect("a log");
    let mut writer = farm.store.log_writer(log, LogType::Stdio);
    writer
        .append(LogStream::Output, b"\x00\xff\xfe\x1b]0;\n<img>\n")
        .await;
    writer.finish(crate::support::NOW).await.expect("finished");
    let chunk = farm.get(&format!("/api/v2/logs/{log}/contents")).await;
    assert_eq!(chunk.status.as_u16(), 200);
    assert!(chunk.json()["logchunks"][0]["content"].is_string());
    let lines = farm.get(&format!("/logs/{log}/lines")).await.json();
    assert_eq!(lines["lines"][0], "\u{2400}\u{fffd}\u{fffd}");
    assert_eq!(lines["lines"][1], "&lt;img&gt;");
}

#[tokio::test]
async fn lines_for_the_window_are_safe_html() {
    let farm = farm().await;
    assert_snapshot!(farm.get("/logs/1/lines").await.shown(), @r#"
    200
    {"first":0,"total":3,"complete":true,"streams":"hoe","lines":["make all","<span class=\"f2\">green</span>","<span class=\"f2\">still green? &quot;no&quot;</span> &lt;b&gt;"]}
    "#);
    assert_snapshot!(farm.get("/logs/1/lines?first=2&count=5").await.shown(), @r#"
    200
    {"first":2,"total":3,"complete":true,"streams":"e","lines":["<span class=\"f2\">still green? &quot;no&quot;</span> &lt;b&gt;"]}
    "#);
    assert_snapshot!(farm.get("/logs/1/lines?tail=1").await.shown(), @r#"
    200
    {"first":2,"total":3,"complete":true,"streams":"e","lines":["<span class=\"f2\">still green? &quot;no&quot;</span> &lt;b&gt;"]}
    "#);
    assert_snapshot!(farm.get("/logs/1/lines?first=99").await.shown(), @r#"
    200
    {"first":99,"total":3,"complete":true,"streams":"","lines":[]}
    "#);
}
