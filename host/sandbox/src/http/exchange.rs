//! One request and its response.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody};

use super::connect::{Client, Stream};
use super::fill::Filler;
use super::rules::Target;
use super::{config, internal};
use crate::Wanted;
use crate::call::Paying;
use crate::host::{HttpFailure, HttpRequest, HttpResponse, Network, PluginServices};

/// Headers of one response.
const RESPONSE_HEADERS_MAX: usize = 200;

/// What an exchange needs.
pub(super) struct Exchange {
    pub(super) client: Arc<Client>,
    pub(super) services: Arc<dyn PluginServices>,
    pub(super) wanted: Wanted,
    pub(super) paying: Paying,
    pub(super) places: Arc<Semaphore>,
    pub(super) options: RequestOptions,
}

/// A response that is whole and that the plugin may see.
struct Collected {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Exchange {
    /// Sends a request and collects its response.
    pub(super) async fn run(self, request: Request<WasiBody>) -> Result<Response<WasiBody>> {
        let place = acquire(&self.places).await?;
        let (head, body) = request.into_parts();
        let grants = self.services.http_grants();
        let target = Target::granted(&head.uri, &self.wanted, &grants).map_err(config)?;
        let limits = &self.client.limits;
        if header_bytes(&head.headers) > limits.header_bytes_max {
            return Err(Error::HttpRequestHeaderSectionSize(None));
        }
        let body = collect(body, limits.request_bytes_max, None);
        let body = in_time("the request was not written", limits.total, body)
            .await?
            .ok_or(Error::HttpRequestBodySize(Some(
                limits.request_bytes_max as u64,
            )))?;
        let is_head = head.method == Method::HEAD;
        let wire = Wire {
            exchange: &self,
            target,
        };
        let request = Request::from_parts(head, body);
        let response = self.services.exchange(request, &wire).await;
        Ok(handed_over(
            response.map_err(|failure| failure.0)?,
            is_head,
            place,
        ))
    }

    /// Sends a request that was checked, and gives what the plugin may see of the response.
    async fn over_the_wire(&self, target: &Target, request: HttpRequest) -> Result<HttpResponse> {
        // Waiting for others is not part of the exchange.
        let turn = self.client.exchanges.take(&self.paying.party).await;
        let limit = self.client.limits.total;
        let exchange = self.exchange(target, request);
        let (collected, has_filled) = in_time("the exchange was not over", limit, exchange).await?;
        drop(turn);
        self.incoming(collected, has_filled).await
    }

    /// Fills secrets in, sends a request and collects its response. Says whether there were secrets.
    async fn exchange(&self, target: &Target, request: HttpRequest) -> Result<(Collected, bool)> {
        let mut filler = Filler {
            services: &*self.services,
            has_filled: false,
        };
        let (head, body) = request.into_parts();
        let request = self.outgoing(head, body, &mut filler).await?;
        let has_filled = filler.has_filled;
        let ca_file = self.services.http_grants().ca_file;
        let collected = self.send(target, ca_file.as_deref(), request).await?;
        Ok((collected, has_filled))
    }

    /// The request as it goes over the wire.
    async fn outgoing(
        &self,
        head: http::request::Parts,
        body: Bytes,
        filler: &mut Filler<'_>,
    ) -> Result<Request<Full<Bytes>>> {
        let mut headers = head.headers;
        let body = filler.body(&headers, body).await?;
        filler.headers(&mut headers).await?;
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, HOST] {
            headers.remove(name);
        }
        // What comes back is looked through for secrets.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let authority = head
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(authority).map_err(|_| Error::HttpRequestUriInvalid)?;
        headers.insert(HOST, host);
        let path = match head.uri.path_and_query() {
            Some(path) => filler.path(path).await?,
            None => http::uri::PathAndQuery::from_static("/"),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = head.method;
        *request.uri_mut() = Uri::from(path);
        *request.headers_mut() = headers;
        Ok(request)
    }

    async fn send(
        &self,
        target: &Target,
        ca_file: Option<&Path>,
        request: Request<Full<Bytes>>,
    ) -> Result<Collected> {
        let limits = &self.client.limits;
        let options = &self.options;
        let connect = shorter(options.connect_timeout, limits.connect);
        let stream = timeout(connect, self.client.connect(&self.paying, target, ca_file));
        let stream: Box<dyn Stream> = stream.await.map_err(|_| Error::ConnectionTimeout)??;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(limits.header_bytes_max)
            .max_headers(RESPONSE_HEADERS_MAX)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await?;
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let first_byte = shorter(options.first_byte_timeout, limits.first_byte);
        let response = timeout(first_byte, sender.send_request(request)).await;
        let response = response.map_err(|_| Error::HttpResponseTimeout)??;
        let (head, body) = response.into_parts();
        let pause = shorter(options.between_bytes_timeout, limits.between_bytes);
        let body = collect(body, limits.response_bytes_max, Some(pause)).await?;
        drop(connection);
        Ok(Collected {
            status: head.status,
            headers: head.headers,
            body: body.ok_or(Error::HttpResponseBodySize(Some(
                limits.response_bytes_max as u64,
            )))?,
        })
    }

    /// The response as the plugin sees it.
    async fn incoming(&self, collected: Collected, has_filled: bool) -> Result<HttpResponse> {
        let mut headers = collected.headers;
        if has_filled && let Some(coding) = headers.get(CONTENT_ENCODING) {
            let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
            return Err(Error::HttpResponseContentCoding(Some(coding)));
        }
        let services = Arc::clone(&self.services);
        let masked = self.paying.compute(move || {
            for value in headers.values_mut() {
                let shown = services.mask(Bytes::copy_from_slice(value.as_bytes()));
                *value = HeaderValue::from_maybe_shared(shown).ok()?;
            }
            Some((headers, services.mask(collected.body)))
        });
        let (headers, body) = masked
            .await
            .ok_or(Error::ConnectionTerminated)?
            .ok_or_else(|| internal("a header of the response is not valid".into()))?;
        let mut response = Response::new(body);
        *response.status_mut() = collected.status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// The network behind a request that was checked.
struct Wire<'a> {
    exchange: &'a Exchange,
    target: Target,
}

#[async_trait]
impl Network for Wire<'_> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let sent = self.exchange.over_the_wire(&self.target, request).await;
        sent.map_err(HttpFailure)
    }
}

/// A response on its way into the plugin.
fn handed_over(
    response: HttpResponse,
    is_head: bool,
    place: OwnedSemaphorePermit,
) -> Response<WasiBody> {
    let (mut head, body) = response.into_parts();
    head.headers.remove(TRANSFER_ENCODING);
    if !is_head {
        head.headers.insert(CONTENT_LENGTH, body.len().into());
    }
    let body = Full::new(body).map_err(|never| match never {});
    // The place is free again when the plugin drops the body.
    let body = body.map_frame(move |frame| {
        let _ = &place;
        frame
    });
    Response::from_parts(head, body.boxed_unsync())
}

/// What somebody does, unless it takes too long.
async fn in_time<T>(
    what: &str,
    limit: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let done = timeout(limit, work).await;
    done.unwrap_or_else(|_| {
        let limit = limit.as_secs_f64();
        Err(internal(format!("{what} after {limit} s")))
    })
}

async fn acquire(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let place = Arc::clone(places).acquire_owned().await;
    place.map_err(|_| Error::ConnectionLimitReached)
}

/// All of a body; `None` when it is larger than `limit`.
async fn collect<B>(mut body: B, limit: usize, pause: Option<Duration>) -> Result<Option<Bytes>>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Error>,
{
    if body.size_hint().lower() > limit as u64 {
        return Ok(None);
    }
    let mut collected = BytesMut::new();
    loop {
        let frame = match pause {
            None => body.frame().await,
            Some(pause) => timeout(pause, body.frame())
                .await
                .map_err(|_| Error::ConnectionReadTimeout)?,
        };
        let Some(frame) = frame else {
            return Ok(Some(collected.freeze()));
        };
        let frame = frame.map_err(Into::into)?;
        if let Ok(data) = frame.into_data() {
            if collected.len() + data.len() > limit {
                return Ok(None);
            }
            collected.extend_from_slice(&data);
        }
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    let each = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    each.sum()
}

fn shorter(asked: Option<Duration>, limit: Duration) -> Duration {
    asked.unwrap_or(limit).min(limit)
}
