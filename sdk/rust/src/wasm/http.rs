//! One HTTP request over WASI: blocking, with one deadline for all of it.
//!
//! Resources of WASI have to be dropped before those that they come from; the scopes here are made for that.

use super::bindings::http::wasi::clocks::monotonic_clock;
use super::bindings::http::wasi::http::outgoing_handler;
use super::bindings::http::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use super::bindings::http::wasi::io::poll::{self, Pollable};
use super::bindings::http::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::{HttpError, HttpRequest, HttpResponse};
use std::time::Duration;

/// What a stream is asked for at a time.
const READ_BYTES: u64 = 64 * 1024;

/// Sends a request, and waits for the whole response.
pub(super) fn send(spec: &HttpRequest) -> Result<HttpResponse, HttpError> {
    let deadline = Deadline::after(spec.timeout);
    let request = outgoing(spec)?;
    let body = request
        .body()
        .map_err(|()| HttpError::Invalid("it has no body to write to".to_owned()))?;
    let response = outgoing_handler::handle(request, Some(options(spec.timeout))).map_err(error)?;
    // A server may answer, and refuse, before it has read everything: what it says, or why it says nothing, tells
    // more than that not everything could be written.
    let written = write(body, &spec.body, &deadline);
    let response = receive(&response, &deadline)?;
    match collect(&response, spec.body_bytes_max, &deadline) {
        Err(HttpError::Failed(reason)) => Err(written.err().unwrap_or(HttpError::Failed(reason))),
        collected => collected,
    }
}

/// When it has taken too long.
struct Deadline(Pollable);

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self(monotonic_clock::subscribe_duration(nanoseconds(timeout)))
    }

    /// Waits until something is ready.
    fn wait(&self, ready: &Pollable) -> Result<(), HttpError> {
        // Both may be ready: then there is something to be had.
        if poll::poll(&[ready, &self.0]).contains(&0) {
            Ok(())
        } else {
            Err(HttpError::Timeout)
        }
    }
}

fn outgoing(spec: &HttpRequest) -> Result<OutgoingRequest, HttpError> {
    let (scheme, authority, path) = split_url(&spec.url)?;
    let request = OutgoingRequest::new(headers(spec)?);
    let invalid = |what: &'static str| move |()| HttpError::Invalid(what.to_owned());
    request
        .set_method(&method(&spec.method))
        .map_err(invalid("its method is none"))?;
    request
        .set_scheme(Some(&scheme))
        .map_err(invalid("its scheme is none"))?;
    request
        .set_authority(Some(authority))
        .map_err(invalid("its host is none"))?;
    request
        .set_path_with_query(Some(&path))
        .map_err(invalid("its path is none"))?;
    Ok(request)
}

fn headers(spec: &HttpRequest) -> Result<Fields, HttpError> {
    let fields = Fields::new();
    let append = |name: &str, value: &str| {
        fields
            .append(name, value.as_bytes())
            .map_err(|reason| HttpError::Invalid(format!("the header `{name}`: {reason}")))
    };
    for (name, value) in &spec.headers {
        append(name, value)?;
    }
    // Otherwise it would be sent in chunks, which not every receiver takes.
    if spec.header("content-length").is_none() && !spec.body.is_empty() {
        append("Content-Length", &spec.body.len().to_string())?;
    }
    Ok(fields)
}

fn options(timeout: Duration) -> RequestOptions {
    let options = RequestOptions::new();
    let timeout_ns = Some(nanoseconds(timeout));
    // A host that does not know one of them has its own, and the deadline holds in any case.
    let _ = options.set_connect_timeout(timeout_ns);
    let _ = options.set_first_byte_timeout(timeout_ns);
    let _ = options.set_between_bytes_timeout(timeout_ns);
    options
}

fn write(body: OutgoingBody, bytes: &[u8], deadline: &Deadline) -> Result<(), HttpError> {
    if !bytes.is_empty() {
        let stream = body
            .write()
            .map_err(|()| HttpError::Failed("the request is closed".to_owned()))?;
        write_all(&stream, bytes, deadline)?;
    }
    OutgoingBody::finish(body, None).map_err(error)
}

fn write_all(stream: &OutputStream, bytes: &[u8], deadline: &Deadline) -> Result<(), HttpError> {
    let ready = stream.subscribe();
    let mut rest = bytes;
    while !rest.is_empty() {
        deadline.wait(&ready)?;
        let room = stream.check_write().map_err(stream_error)?;
        let (now, later) =
            rest.split_at(rest.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        stream.write(now).map_err(stream_error)?;
        rest = later;
    }
    stream.flush().map_err(stream_error)?;
    deadline.wait(&ready)
}

fn receive(
    response: &FutureIncomingResponse,
    deadline: &Deadline,
) -> Result<IncomingResponse, HttpError> {
    let ready = response.subscribe();
    loop {
        deadline.wait(&ready)?;
        match response.get() {
            Some(Ok(response)) => return response.map_err(error),
            // Only the first call of `get` gives the response, and this is it.
            Some(Err(())) => return Err(HttpError::Failed("the response was taken".to_owned())),
            None => {}
        }
    }
}

fn collect(
    response: &IncomingResponse,
    bytes_max: usize,
    deadline: &Deadline,
) -> Result<HttpResponse, HttpError> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let headers = response.headers().entries();
    let body: IncomingBody = response
        .consume()
        .map_err(|()| HttpError::Failed("the response has no body".to_owned()))?;
    let stream = body
        .stream()
        .map_err(|()| HttpError::Failed("the response has no body".to_owned()))?;
    Ok(HttpResponse {
        status: response.status(),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect(),
        body: read_all(&stream, bytes_max, deadline)?,
    })
}

fn read_all(
    stream: &InputStream,
    bytes_max: usize,
    deadline: &Deadline,
) -> Result<Vec<u8>, HttpError> {
    let ready = stream.subscribe();
    let mut bytes = Vec::new();
    loop {
        deadline.wait(&ready)?;
        match stream.read(READ_BYTES) {
            Ok(part) => bytes.extend_from_slice(&part),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(stream_error(error)),
        }
        if bytes.len() > bytes_max {
            return Err(HttpError::TooLarge);
        }
    }
}

/// Scheme, host with port, and the rest of an address.
fn split_url(url: &str) -> Result<(Scheme, &str, String), HttpError> {
    let invalid = || HttpError::Invalid(format!("`{url}` is not an address of the web"));
    let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err(invalid()),
    };
    // What follows a `#` is for browsers.
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() || authority.contains('@') {
        return Err(invalid());
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((scheme, authority, format!("{slash}{path}")))
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn stream_error(error: StreamError) -> HttpError {
    match error {
        StreamError::Closed => HttpError::Failed("the connection was closed".to_owned()),
        StreamError::LastOperationFailed(reason) => HttpError::Failed(reason.to_debug_string()),
    }
}

/// How the host begins the text of an error that only the operator can do something about.
const CONFIG: &str = "config: ";

fn error(code: ErrorCode) -> HttpError {
    match code {
        ErrorCode::HttpRequestDenied => HttpError::NotAllowed("the host is not granted".to_owned()),
        ErrorCode::DestinationIpProhibited => {
            HttpError::NotAllowed("the address of the host is not allowed".to_owned())
        }
        ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_) => HttpError::Invalid(words(&code)),
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => HttpError::Timeout,
        ErrorCode::HttpResponseBodySize(_) => HttpError::TooLarge,
        ErrorCode::DnsError(_) => HttpError::Failed("its name is not known".to_owned()),
        ErrorCode::InternalError(Some(reason)) => match reason.strip_prefix(CONFIG) {
            Some(reason) => HttpError::NotAllowed(reason.to_owned()),
            None => HttpError::Failed(reason),
        },
        other => HttpError::Failed(words(&other)),
    }
}

/// The name of a code as words: `ConnectionRefused` as `connection refused`.
fn words(code: &ErrorCode) -> String {
    let name = format!("{code:?}");
    let name = name.strip_prefix("ErrorCode::").unwrap_or(&name);
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
