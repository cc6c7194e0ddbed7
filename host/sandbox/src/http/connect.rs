//! A connection to a host whose address was checked.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use wasmtime_wasi_http::{Error, Result};

use super::options::{HttpLimits, HttpOptions, Resolve};
use super::rules::Target;
use super::trust::Trust;
use super::{config, internal};
use crate::call::{Paying, Turns};

/// Addresses of one name that are tried.
const ADDRESSES_TRIED_MAX: usize = 4;
/// Names that are looked up at one time, each of which keeps a thread, and those of one plugin.
const LOOKUPS_MAX: usize = 32;
const LOOKUPS_OF_PLUGIN_MAX: usize = 4;

/// What all calls share.
pub(crate) struct Client {
    pub(super) limits: HttpLimits,
    resolver: Arc<dyn Resolve>,
    pub(super) exchanges: Turns,
    lookups: Turns,
    trust: Trust,
}

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Client {
    pub(crate) fn new(options: HttpOptions) -> Self {
        Self {
            limits: options.limits,
            resolver: options.resolver,
            exchanges: Turns::shared(
                options.limits.exchanges_max,
                options.limits.exchanges_of_plugin_max,
            ),
            lookups: Turns::shared(LOOKUPS_MAX, LOOKUPS_OF_PLUGIN_MAX),
            trust: Trust::default(),
        }
    }

    /// Connects to one of the addresses that the target may have.
    pub(super) async fn connect(
        &self,
        paying: &Paying,
        target: &Target,
        ca_file: Option<&Path>,
    ) -> Result<Box<dyn Stream>> {
        let addresses = self.addresses(paying, target).await?;
        let mut failure = Error::DestinationNotFound;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Requests are written in one piece.
                    stream.set_nodelay(true).map_err(Error::Connect)?;
                    return self.secured(target, stream, ca_file).await;
                }
                Err(error) => failure = Error::Connect(error),
            }
        }
        Err(failure)
    }

    /// The addresses of a target, each checked. One that is not allowed refuses all: whoever answers so is not to be
    /// trusted with the next answer either.
    async fn addresses(&self, paying: &Paying, target: &Target) -> Result<Vec<SocketAddr>> {
        let mut found = match target.address {
            Some(address) => vec![SocketAddr::new(address, target.port)],
            None => self
                .look_up(paying, target)
                .await
                .map_err(|error| internal(format!("`{}` is not found: {error}", target.host)))?,
        };
        for address in &found {
            target.check(plain(address.ip())).map_err(config)?;
        }
        found.truncate(ADDRESSES_TRIED_MAX);
        Ok(found)
    }

    /// The system does this on threads that it keeps, a crowd of which would be in everybody's way: it is on those of plugins,
    /// and the turn lasts until the system has answered, also when nobody waits for that any more.
    async fn look_up(&self, paying: &Paying, target: &Target) -> std::io::Result<Vec<SocketAddr>> {
        let turn = self.lookups.take(&paying.party).await;
        let (resolver, host, port) = (Arc::clone(&self.resolver), target.host.clone(), target.port);
        let lookup = paying.threads.spawn(async move {
            let found = resolver.resolve(&host, port).await;
            drop(turn);
            found
        });
        lookup.await?
    }

    async fn secured(
        &self,
        target: &Target,
        stream: TcpStream,
        ca_file: Option<&Path>,
    ) -> Result<Box<dyn Stream>> {
        if !target.is_tls {
            return Ok(Box::new(stream));
        }
        let name = match target.address {
            Some(address) => ServerName::IpAddress(address.into()),
            None => ServerName::try_from(target.host.clone())
                .map_err(|_| Error::HttpRequestUriInvalid)?,
        };
        let connector = self.trust.connector(ca_file).await;
        let connector =
            connector.map_err(|error| internal(format!("no encrypted connection: {error}")))?;
        let stream = connector.connect(name, stream).await;
        Ok(Box::new(stream.map_err(Error::Tls)?))
    }
}

/// An IPv4 address as such, however it is written.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
