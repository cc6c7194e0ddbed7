//! A master that starts: who reads is answered, who wants something done waits until the master can do it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;

use crate::security::is_safe;
use crate::state::Web;

/// How long a request waits. A large component takes seconds to compile, several on a busy machine minutes.
const READY_WAIT: Duration = Duration::from_secs(5 * 60);

/// Lets requests that change something through as soon as the master works.
pub(crate) async fn wait_until_ready(
    State(web): State<Web>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if is_safe(request.method()) {
        return next.run(request).await;
    }
    let ready = tokio::time::timeout(READY_WAIT, web.master.ready()).await;
    if ready.is_ok() {
        return next.run(request).await;
    }
    let text =
        "the master starts and is not ready yet; the page of its plugins says what it waits for\n";
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, "5")],
        text,
    )
        .into_response()
}
