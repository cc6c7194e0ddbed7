//! HTTP of plugins, on its way between a plugin and the network.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime_wasi_http::Error;

/// A request, whole.
pub type HttpRequest = http::Request<Bytes>;

/// A response, whole.
pub type HttpResponse = http::Response<Bytes>;

/// Where requests go.
#[async_trait]
pub trait Network: Send + Sync {
    /// Sends a request: fills secrets in, and hides them in the response.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure>;
}

/// Why a request has no response.
#[derive(Debug)]
pub struct HttpFailure(pub(crate) Error);

impl HttpFailure {
    /// The failure that a word of [`Self::word`] stands for; any other is one with this text.
    #[must_use]
    pub fn new(word: &str, text: &str) -> Self {
        Self(match word {
            "not-found" => Error::DestinationNotFound,
            "refused" => Error::ConnectionRefused,
            "connect-timeout" => Error::ConnectionTimeout,
            "read-timeout" => Error::ConnectionReadTimeout,
            "response-timeout" => Error::HttpResponseTimeout,
            _ => Error::InternalError(Some(text.to_owned())),
        })
    }

    /// A word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match &self.0 {
            Error::DestinationNotFound => "not-found",
            Error::ConnectionRefused => "refused",
            Error::Connect(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                "refused"
            }
            Error::ConnectionTimeout => "connect-timeout",
            Error::ConnectionReadTimeout => "read-timeout",
            Error::HttpResponseTimeout => "response-timeout",
            _ => "other",
        }
    }
}

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Error::InternalError(Some(text)) => f.write_str(text),
            error => error.fmt(f),
        }
    }
}
