//! OpenID Connect: where to send somebody, and who came back.

use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, RedirectUrl, Scope, TokenResponse as _,
};
use serde_json::{Map, Value};
use toolpost_config::config::ProviderConfig;

use super::attempt::Attempt;
use super::fetch::Http;
use super::{Told, failed};
use crate::error::ApiError;

/// What a provider says is kept up to so many groups.
const GROUPS_MAX: usize = 1_000;

/// What a provider says of itself.
async fn discover(
    http: &Http,
    provider: &ProviderConfig,
) -> Result<CoreProviderMetadata, ApiError> {
    let what = "the provider cannot be asked how to log in there";
    let issuer = IssuerUrl::new(provider.issuer.clone()).map_err(|error| failed(what, &error))?;
    let ours = http.clone();
    let ask = move |request| ours.clone().send(request);
    let metadata = CoreProviderMetadata::discover_async(issuer, &ask).await;
    metadata.map_err(|error| failed(what, &chain(&error)))
}

/// The address to send somebody to.
pub(super) async fn address(
    http: &Http,
    provider: &ProviderConfig,
    back: &str,
    attempt: &Attempt,
) -> Result<String, ApiError> {
    let what = "the provider cannot be asked how to log in there";
    let client = CoreClient::from_provider_metadata(
        discover(http, provider).await?,
        ClientId::new(provider.client_id.clone()),
        None,
    )
    .set_redirect_uri(RedirectUrl::new(back.to_owned()).map_err(|error| failed(what, &error))?);
    let (state, nonce) = (attempt.state(), attempt.nonce());
    let (url, _, _) = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            move || CsrfToken::new(state),
            move || Nonce::new(nonce),
        )
        .add_scopes(provider.scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(attempt.challenge())
        .url();
    Ok(url.to_string())
}

/// Who came back with a code.
pub(super) async fn identity(
    http: &Http,
    provider: &ProviderConfig,
    secret: Option<String>,
    back: &str,
    code: String,
    attempt: &Attempt,
) -> Result<Told, ApiError> {
    let what = "the provider does not say who you are";
    let metadata = discover(http, provider).await?;
    let userinfo = metadata.userinfo_endpoint().map(|url| url.to_string());
    let client = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(provider.client_id.clone()),
        secret.map(ClientSecret::new),
    )
    .set_redirect_uri(RedirectUrl::new(back.to_owned()).map_err(|error| failed(what, &error))?);
    let request = client
        .exchange_code(AuthorizationCode::new(code))
        .map_err(|error| failed(what, &error))?
        .set_pkce_verifier(attempt.verifier());
    let ours = http.clone();
    let ask = move |request| ours.clone().send(request);
    let tokens = request.request_async(&ask).await;
    let tokens = tokens.map_err(|error| failed(what, &chain(&error)))?;
    let id_token = tokens
        .id_token()
        .ok_or_else(|| failed(what, &"it sent no identity token"))?;
    let verified = id_token.claims(&client.id_token_verifier(), &Nonce::new(attempt.nonce()));
    let subject = verified
        .map_err(|error| failed(what, &chain(&error)))?
        .subject()
        .to_string();
    // The token is verified; what else it claims is read from the same bytes.
    let mut claims = payload(&id_token.to_string()).unwrap_or_default();
    if let Some(url) = userinfo {
        let bearer = tokens.access_token().secret();
        if let Some(more) = user_info(http, &url, bearer).await?
            // OpenID Connect Core, section 5.3.2: or it may be of somebody else.
            && more.get("sub").and_then(Value::as_str) == Some(subject.as_str())
        {
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
    }
    Ok(told(provider, &subject, &claims))
}

/// The claims of a token that was verified before.
fn payload(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&bytes).ok()
}

async fn user_info(
    http: &Http,
    url: &str,
    bearer: &str,
) -> Result<Option<Map<String, Value>>, ApiError> {
    let what = "the provider does not say more about you";
    let request = Request::get(url)
        .header(header::AUTHORIZATION, format!("Bearer {bearer}"))
        .header(header::ACCEPT, "application/json")
        .body(Vec::new())
        .map_err(|error| failed(what, &error))?;
    let answer = http.clone().send(request).await;
    let answer = answer.map_err(|error| failed(what, &error))?;
    let is_good = answer.status() == StatusCode::OK;
    Ok(is_good
        .then(|| serde_json::from_slice(answer.body()).ok())
        .flatten())
}

/// What the claims say about somebody.
fn told(provider: &ProviderConfig, subject: &str, claims: &Map<String, Value>) -> Told {
    let text = |name: &str| {
        let text = claims.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    // Some providers send the word.
    let is_true = |value: &Value| *value == Value::Bool(true) || value == "true";
    let is_verified = claims.get("email_verified").is_some_and(is_true);
    let name = provider
        .name_claim
        .as_deref()
        .unwrap_or("preferred_username");
    let groups = match claims.get(&provider.groups_claim) {
        Some(Value::Array(groups)) => groups
            .iter()
            .filter_map(Value::as_str)
            .take(GROUPS_MAX)
            .map(str::to_owned)
            .collect(),
        Some(Value::String(group)) => vec![group.clone()],
        _ => Vec::new(),
    };
    Told {
        name: text(name).unwrap_or_else(|| subject.to_owned()),
        full_name: text("name"),
        email: text("email").filter(|_| is_verified || provider.trust_email),
        groups,
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
