//! What a farm shows to the world over HTTP: REST API v2 with Buildbot's paths, event streams, and the pages that people
//! look at.
//!
//! Reads the store, hears the bus, and asks the master (through [`Control`]) for the few things that are not rows. It
//! writes to the store only who is logged in, their tokens, and what they did; and it holds no truth: what it keeps is given only while nothing that it is made of has changed.
//!
//! Entry point: [`router`]. Code map: `api` parses paths and queries and writes rows as JSON; `artifacts` gives uploaded files; `events` tells who listens
//! what happened; `pages` renders HTML from `templates/`; `ansi` makes log lines safe to show; `cache` keeps answers
//! while they are true, `caching` says who else may; `unread` sees to what refused requests still send; `security` holds for everything, and `auth` says who may do what;
//! `ui` serves Buildbot's own web interface from where the user has installed it.

mod ansi;
mod api;
mod artifacts;
mod assets;
mod auth;
mod cache;
mod caching;
mod control;
mod error;
mod events;
mod forms;
mod metrics;
mod pages;
mod reactor;
mod security;
mod starting;
mod state;
mod ui;
mod unread;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{Response, StatusCode};
use axum::middleware;
use axum::response::IntoResponse;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

pub use auth::doors::{DoorInfo, doors};
pub use control::{Control, Farm, Place, PluginLoad, SharedControl, WorkerSettings, names_of};
pub use reactor::Reactor;
pub use state::{Clock, SHARED_AGE_MAX_MS, WebOptions, WebState};

use state::Web;

/// Everything that is served. Starts the task that reads for the event streams, so call it within the runtime that is to
/// serve; the task ends, and the streams with it, when the bus is closed.
pub fn router(state: WebState) -> Router {
    let body_bytes_max = state.options.body_bytes_max;
    let timeout = Duration::from_millis(state.options.request_timeout_ms);
    let web = Web::start(state);
    Router::new()
        .merge(pages::routes())
        .merge(api::routes())
        .merge(metrics::routes())
        .merge(events::routes())
        .merge(artifacts::routes())
        .merge(assets::routes())
        .merge(ui::routes())
        .merge(auth::routes())
        .layer(middleware::from_fn_with_state(
            web.clone(),
            security::same_site,
        ))
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            timeout,
        ))
        // Its wait is none of the time that an answer has.
        .layer(middleware::from_fn_with_state(
            web.clone(),
            starting::wait_until_ready,
        ))
        .layer(middleware::from_fn_with_state(web.clone(), auth::gate))
        .layer(middleware::from_fn_with_state(
            web.clone(),
            security::known_host,
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(security::headers))
        .layer(middleware::from_fn(caching::keep_apart))
        // Around all that may refuse a request.
        .layer(middleware::from_fn(unread::throw_away))
        .with_state(web)
}

/// A handler that panicked costs its own request only.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!("a request ended in a defect of this program: {message}");
    let text = "a defect of this program kept it from answering; the log of the master says more";
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}
