//! A real HTTP server that keeps what it is sent, as the other side of reporters.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use crate::Authority;

/// A request's body; a reporter sends far less.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A request that arrived whole.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its method and path.
    pub line: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Received {
    /// A header as text, empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// What the receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// It answers after so long.
    pub after: Duration,
    /// What it answers.
    pub status: StatusCode,
}

/// Decides about the request with this number, from 0.
type Decide = Arc<dyn Fn(usize, &Received) -> Answer + Send + Sync>;

#[derive(Clone)]
struct Shared {
    received: Arc<Mutex<Vec<Received>>>,
    decide: Decide,
}

/// The server. It ends when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Shared,
    _server: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// Starts one on a free port of this machine that answers as `decide` says. A request counts as received before it is
    /// answered.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(
        decide: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::serve(listener, decide)
    }

    /// The same with TLS, as `localhost`.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start_tls(
        authority: &Authority,
        decide: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let acceptor = authority.acceptor();
        Self::serve(TlsListener { tcp, acceptor }, decide)
    }

    fn serve<L: Listener<Addr = SocketAddr>>(
        listener: L,
        decide: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let shared = Shared {
            received: Arc::default(),
            decide: Arc::new(decide),
        };
        let router = Router::new().fallback(receive).with_state(shared.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("it listens on for ever");
        });
        Self {
            address,
            shared,
            _server: AbortOnDropHandle::new(server),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has arrived so far, in that order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received().clone()
    }

    /// How much has arrived so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.received().len()
    }
}

/// Connections whose handshake was good.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            // Who does not trust this server goes away; that is what some tests are about.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(State(shared): State<Shared>, request: Request) -> StatusCode {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        // Who sent it has died in the middle.
        return StatusCode::BAD_REQUEST;
    };
    let received = Received {
        line: format!("{} {}", head.method, head.uri),
        headers: head.headers,
        body: body.into(),
    };
    let answer = {
        let mut all = shared.received();
        let answer = (shared.decide)(all.len(), &received);
        all.push(received);
        answer
    };
    tokio::time::sleep(answer.after).await;
    answer.status
}
