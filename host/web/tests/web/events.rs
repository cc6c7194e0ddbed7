//! Event streams.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Response};
use futures::StreamExt as _;
use insta::assert_snapshot;
use toolpost_bus::Bus;
use toolpost_core::model::LogType;
use toolpost_core::{BuildId, BuilderId, Event};

use crate::support::{Asker, NOW, TestFarm, build, step};

/// What has come by then has to have come: far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream, read event by event.
struct Stream {
    body: axum::body::BodyDataStream,
    rest: String,
}

impl Stream {
    async fn open(farm: &TestFarm, path: &str) -> Self {
        let response: Response<Body> = farm.open(Method::GET, path, &[], "").await;
        assert_eq!(response.status().as_u16(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body().into_data_stream(),
            rest: String::new(),
        }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let event = event.to_owned();
                self.rest = rest.to_owned();
                return Some(event);
            }
            let piece = tokio::time::timeout(PATIENCE, self.body.next()).await;
            match piece.expect("an event comes in time") {
                Some(piece) => self.rest += &String::from_utf8_lossy(&piece.expect("no failure")),
                None => return None,
            }
        }
    }

    async fn some(&mut self) -> String {
        self.next().await.expect("the stream goes on")
    }

    /// The handshake's id.
    async fn handshake(&mut self) -> String {
        let first = self.some().await;
        let id = first.strip_prefix("event: handshake\ndata: ");
        let (id, _) = id
            .and_then(|id| id.split_once("\nid: "))
            .unwrap_or_else(|| panic!("{first}"));
        id.to_owned()
    }

    /// The keys of so many events.
    async fn keys(&mut self, count: usize) -> Vec<String> {
        let mut keys = Vec::new();
        for _ in 0..count {
            keys.push(self.numbered().await.0);
        }
        keys
    }

    /// The key of the next event, and its number.
    async fn numbered(&mut self) -> (String, String) {
        let event = self.some().await;
        let data = event.strip_prefix("event: event\ndata: ");
        let (data, id) = data
            .and_then(|data| data.split_once("\nid: "))
            .unwrap_or_else(|| panic!("{event}"));
        let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
        let segments = data["key"].as_array().expect("a list");
        let segments = segments
            .iter()
            .map(|segment| segment.as_str().expect("a text"));
        (segments.collect::<Vec<_>>().join("/"), id.to_owned())
    }
}

#[tokio::test]
async fn an_event_carries_the_row_as_the_api_gives_it() {
    let farm = TestFarm::new().await;
    farm.build(build("unit")).await;
    let mut stream = Stream::open(&farm, "/sse/listen/builds/*/*").await;
    stream.handshake().await;
    farm.bus
        .publish(&[Event::BuildFinished(BuildId(1), farm.builder("unit"))]);
    let finished = stream.some().await;
    let (finished, _) = finished.split_once("\nid: ").expect("a number");
    assert_snapshot!(finished, @r#"
    event: event
    data: {"key":["builds","1","finished"],"message":{"builderid":2,"buildid":1,"buildrequestid":1,"complete":true,"complete_at":1763925436,"locks_duration_s":0,"masterid":1,"number":1,"properties":{},"results":0,"started_at":1763925436,"state_string":"build successful","workerid":1}}
    "#);
    let (_, message) = finished.split_once("\"message\":").expect("a message");
    let message = message.strip_suffix('}').expect("an object");
    let row = farm.get("/api/v2/builds/1").await.body;
    assert!(row.contains(message), "{row}");
}

#[tokio::test]
async fn a_build_from_request_to_end() {
    let farm = TestFarm::new().await;
    let mut stream = Stream::open(&farm, "/sse/listen/*/*/*").await;
    let id = stream.handshake().await;
    for pattern in [
        "builders/*/builds/*/*",
        "builds/*/steps/*/*",
        "workers/*/builds/*/*",
        "steps/*/logs/*/*",
    ] {
        assert_eq!(
            farm.get(&format!("/sse/add/{id}/{pattern}")).await.body,
            "ok"
        );
    }
    farm.build(build("unit").step(step("make").log("stdio", "x\n")))
        .await;
    let mut keys = Vec::new();
    while !keys
        .iter()
        .any(|key: &String| key.starts_with("buildsets/") && key.ends_with("/complete"))
    {
        keys.extend(stream.keys(1).await);
    }
    assert_snapshot!(keys.join("\n"), @r#"
    buildsets/1/new
    buildrequests/1/new
    buildrequests/1/claimed
    builders/2/builds/1/new
    builds/1/new
    workers/1/builds/1/new
    builds/1/steps/1/new
    steps/1/new
    builds/1/steps/1/started
    steps/1/started
    logs/1/new
    steps/1/logs/stdio/new
    logs/1/append
    steps/1/logs/stdio/append
    logs/1/finished
    steps/1/logs/stdio/finished
    builds/1/steps/1/finished
    steps/1/finished
    builders/2/builds/1/finished
    builds/1/finished
    workers/1/builds/1/finished
    buildrequests/1/complete
    buildsets/1/complete
    "#);
}

#[tokio::test]
async fn patterns_come_and_go_by_the_id_of_the_handshake() {
    let farm = TestFarm::new().await;
    let mut stream = Stream::open(&farm, "/sse/listen").await;
    let id = stream.handshake().await;
    let get = async |path: String| {
        let answer = farm.get(&path).await;
        format!("{} {}", answer.status.as_u16(), answer.body)
    };
    assert_eq!(get(format!("/sse/add/{id}/changes/*/new")).await, "200 ok");
    farm.change("first", "a").await;
    assert_eq!(stream.keys(1).await, ["changes/1/new"]);
    assert_eq!(
        get(format!("/sse/remove/{id}/changes/*/new")).await,
        "200 ok"
    );
    assert_eq!(
        get(format!("/sse/remove/{id}/changes/*/new")).await,
        "404 consumer is not listening to this event"
    );
    assert_eq!(
        get("/sse/add/nobody/changes/*/new".into()).await,
        "400 unknown uuid"
    );
    assert_eq!(get("/sse/add".into()).await, "400 need uuid");
    assert_eq!(
        get(format!("/sse/add/{id}/buildsets/*/new")).await,
        "200 ok"
    );
    farm.change("second", "b").await;
    farm.request(&build("docs")).await;
    assert_eq!(stream.keys(1).await, ["buildsets/1/new"]);
}

#[tokio::test]
async fn workers_come_and_go() {
    let farm = TestFarm::new().await;
    let mut stream = Stream::open(&farm, "/sse/listen/workers/*/*").await;
    stream.handshake().await;
    let (store, worker) = (&farm.store, farm.worker("local"));
    // Each is heard before the next: an event says what is true when it is read.
    for (connected, heard) in [
        (false, "workers/1/disconnected"),
        (true, "workers/1/connected"),
    ] {
        let set = store.set_worker_connected(worker, farm.master_id, connected, None, NOW);
        set.await.expect("set");
        assert_eq!(stream.keys(1).await, [heard]);
    }
    store
        .set_worker_paused(worker, true, Some("disk"))
        .await
        .expect("set");
    assert_eq!(stream.keys(1).await, ["workers/1/state_updated"]);
    for heard in ["workers/1/disconnected", "workers/1/missing"] {
        if heard.ends_with("missing") {
            assert!(store.miss_worker(worker, NOW).await.expect("missed"));
        } else {
            let gone = store.set_worker_connected(worker, farm.master_id, false, None, NOW);
            gone.await.expect("set");
        }
        assert_eq!(stream.keys(1).await, [heard]);
    }
}

#[tokio::test]
async fn as_many_streams_are_open_as_are_allowed() {
    let farm = TestFarm::new().await;
    let mut open = Vec::new();
    for _ in 0..8 {
        let mut stream = Stream::open(&farm, "/sse/listen/builds/*/*").await;
        stream.handshake().await;
        open.push(stream);
    }
    assert_eq!(
        farm.get("/sse/listen/builds/*/*").await.status.as_u16(),
        503
    );
    open.pop();
    let mut again = Stream::open(&farm, "/sse/listen/builds/*/*").await;
    again.handshake().await;
}

#[tokio::test]
async fn whoever_cannot_keep_up_is_told() {
    let farm = TestFarm::new().await;
    let built = farm.build(build("unit").runs()).await;
    let mut stream = Stream::open(&farm, "/sse/listen/builds/*/*").await;
    stream.handshake().await;
    // More than the bus and the stream hold together, while nobody reads.
    let finished = [
        Event::BuildFinished(built.id, built.builder_id),
        Event::BuildStarted(built.id, built.builder_id),
    ];
    for _ in 0..20_000 {
        farm.bus.publish(&finished);
    }
    loop {
        let event = stream.some().await;
        if let Some(data) = event.strip_prefix("event: lagged\ndata: ") {
            let (data, _) = data.split_once("\nid: ").expect("a number");
            let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
            assert!(data["missed"].as_u64() > Some(0), "{data}");
            break;
        }
    }
}

#[tokio::test]
async fn streams_end_with_the_bus() {
    let farm = TestFarm::new().await;
    let mut stream = Stream::open(&farm, "/sse/listen/builds/*/*").await;
    let mut page = Stream::open(&farm, "/live?watch=builds/*/*").await;
    stream.handshake().await;
    assert!(page.some().await.contains("event: hello"));
    farm.bus.close();
    assert_eq!(stream.next().await, None);
    assert_eq!(page.next().await, None);
    assert_eq!(
        farm.get("/sse/listen/builds/*/*").await.status.as_u16(),
        503
    );
}

#[tokio::test]
async fn a_page_hears_what_it_watches_gathered() {
    let farm = TestFarm::new().await;
    let mut page = Stream::open(&farm, "/live?watch=builds/*/*&watch=logs/*/*").await;
    assert!(page.some().await.contains("event: hello"));
    farm.build(build("unit").step(step("make").log("stdio", "x\n")))
        .await;
    let mut keys = Vec::new();
    while !keys.contains(&"builds/1/finished".to_owned()) {
        let event = page.some().await;
        let data = event
            .strip_prefix("event: changed\ndata: ")
            .unwrap_or_else(|| panic!("{event}"));
        keys.extend(serde_json::from_str::<Vec<String>>(data).expect("JSON"));
    }
    assert!(keys.contains(&"builds/1/new".to_owned()), "{keys:?}");
    assert!(keys.contains(&"logs/1/finished".to_owned()), "{keys:?}");
    assert!(
        !keys.iter().any(|key| key.starts_with("steps/")),
        "{keys:?}"
    );
}

#[tokio::test]
async fn a_growing_log_is_followed() {
    let farm = TestFarm::new().await;
    let built = farm.build(build("unit").runs()).await;
    let (step, _) = farm.step(built.id, step("make").runs("making"), NOW).await;
    let log = farm
        .store
        .add_log(step, "stdio", LogType::Stdio)
        .await
        .expect("a log");
    let mut writer = farm.store.log_writer(log, LogType::Stdio);
    let mut page = Stream::open(&farm, &format!("/live?watch=logs/{log}/*")).await;
    page.some().await;
    for n in 1..=3 {
        writer
            .append(
                toolpost_store::LogStream::Output,
                format!("line {n}\n").as_bytes(),
            )
            .await;
        writer.flush().await;
        let event = page.some().await;
        assert_eq!(
            event,
            format!("event: changed\ndata: [\"logs/{log}/append\"]")
        );
        let lines = farm
            .get(&format!("/logs/{log}/lines?first={}", n - 1))
            .await
            .json();
        assert_eq!(lines["lines"][0], format!("line {n}"));
        assert_eq!(
            (&lines["total"], &lines["complete"]),
            (&n.into(), &false.into())
        );
    }
    writer.finish(NOW).await.expect("finished");
    assert_eq!(
        page.some().await,
        format!("event: changed\ndata: [\"logs/{log}/finished\"]")
    );
    assert_eq!(
        farm.get(&format!("/logs/{log}/lines")).await.json()["complete"],
        true
    );
}

#[tokio::test]
async fn events_about_what_is_gone_are_passed_over() {
    let farm = TestFarm::new().await;
    let mut stream = Stream::open(&farm, "/sse/listen/*/*/*").await;
    stream.handshake().await;
    let bus: &Bus = &farm.bus;
    bus.publish(&[
        Event::BuildFinished(BuildId(99), BuilderId(1)),
        Event::Plugin("test-summary".into()),
        Event::Configuration,
    ]);
    assert_eq!(
        stream.keys(2).await,
        ["plugins/test-summary/update", "configuration/master/update"]
    );
}

#[tokio::test]
async fn who_comes_back_with_the_last_id_hears_the_rest() {
    let farm = TestFarm::new().await;
    let path = "/sse/listen/changes/*/new?path=buildsets/*/*";
    let mut stream = Stream::open(&farm, path).await;
    stream.handshake().await;
    farm.change("first", "a").await;
    let (_, last) = stream.numbered().await;
    drop(stream);
    farm.change("second", "b").await;
    farm.request(&build("docs")).await;
    // A browser sends the header, and the address is the one that it began with.
    let open = async |path: &str, headers: &[(&str, &str)]| {
        let response = farm.open(Method::GET, path, headers, "").await;
        Stream {
            body: response.into_body().into_data_stream(),
            rest: String::new(),
        }
    };
    let began = format!("{path}&since=now");
    let mut again = open(&began, &[("last-event-id", &last)]).await;
    again.handshake().await;
    assert_eq!(again.keys(2).await, ["changes/2/new", "buildsets/1/new"]);
    let mut asked = open(&format!("{path}&since={last}"), &[]).await;
    asked.handshake().await;
    assert_eq!(asked.keys(1).await, ["changes/2/new"]);
    // What is not known (any more) is said, and what is new follows.
    let mut lost = open(path, &[("last-event-id", "00000000-4")]).await;
    assert!(lost.some().await.starts_with("event: handshake\n"));
    let reset = lost.some().await;
    assert!(
        reset.starts_with("event: reset\ndata: {\"error\":"),
        "{reset}"
    );
    assert!(reset.contains("read everything again"), "{reset}");
    let (_, here) = reset.split_once("\nid: ").expect("a number");
    drop(lost);
    let mut from_there = open(path, &[("last-event-id", here)]).await;
    from_there.handshake().await;
    farm.change("third", "c").await;
    assert_eq!(from_there.keys(1).await, ["changes/3/new"]);
}
