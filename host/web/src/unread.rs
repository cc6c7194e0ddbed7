//! What is left of a body that nobody read to its end, because the request was refused: it is read and thrown away, so that a client
//! which sends all of it before it looks for the answer finds the answer, and not a connection that was broken off.
//!
//! Invariant: no more than a piece is in memory, and it ends: after so many bytes, and after so long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::middleware::Next;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::runtime::Handle;

/// Whoever sends more than this to no avail may find the connection broken off.
const THROWN_AWAY_BYTES_MAX: usize = 64 << 20;
/// The same for whoever takes longer.
const THROWN_AWAY_WAIT_MAX: Duration = Duration::from_secs(20);

/// Sees to what a request leaves unread.
pub(crate) async fn throw_away(request: Request, next: Next) -> Response<Body> {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    next.run(request.map(|body| Body::new(Read(Some(body)))))
        .await
}

/// A body that is read to its end by somebody.
struct Read(Option<Body>);

impl hyper::body::Body for Read {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        let Some(rest) = self.0.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        // The answer goes out meanwhile. Where no runtime is left, nobody waits for it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(tokio::time::timeout(
                THROWN_AWAY_WAIT_MAX,
                read_to_end(rest),
            ));
        }
    }
}

async fn read_to_end(mut body: Body) {
    let mut read_bytes = 0_usize;
    while let Some(Ok(frame)) = body.frame().await {
        read_bytes = read_bytes.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if read_bytes > THROWN_AWAY_BYTES_MAX {
            return;
        }
    }
}
