//! Logging in and out: `/login` for people, `/auth/login` with HTTP Basic for programs as Buildbot has it, `/auth/logout`.
//!
//! Each log-in makes a new session with an id that nobody has seen before, so that nobody can prepare one for somebody else.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use axum::{Form, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cookie::{Cookie, SameSite};
use serde::Deserialize;
use toolpost_config::config::AuthConfig;
use toolpost_core::access::Identity;
use toolpost_store::NewSession;

use super::caller::{Caller, Proof};
use super::proof::{VIA_PASSWORD, cookie, cookie_name, text};
use crate::error::ApiError;
use crate::pages::{Ask, Section, Shell};
use crate::state::Web;

/// What the answer to a wrong log-in says, whoever tried.
const WRONG: &str = "this name and password do not fit together";

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/login", get(page))
        .route("/auth/login", get(basic).post(submit))
        .route("/auth/logout", get(logout).post(logout))
        .route("/auth/provider/{provider}", get(super::oidc::begin))
        .route("/auth/callback/{provider}", get(super::oidc::end))
        .route("/audit", get(super::audit_page))
}

/// Where people log in who wanted to see a page.
pub(super) fn login_path(uri: &Uri) -> String {
    let wanted = uri.path_and_query().map_or("/", |wanted| wanted.as_str());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("redirect", wanted)
        .finish();
    format!("/login?{query}")
}

/// A page of ours to go to, whatever the address says.
pub(crate) fn own_page(wanted: Option<&str>) -> String {
    wanted
        .filter(|to| to.starts_with('/') && !to.starts_with("//") && !to.contains('\\'))
        .filter(|to| to.chars().all(|c| !c.is_control()) && HeaderValue::from_str(to).is_ok())
        .unwrap_or("/")
        .to_owned()
}

/// Where to go on from an address that Buildbot's interface knows as well. It names its own views, which are behind a `#`, and where it
/// is served it is what leads people here; our pages have a form of their own.
fn onward(web: &Web, ask: &Ask) -> String {
    let wanted = own_page(ask.param("redirect").as_deref());
    match web.master.farm().ui.dir {
        Some(_) if wanted != "/" => format!("/#{wanted}"),
        _ => wanted,
    }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Shell,
    has_passwords: bool,
    /// Names and labels of providers.
    providers: Vec<(String, String)>,
    redirect: String,
    problem: Option<String>,
    name: String,
}

async fn page(State(web): State<Web>, ask: Ask) -> Response<Body> {
    let redirect = own_page(ask.param("redirect").as_deref());
    if web.rules().is_none() {
        return Redirect::to(&redirect).into_response();
    }
    show(&web, &ask, redirect, None, "")
}

fn show(
    web: &Web,
    ask: &Ask,
    redirect: String,
    problem: Option<&ApiError>,
    name: &str,
) -> Response<Body> {
    let auth = web.rules();
    let providers = auth.iter().flat_map(|auth| &auth.providers);
    let page = LoginPage {
        shell: Shell::new(web, ask, Section::Other, "Log in"),
        has_passwords: auth
            .as_ref()
            .is_some_and(|auth| !auth.users.is_empty() || auth.users_file.is_some()),
        providers: providers
            .map(|(name, provider)| (name.clone(), provider.label.clone()))
            .collect(),
        redirect,
        problem: problem.map(ToString::to_string),
        name: name.to_owned(),
    };
    let status = problem.map_or(StatusCode::OK, ApiError::status);
    ask.answer_once(web, status, page.render().map_err(Into::into))
}

/// What the page sends.
#[derive(Deserialize)]
struct LoginForm {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    redirect: String,
}

async fn submit(State(web): State<Web>, ask: Ask, Form(form): Form<LoginForm>) -> Response<Body> {
    let redirect = own_page(Some(&form.redirect));
    let login = log_in(&web, &ask.caller, &form.username, &form.password).await;
    match login {
        Ok(identity) => enter(&web, &ask, VIA_PASSWORD, identity, &redirect).await,
        Err(error) => {
            error.log("/auth/login");
            show(&web, &ask, redirect, Some(&error), &form.username)
        }
    }
}

/// Buildbot's clients ask for this address with HTTP Basic, and use the cookie of the answer from then on.
async fn basic(State(web): State<Web>, ask: Ask) -> Response<Body> {
    let redirect = onward(&web, &ask);
    if web.rules().is_none() || (ask.caller.identity.is_some() && !has_basic(&ask.headers)) {
        return Redirect::to(&redirect).into_response();
    }
    // Another site could log its reader in as somebody else.
    if text(&ask.headers, "sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Redirect::to(&login_page(&redirect)).into_response();
    }
    let Some((name, password)) = credentials(&ask.headers) else {
        if ask.is_page() {
            return Redirect::to(&login_page(&redirect)).into_response();
        }
        return unauthorized("log in with HTTP Basic");
    };
    match log_in(&web, &ask.caller, &name, &password).await {
        Ok(identity) => enter(&web, &ask, VIA_PASSWORD, identity, &redirect).await,
        Err(error @ ApiError::Unauthenticated(_)) => {
            error.log("/auth/login");
            unauthorized(WRONG)
        }
        Err(error) => {
            error.log("/auth/login");
            (error.status(), error.to_string()).into_response()
        }
    }
}

fn login_page(redirect: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("redirect", redirect)
        .finish();
    format!("/login?{query}")
}

fn unauthorized(text: &'static str) -> Response<Body> {
    let challenge = "Basic realm=\"Toolpost\", charset=\"UTF-8\"";
    (
        StatusCode::UNAUTHORIZED,
        [
            (header::WWW_AUTHENTICATE, challenge),
            (header::CACHE_CONTROL, "no-store"),
        ],
        text,
    )
        .into_response()
}

fn has_basic(headers: &HeaderMap) -> bool {
    text(headers, "authorization")
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
}

/// Name and password of HTTP Basic (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, coded) = text(headers, "authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(coded.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Who this is, if the password is theirs.
async fn log_in(
    web: &Web,
    caller: &Caller,
    name: &str,
    password: &str,
) -> Result<Identity, ApiError> {
    let Some(auth) = web.rules() else {
        return Err(ApiError::Unauthenticated(WRONG.into()));
    };
    let user = web.auth.users.find(&auth, name).await?;
    let passwords = &web.auth.passwords;
    if !passwords.is_remembered(user.as_ref(), password) {
        if !web.auth.limits.may_try(caller.address, name) {
            let text = "too many log-ins failed; wait a minute and try again";
            return Err(ApiError::TooMany(text.into()));
        }
        if !passwords.fits(&auth, user.as_ref(), password).await? {
            tracing::warn!(address = ?caller.address, "a log-in from {} failed", caller.place());
            return Err(ApiError::Unauthenticated(WRONG.into()));
        }
    }
    let user = user.ok_or_else(|| ApiError::Unauthenticated(WRONG.into()))?;
    Ok(user.identity)
}

/// Begins a session and leads on. The former one of this browser ends.
pub(super) async fn enter(
    web: &Web,
    ask: &Ask,
    via: &str,
    identity: Identity,
    redirect: &str,
) -> Response<Body> {
    match begin(web, ask, via, identity).await {
        Ok(cookie) => {
            let headers = [
                (header::SET_COOKIE, cookie),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ];
            // 302, as Buildbot answers; its clients follow it or do not.
            let to = [(header::LOCATION, redirect.to_owned())];
            (StatusCode::FOUND, headers, to).into_response()
        }
        Err(error) => ask.fail(web, &error),
    }
}

async fn begin(web: &Web, ask: &Ask, via: &str, identity: Identity) -> Result<String, ApiError> {
    let Some(auth) = web.rules() else {
        return Err(ApiError::not_found("way to log in"));
    };
    let now = web.now();
    end_former(web, &ask.headers, ask.caller.is_https).await?;
    let secret = super::new_secret();
    let session = NewSession {
        secret: secret.clone(),
        via: via.to_owned(),
        identity: identity.clone(),
        address: ask.caller.place(),
        expires_at: now.after(auth.session_lifetime),
    };
    web.store.add_session(session, now).await?;
    let caller = Caller {
        identity: Some(identity),
        via: via.to_owned(),
        ..Caller::clone(&ask.caller)
    };
    web.acting(&caller).record("log-in", "", "", None).await;
    Ok(session_cookie(&auth, ask.caller.is_https, secret))
}

async fn end_former(web: &Web, headers: &HeaderMap, is_https: bool) -> Result<(), ApiError> {
    if let Some(former) = cookie(headers, cookie_name(is_https)) {
        web.auth.proofs.forget(former);
        web.store.end_session(former).await?;
    }
    Ok(())
}

fn session_cookie(auth: &AuthConfig, is_https: bool, secret: String) -> String {
    let seconds = i64::try_from(auth.session_lifetime.as_secs()).unwrap_or(i64::MAX);
    Cookie::build((cookie_name(is_https), secret))
        .path("/")
        .http_only(true)
        .secure(is_https)
        .same_site(SameSite::Lax)
        .max_age(cookie::time::Duration::seconds(seconds))
        .to_string()
}

async fn logout(State(web): State<Web>, method: Method, ask: Ask) -> Response<Body> {
    let redirect = match method {
        Method::GET => onward(&web, &ask),
        _ => own_page(ask.param("redirect").as_deref()),
    };
    let foreign = text(&ask.headers, "sec-fetch-site").is_some_and(|site| site == "cross-site");
    // A picture of another site is not to log anybody out.
    if method == Method::GET && foreign {
        return Redirect::to("/").into_response();
    }
    if let Err(error) = end_former(&web, &ask.headers, ask.caller.is_https).await {
        return ask.fail(&web, &error);
    }
    if matches!(ask.caller.proof, Proof::Session(_)) {
        web.acting(&ask.caller)
            .record("log-out", "", "", None)
            .await;
    }
    let gone = Cookie::build((cookie_name(ask.caller.is_https), ""))
        .path("/")
        .http_only(true)
        .secure(ask.caller.is_https)
        .same_site(SameSite::Lax)
        .max_age(cookie::time::Duration::ZERO)
        .to_string();
    let to = [(header::LOCATION, redirect)];
    (StatusCode::FOUND, [(header::SET_COOKIE, gone)], to).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_pages_are_led_to() {
        for (wanted, expected) in [
            (Some("/builders?tag=x"), "/builders?tag=x"),
            (Some("//evil.example/"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("https://evil.example/"), "/"),
            (Some("/a\r\nset-cookie: x"), "/"),
            (Some("javascript:alert(1)"), "/"),
            (Some(""), "/"),
            (None, "/"),
        ] {
            assert_eq!(own_page(wanted), expected, "{wanted:?}");
        }
    }

    #[test]
    fn names_and_passwords_are_read_as_the_rfc_says() {
        for (given, expected) in [
            ("Basic YWRhOmE6Yg==", Some(("ada", "a:b"))),
            ("basic YWRhOg==", Some(("ada", ""))),
            ("Basic YWRh", None),
            ("Basic ???", None),
            ("Bearer YWRhOmE6Yg==", None),
            ("Basic", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, given.parse().expect("a value"));
            let read = credentials(&headers);
            let read = read
                .as_ref()
                .map(|(name, word)| (name.as_str(), word.as_str()));
            assert_eq!(read, expected, "{given}");
        }
    }
}
