//! The pages that people look at: rendered here, usable without scripts, kept up to date by them.

mod actions;
mod build;
mod builders;
mod callplot;
mod changes;
mod error;
#[expect(
    unreachable_pub,
    reason = "the macro of the filters makes items that are more public than ours"
)]
mod filters;
mod force;
pub(crate) mod home;
mod kept;
mod locks;
mod log;
mod parts;
mod patch;
mod pending;
mod plot;
mod plugins;
mod reference;
mod reporters;
mod rows;
mod shell;
mod why;
mod workers;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Response};
use axum::routing::{get, post};

pub(crate) use self::parts::When;
pub(crate) use self::shell::{Ask, Section, Shell};
use crate::error::ApiError;
use crate::state::Web;
use crate::ui;

/// Every page, and every button on them.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/builders", get(builders::list))
        .route("/builders/{builder}", get(builders::one))
        .route(
            "/builders/{builder}/builds/{number}",
            get(builders::numbered),
        )
        .route("/builds/{build}", get(build::page))
        .route("/builds/{build}/patches/{patch}", get(patch::raw))
        .route("/builds/{build}/stop", post(actions::stop))
        .route("/builds/{build}/rebuild", post(actions::rebuild))
        .route("/logs/{log}", get(log::page))
        .route("/logs/{log}/lines", get(log::lines_json))
        .route("/logs/{log}/raw", get(log::raw))
        .route("/pending", get(pending::page))
        .route("/requests/{request}", get(kept::request))
        .route("/requests/{request}/why", get(why::page))
        .route("/requests/{request}/cancel", post(actions::cancel))
        .route("/locks", get(locks::page))
        .route("/workers", get(workers::list))
        .route("/workers/{worker}", get(workers::one))
        .route("/workers/{worker}/pause", post(actions::pause))
        .route("/workers/{worker}/unpause", post(actions::unpause))
        .route("/workers/{worker}/stop", post(actions::stop_worker))
        .route("/workers/{worker}/kill", post(actions::kill_worker))
        .route("/changes", get(changes::page))
        .route("/schedulers/{scheduler}/skip", post(actions::skip))
        .route("/plugins", get(plugins::list))
        .route("/plugins/reload", post(actions::reload_plugins))
        .route("/plugins/{plugin}", get(plugins::one))
        .route("/plugins/{plugin}/rollback", post(actions::rollback))
        .route("/reporters", get(reporters::page))
        .route("/reporters/{reporter}/resend", post(actions::resend_dead))
        .route("/deliveries/{delivery}/resend", post(actions::resend))
        .route("/deliveries/{delivery}/discard", post(actions::discard))
        .route("/force/{scheduler}", get(force::show).post(force::submit))
        .route("/reference", get(reference::index))
        .route("/reference/{tag}", get(reference::group))
        .route("/theme", post(actions::theme))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
}

async fn unknown_path(State(web): State<Web>, method: Method, ask: Ask) -> Response<Body> {
    let path = ask.uri.path().to_owned();
    if matches!(method, Method::GET | Method::HEAD)
        && let Some(file) = ui::file(&web, &path, &ask.headers).await
    {
        return file;
    }
    ask.fail(&web, &ApiError::not_found(format!("page {path}")))
}

async fn wrong_method(State(web): State<Web>, method: Method, ask: Ask) -> Response<Body> {
    ask.fail(&web, &ApiError::Method(method))
}
