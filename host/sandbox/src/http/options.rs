//! Limits of plugins' HTTP, and who resolves names.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

/// How plugins speak HTTP.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// What one exchange and one call may take.
    pub limits: HttpLimits,
    /// Who resolves names of hosts.
    pub resolver: Arc<dyn Resolve>,
}

/// Limits of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Requests of one call.
    pub requests_max: u32,
    /// Responses of one call that it has not dropped yet, with the requests that are under way.
    pub responses_held_max: usize,
    /// Exchanges of all calls at one time; further ones wait, and plugins take turns.
    pub exchanges_max: usize,
    /// How many of these one plugin may have.
    pub exchanges_of_plugin_max: usize,
    /// Body of a request.
    pub request_bytes_max: usize,
    /// Body of a response.
    pub response_bytes_max: usize,
    /// Headers of a request, or of a response.
    pub header_bytes_max: usize,
    /// Until a connection is there, encryption included.
    pub connect: Duration,
    /// From the request to the first byte of the response.
    pub first_byte: Duration,
    /// Between two pieces of a response.
    pub between_bytes: Duration,
    /// For all of it once it is its turn, to the last byte: a server cannot keep a plugin for longer by sending slowly. Before
    /// that, as long for the plugin to write its request.
    pub total: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            requests_max: 100,
            responses_held_max: 4,
            exchanges_max: 64,
            exchanges_of_plugin_max: 16,
            request_bytes_max: 4 << 20,
            response_bytes_max: 4 << 20,
            header_bytes_max: 64 << 10,
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            between_bytes: Duration::from_secs(15),
            total: Duration::from_secs(60),
        }
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            limits: HttpLimits::default(),
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// Finds the addresses of a host.
#[async_trait]
pub trait Resolve: Send + Sync + fmt::Debug + 'static {
    /// The addresses of a name, best first.
    ///
    /// # Errors
    /// When there are none, or nobody can tell.
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}
