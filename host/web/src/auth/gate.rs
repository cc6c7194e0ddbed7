//! What every request passes: who sent it, and may they come through that door?

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect};
use percent_encoding::percent_decode_str;
use toolpost_core::BuilderId;
use toolpost_core::access::{Action, Target};
use toolpost_core::model::{Build, BuildRequest, Log, Step};
use tracing::Instrument as _;

use super::caller::Caller;
use super::doors::{Of, Way, way};
use super::login::login_path;
use super::proof::{Origin, identify};
use super::sight::Sight;
use crate::api::path::BuilderRef;
use crate::api::resolve;
use crate::caching::keep_for_nobody;
use crate::error::ApiError;
use crate::pages::Ask;
use crate::security::is_safe;
use crate::state::Web;

/// One year: from then on browsers ask for encrypted pages only.
const STRICT_TRANSPORT: &str = "max-age=31536000";

/// Finds out who sent a request, and lets it through if its door is open to them. Handlers find a [`Caller`] and a [`Sight`] in its
/// extensions.
pub(crate) async fn gate(State(web): State<Web>, request: Request, next: Next) -> Response<Body> {
    let settings = web.settings();
    let (mut parts, body) = request.into_parts();
    let origin = Origin::of(&settings, &parts);
    if let Some(limit) = settings.requests_per_second
        && !web.auth.limits.may_ask(limit, origin.address)
    {
        let text = "you ask for more than this server allows; ask for less at a time";
        return refuse(&web, &parts, &ApiError::TooMany(text.into()));
    }
    let Some(auth) = &settings.auth else {
        return answer(next, Request::from_parts(parts, body)).await;
    };
    let is_https = origin.is_https;
    let mut is_somebodys = false;
    let mut response = match identify(&web, auth, origin, &parts.headers).await {
        Err(error) => refuse(&web, &parts, &error),
        Ok(caller) => {
            is_somebodys = caller.identity.is_some();
            let caller = Arc::new(caller);
            parts.extensions.insert(Arc::clone(&caller));
            match pass(&web, &mut parts, &caller).await {
                Ok(()) => answer(next, Request::from_parts(parts, body)).await,
                Err(error) => refuse(&web, &parts, &error),
            }
        }
    };
    let headers = response.headers_mut();
    if is_somebodys {
        keep_for_nobody(headers);
    }
    if is_https {
        let strict = HeaderValue::from_static(STRICT_TRANSPORT);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, strict);
    }
    headers.append(header::VARY, HeaderValue::from_static("authorization"));
    response
}

/// Lets the handler answer. What changes something goes to its end and is written down, also when whoever asked for it does not wait
/// for the answer.
async fn answer(next: Next, request: Request) -> Response<Body> {
    if is_safe(request.method()) {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The program ends.
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}

/// Whether the door of a request is open to whoever sent it.
async fn pass(web: &Web, parts: &mut Parts, caller: &Arc<Caller>) -> Result<(), ApiError> {
    let matched = parts.extensions.get::<MatchedPath>();
    let way = match matched {
        // Nothing is there; that is told to whoever may look at all.
        None => Way::Look(Of::Farm),
        Some(path) => way(parts.method.as_str(), path.as_str()).ok_or_else(|| {
            ApiError::Internal(format!(
                "{} is closed: it is not among the doors",
                path.as_str()
            ))
        })?,
    };
    let sight = web.sight(caller).await;
    let needed = match way {
        Way::Open => {
            parts.extensions.insert(sight.unwrap_or_default());
            return Ok(());
        }
        Way::Look(of) => of,
        Way::Api | Way::Act(_) => Of::Farm,
        Way::Read(action) => {
            if !web.permits(caller, action) {
                return Err(ApiError::forbidden(caller, action.name()));
            }
            Of::Farm
        }
    };
    let sight = sight?;
    if !sight.is_all() {
        let path = parts.uri.path().to_owned();
        narrow(web, caller, &sight, needed, &path).await?;
    }
    parts.extensions.insert(sight);
    Ok(())
}

/// Whether somebody who does not see every builder may see this.
async fn narrow(
    web: &Web,
    caller: &Caller,
    sight: &Sight,
    needed: Of,
    path: &str,
) -> Result<(), ApiError> {
    let missing = || ApiError::not_found(format!("page {path}"));
    let segment = path.split('/').nth(2).unwrap_or_default();
    let segment = percent_decode_str(segment).decode_utf8();
    let segment = segment.map_err(|_| missing())?;
    let id = || segment.parse::<i64>().map_err(|_| missing());
    let builder = match needed {
        Of::Farm => return Ok(()),
        Of::Whole => {
            return Err(ApiError::forbidden(
                caller,
                "look at what is not of single builders",
            ));
        }
        Of::Form => {
            let forms = web.master.force_forms();
            let form = forms.iter().find(|form| form.name == *segment);
            let form = form.ok_or_else(missing)?;
            let seen = form.builders.iter().any(|name| sight.sees_name(name));
            return if seen { Ok(()) } else { Err(missing()) };
        }
        Of::Builder => {
            let builder = resolve::builder(&web.store, &BuilderRef::parse(&segment)).await?;
            builder.map(|builder| builder.id)
        }
        Of::Build => builder_of_build(web, id()?).await?,
        Of::Log => match web.store.find::<Log>(id()?).await? {
            Some(log) => builder_of_step(web, log.step_id.0).await?,
            None => None,
        },
        Of::Request => {
            let request = web.store.find::<BuildRequest>(id()?).await?;
            request.map(|request| request.builder_id)
        }
    };
    match builder.is_some_and(|builder| sight.sees(builder)) {
        true => Ok(()),
        false => Err(missing()),
    }
}

/// Whose a build is.
async fn builder_of_build(web: &Web, id: i64) -> Result<Option<BuilderId>, ApiError> {
    let build = web.store.find::<Build>(id).await?;
    Ok(build.map(|build| build.builder_id))
}

async fn builder_of_step(web: &Web, id: i64) -> Result<Option<BuilderId>, ApiError> {
    match web.store.find::<Step>(id).await? {
        Some(step) => builder_of_build(web, step.build_id.0).await,
        None => Ok(None),
    }
}

impl Web {
    /// Whether somebody may do what has no target of its own.
    pub(crate) fn permits(&self, caller: &Caller, action: Action) -> bool {
        self.rules()
            .is_none_or(|auth| caller.may(&auth.policy, action, &Target::default()))
    }
}

/// Says no as whoever asked expects it: people who could log in are led there.
fn refuse(web: &Web, parts: &Parts, error: &ApiError) -> Response<Body> {
    let path = parts.uri.path();
    let is_page = Ask::is_for_people(parts);
    if is_page && matches!(error, ApiError::LogIn(_)) && parts.method == Method::GET {
        error.log(path);
        return Redirect::to(&login_path(&parts.uri)).into_response();
    }
    let mut response = if path.starts_with("/api") || !is_page {
        error.log(path);
        match is_safe(&parts.method) {
            true => crate::api::error_response_to(&parts.headers, error),
            false => crate::api::error_response_json(error),
        }
    } else {
        Ask::of(parts).fail(web, error)
    };
    let headers = response.headers_mut();
    match error.status() {
        StatusCode::UNAUTHORIZED => {
            let bearer =
                HeaderValue::from_static("Bearer realm=\"toolpost\", error=\"invalid_token\"");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        StatusCode::TOO_MANY_REQUESTS => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        _ => {}
    }
    response
}
