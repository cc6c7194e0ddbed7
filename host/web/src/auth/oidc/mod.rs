//! Logging in at somebody else's: OpenID Connect with discovery, and GitHub's OAuth 2.
//!
//! The browser that begins has to be the one that comes back: it has a cookie with the secret of its [`Attempt`], which is good once and
//! for ten minutes, at whichever master. The code is worth nothing to whoever intercepts it (PKCE), an identity token is taken only
//! for the log-in that asked for it (nonce), and people are led to pages of ours only.

mod attempt;
mod fetch;
mod github;
mod provider;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect};
use cookie::{Cookie, SameSite};
use futures::FutureExt as _;
use toolpost_config::config::{AuthConfig, ProviderConfig, ProviderKind};
use toolpost_core::access::Identity;
use toolpost_sandbox::Trust;
use toolpost_store::NewLogin;

use self::attempt::{Attempt, GOOD_FOR_S};
use self::fetch::Http;
use super::login::{enter, own_page};
use super::proof::{VIA_PROVIDER, cookie};
use crate::error::ApiError;
use crate::pages::Ask;
use crate::state::Web;

/// Says which log-in a browser began.
const COOKIE: &str = "toolpost_login";
/// Longest address of a page that is led to at the end, bytes; who wanted a longer one is led to the first page.
const REDIRECT_BYTES_MAX: usize = 2_000;

/// What providers are trusted by.
#[derive(Default)]
pub(super) struct Logins {
    trust: Arc<Trust>,
}

/// What a provider said of somebody.
struct Told {
    name: String,
    full_name: Option<String>,
    email: Option<String>,
    groups: Vec<String>,
}

/// Leads somebody to a provider.
pub(super) async fn begin(
    State(web): State<Web>,
    Path(name): Path<String>,
    ask: Ask,
) -> Response<Body> {
    let redirect = own_page(ask.param("redirect").as_deref());
    match lead(&web, &ask, &name, &redirect).boxed().await {
        Ok(response) => response,
        Err(error) => ask.fail(&web, &error),
    }
}

fn provider<'a>(auth: &'a AuthConfig, name: &str) -> Result<&'a ProviderConfig, ApiError> {
    let provider = auth.providers.get(name);
    provider.ok_or_else(|| ApiError::not_found(format!("way to log in called {name}")))
}

/// Where a provider leads back to.
fn callback(auth: &AuthConfig, name: &str) -> String {
    format!("{}auth/callback/{name}", auth.url)
}

/// What the farm proves itself with at a provider.
async fn secret_of(web: &Web, provider: &ProviderConfig) -> Result<Option<String>, ApiError> {
    let Some(name) = &provider.client_secret else {
        return Ok(None);
    };
    let secret = web.master.secret(name).await;
    let secret = secret.map_err(ApiError::Internal)?;
    Ok(Some(secret.expose().to_owned()))
}

async fn lead(
    web: &Web,
    ask: &Ask,
    name: &str,
    redirect: &str,
) -> Result<Response<Body>, ApiError> {
    let auth = web
        .rules()
        .ok_or_else(|| ApiError::not_found("way to log in"))?;
    let provider = provider(&auth, name)?;
    // Each costs a request to somebody else's.
    if !web.auth.limits.may_begin(ask.caller.address) {
        let text = "too many log-ins were begun; wait a minute and try again";
        return Err(ApiError::TooMany(text.into()));
    }
    let back = callback(&auth, name);
    let attempt = Attempt::new();
    let url = match provider.kind {
        ProviderKind::Oidc => {
            let http = web.auth.logins.http(&auth);
            provider::address(&http, provider, &back, &attempt).await?
        }
        ProviderKind::GitHub => github::address(provider, &back, &attempt),
    };
    let redirect = Some(redirect).filter(|to| to.len() <= REDIRECT_BYTES_MAX);
    let now = web.now();
    let login = NewLogin {
        secret: attempt.secret().to_owned(),
        provider: name.to_owned(),
        redirect: redirect.unwrap_or("/").to_owned(),
        expires_at: now.after(Duration::from_secs(GOOD_FOR_S.into())),
    };
    web.store.begin_login(login, now).await?;
    let cookie = login_cookie(&auth, attempt.secret(), GOOD_FOR_S);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&url)).into_response())
}

fn login_cookie(auth: &AuthConfig, value: &str, seconds: u32) -> String {
    Cookie::build((COOKIE, value.to_owned()))
        .path("/auth")
        .http_only(true)
        .secure(auth.is_https())
        .same_site(SameSite::Lax)
        .max_age(cookie::time::Duration::seconds(seconds.into()))
        .to_string()
}

/// Takes somebody whom a provider leads back.
pub(super) async fn end(
    State(web): State<Web>,
    Path(name): Path<String>,
    ask: Ask,
) -> Response<Body> {
    match take(&web, &ask, &name).boxed().await {
        Ok((identity, redirect)) => {
            let via = format!("{VIA_PROVIDER}{name}");
            let mut response = enter(&web, &ask, &via, identity, &redirect).await;
            if let Some(auth) = web.rules()
                && let Ok(gone) = login_cookie(&auth, "", 0).parse()
            {
                response.headers_mut().append(header::SET_COOKIE, gone);
            }
            response
        }
        Err(error) => {
            if error.status() != StatusCode::NOT_FOUND {
                tracing::warn!(provider = %name, "a log-in at {name} failed: {error}");
            }
            ask.fail(&web, &error)
        }
    }
}

async fn take(web: &Web, ask: &Ask, name: &str) -> Result<(Identity, String), ApiError> {
    let auth = web
        .rules()
        .ok_or_else(|| ApiError::not_found("way to log in"))?;
    let provider = provider(&auth, name)?;
    let refused = |text: &str| ApiError::Unauthenticated(text.to_owned());
    let state = ask.param("state").unwrap_or_default();
    let again = "this log-in was not begun in this browser, is over or too old; begin again";
    let shown = cookie(&ask.headers, COOKIE).unwrap_or_default();
    let attempt = Attempt::returned(shown, &state).ok_or_else(|| refused(again))?;
    let taken = web.store.take_login(shown, name, web.now()).await?;
    let redirect = taken.ok_or_else(|| refused(again))?;
    if let Some(error) = ask.param("error") {
        tracing::info!(provider = %name, "{name} refused a log-in: {error:?}");
        return Err(refused("the provider did not let you log in"));
    }
    // RFC 9207: the answer of another provider is not taken for that of this one.
    if ask
        .param("iss")
        .is_some_and(|issuer| !same_issuer(&issuer, &provider.issuer))
    {
        return Err(refused("the answer is of another provider"));
    }
    let code = ask
        .param("code")
        .ok_or_else(|| refused("the provider gave no code"))?;
    let http = web.auth.logins.http(&auth);
    let secret = secret_of(web, provider).await?;
    let back = callback(&auth, name);
    let told = match provider.kind {
        ProviderKind::Oidc => {
            provider::identity(&http, provider, secret, &back, code, &attempt).await?
        }
        ProviderKind::GitHub => {
            let verifier = attempt.verifier();
            github::identity(&http, provider, secret, &back, &code, verifier.secret()).await?
        }
    };
    let identity = Identity {
        // Nobody of theirs is taken for somebody with a password here.
        name: format!("{name}:{}", told.name),
        full_name: told.full_name,
        email: told.email,
        groups: told.groups.into_iter().collect(),
    };
    if !provider.lets_in(&identity) {
        return Err(ApiError::Forbidden {
            who: identity.name,
            what: "log in here: ask for a group or address that may".into(),
        });
    }
    Ok((identity, redirect))
}

fn same_issuer(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// What is said when a provider does not answer as it should; the log says more.
fn failed(what: &str, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::Internal(format!("{what}: {error}"))
}

impl Logins {
    fn http(&self, auth: &AuthConfig) -> Http {
        Http::new(Arc::clone(&self.trust), auth.ca_file.clone())
    }
}
