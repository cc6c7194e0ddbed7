//! Buttons: forms that are posted, do something and lead back to a page.

use axum::Form;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, header};
use axum::response::{IntoResponse, Redirect};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use toolpost_core::{BuildId, DeliveryId, ReporterId, RequestId, SchedulerId, WorkerId};

use super::shell::Ask;
use crate::auth::own_page;
use crate::error::ApiError;
use crate::state::Web;

/// Why, when nobody says.
const NO_REASON: &str = "stopped from the page of the build";

pub(super) async fn stop(
    State(web): State<Web>,
    Path(build): Path<i64>,
    ask: Ask,
) -> Response<Body> {
    let acting = web.acting(&ask.caller);
    let stopped = acting.stop_build(BuildId(build), NO_REASON).await;
    back(&web, &ask, stopped, &format!("/builds/{build}?done=stop"))
}

pub(super) async fn rebuild(
    State(web): State<Web>,
    Path(build): Path<i64>,
    ask: Ask,
) -> Response<Body> {
    match web.acting(&ask.caller).rebuild(BuildId(build)).await {
        Ok(submitted) => {
            let to = match submitted.requests.first() {
                Some((builder, _)) => format!("/builders/{builder}?done=rebuild"),
                None => "/pending?done=rebuild".to_owned(),
            };
            Redirect::to(&to).into_response()
        }
        Err(error) => ask.fail(&web, &error),
    }
}

pub(super) async fn cancel(
    State(web): State<Web>,
    Path(request): Path<i64>,
    ask: Ask,
) -> Response<Body> {
    let acting = web.acting(&ask.caller);
    let cancelled = acting.cancel(RequestId(request), "cancelled from a page");
    let cancelled = cancelled.await;
    back(&web, &ask, cancelled, "/pending?done=cancel")
}

/// What the buttons beside a worker send.
#[derive(Deserialize)]
pub(super) struct WorkerForm {
    /// Why, if somebody says.
    #[serde(default)]
    reason: String,
    /// `worker` on the page of one worker, so that its buttons lead back there.
    #[serde(default)]
    back: String,
}

impl WorkerForm {
    fn reason(&self) -> &str {
        match self.reason.trim() {
            "" => "asked for on a page",
            reason => reason,
        }
    }

    fn back(&self, worker: i64, done: &str) -> String {
        match self.back.as_str() {
            "worker" => format!("/workers/{worker}?done={done}"),
            _ => format!("/workers?done={done}"),
        }
    }
}

pub(super) async fn pause(
    State(web): State<Web>,
    Path(worker): Path<i64>,
    ask: Ask,
    Form(form): Form<WorkerForm>,
) -> Response<Body> {
    let acting = web.acting(&ask.caller);
    let paused = acting.pause(WorkerId(worker), form.reason()).await;
    let to = form.back(worker, "pause");
    back(&web, &ask, paused, &to)
}

pub(super) async fn unpause(
    State(web): State<Web>,
    Path(worker): Path<i64>,
    ask: Ask,
    Form(form): Form<WorkerForm>,
) -> Response<Body> {
    let unpaused = web.acting(&ask.caller).unpause(WorkerId(worker)).await;
    let to = form.back(worker, "unpause");
    back(&web, &ask, unpaused, &to)
}

pub(super) async fn stop_worker(
    State(web): State<Web>,
    Path(worker): Path<i64>,
    ask: Ask,
    Form(form): Form<WorkerForm>,
) -> Response<Body> {
    let id = WorkerId(worker);
    let acting = web.acting(&ask.caller);
    let stopped = acting.stop_worker(id, form.reason()).await;
    let to = format!("/workers/{worker}?done=finish");
    back(&web, &ask, stopped, &to)
}

pub(super) async fn kill_worker(
    State(web): State<Web>,
    Path(worker): Path<i64>,
    ask: Ask,
    Form(form): Form<WorkerForm>,
) -> Response<Body> {
    let id = WorkerId(worker);
    let acting = web.acting(&ask.caller);
    let killed = acting.kill_worker(id, form.reason()).await;
    let to = format!("/workers/{worker}?done=kill");
    back(&web, &ask, killed, &to)
}

pub(super) async fn resend(
    State(web): State<Web>,
    Path(delivery): Path<i64>,
    ask: Ask,
) -> Response<Body> {
    let sent = web.acting(&ask.caller).resend(DeliveryId(delivery)).await;
    let to = "/reporters?done=resend";
    back(&web, &ask, sent, to)
}

pub(super) async fn resend_dead(
    State(web): State<Web>,
    Path(reporter): Path<i64>,
    ask: Ask,
) -> Response<Body> {
    let acting = web.acting(&ask.caller);
    let sent = acting.resend_dead(ReporterId(reporter)).await;
    let to = "/reporters?done=resend";
    back(&web, &ask, sent.map(drop), to)
}

pub(super) async fn discard(
    State(web): State<Web>,
    Path(delivery): Path<i64>,
    ask: Ask,
) -> Response<Body> {
    let acting = web.acting(&ask.caller);
    let discarded = acting.discard(DeliveryId(delivery)).await;
    let to = "/reporters?done=discard";
    back(&web, &ask, discarded, to)
}

/// What the button beside a scheduler sends.
#[derive(Deserialize)]
pub(super) struct SkipForm {
    /// The event that the page showed, so that no other is passed over.
    event: String,
    #[serde(default)]
    reason: String,
}

pub(super) async fn skip(
    State(web): State<Web>,
    Path(scheduler): Path<i64>,
    ask: Ask,
    Form(form): Form<SkipForm>,
) -> Response<Body> {
    let reason = match form.reason.trim() {
        "" => "asked for on a page",
        reason => reason,
    };
    let acting = web.acting(&ask.caller);
    let skipped = acting
        .skip_event(SchedulerId(scheduler), &form.event, reason)
        .await;
    let to = "/changes?done=skip";
    back(&web, &ask, skipped.map(drop), to)
}

pub(super) async fn reload_plugins(State(web): State<Web>, ask: Ask) -> Response<Body> {
    let reloaded = web.acting(&ask.caller).reload_plugins().await;
    back(&web, &ask, reloaded.map(drop), "/plugins?done=reload")
}

/// What the button beside a version sends.
#[derive(Deserialize)]
pub(super) struct RollbackForm {
    digest: String,
}

pub(super) async fn rollback(
    State(web): State<Web>,
    Path(plugin): Path<String>,
    ask: Ask,
    Form(form): Form<RollbackForm>,
) -> Response<Body> {
    let acting = web.acting(&ask.caller);
    let done = acting.rollback(&plugin, &form.digest, "asked for on its page");
    let done = done.await;
    let page = format!(
        "/plugins/{}?done=rollback",
        utf8_percent_encode(&plugin, NON_ALPHANUMERIC)
    );
    back(&web, &ask, done, &page)
}

fn back(web: &Web, ask: &Ask, result: Result<(), ApiError>, to: &str) -> Response<Body> {
    match result {
        Ok(()) => Redirect::to(to).into_response(),
        Err(error) => ask.fail(web, &error),
    }
}

/// What the button for the colour scheme sends.
#[derive(Deserialize)]
pub(super) struct ThemeForm {
    theme: String,
    /// The page that the reader was on.
    #[serde(default)]
    here: String,
}

/// Remembers a colour scheme in a cookie and leads back.
pub(super) async fn theme(Form(form): Form<ThemeForm>) -> Response<Body> {
    let cookie = match form.theme.as_str() {
        "light" => "theme=light; Path=/; Max-Age=31536000; SameSite=Lax",
        "dark" => "theme=dark; Path=/; Max-Age=31536000; SameSite=Lax",
        _ => "theme=; Path=/; Max-Age=0; SameSite=Lax",
    };
    // Nobody is to be led elsewhere through this server.
    let here = own_page(Some(&form.here));
    ([(header::SET_COOKIE, cookie)], Redirect::to(&here)).into_response()
}
