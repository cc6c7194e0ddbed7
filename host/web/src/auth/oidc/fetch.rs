//! Requests to a provider: over TLS that is vouched for, within limits of time and size, redirects not followed.

use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use toolpost_sandbox::Trust;

/// From the first byte to the last.
const FETCH_WAIT_MAX: Duration = Duration::from_secs(15);
/// Longest answer, bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why a provider could not be asked. Says nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("`{0}` is no address that can be asked")]
    Address(String),
    #[error("{host} does not answer in time")]
    Slow { host: String },
    #[error("{host} cannot be asked: {reason}")]
    Failed { host: String, reason: String },
}

/// Asks providers.
#[derive(Clone, Copy)]
pub(super) struct Http<'a> {
    trust: &'a Trust,
    ca_file: Option<&'a Path>,
}

impl<'a> Http<'a> {
    pub(super) fn new(trust: &'a Trust, ca_file: Option<&'a Path>) -> Self {
        Self { trust, ca_file }
    }

    /// Sends a request, and reads the answer to its end.
    pub(super) async fn send(
        self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, FetchError> {
        let uri = request.uri().clone();
        let host = uri
            .host()
            .ok_or_else(|| FetchError::Address(uri.to_string()))?;
        let host = host.to_owned();
        let sent = timeout(FETCH_WAIT_MAX, self.send_now(request, &uri, &host));
        match sent.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => Err(FetchError::Failed { host, reason }),
            Err(_) => Err(FetchError::Slow { host }),
        }
    }

    async fn send_now(
        self,
        request: Request<Vec<u8>>,
        uri: &Uri,
        host: &str,
    ) -> Result<Response<Vec<u8>>, String> {
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((name, port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        if !is_tls {
            return exchange(stream, request, uri).await;
        }
        let connector = self.trust.connector(self.ca_file).await;
        let connector = connector.map_err(|error| error.to_string())?;
        let server = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
        let stream = connector.connect(server, stream).await;
        exchange(stream.map_err(|error| error.to_string())?, request, uri).await
    }
}

async fn exchange<S>(
    stream: S,
    request: Request<Vec<u8>>,
    uri: &Uri,
) -> Result<Response<Vec<u8>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shown = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(shown)?;
    let driven = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
    let (mut parts, body) = request.into_parts();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // A name and password of an address are not for its server to hear of this way.
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let authority = HeaderValue::from_str(authority).map_err(|error| error.to_string())?;
    parts.headers.insert(header::HOST, authority);
    let agent = HeaderValue::from_static(concat!("toolpost/", env!("CARGO_PKG_VERSION")));
    parts.headers.insert(header::USER_AGENT, agent);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().map_err(|_| "its path is none".to_owned())?;
    let request = Request::from_parts(parts, Full::new(Bytes::from(body)));
    let answer = sender.send_request(request).await.map_err(shown)?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    drop(driven);
    Ok(Response::from_parts(parts, body.to_vec()))
}
