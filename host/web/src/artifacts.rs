//! `/artifacts/BUILD/NAME`: files that steps have uploaded, as they were, in pieces.
//!
//! They are other people's: a browser never runs a script of them, and never takes one for another type than is said.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use futures::TryStreamExt as _;
use mime_guess::mime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use toolpost_core::BuildId;
use toolpost_core::kept::Artifact;

use crate::error::ApiError;
use crate::pages::Ask;
use crate::state::Web;

/// No script, no form, no plug-in, nothing from elsewhere, and an origin of its own: a page that was uploaded is only
/// looked at.
const POLICY: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/// What stays as it is in a part of an address.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Ends of names of plain texts that browsers would offer to keep.
const PLAIN_TEXTS: [&str; 8] = ["log", "toml", "yaml", "yml", "rs", "diff", "patch", "tap"];

/// The files.
pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/artifacts/{build}/{*name}", get(file))
}

/// The address of an artifact on this server.
pub(crate) fn path_of(build: BuildId, name: &str) -> String {
    let parts = name.split('/');
    let parts: Vec<_> = parts
        .map(|part| utf8_percent_encode(part, UNRESERVED).to_string())
        .collect();
    format!("/artifacts/{build}/{}", parts.join("/"))
}

#[derive(Deserialize)]
struct How {
    /// To keep it, not to look at it.
    download: Option<String>,
}

async fn file(
    State(web): State<Web>,
    Path((build, name)): Path<(String, String)>,
    Query(how): Query<How>,
    headers: HeaderMap,
    ask: Ask,
) -> Response<Body> {
    match find(&web, &build, &name, &how, &headers).await {
        Ok(response) => response,
        Err(error) => ask.fail(&web, &error),
    }
}

async fn find(
    web: &Web,
    build: &str,
    name: &str,
    how: &How,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let missing = || ApiError::not_found(format!("artifact {name} of build {build}"));
    let id: i64 = build.parse().map_err(|_| missing())?;
    let artifact = web.store.artifact(BuildId(id), name).await?;
    let artifact = artifact.ok_or_else(missing)?;
    let tag = format!("\"{}\"", artifact.sha256);
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|given| given.trim().trim_start_matches("W/") == tag);
    let mut response = if is_known {
        let mut unchanged = Response::new(Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        let what = format!("artifact {}", artifact.id);
        let pieces = web.store.artifact_bytes(&artifact).await?;
        Response::new(Body::from_stream(pieces.inspect_err(move |error| {
            tracing::error!("sending {what} broke off: {error}");
        })))
    };
    describe(&mut response, &artifact, how, &tag)
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(response)
}

/// Says what it is, and what may be done with it.
fn describe(
    response: &mut Response<Body>,
    artifact: &Artifact,
    how: &How,
    tag: &str,
) -> Result<(), header::InvalidHeaderValue> {
    let is_whole = response.status() == StatusCode::OK;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: HeaderValue| headers.insert(name, value);
    let (content_type, shown) = content_type(&artifact.name);
    let shown = shown && how.download.is_none();
    set(header::CONTENT_TYPE, HeaderValue::from_str(&content_type)?);
    let file_name = artifact.name.rsplit('/').next().unwrap_or_default();
    set(header::CONTENT_DISPOSITION, disposition(shown, file_name)?);
    set(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    set(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    set(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    set(header::ETAG, HeaderValue::from_str(tag)?);
    if is_whole {
        set(header::CONTENT_LENGTH, artifact.size_bytes.into());
    }
    Ok(())
}

/// The type that the end of a name says, and whether a browser shows it.
fn content_type(name: &str) -> (String, bool) {
    let file_name = name.rsplit('/').next().unwrap_or_default();
    let end = file_name.rsplit_once('.').map(|(_, end)| end);
    if end.is_some_and(|end| PLAIN_TEXTS.contains(&end)) {
        return ("text/plain; charset=utf-8".into(), true);
    }
    let guessed = mime_guess::from_path(file_name).first_or_octet_stream();
    let shown = matches!(
        (guessed.type_(), guessed.subtype()),
        (mime::TEXT | mime::IMAGE | mime::AUDIO | mime::VIDEO, _) | (mime::APPLICATION, mime::JSON)
    );
    let essence = guessed.essence_str();
    if guessed.type_() == mime::TEXT || guessed.subtype() == mime::JSON {
        (format!("{essence}; charset=utf-8"), shown)
    } else {
        (essence.to_owned(), shown)
    }
}

/// The header that says whether a file is to be shown or kept, and under which name (RFC 6266, with RFC 8187 for what is
/// not ASCII).
pub(crate) fn disposition(
    shown: bool,
    name: &str,
) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let kind = if shown { "inline" } else { "attachment" };
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ');
    let ascii: String = name
        .chars()
        .map(|c| if safe(c) { c } else { '_' })
        .collect();
    let header = if name.chars().all(safe) {
        format!("{kind}; filename=\"{ascii}\"")
    } else {
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
        format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
    };
    HeaderValue::try_from(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_the_names() {
        for (name, expected, shown) in [
            ("report/index.html", "text/html; charset=utf-8", true),
            ("a.TXT", "text/plain; charset=utf-8", true),
            ("build.log", "text/plain; charset=utf-8", true),
            ("plot.svg", "image/svg+xml", true),
            ("x.json", "application/json; charset=utf-8", true),
            ("spindle-1.0.tar.gz", "application/gzip", false),
            ("program", "application/octet-stream", false),
            ("html", "application/octet-stream", false),
            ("dir.html/program", "application/octet-stream", false),
        ] {
            let told = content_type(name);
            assert_eq!((told.0.as_str(), told.1), (expected, shown), "{name}");
        }
    }

    #[test]
    fn addresses_keep_names_together() {
        let path = path_of(BuildId(3), "a b/100%/ü?#.txt");
        assert_eq!(path, "/artifacts/3/a%20b/100%25/%C3%BC%3F%23.txt");
    }

    #[test]
    fn file_names_cannot_leave_their_header() {
        for (name, expected) in [
            (
                "unit_build_3_step_make_log_stdio",
                "attachment; filename=\"unit_build_3_step_make_log_stdio\"",
            ),
            (
                "a\"b/../c\r\nd",
                "attachment; filename=\"a_b_.._c__d\"; filename*=UTF-8''a%22b%2F%2E%2E%2Fc%0D%0Ad",
            ),
            (
                "täst",
                "attachment; filename=\"t_st\"; filename*=UTF-8''t%C3%A4st",
            ),
        ] {
            assert_eq!(disposition(false, name).expect("a header"), expected);
        }
    }
}
