//! A body with what HTTP wants to know of it: a tag, and a compressed form for who takes that.

use std::io::Write as _;
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;

use crate::caching;

/// A smaller body is not worth compressing.
const GZIP_BYTES_MIN: usize = 1024;

/// A body that is answered as it is: with its tag and, once somebody asked for that, its compressed form.
#[derive(Debug)]
pub(crate) struct Blob {
    body: Bytes,
    content_type: HeaderValue,
    cache_control: HeaderValue,
    etag: HeaderValue,
    gzip: OnceLock<Option<Bytes>>,
}

impl Blob {
    /// A body that has to be asked for again each time, though mostly only its tag goes over the wire.
    pub(crate) fn new(body: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self::with_cache_control(body, HeaderValue::from_static(content_type), "no-cache")
    }

    /// A body whose path changes when it does.
    pub(crate) fn immutable(body: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self::file(body, HeaderValue::from_static(content_type), true)
    }

    /// A file of a type that is not known before; `is_immutable` if its path changes when it does.
    pub(crate) fn file(
        body: impl Into<Bytes>,
        content_type: HeaderValue,
        is_immutable: bool,
    ) -> Self {
        let cache_control = match is_immutable {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        Self::with_cache_control(body, content_type, cache_control)
    }

    fn with_cache_control(
        body: impl Into<Bytes>,
        content_type: HeaderValue,
        cache_control: &'static str,
    ) -> Self {
        let body = body.into();
        let etag = format!("\"{:016x}\"", fingerprint(&body));
        Self {
            etag: HeaderValue::try_from(etag).unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
            body,
            content_type,
            cache_control: HeaderValue::from_static(cache_control),
            gzip: OnceLock::new(),
        }
    }

    /// Tells it from other bodies.
    pub(crate) fn fingerprint(&self) -> &str {
        self.etag.to_str().unwrap_or_default().trim_matches('"')
    }

    /// The body as it is.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// Answers a request with it: in full, compressed, or only by saying that it has not changed.
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response<Body> {
        let unchanged = caching::is_known(request, &self.etag);
        let mut response = if unchanged {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            self.full(request)
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, self.cache_control.clone());
        headers.insert(header::VARY, HeaderValue::from_static(caching::VARY));
        response
    }

    fn full(&self, request: &HeaderMap) -> Response<Body> {
        let compressed = accepts_gzip(request).then(|| self.gzip()).flatten();
        let mut response = Response::new(Body::from(
            compressed.clone().unwrap_or_else(|| self.body.clone()),
        ));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        if compressed.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    /// The compressed form, made on first use; `None` when that would not help.
    fn gzip(&self) -> Option<Bytes> {
        self.gzip
            .get_or_init(|| {
                if self.body.len() < GZIP_BYTES_MIN {
                    return None;
                }
                let level = flate2::Compression::fast();
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::with_capacity(self.body.len() / 4), level);
                encoder.write_all(&self.body).ok()?;
                encoder.finish().ok().map(Bytes::from)
            })
            .clone()
    }

    /// Memory that it holds, about.
    pub(super) fn cost(&self) -> usize {
        // The compressed form comes later; a quarter is what JSON and HTML mostly come to.
        self.body.len() + self.body.len() / 4
    }
}

/// Whether the client takes gzip.
fn accepts_gzip(request: &HeaderMap) -> bool {
    request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some("gzip") && !parts.any(|q| matches!(q, "q=0" | "q=0.0"))
        })
}

/// Tells bodies of one path apart; no protection against somebody who makes two of them collide, which would gain nothing.
fn fingerprint(body: &[u8]) -> u64 {
    use std::hash::Hasher as _;
    // The keys of a default hasher are the same in every process, so that a tag outlives a restart.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(body);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_is_answered_without_the_body() {
        let blob = Blob::new("hello", "text/plain");
        let mut headers = HeaderMap::new();
        let full = blob.respond(&headers);
        assert_eq!(full.status(), StatusCode::OK);
        let etag = full.headers()[header::ETAG]
            .to_str()
            .expect("ASCII")
            .to_owned();
        for (tags, status) in [
            (etag.clone(), StatusCode::NOT_MODIFIED),
            (format!("\"x\", W/{etag}"), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            ("\"x\"".to_owned(), StatusCode::OK),
        ] {
            headers.insert(header::IF_NONE_MATCH, tags.parse().expect("a header"));
            assert_eq!(blob.respond(&headers).status(), status, "{tags}");
        }
    }

    #[test]
    fn a_body_is_compressed_when_asked_and_worth_it() {
        let large = Blob::new("x".repeat(5000), "text/plain");
        let small = Blob::new("x", "text/plain");
        for (accept, expected) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accept.parse().expect("a header"));
            let encoded = |blob: &Blob| {
                blob.respond(&headers)
                    .headers()
                    .contains_key(header::CONTENT_ENCODING)
            };
            assert_eq!(encoded(&large), expected, "{accept}");
            assert!(!encoded(&small), "{accept}");
        }
    }
}
