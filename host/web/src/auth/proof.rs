//! From what a request shows to who sent it: the id of a session, a token, the header of a proxy.
//!
//! What the store said is believed for some seconds, so that a page of many requests asks once. Somebody whom the configuration does
//! not know any more is nobody from then on; groups are those that it says now.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use cookie::Cookie;
use sha2::{Digest as _, Sha256};
use toolpost_config::config::{AuthConfig, WebConfig};
use toolpost_core::Timestamp;
use toolpost_core::access::{Action, Identity, NamePattern, Scope};
use toolpost_store::TokenRow;

use super::caller::{Caller, Proof};
use crate::error::ApiError;
use crate::state::Web;

/// How long an answer of the store is believed. On this master an end counts at once.
const BELIEVED: Duration = Duration::from_secs(5);
/// Sessions and tokens that are remembered.
const REMEMBERED_MAX: usize = 10_000;
/// How exactly it is known when a session or token was last used.
const TOUCH_EVERY: Duration = Duration::from_secs(300);
/// Longest secret that is looked up, bytes; ours have 68 at most.
const SECRET_BYTES_MAX: usize = 128;
/// What our tokens begin with, so that people and scanners see what they are.
pub(super) const TOKEN_PREFIX: &str = "tpt_";
/// How somebody is known whom a proxy names.
pub(super) const VIA_PROXY: &str = "proxy";
/// How somebody is known who has a password here.
pub(super) const VIA_PASSWORD: &str = "password";
/// What comes before the name of a provider.
pub(super) const VIA_PROVIDER: &str = "provider:";

/// The cookie of a session.
const COOKIE: &str = "toolpost_session";
/// The same where connections are encrypted: browsers take it from nobody else.
const SECURE_COOKIE: &str = "__Host-toolpost_session";

/// Name of the cookie.
pub(crate) fn cookie_name(is_https: bool) -> &'static str {
    if is_https { SECURE_COOKIE } else { COOKIE }
}

type Hash = [u8; 32];

/// What the store said lately.
#[derive(Default)]
pub(super) struct Proofs(Mutex<HashMap<Hash, (Instant, Known)>>);

/// Somebody, as records have them.
#[derive(Clone)]
struct Known {
    identity: Identity,
    via: String,
    scope: Option<(String, Scope)>,
}

fn hash_of(secret: &str) -> Hash {
    Sha256::digest(secret).into()
}

impl Proofs {
    fn get(&self, secret: &str) -> Option<Known> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, known) = known.get(&hash_of(secret))?;
        (at.elapsed() < BELIEVED).then(|| known.clone())
    }

    fn put(&self, secret: &str, known: Known) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED_MAX {
            all.retain(|_, (at, _)| at.elapsed() < BELIEVED);
        }
        if all.len() < REMEMBERED_MAX {
            all.insert(hash_of(secret), (Instant::now(), known));
        }
    }

    /// Forgets a session that was ended.
    pub(super) fn forget(&self, secret: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&hash_of(secret));
    }

    /// Forgets everybody: a token was revoked of which only the id is known.
    pub(super) fn forget_all(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Origin {
    pub(super) address: Option<IpAddr>,
    pub(super) is_https: bool,
    /// Whether a proxy that is believed has sent it.
    by_proxy: bool,
}

impl Origin {
    pub(super) fn of(settings: &WebConfig, parts: &Parts) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        // An address of IPv4 that comes over IPv6 is the same address.
        let peer = peer.map(|peer| peer.0.ip().to_canonical());
        let is_proxy = |address: &IpAddr| settings.proxies.iter().any(|net| net.contains(address));
        let by_proxy = peer.as_ref().is_some_and(is_proxy);
        let configured = settings.auth.as_ref().is_some_and(|auth| auth.is_https());
        if !by_proxy {
            return Self {
                address: peer,
                is_https: configured,
                by_proxy,
            };
        }
        let said = text(&parts.headers, "x-forwarded-proto");
        let forwarded = parts.headers.get_all("x-forwarded-for").iter();
        let forwarded = forwarded.filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
        // Each proxy adds whom it heard it from; what is left of the first stranger he may have written himself.
        let hops = hops.into_iter().rev();
        let hops = hops.map_while(|hop| hop.trim().parse::<IpAddr>().ok());
        let mut address = peer;
        for hop in hops.map(|hop| hop.to_canonical()) {
            address = Some(hop);
            if !is_proxy(&hop) {
                break;
            }
        }
        Self {
            address,
            is_https: said.map_or(configured, |said| said.eq_ignore_ascii_case("https")),
            by_proxy,
        }
    }
}

pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let values = headers.get_all(header::COOKIE).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(Cookie::split_parse).flatten();
    cookies.find_map(|cookie| match cookie.name() == name {
        true => cookie.value_raw(),
        false => None,
    })
}

/// Finds out who sent a request.
pub(super) async fn identify(
    web: &Web,
    auth: &AuthConfig,
    origin: Origin,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    let mut caller = Caller {
        address: origin.address,
        is_https: origin.is_https,
        ..Caller::default()
    };
    if let Some(token) = bearer(headers) {
        let known = known(web, auth, &Proof::Token(token.to_owned())).await?;
        let known = known.ok_or_else(|| {
            ApiError::Unauthenticated("the token is not known, has ended or was revoked".into())
        })?;
        caller.take(known, Proof::Token(token.to_owned()));
        return Ok(caller);
    }
    if let Some(secret) = cookie(headers, cookie_name(origin.is_https)) {
        let proof = Proof::Session(secret.to_owned());
        if let Some(known) = known(web, auth, &proof).await? {
            caller.take(known, proof);
            return Ok(caller);
        }
    }
    if let (Some(names), true) = (&auth.header, origin.by_proxy)
        && let Some(name) = text(headers, &names.user).filter(|name| !name.is_empty())
    {
        let said = |name: &Option<String>| {
            let name = name.as_deref()?;
            text(headers, name).map(str::to_owned)
        };
        let groups = said(&names.groups).unwrap_or_default();
        let groups = groups
            .split(',')
            .map(str::trim)
            .filter(|group| !group.is_empty());
        caller.identity = Some(Identity {
            name: name.to_owned(),
            full_name: said(&names.full_name),
            email: said(&names.email),
            groups: groups.map(str::to_owned).collect(),
        });
        VIA_PROXY.clone_into(&mut caller.via);
        VIA_PROXY.clone_into(&mut caller.via_login);
    }
    Ok(caller)
}

/// The token of a request; other things that proxies and clients send in that header are not for us.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, "authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Caller {
    fn take(&mut self, known: Known, proof: Proof) {
        self.identity = Some(known.identity);
        self.via_login.clone_from(&known.via);
        self.via = match &known.scope {
            Some((label, _)) => format!("token {label}"),
            None => known.via,
        };
        self.scope = known.scope.map(|(_, scope)| scope);
        self.proof = proof;
    }
}

/// Whether what somebody showed is still good.
pub(super) async fn is_good(web: &Web, auth: &AuthConfig, proof: &Proof) -> Result<bool, ApiError> {
    match proof {
        Proof::None => Ok(true),
        proof => Ok(known(web, auth, proof).await?.is_some()),
    }
}

/// Who shows this, if anybody.
async fn known(web: &Web, auth: &AuthConfig, proof: &Proof) -> Result<Option<Known>, ApiError> {
    let secret = match proof {
        Proof::None => return Ok(None),
        Proof::Session(secret) | Proof::Token(secret) => secret,
    };
    if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
        return Ok(None);
    }
    if let Some(known) = web.auth.proofs.get(secret) {
        return Ok(Some(known));
    }
    let now = web.now();
    let stored = match proof {
        Proof::Token(_) => token(web, secret, now).await?,
        _ => session(web, auth, secret, now).await?,
    };
    let Some(mut stored) = stored else {
        return Ok(None);
    };
    let Some(identity) = as_of_now(web, auth, &stored).await? else {
        return Ok(None);
    };
    stored.identity = identity;
    web.auth.proofs.put(secret, stored.clone());
    Ok(Some(stored))
}

async fn session(
    web: &Web,
    auth: &AuthConfig,
    secret: &str,
    now: Timestamp,
) -> Result<Option<Known>, ApiError> {
    let Some(session) = web.store.session(secret, now).await? else {
        return Ok(None);
    };
    if session.seen_at.after(auth.session_idle) <= now {
        return Ok(None);
    }
    if session
        .seen_at
        .after(TOUCH_EVERY.min(auth.session_idle / 4))
        <= now
    {
        web.store.touch_session(session.id, now).await?;
    }
    Ok(Some(Known {
        identity: session.identity,
        via: session.via,
        scope: None,
    }))
}

async fn token(web: &Web, secret: &str, now: Timestamp) -> Result<Option<Known>, ApiError> {
    if !secret.starts_with(TOKEN_PREFIX) {
        return Ok(None);
    }
    let Some(token) = web.store.token(secret).await? else {
        return Ok(None);
    };
    if !token.is_good(now) {
        return Ok(None);
    }
    if token
        .used_at
        .is_none_or(|used| used.after(TOUCH_EVERY) <= now)
    {
        web.store.touch_token(token.id, now).await?;
    }
    let scope = scope_of(&token);
    Ok(Some(Known {
        identity: token.identity,
        via: token.via,
        scope: Some((token.label, scope)),
    }))
}

/// What a token is limited to. What this program does not know is nothing.
fn scope_of(token: &TokenRow) -> Scope {
    let actions = token.actions.iter();
    let builders = token.builders.iter();
    Scope {
        actions: actions.filter_map(|name| Action::from_name(name)).collect(),
        builders: builders
            .filter_map(|text| NamePattern::new(text.as_str()).ok())
            .collect(),
    }
}

/// Who somebody is by the configuration of now; `None` for whoever is not let in any more.
async fn as_of_now(
    web: &Web,
    auth: &AuthConfig,
    known: &Known,
) -> Result<Option<Identity>, ApiError> {
    if known.via == VIA_PASSWORD {
        let user = web.auth.users.find(auth, &known.identity.name).await?;
        return Ok(user.map(|user| user.identity));
    }
    if known.via == VIA_PROXY {
        return Ok(auth.header.is_some().then(|| known.identity.clone()));
    }
    let provider = known.via.strip_prefix(VIA_PROVIDER);
    let provider = provider.and_then(|name| auth.providers.get(name));
    let is_in = provider.is_some_and(|provider| provider.lets_in(&known.identity));
    Ok(is_in.then(|| known.identity.clone()))
}
