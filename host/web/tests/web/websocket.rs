//! `/ws`: Buildbot's protocol, its limits, and what a client hears that comes back.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use toolpost_core::{BuildId, Event};
use toolpost_web::WebOptions;

use crate::support::{Asker as _, TestFarm, build, step};

/// What has come by then has to have come: far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves a farm on loopback, and gives its address.
async fn serve(farm: &TestFarm) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let router = farm.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A client of `/ws`.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn try_open(
        address: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let url = format!("ws://{address}{path}");
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            let value = value.parse().expect("a value");
            request.headers_mut().insert(*name, value);
        }
        let stream = TcpStream::connect(address).await?;
        Ok(Self(client_async(request, stream).await?.0))
    }

    async fn open(address: &str, path: &str) -> Self {
        let opened = Self::try_open(address, path, &[]).await;
        opened.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The next text; `None` when the connection is over.
    async fn next(&mut self) -> Option<String> {
        let text = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(_) | Err(_)) | None => return None,
                }
            }
        };
        let text = tokio::time::timeout(PATIENCE, text).await;
        text.expect("a message comes in time")
    }

    async fn some(&mut self) -> String {
        self.next().await.expect("the connection goes on")
    }

    async fn json(&mut self) -> Value {
        let text = self.some().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Says something, and gives the answer.
    async fn ask(&mut self, say: Value) -> String {
        self.say(say.to_string()).await;
        self.some().await
    }

    async fn say(&mut self, text: String) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    async fn start(&mut self, path: &str) {
        let answer = self
            .ask(json!({"cmd": "startConsuming", "path": path, "_id": 1}))
            .await;
        assert!(
            answer.starts_with("{\"msg\":\"OK\",\"code\":200,"),
            "{answer}"
        );
    }

    /// Keys of the next events.
    async fn keys(&mut self, count: usize) -> Vec<String> {
        let mut keys = Vec::new();
        for _ in 0..count {
            keys.push(self.numbered().await.0);
        }
        keys
    }

    /// The key of the next event, and its number.
    async fn numbered(&mut self) -> (String, String) {
        let message = self.json().await;
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        assert!(message["k"].is_string(), "{message}");
        (text("k"), text("n"))
    }
}

#[tokio::test]
async fn an_event_is_its_key_and_the_row_as_the_api_gives_it() {
    let farm = TestFarm::new().await;
    farm.build(build("unit")).await;
    let mut socket = Socket::open(&serve(&farm).await, "/ws").await;
    socket.start("builds/*/*").await;
    farm.bus
        .publish(&[Event::BuildFinished(BuildId(1), farm.builder("unit"))]);
    let finished = socket.some().await;
    assert_snapshot!(finished, @r#"{"k":"builds/1/finished","m":{"builderid":2,"buildid":1,"buildrequestid":1,"complete":true,"complete_at":1763925436,"locks_duration_s":0,"masterid":1,"number":1,"properties":{},"results":0,"started_at":1763925436,"state_string":"build successful","workerid":1}}"#);
    let row = finished
        .strip_prefix(r#"{"k":"builds/1/finished","m":"#)
        .expect("an event");
    let row = row.strip_suffix('}').expect("an object");
    let api = farm.get("/api/v2/builds/1").await.body;
    assert!(api.contains(row), "{api}");
}

#[tokio::test]
async fn commands_are_answered_as_a_stock_master_answers() {
    let farm = TestFarm::new().await;
    let mut socket = Socket::open(&serve(&farm).await, "/ws").await;
    let long = "x/".repeat(300);
    let mut said = Vec::new();
    for say in [
        json!({"cmd": "ping", "_id": 1}),
        json!({"cmd": "startConsuming", "path": "builds/*/*", "_id": "two"}),
        json!({"cmd": "startConsuming", "path": "builds/*/*", "_id": 3}),
        json!({"cmd": "startConsuming", "path": "", "_id": 4}),
        json!({"cmd": "startConsuming", "path": long, "_id": 5}),
        json!({"cmd": "stopConsuming", "path": "builds/*/*", "_id": 6}),
        json!({"cmd": "stopConsuming", "path": "builds/*/*", "_id": 7}),
        json!({"cmd": "explode", "_id": 8}),
    ] {
        said.push(socket.ask(say).await);
    }
    socket.say("hello".into()).await;
    said.push(socket.some().await);
    // A client may send text as bytes.
    let ping = Message::binary(r#"{"cmd":"ping","_id":9}"#.as_bytes());
    socket.0.send(ping).await.expect("sent");
    said.push(socket.some().await);
    assert_snapshot!(said.join("\n"), @r#"
    {"msg":"pong","code":200,"_id":1}
    {"msg":"OK","code":200,"_id":"two"}
    {"msg":"OK","code":200,"_id":3}
    {"msg":"OK","code":200,"_id":4}
    {"error":"the path of events is too long","code":400,"_id":5}
    {"msg":"OK","code":200,"_id":6}
    {"error":"path was not consumed 'builds/*/*'","code":400,"_id":7}
    {"error":"no such command type 'explode'","code":404,"_id":8}
    {"error":"a websocket frame has to be a JSON object, such as {\"cmd\": \"startConsuming\", \"path\": \"builds/*/*\", \"_id\": 1}","code":400,"_id":null}
    {"msg":"pong","code":200,"_id":9}
    "#);
    for n in 1..100 {
        socket.start(&format!("builds/{n}/*")).await;
    }
    let more = socket
        .ask(json!({"cmd": "startConsuming", "path": "logs/*/*", "_id": 1}))
        .await;
    assert_snapshot!(more, @r#"{"error":"too many events on one stream; open another one","code":400,"_id":1}"#);
}

#[tokio::test]
async fn only_pages_of_this_server_may_listen() {
    let farm = TestFarm::new().await;
    let address = serve(&farm).await;
    let origin = format!("http://{address}");
    for (headers, expected) in [
        (
            vec![("origin", "http://evil.example")],
            StatusCode::FORBIDDEN,
        ),
        (vec![("origin", "null")], StatusCode::FORBIDDEN),
        (
            vec![("host", "evil.example")],
            StatusCode::MISDIRECTED_REQUEST,
        ),
        (vec![("upgrade", "other")], StatusCode::BAD_REQUEST),
        (
            vec![("sec-websocket-version", "8")],
            StatusCode::BAD_REQUEST,
        ),
    ] {
        match Socket::try_open(&address, "/ws", &headers).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), expected, "{headers:?}"),
            Err(error) => panic!("{headers:?}: {error}"),
            Ok(_) => panic!("{headers:?}: let in"),
        }
    }
    let own = Socket::try_open(&address, "/ws", &[("origin", &origin)]).await;
    own.expect("let in").start("builds/*/*").await;
    let plain = farm.get("/ws").await;
    assert_eq!(plain.status.as_u16(), 426);
    assert_eq!(plain.header("upgrade"), "websocket");
}

#[tokio::test]
async fn as_many_clients_are_there_as_are_allowed_and_their_messages_are_short() {
    let farm = TestFarm::new().await;
    let address = serve(&farm).await;
    let mut sockets = Vec::new();
    for _ in 0..8 {
        let mut socket = Socket::open(&address, "/ws").await;
        socket.start("builds/*/*").await;
        sockets.push(socket);
    }
    match Socket::try_open(&address, "/ws", &[]).await {
        Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 503),
        other => panic!("{}", other.is_ok()),
    }
    // Whoever says too much has to go, and makes room.
    let mut long = sockets.pop().expect("a client");
    long.say("x".repeat(100_000)).await;
    assert_eq!(long.next().await, None);
    loop {
        if let Ok(mut socket) = Socket::try_open(&address, "/ws", &[]).await {
            socket.start("builds/*/*").await;
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_does_not_answer_pings_is_gone_and_who_does_stays() {
    let options = WebOptions {
        event_ping_ms: 50,
        ..WebOptions::default()
    };
    let farm = TestFarm::with_options(&[("unit", &[])], options).await;
    let address = serve(&farm).await;
    let mut silent = TcpStream::connect(&address).await.expect("connected");
    let request = format!(
        "GET /ws HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    silent.write_all(request.as_bytes()).await.expect("sent");
    let mut living = Socket::open(&address, "/ws").await;
    let mut pings = 0;
    while pings < 8 {
        let message = tokio::time::timeout(PATIENCE, living.0.next()).await;
        match message.expect("a ping comes in time") {
            Some(Ok(Message::Ping(_))) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    living.start("builds/*/*").await;
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut heard)).await;
    ended
        .expect("the silent one is dropped")
        .expect("without a failure");
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.starts_with("HTTP/1.1 101 "), "{heard}");
}

#[tokio::test]
async fn a_client_hears_an_event_once_whatever_it_listens_to() {
    let farm = TestFarm::new().await;
    let mut socket = Socket::open(&serve(&farm).await, "/ws").await;
    for path in [
        "changes/*/*",
        "changes/*/new",
        "*/*/new",
        "builds/*/properties/update",
    ] {
        socket.start(path).await;
    }
    farm.change("first", "a").await;
    farm.build(build("unit").runs()).await;
    farm.change("second", "b").await;
    let mut keys = Vec::new();
    while keys.last() != Some(&"changes/2/new".to_owned()) {
        keys.extend(socket.keys(1).await);
    }
    assert_snapshot!(keys.join("\n"), @r"
    changes/1/new
    buildsets/1/new
    buildrequests/1/new
    builds/1/new
    builds/1/properties/update
    changes/2/new
    ");
}

#[tokio::test]
async fn who_comes_back_hears_what_followed_down_to_the_key() {
    let farm = TestFarm::new().await;
    let address = serve(&farm).await;
    let paths = "path=builds/*/*&path=builders/*/builds/*/*&path=workers/*/builds/*/*";
    let mut socket = Socket::open(&address, &format!("/ws?since=now&{paths}")).await;
    // The answer says that the connection is there: what happens from here on is heard.
    socket.ask(json!({"cmd": "ping", "_id": 1})).await;
    farm.build(build("unit")).await;
    let mut all = Vec::new();
    while all
        .last()
        .is_none_or(|(key, _): &(String, _)| key != "workers/1/builds/1/finished")
    {
        all.push(socket.numbered().await);
    }
    // Nobody listens while a second build runs.
    drop(socket);
    farm.build(build("unit")).await;
    for (at, (_, number)) in all.iter().enumerate() {
        let mut again = Socket::open(&address, &format!("/ws?since={number}&{paths}")).await;
        for expected in &all[at + 1..] {
            assert_eq!(again.numbered().await, *expected);
        }
        let (key, _) = again.numbered().await;
        assert_eq!(key, "builders/2/builds/2/new");
    }
}

#[tokio::test]
async fn a_path_that_is_added_goes_back_without_repeating_what_was_heard() {
    let farm = TestFarm::new().await;
    let address = serve(&farm).await;
    let mut socket = Socket::open(&address, "/ws?since=now&path=builds/*/*").await;
    let start = |path: &str, since: &str| json!({"cmd": "startConsuming", "path": path, "since": since, "_id": 1});
    let answer = socket.ask(start("nothing", "now")).await;
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let origin = answer["n"].as_str().expect("a number").to_owned();
    farm.build(build("unit").step(step("make"))).await;
    let mut heard = Vec::new();
    while heard.last() != Some(&"builds/1/finished".to_owned()) {
        heard.extend(socket.keys(1).await);
    }
    // `*/*/finished` means what was heard already, and something else as well.
    for path in ["*/*/finished", "steps/*/*"] {
        let answer = socket.ask(start(path, &origin)).await;
        assert!(answer.contains(&format!("\"n\":\"{origin}\"")), "{answer}");
    }
    farm.change("next", "a").await;
    socket
        .say(
            json!({"cmd": "startConsuming", "path": "changes/*/*", "since": origin, "_id": 2})
                .to_string(),
        )
        .await;
    let mut later = Vec::new();
    while !later.contains(&"changes/1/new".to_owned()) {
        let message = socket.json().await;
        later.extend(message["k"].as_str().map(ToOwned::to_owned));
    }
    later.sort();
    assert_eq!(heard, ["builds/1/new", "builds/1/finished"]);
    assert_snapshot!(later.join("\n"), @r"
    changes/1/new
    steps/1/finished
    steps/1/new
    steps/1/started
    ");
}

#[tokio::test]
async fn who_was_away_for_too_long_is_told_to_read_everything_again() {
    let farm = TestFarm::new().await;
    let address = serve(&farm).await;
    let mut socket = Socket::open(&address, "/ws?since=00000000-4&path=changes/*/*").await;
    let told = socket.json().await;
    assert_eq!(
        (&told["code"], &told["_id"]),
        (&json!(410), &Value::Null),
        "{told}"
    );
    assert!(
        told["error"]
            .as_str()
            .is_some_and(|text| text.contains("read everything again"))
    );
    // From the number that comes with it nothing is missed.
    let number = told["n"].as_str().expect("a number").to_owned();
    drop(socket);
    farm.change("first", "a").await;
    let mut socket = Socket::open(&address, &format!("/ws?since={number}&path=changes/*/*")).await;
    assert_eq!(socket.keys(1).await, ["changes/1/new"]);
    let start = json!({"cmd": "startConsuming", "path": "builds/*/*", "since": "x", "_id": 7});
    let refused = socket.ask(start).await;
    assert_snapshot!(refused, @r#"{"error":"what followed that event is no longer known: too much has happened since, or the master was started again; read everything again","code":410,"_id":7}"#);
    match Socket::try_open(&address, "/ws?since=00000000-4", &[]).await {
        Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 400),
        other => panic!("{}", other.is_ok()),
    }
}

/// Passes a connection on, until it has passed on so many bytes; then both ends are dropped.
async fn cut_after(listener: &TcpListener, to: &str, bytes: usize) {
    let (mut near, _) = listener.accept().await.expect("a client");
    let mut far = TcpStream::connect(to).await.expect("a server");
    let (mut near_read, mut near_write) = near.split();
    let (far_read, mut far_write) = far.split();
    let mut limited = far_read.take(bytes as u64);
    tokio::select! {
        _ = tokio::io::copy(&mut near_read, &mut far_write) => {}
        _ = tokio::io::copy(&mut limited, &mut near_write) => {}
    }
}

#[tokio::test]
async fn a_client_that_is_cut_off_under_load_and_resumes_has_seen_every_event_once() {
    const PATHS: &str =
        "path=*/*/*&path=builders/*/builds/*/*&path=builds/*/steps/*/*&path=steps/*/logs/*/*";
    const BUILDS: usize = 60;
    let farm = TestFarm::new().await;
    let address = serve(&farm).await;
    let mut steady = Socket::open(&address, &format!("/ws?since=now&{PATHS}")).await;
    let here = json!({"cmd": "startConsuming", "path": "nothing", "since": "now", "_id": 1});
    let here: Value = serde_json::from_str(&steady.ask(here).await).expect("JSON");
    let origin = here["n"].as_str().expect("a number").to_owned();

    let load = async {
        for _ in 0..BUILDS {
            let make = step("make").log("stdio", "one\ntwo\n");
            farm.build(build("unit").step(make)).await;
        }
        farm.change("the end", "a").await;
    };
    let to_the_end = async |socket: &mut Socket, seen: &mut Vec<(String, String)>| {
        while seen.last().is_none_or(|(key, _)| key != "changes/1/new") {
            let Some(text) = socket.next().await else {
                return false;
            };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            let text = |name: &str| message[name].as_str().map(ToOwned::to_owned);
            seen.push((text("k").expect("an event"), text("n").expect("a number")));
        }
        true
    };
    let steady = async {
        let mut seen = Vec::new();
        assert!(to_the_end(&mut steady, &mut seen).await);
        seen
    };
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy_address = proxy.local_addr().expect("an address").to_string();
    let cut = async {
        let (mut seen, mut last, mut cuts) = (Vec::new(), origin.clone(), 0);
        loop {
            let path = format!("/ws?since={last}&{PATHS}");
            // In the middle of a message as well as between two, and sometimes before the first.
            let bytes = 200 + cuts * 7_919 % 40_000;
            let connection = async {
                match Socket::try_open(&proxy_address, &path, &[]).await {
                    Ok(mut socket) => to_the_end(&mut socket, &mut seen).await,
                    Err(_) => false,
                }
            };
            let (_, ended) = tokio::join!(cut_after(&proxy, &address, bytes), connection);
            if ended {
                return (seen, cuts);
            }
            cuts += 1;
            last = seen.last().map_or(last, |(_, number)| number.clone());
        }
    };
    let ((), steady, (cut, cuts)) = tokio::join!(load, steady, cut);
    assert!(cuts >= 10, "cut off {cuts} times");
    assert_eq!(cut, steady);
    for n in 1..=BUILDS {
        let finished = format!("builds/{n}/finished");
        assert_eq!(
            cut.iter().filter(|(key, _)| *key == finished).count(),
            1,
            "{finished}"
        );
    }
    let numbers: Vec<u64> = cut
        .iter()
        .map(|(_, number)| {
            number
                .rsplit_once('-')
                .expect("a run")
                .1
                .parse()
                .expect("a number")
        })
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "numbers grow");
}
