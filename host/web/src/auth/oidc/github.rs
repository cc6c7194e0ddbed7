//! GitHub: OAuth 2 without an identity token; who somebody is is asked of its API.

use axum::http::{Method, Request, StatusCode, header};
use serde_json::Value;
use toolpost_config::config::ProviderConfig;

use super::attempt::Attempt;
use super::fetch::Http;
use super::{Told, failed};
use crate::error::ApiError;

const WHAT: &str = "GitHub does not say who you are";

/// Organisations and teams that are read.
const GROUPS_PER_PAGE: u32 = 100;

/// The address to send somebody to.
pub(super) fn address(provider: &ProviderConfig, back: &str, attempt: &Attempt) -> String {
    let challenge = attempt.challenge();
    let site = provider.issuer.trim_end_matches('/');
    let start = format!("{site}/login/oauth/authorize?");
    form_urlencoded::Serializer::for_suffix(start.clone(), start.len())
        .append_pair("client_id", &provider.client_id)
        .append_pair("redirect_uri", back)
        .append_pair("scope", &provider.scopes.join(" "))
        .append_pair("state", &attempt.state())
        .append_pair("code_challenge", challenge.as_str())
        .append_pair("code_challenge_method", "S256")
        .finish()
}

/// Its API, which an installation of its own has beneath the site.
fn api_of(site: &str) -> String {
    match site {
        "https://github.com" => "https://api.github.com".to_owned(),
        site => format!("{site}/api/v3"),
    }
}

/// Who came back with a code.
pub(super) async fn identity(
    http: &Http,
    provider: &ProviderConfig,
    secret: Option<String>,
    back: &str,
    code: &str,
    verifier: &str,
) -> Result<Told, ApiError> {
    let site = provider.issuer.trim_end_matches('/');
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &provider.client_id)
        .append_pair("client_secret", secret.as_deref().unwrap_or_default())
        .append_pair("code", code)
        .append_pair("redirect_uri", back)
        .append_pair("code_verifier", verifier)
        .finish();
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{site}/login/oauth/access_token"))
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into_bytes());
    let answer = json(http, request).await?;
    let token = answer["access_token"].as_str();
    let token = token.ok_or_else(|| failed(WHAT, &"it did not take the code"))?;
    let api = api_of(site);
    let get = |path: &str| {
        Request::get(format!("{api}{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::ACCEPT, "application/vnd.github+json")
            .body(Vec::new())
    };
    let user = json(http, get("/user")).await?;
    let name = user["login"].as_str();
    let name = name.ok_or_else(|| failed(WHAT, &"its answer has no name"))?;
    // What it was not allowed to say is not known.
    let emails = json(http, get("/user/emails")).await.unwrap_or_default();
    let emails = emails.as_array().map(Vec::as_slice).unwrap_or_default();
    let primary = emails
        .iter()
        .find(|email| email["primary"] == true && email["verified"] == true);
    let page = format!("?per_page={GROUPS_PER_PAGE}");
    let orgs = json(http, get(&format!("/user/orgs{page}"))).await;
    let teams = json(http, get(&format!("/user/teams{page}"))).await;
    Ok(Told {
        name: name.to_owned(),
        full_name: user["name"].as_str().map(str::to_owned),
        email: primary
            .and_then(|email| email["email"].as_str())
            .map(str::to_owned),
        groups: groups(&orgs.unwrap_or_default(), &teams.unwrap_or_default()),
    })
}

/// Organisations by name, teams as ORGANISATION/TEAM.
fn groups(orgs: &Value, teams: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let orgs = list(orgs).into_iter();
    let orgs = orgs.filter_map(|org| org["login"].as_str().map(str::to_owned));
    let teams = list(teams).into_iter().filter_map(|team| {
        let org = team["organization"]["login"].as_str()?;
        Some(format!("{org}/{}", team["slug"].as_str()?))
    });
    orgs.chain(teams).collect()
}

async fn json(
    http: &Http,
    request: Result<Request<Vec<u8>>, axum::http::Error>,
) -> Result<Value, ApiError> {
    let request = request.map_err(|error| failed(WHAT, &error))?;
    let answer = http.clone().send(request).await;
    let answer = answer.map_err(|error| failed(WHAT, &error))?;
    if answer.status() != StatusCode::OK {
        return Err(failed(WHAT, &answer.status()));
    }
    serde_json::from_slice(answer.body()).map_err(|error| failed(WHAT, &error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn organisations_and_teams_are_groups() {
        let orgs = json!([{"login": "acme"}, {"id": 1}]);
        let teams = json!([{"slug": "core", "organization": {"login": "acme"}}, {"slug": "x"}]);
        assert_eq!(groups(&orgs, &teams), ["acme", "acme/core"]);
        assert_eq!(groups(&Value::Null, &Value::Null), Vec::<String>::new());
    }

    #[test]
    fn an_installation_has_its_api_beneath() {
        assert_eq!(api_of("https://github.com"), "https://api.github.com");
        assert_eq!(api_of("https://git.example"), "https://git.example/api/v3");
    }
}
