//! HTTP requests to granted hosts.

#[cfg(target_family = "wasm")]
use super::Services;
use super::ServicesRef;
use crate::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// How long a request may take unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a response is taken unless told otherwise.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How much of a response an error shows.
const EXCERPT_CHARS_MAX: usize = 200;

/// Status codes of 400 to 499 that another try may change: a timeout, a conflict in order (RFC 8470), and too
/// many requests.
const RETRYABLE_CLIENT_ERRORS: [u16; 3] = [408, 425, 429];

/// Sends HTTP requests. Redirects are not followed.
///
/// ```
/// # use toolpost_sdk::mock::{MockHost, MockResponse};
/// # let host = MockHost::new().secret("chat-token", "s3cret").http(MockResponse::new(201).body("made"));
/// # let ctx = host.context();
/// let response = ctx
///     .http()
///     .post("https://chat.example.org/messages")
///     .header("Authorization", format!("Bearer {}", ctx.secret("chat-token")?))
///     .json(&serde_json::json!({ "text": "deployed" }))?
///     .send()?
///     .error_for_status()?;
/// assert_eq!(response.text(), "made");
/// # Ok::<(), toolpost_sdk::Error>(())
/// ```
pub struct Http {
    services: ServicesRef,
}

impl Http {
    pub(crate) fn new(services: ServicesRef) -> Self {
        Self { services }
    }

    /// A request to read something.
    pub fn get(&self, url: impl Into<String>) -> Request {
        self.request("GET", url)
    }

    /// A request that hands something over.
    pub fn post(&self, url: impl Into<String>) -> Request {
        self.request("POST", url)
    }

    /// A request with this method.
    pub fn request(&self, method: impl Into<String>, url: impl Into<String>) -> Request {
        Request {
            services: ServicesRef::clone(&self.services),
            spec: HttpRequest {
                method: method.into(),
                url: url.into(),
                headers: Vec::new(),
                body: Vec::new(),
                timeout: TIMEOUT,
                body_bytes_max: BODY_BYTES_MAX,
            },
        }
    }
}

/// A request, as [`Request`] puts it together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// `https://` or `http://`, a host, and what follows.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// How long it may take, with the response.
    pub timeout: Duration,
    /// How long the body of the response may be.
    pub body_bytes_max: usize,
}

impl HttpRequest {
    /// The value of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }
}

/// A request that is being put together; [`send`](Self::send) sends it.
#[must_use = "a request goes nowhere until it is sent"]
pub struct Request {
    services: ServicesRef,
    spec: HttpRequest,
}

impl Request {
    /// Adds a header. The value may have placeholders of secrets.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.spec.body = body.into();
        self
    }

    /// Sets the body to the JSON of a value, and says so in `Content-Type`.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when the value cannot be JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(value)
            .map_err(|error| Error::permanent(format!("the body of a request: {error}")))?;
        Ok(self.header("Content-Type", "application/json").body(body))
    }

    /// How long it may take, with the response: 30 s unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.timeout = timeout;
        self
    }

    /// How long the body of the response may be: 1 MiB unless set.
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.spec.body_bytes_max = bytes;
        self
    }

    /// Sends it, and waits for the whole response, whatever its status.
    ///
    /// # Errors
    ///
    /// When there is no response. `?` makes the right [`Error`] of it.
    pub fn send(self) -> Result<HttpResponse, HttpError> {
        self.services.send_http(&self.spec)
    }
}

/// The answer to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// 200 and so on.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What came with it.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Whether the status is one of 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a value of this type.
    ///
    /// # Errors
    ///
    /// [`Error::Permanent`] when it is none.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::permanent(format!("the response is not as expected: {error}")))
    }

    /// The response, if it is a success.
    ///
    /// # Errors
    ///
    /// [`Error::Retryable`] when another try may help: with a status of 500 and more, 408, 425 and 429, with
    /// the header `Retry-After` in the text. Else [`Error::Permanent`].
    pub fn error_for_status(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let mut text = format!("the server answered {}", self.status);
        if let Some(location) = self.header("location").filter(|_| self.status < 400) {
            text.push_str(&format!(
                ", a redirect to {location}, which is not followed"
            ));
        }
        if let Some(delay) = self.header("retry-after") {
            text.push_str(&format!(", try again after {delay}"));
        }
        let body = self.text();
        let excerpt: String = body.trim().chars().take(EXCERPT_CHARS_MAX).collect();
        if !excerpt.is_empty() {
            text.push_str(&format!(": {}", excerpt.replace(['\r', '\n'], " ")));
        }
        if self.status >= 500 || RETRYABLE_CLIENT_ERRORS.contains(&self.status) {
            Err(Error::retryable(text))
        } else {
            Err(Error::permanent(text))
        }
    }
}

fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The operator has not granted this host, or a secret in the request; the text says what to add to the configuration.
    NotAllowed(String),
    /// The address, a header or the body cannot be sent.
    Invalid(String),
    /// It took longer than it may.
    Timeout,
    /// The response is longer than it may be.
    TooLarge,
    /// The server could not be reached, or broke off.
    Failed(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed(reason) => write!(formatter, "the request is not allowed: {reason}"),
            Self::Invalid(reason) => write!(formatter, "the request cannot be sent: {reason}"),
            Self::Timeout => formatter.write_str("the server took too long to answer"),
            Self::TooLarge => formatter.write_str("the response is too long"),
            Self::Failed(reason) => write!(formatter, "no answer from the server: {reason}"),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<HttpError> for Error {
    /// What the network did is worth another try; what is not allowed or not a request is a matter of the
    /// configuration.
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Timeout | HttpError::Failed(_) => Self::retryable(error),
            HttpError::TooLarge => Self::permanent(error),
            HttpError::NotAllowed(_) | HttpError::Invalid(_) => Self::config("", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_time_may_heal_is_worth_a_retry() {
        let answer = |status, headers: &[(&str, &str)]| {
            let response = HttpResponse {
                status,
                headers: headers
                    .iter()
                    .map(|(n, v)| ((*n).into(), (*v).into()))
                    .collect(),
                body: b"try\nlater ".to_vec(),
            };
            response.error_for_status().map(|response| response.status)
        };
        assert_eq!(answer(204, &[]), Ok(204));
        for status in [408, 425, 429, 500, 503, 599] {
            let expected = Error::retryable(format!("the server answered {status}: try later"));
            assert_eq!(answer(status, &[]), Err(expected));
        }
        for status in [304, 400, 401, 404, 422] {
            let expected = Error::permanent(format!("the server answered {status}: try later"));
            assert_eq!(answer(status, &[]), Err(expected));
        }
        assert_eq!(
            answer(503, &[("retry-after", "120")]),
            Err(Error::retryable(
                "the server answered 503, try again after 120: try later"
            ))
        );
        assert_eq!(
            answer(301, &[("Location", "/new")]),
            Err(Error::permanent(
                "the server answered 301, a redirect to /new, which is not followed: try later"
            ))
        );
    }
}
