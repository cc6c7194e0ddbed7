//! The port for workers alone: TCP, TLS if it is configured, and HTTP/1 up to the upgrade.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;
use toolpost_config::config::{TlsConfig, WorkersConfig};
use tracing::{debug, warn};

use super::session::Pipe;
use crate::engine::Engine;

/// Connections that have not said yet who they are. More wait.
const STRANGERS_MAX: usize = 256;
/// How long one may take to say so.
const GREETING_WAIT_MAX: Duration = Duration::from_secs(20);
/// Bytes of the request that opens a connection.
const GREETING_BYTES_MAX: usize = 16 * 1024;
/// Wait after a connection could not be taken, for want of file descriptors for instance.
const ACCEPT_WAIT: Duration = Duration::from_millis(200);

/// Why workers cannot connect.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen for workers on {address} (another program may have it): {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A certificate or key is no good.
    #[error("the TLS of workers cannot be set up: {}: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A port that workers can connect to, taken before anything else is touched. Connections are served where it was opened.
pub struct WorkerPort {
    runtime: Handle,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl WorkerPort {
    /// Takes the port that is configured, if any. Nobody is let in yet.
    ///
    /// # Errors
    /// Somebody else has it, or its certificates cannot be used.
    pub async fn open(config: &WorkersConfig) -> Result<Option<Self>, ListenError> {
        let Some(address) = config.listen else {
            return Ok(None);
        };
        let tls = config.tls.as_ref().map(acceptor).transpose()?;
        let failed = |source| ListenError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Some(Self {
            runtime: Handle::current(),
            listener,
            address,
            tls,
        }))
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The runtime of its connections.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Takes connections until it is told to stop.
    pub(crate) async fn serve(self, engine: Arc<Engine>, stop: CancellationToken) {
        let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
        loop {
            let Ok(place) = Arc::clone(&strangers).acquire_owned().await else {
                return;
            };
            let (stream, from) = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        warn!("a connection of a worker could not be taken: {error}");
                        tokio::time::sleep(ACCEPT_WAIT).await;
                        continue;
                    }
                }
            };
            let (tls, engine) = (self.tls.clone(), Arc::clone(&engine));
            tokio::spawn(async move {
                let greeted = timeout(GREETING_WAIT_MAX, greet(stream, from, tls, engine)).await;
                if greeted.is_err() {
                    debug!("somebody at {from} connected and did not say who it is");
                }
                drop(place);
            });
        }
    }
}

/// Listens to one request; whatever follows an upgrade runs by itself.
async fn greet(stream: TcpStream, from: SocketAddr, tls: Option<TlsAcceptor>, engine: Arc<Engine>) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let pipe: Box<dyn Pipe> = match tls {
        None => Box::new(stream),
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => Box::new(stream),
            Err(error) => {
                warn!("somebody at {from} did not manage TLS: {error}");
                return;
            }
        },
    };
    let service = service_fn(move |request| {
        let engine = Arc::clone(&engine);
        async move {
            let from = from.to_string();
            Ok::<_, Infallible>(engine.greet_worker(request, &from).await)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(GREETING_WAIT_MAX)
        .max_buf_size(GREETING_BYTES_MAX)
        .serve_connection(TokioIo::new(pipe), service)
        .with_upgrades();
    match served.await {
        Ok(()) => {}
        // What a stock worker speaks unless it is told otherwise.
        Err(error) if error.is_parse() => warn!(
            "somebody at {from} does not speak HTTP ({error}); a stock worker needs `--protocol msgpack_experimental_v7`"
        ),
        Err(error) => debug!("somebody at {from} went before it had said who it is: {error}"),
    }
}

fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, ListenError> {
    let failed = |path: &PathBuf, reason: String| ListenError::Tls {
        path: path.clone(),
        reason,
    };
    let certificates = |path: &PathBuf| -> Result<Vec<CertificateDer<'static>>, ListenError> {
        let read = CertificateDer::pem_file_iter(path);
        let read = read.and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let read = read.map_err(|error| failed(path, error.to_string()))?;
        match read.is_empty() {
            true => Err(failed(path, "there is no certificate in it".into())),
            false => Ok(read),
        }
    };
    let chain = certificates(&config.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&config.key)
        .map_err(|error| failed(&config.key, error.to_string()))?;
    let builder = match &config.client_ca {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                let added = roots.add(certificate);
                added.map_err(|error| failed(path, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
            let verifier = verifier.map_err(|error| failed(path, error.to_string()))?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let server = builder
        .with_single_cert(chain, key)
        .map_err(|error| failed(&config.certificate, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}
