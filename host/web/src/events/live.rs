//! `/live?watch=PATTERN`: what pages listen to. It says only that something changed, and seldom enough that a page may
//! read itself again each time.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Extensions, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Client, Heard, Pattern, Since};
use crate::auth::Pass;
use crate::state::Web;

/// Changes within this time are told together.
const GATHER: Duration = Duration::from_millis(250);

/// A comment goes out when nothing else did for this long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Keys that are named; beyond that everything may have changed.
const KEYS_NAMED_MAX: usize = 50;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/live", get(live))
}

async fn live(
    State(web): State<Web>,
    RawQuery(query): RawQuery,
    extensions: Extensions,
) -> Response<Body> {
    let query = query.unwrap_or_default();
    let patterns: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "watch")
        .filter_map(|(_, pattern)| Pattern::parse(&pattern))
        .collect();
    let Ok(client) = web
        .events
        .listen(patterns, Since::Now, Pass::of(&web, &extensions))
    else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many event streams are open",
        )
            .into_response();
    };
    let hello = Bytes::from_static(b"retry: 2000\nevent: hello\ndata: {}\n\n");
    let frames = stream::unfold((client, Some(hello)), async |(mut client, first)| {
        let frame = match first {
            Some(hello) => hello,
            None => changes(&mut client).await?,
        };
        Some((Ok::<_, std::convert::Infallible>(frame), (client, None)))
    });
    super::sse::response(Body::from_stream(frames))
}

/// Waits for a change, gathers what follows closely, and tells it; `None` at the end of the events.
async fn changes(client: &mut Client) -> Option<Bytes> {
    let mut keys = BTreeSet::new();
    let quiet_until = Instant::now() + KEEP_ALIVE;
    while keys.is_empty() {
        let Ok(heard) = timeout_at(quiet_until, client.hear()).await else {
            return Some(Bytes::from_static(b": still here\n\n"));
        };
        gather(heard, &mut keys)?;
    }
    let until = Instant::now() + GATHER;
    while let Ok(heard) = timeout(
        until.saturating_duration_since(Instant::now()),
        client.hear(),
    )
    .await
    {
        gather(heard, &mut keys)?;
    }
    if keys.len() > KEYS_NAMED_MAX {
        keys = BTreeSet::from(["*".to_owned()]);
    }
    let keys = serde_json::Value::from_iter(keys);
    Some(Bytes::from(format!("event: changed\ndata: {keys}\n\n")))
}

fn gather(heard: Heard, keys: &mut BTreeSet<String>) -> Option<()> {
    match heard {
        Heard::End | Heard::Refused => return None,
        Heard::Missed(_) | Heard::TooOld => {
            keys.insert("*".to_owned());
        }
        Heard::Event(event) => keys.extend(event.keys().map(ToOwned::to_owned)),
    }
    Some(())
}
