//! What holds for every answer and every request: headers that keep a page from being turned against its reader, and the
//! refusal of requests that another site's page sends in a reader's name.

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
        Some(origin) => {
            let error = ApiError::CrossSite { origin };
            let (parts, _) = request.into_parts();
            if parts.uri.path().starts_with("/api/") {
                error.log(parts.uri.path());
                return crate::api::error_response_json(&error);
            }
            Ask::of(&parts).fail(&web, &error)
        }
    }
}

/// Where a request comes from, when that is not this server. Browsers say it in `Origin` with everything that is posted, and
/// in `Sec-Fetch-Site`; what says neither is no browser, and acts for nobody but itself.
fn foreign_origin(headers: &HeaderMap) -> Option<String> {
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
