//! What caches on the way, and those of browsers, may keep, and how they learn that it is still true.
//!
//! Answers come with a tag, and whoever has the tag of what would be answered is only told so. Nothing is believed without
//! asking, but for what has its fingerprint in its path. What somebody gets who says who he is, is kept by nobody.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;

use crate::cache::{Depends, Form, Versions as _};
use crate::state::Web;

/// What decides which answer somebody gets, beside the address.
pub(crate) const VARY: &str = "accept, accept-encoding, authorization, cookie";

/// The cookie that says nothing about who somebody is.
const THEME: &str = "theme=";

/// Says who may keep an answer: somebody who is known by a cookie or credentials gets his own.
pub(crate) async fn keep_apart(request: Request, next: Next) -> Response<Body> {
    let is_somebodys = is_somebodys(request.headers());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if is_for_all(headers) {
        return response;
    }
    if is_somebodys {
        keep_for_nobody(headers);
    }
    headers.insert(header::VARY, HeaderValue::from_static(VARY));
    response
}

/// Says that an answer is for one person, unless it is the same for everybody for ever.
pub(crate) fn keep_for_nobody(headers: &mut HeaderMap) {
    if !is_for_all(headers) {
        let nobody = HeaderValue::from_static("private, no-store");
        headers.insert(header::CACHE_CONTROL, nobody);
    }
}

fn is_for_all(headers: &HeaderMap) -> bool {
    let kept = headers.get(header::CACHE_CONTROL);
    let kept = kept.and_then(|value| value.to_str().ok());
    kept.is_some_and(|kept| kept.contains("immutable"))
}

/// Whether a request says who sends it.
fn is_somebodys(headers: &HeaderMap) -> bool {
    let mut cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|cookies| cookies.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii);
    headers.contains_key(header::AUTHORIZATION)
        || cookies.any(|cookie| !cookie.is_empty() && !cookie.starts_with(THEME.as_bytes()))
}

/// A tag for what is made of these, as they are now. `None` while others write to the same database, who do not count here.
pub(crate) fn version_tag(web: &Web, form: Form, depends: Depends) -> Option<HeaderValue> {
    if web.options.database_is_shared {
        return None;
    }
    let (process, version) = (web.process, web.version(depends));
    HeaderValue::try_from(format!("W/\"{process:x}-{version:x}-{}\"", form as u8)).ok()
}

/// Whether the client has what has this tag, or anything of what is there; a weak comparison, as RFC 9110 section 13.1.2 asks
/// for.
pub(crate) fn is_known(request: &HeaderMap, tag: &HeaderValue) -> bool {
    known(request).any(|known| known == "*") || names(request, tag)
}

/// Whether the client names this very tag.
pub(crate) fn names(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let weak = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let tag = tag.to_str().map(weak);
    tag.is_ok_and(|tag| known(request).any(|known| weak(known) == tag))
}

fn known(request: &HeaderMap) -> impl Iterator<Item = &str> {
    let tags = request.get_all(header::IF_NONE_MATCH).iter();
    tags.filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .map(str::trim)
}

/// Says that what the client has is still true.
pub(crate) fn unchanged(tag: &HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    revalidated(response.headers_mut(), tag.clone());
    response
}

/// To be kept, and asked for again each time.
pub(crate) fn revalidated(headers: &mut HeaderMap, tag: HeaderValue) {
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_says_who_he_is_gets_his_own_answers() {
        for (name, value, expected) in [
            ("accept", "text/html", false),
            ("cookie", "theme=dark", false),
            ("cookie", "theme=dark; ", false),
            ("cookie", "theme=dark; session=1", true),
            ("cookie", "session=1", true),
            ("authorization", "Bearer x", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(is_somebodys(&headers), expected, "{name}: {value}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        for (known, expected) in [
            ("W/\"a\"", true),
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("if-none-match", HeaderValue::from_static(known));
            let tag = HeaderValue::from_static("W/\"a\"");
            assert_eq!(is_known(&headers, &tag), expected, "{known}");
        }
    }
}
