//! What an author needs to run a failed step of a plugin again: its recording, and the component of a digest.

use axum::body::Body;
use axum::http::{Response, header};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use toolpost_core::model::Step;
use toolpost_store::Store;

use crate::error::ApiError;

/// The recording of a step, as JSON.
pub(crate) async fn recording(
    store: &Store,
    step: Option<Step>,
) -> Result<Response<Body>, ApiError> {
    let step = step.ok_or_else(|| ApiError::not_found("step"))?;
    let found = store.step_recording(step.id).await?;
    let recording = found.ok_or_else(|| {
        ApiError::not_found(
            "recording of this step: the newest failed steps of plugins have one, and of those that fail all the time some",
        )
    })?;
    Ok(kept("application/json; charset=utf-8", recording))
}

/// The component with this digest.
pub(crate) async fn component(store: &Store, digest: &str) -> Result<Response<Body>, ApiError> {
    let found = store.plugin_component(digest).await?;
    let component =
        found.ok_or_else(|| ApiError::not_found(format!("component with the digest {digest}")))?;
    Ok(kept("application/wasm", component))
}

/// Shared caches have no business with either.
fn kept(content_type: &'static str, body: Bytes) -> Response<Body> {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body).into_response()
}
