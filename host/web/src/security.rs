//! What holds for every answer and every request: headers that keep a page from being turned against its reader, and the
//! refusal of requests that another site's page sends in a reader's name, or under a name of its own that leads here.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use axum::middleware::Next;

use crate::error::ApiError;
use crate::pages::Ask;
use crate::state::Web;

/// Scripts, styles and frames come from this server only, none stand in a page; nothing frames a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Sets the headers, unless an answer has stricter ones of its own.
pub(crate) async fn headers(request: Request, next: Next) -> Response<Body> {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(), geolocation=(), microphone=()",
        ),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether requests with this method change nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Lets nothing through that would change something and was sent by a page of another site.
pub(crate) async fn same_site(
    State(web): State<Web>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if is_safe(request.method()) {
        return next.run(request).await;
    }
    match foreign_origin(request.headers()) {
        None => next.run(request).await,
        Some(origin) => refuse(&web, request, &ApiError::CrossSite { origin }),
    }
}

fn refuse(web: &Web, request: Request, error: &ApiError) -> Response<Body> {
    let (parts, _) = request.into_parts();
    if parts.uri.path().starts_with("/api/") {
        error.log(parts.uri.path());
        return crate::api::error_response_json(error);
    }
    Ask::of(&parts).fail(web, error)
}

/// Lets nothing through that is meant for a name that nobody gave this server. A page of another site can have its own name lead
/// to this address, and the browser then takes what is read here for that site's; its name in `Host` gives that away.
pub(crate) async fn known_host(
    State(web): State<Web>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let known = || match web.master.health().starting {
        true => web.options.hosts.clone(),
        false => web.master.farm().hosts,
    };
    match unknown_host(request.headers(), known) {
        None => next.run(request).await,
        Some(host) => refuse(&web, request, &ApiError::UnknownHost { host }),
    }
}

/// The host that a request is meant for, when that is not this server. Addresses and names without a dot cannot be had by
/// others; what says no host is no browser.
fn unknown_host(headers: &HeaderMap, known: impl FnOnce() -> Vec<String>) -> Option<String> {
    let given = headers.get(header::HOST)?;
    let given = String::from_utf8_lossy(given.as_bytes()).to_ascii_lowercase();
    let has_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match given.rsplit_once(':') {
        Some((name, port)) if has_port(port) => name,
        _ => &given,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let is_ours = address.unwrap_or(name).parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || name.ends_with(".localhost")
        || known().iter().any(|known| known == name);
    (!is_ours).then(|| name.to_owned())
}

/// Where a request comes from, when that is not this server. Browsers say it in `Origin` with everything that is posted, and
/// in `Sec-Fetch-Site`; what says neither is no browser, and acts for nobody but itself.
pub(crate) fn foreign_origin(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = text("origin") {
        let host = origin.split_once("://").map(|(_, host)| host);
        let same = host.is_some() && host == text("host");
        return (!same).then(|| origin.to_owned());
    }
    match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => None,
        Some(site) => Some(site.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_gave_are_unknown() {
        for (given, expected) in [
            ("127.0.0.1:8010", None),
            ("[::1]:8010", None),
            ("10.0.0.7", None),
            ("localhost:8010", None),
            ("farm.localhost", None),
            ("build-box:8010", None),
            ("CI.example.org.:443", None),
            ("evil.example:8010", Some("evil.example")),
            (
                "ci.example.org.evil.example",
                Some("ci.example.org.evil.example"),
            ),
            ("127.0.0.1.evil.example", Some("127.0.0.1.evil.example")),
            (
                "evil.example:80@127.0.0.1",
                Some("evil.example:80@127.0.0.1"),
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, given.parse().expect("a value"));
            let known = || vec!["ci.example.org".to_owned()];
            assert_eq!(
                unknown_host(&headers, known).as_deref(),
                expected,
                "{given}"
            );
        }
        assert_eq!(unknown_host(&HeaderMap::new(), Vec::new), None);
    }

    #[test]
    fn only_other_sites_are_foreign() {
        let table: [(&[(&str, &str)], bool); 8] = [
            (&[("host", "ci.example:8010")], false),
            (
                &[
                    ("host", "ci.example:8010"),
                    ("origin", "http://ci.example:8010"),
                ],
                false,
            ),
            (
                &[
                    ("host", "ci.example:8010"),
                    ("origin", "https://evil.example"),
                ],
                true,
            ),
            (
                &[("host", "ci.example:8010"), ("origin", "http://ci.example")],
                true,
            ),
            (&[("host", "ci.example:8010"), ("origin", "null")], true),
            (
                &[
                    ("host", "ci.example:8010"),
                    ("sec-fetch-site", "same-origin"),
                ],
                false,
            ),
            (
                &[
                    ("host", "ci.example:8010"),
                    ("sec-fetch-site", "cross-site"),
                ],
                true,
            ),
            (&[("origin", "http://ci.example")], true),
        ];
        for (given, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                let name: header::HeaderName = name.parse().expect("a name");
                headers.insert(name, value.parse().expect("a value"));
            }
            assert_eq!(foreign_origin(&headers).is_some(), expected, "{given:?}");
        }
    }
}
