//! `/sse`, as Buildbot has it: `listen/PATTERN` opens a stream that begins with a handshake event carrying an id;
//! `add/ID/PATTERN` and `remove/ID/PATTERN` change what that stream carries. Facts from Buildbot's manual, section
//! "Server-Sent Events".
//!
//! Ours in addition: each event has an `id`, and who comes back with the last one, in the header `Last-Event-ID` as browsers do by
//! themselves or as `?since=ID`, hears what followed it. `?path=PATTERN`, as often as wanted, listens to more from the beginning.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use serde_json::Value;

use super::client::Event;
use super::{Asked, Client, Heard, Pattern, Refused, Since};
use crate::api::json;
use crate::auth::Pass;
use crate::state::Web;

/// A comment goes out when nothing else did for this long, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/sse", get(open))
        .route("/sse/", get(open))
        .route("/sse/{*path}", get(command))
}

async fn open(
    State(web): State<Web>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    extensions: Extensions,
) -> Response<Body> {
    let pass = Pass::of(&web, &extensions);
    listen(&web, pass, "", &headers, query.as_deref())
}

async fn command(
    State(web): State<Web>,
    Path(path): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    extensions: Extensions,
) -> Response<Body> {
    let pass = Pass::of(&web, &extensions);
    let (command, rest) = path.split_once('/').unwrap_or((&path, ""));
    match command {
        "listen" => listen(&web, pass, rest, &headers, query.as_deref()),
        "add" | "remove" => change(&web, command, rest),
        _ => listen(&web, pass, &path, &headers, query.as_deref()),
    }
}

fn listen(
    web: &Web,
    pass: Pass,
    pattern: &str,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Response<Body> {
    let asked = Asked::parse(query);
    let last = headers.get("last-event-id");
    let last = last.map(|last| String::from_utf8_lossy(last.as_bytes()));
    // A browser that comes back sends the header; the address is still the one that it was opened with.
    let since = last.as_deref().or(asked.since.as_deref()).unwrap_or("now");
    let patterns = std::iter::once(pattern).chain(asked.paths.iter().map(String::as_str));
    let patterns = patterns.filter_map(Pattern::parse).collect();
    match web.events.listen(patterns, Since::parse(since), pass) {
        Ok(client) => stream_of(client),
        Err(refused) => refuse(refused),
    }
}

fn change(web: &Web, command: &str, rest: &str) -> Response<Body> {
    let (client, pattern) = rest.split_once('/').unwrap_or((rest, ""));
    if client.is_empty() {
        return text(StatusCode::BAD_REQUEST, "need uuid");
    }
    let Some(pattern) = Pattern::parse(pattern) else {
        return text(
            StatusCode::BAD_REQUEST,
            "need a path of events, such as builds/*/new",
        );
    };
    let changed = match command {
        "add" => web.events.add(client, pattern),
        _ => web.events.remove(client, &pattern),
    };
    match changed {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(refused) => refuse(refused),
    }
}

fn refuse(refused: Refused) -> Response<Body> {
    text(refused.status(), refused.text())
}

fn text(status: StatusCode, message: &'static str) -> Response<Body> {
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, plain, message).into_response()
}

/// The handshake, then whatever the client listens to.
fn stream_of(client: Client) -> Response<Body> {
    // Who still has to hear that something is missing has no number yet to come back with.
    let here = client.here_if_known().map(|here| format!("id: {here}\n"));
    let here = here.unwrap_or_default();
    let id = client.id();
    let handshake = Bytes::from(format!("event: handshake\ndata: {id}\n{here}\n"));
    let frames = stream::unfold((client, Some(handshake)), async |(mut client, first)| {
        let frame = match first {
            Some(handshake) => handshake,
            None => next_frame(&mut client).await?,
        };
        Some((Ok::<_, std::convert::Infallible>(frame), (client, None)))
    });
    response(Body::from_stream(frames))
}

/// Headers of an event stream.
pub(super) fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would gather events otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Waits for something to send; `None` at the end of the events.
async fn next_frame(client: &mut Client) -> Option<Bytes> {
    let Ok(heard) = tokio::time::timeout(KEEP_ALIVE, client.hear()).await else {
        return Some(Bytes::from_static(b": still here\n\n"));
    };
    match heard {
        Heard::Event(event) => Some(frames(client, &event)),
        Heard::Missed(missed) => Some(told(
            "lagged",
            &serde_json::json!({ "missed": missed }),
            client,
        )),
        Heard::TooOld => {
            let data = serde_json::json!({ "error": Refused::TooOld.text() });
            Some(told("reset", &data, client))
        }
        Heard::End | Heard::Refused => None,
    }
}

/// An event under each of its keys that the client listens to.
fn frames(client: &Client, event: &Event) -> Bytes {
    let mut frames = Vec::with_capacity(512);
    for (key, number, row) in event.messages(client) {
        frames.extend_from_slice(b"event: event\ndata: {\"key\":");
        json::list(&mut frames, key.split('/'), json::text);
        frames.extend_from_slice(b",\"message\":");
        frames.extend_from_slice(row);
        frames.extend_from_slice(b"}\nid: ");
        frames.extend_from_slice(number.as_bytes());
        frames.extend_from_slice(b"\n\n");
    }
    frames.into()
}

/// Tells a client that it has to read again what it shows; what it hears from here on is complete.
fn told(event: &str, data: &Value, client: &Client) -> Bytes {
    let here = client.here();
    Bytes::from(format!("event: {event}\ndata: {data}\nid: {here}\n\n"))
}
