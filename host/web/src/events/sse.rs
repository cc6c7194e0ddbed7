//! `/sse`, as Buildbot has it: `listen/PATTERN` opens a stream that begins with a handshake event carrying an id;
//! `add/ID/PATTERN` and `remove/ID/PATTERN` change what that stream carries. Facts from Buildbot's manual, section
//! "Server-Sent Events".

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use futures::stream;

use super::{Client, Heard, Pattern, Refused};
use crate::state::Web;

/// A comment goes out when nothing else did for this long, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/sse", get(open))
        .route("/sse/", get(open))
        .route("/sse/{*path}", get(command))
}

async fn open(State(web): State<Web>) -> Response<Body> {
    listen(&web, "")
}

async fn command(State(web): State<Web>, Path(path): Path<String>) -> Response<Body> {
    let (command, rest) = path.split_once('/').unwrap_or((&path, ""));
    match command {
        "listen" => listen(&web, rest),
        "add" | "remove" => change(&web, command, rest),
        _ => listen(&web, &path),
    }
}

fn listen(web: &Web, pattern: &str) -> Response<Body> {
    match web
        .events
        .listen(Pattern::parse(pattern).into_iter().collect())
    {
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
    match refused {
        Refused::UnknownClient => text(StatusCode::BAD_REQUEST, "unknown uuid"),
        Refused::NotListening => text(
            StatusCode::NOT_FOUND,
            "consumer is not listening to this event",
        ),
        Refused::TooManyPatterns => text(
            StatusCode::BAD_REQUEST,
            "too many events on one stream; open another one",
        ),
        Refused::Ended => text(StatusCode::SERVICE_UNAVAILABLE, "the master is stopping"),
        Refused::Full => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "as many event streams are open as this server allows; close some and try again",
        ),
    }
}

fn text(status: StatusCode, message: &'static str) -> Response<Body> {
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, plain, message).into_response()
}

/// The handshake, then whatever the client listens to.
fn stream_of(client: Client) -> Response<Body> {
    let handshake = Bytes::from(format!("event: handshake\ndata: {}\n\n", client.id()));
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
    loop {
        let Ok(heard) = tokio::time::timeout(KEEP_ALIVE, client.hear()).await else {
            return Some(Bytes::from_static(b": still here\n\n"));
        };
        let message = match heard {
            Heard::Event(message) => message,
            Heard::Missed(missed) => return Some(lagged(missed)),
            Heard::End => return None,
        };
        match client.wanted(&message).as_slice() {
            [] => {}
            [one] => return Some(one.frame.clone()),
            several => {
                let frames: Vec<&[u8]> = several.iter().map(|keyed| &keyed.frame[..]).collect();
                return Some(Bytes::from(frames.concat()));
            }
        }
    }
}

/// Tells a client that it missed events, so that it reads again what it shows.
fn lagged(missed: u64) -> Bytes {
    Bytes::from(format!("event: lagged\ndata: {{\"missed\":{missed}}}\n\n"))
}
