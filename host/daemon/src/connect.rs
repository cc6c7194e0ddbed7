//! Opens a connection: TCP, TLS if wanted, and the request for a WebSocket with name and password.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONNECTION, HOST, UPGRADE};
use http::{HeaderValue, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use toolpost_wire::Limits;

use crate::settings::{MasterAddress, Settings};
use crate::tls;

/// From the first packet to the WebSocket.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(30);
/// What a master says to somebody it does not let in is shown up to this many characters.
const REFUSAL_CHARS_MAX: usize = 200;

/// A byte stream to a master.
pub(crate) trait Pipe: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Pipe for T {}

/// Messages to and from a master.
pub(crate) type Socket = WebSocketStream<Box<dyn Pipe>>;

/// Why there is no connection. The text says what to do where there is something to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The password cannot be read.
    #[error("the password cannot be read: {0}")]
    Password(String),
    /// The master's machine cannot be reached.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// The master.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// TLS cannot be set up or agreed on.
    #[error("no TLS with {address}: {reason}")]
    Tls {
        /// The master.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// Name or password is wrong.
    #[error(
        "the master at {address} does not let worker `{name}` in: it has no worker of this name with this password; check both there, and the password here ({place})"
    )]
    Unauthorized {
        /// The master.
        address: String,
        /// The worker's name.
        name: String,
        /// Where the password was read.
        place: String,
    },
    /// Whoever answers does not take workers now, or never.
    #[error("{address} answered {status} instead of opening a WebSocket{said}")]
    Refused {
        /// The master.
        address: String,
        /// Its answer.
        status: StatusCode,
        /// What it says.
        said: String,
    },
    /// Whoever answers does not speak WebSocket.
    #[error("{address} does not answer as a master does: {reason}")]
    Strange {
        /// The master.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// No answer.
    #[error("{address} did not answer within {} s", CONNECT_WAIT_MAX.as_secs())]
    Slow {
        /// The master.
        address: String,
    },
}

impl ConnectError {
    /// Somebody has to do something before another try makes sense.
    pub(crate) fn needs_people(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Password(_))
    }
}

/// Opens a connection.
pub(crate) async fn connect(settings: &Settings, limits: &Limits) -> Result<Socket, ConnectError> {
    let source = settings.password.clone();
    let password = tokio::task::spawn_blocking(move || source.read()).await;
    let password = password.unwrap_or_else(|error| Err(error.to_string()));
    let password = password.map_err(ConnectError::Password)?;
    let address = &settings.master;
    match timeout(CONNECT_WAIT_MAX, open(settings, &password, limits)).await {
        Ok(opened) => opened,
        Err(_) => Err(ConnectError::Slow {
            address: address.to_string(),
        }),
    }
}

async fn open(
    settings: &Settings,
    password: &str,
    limits: &Limits,
) -> Result<Socket, ConnectError> {
    let address = &settings.master;
    let stream = TcpStream::connect((&*address.host, address.port)).await;
    let stream = stream.map_err(|error| ConnectError::Unreachable {
        address: address.to_string(),
        reason: error.to_string(),
    })?;
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let pipe: Box<dyn Pipe> = match address.tls {
        false => Box::new(stream),
        true => encrypt(settings, stream)
            .await
            .map_err(|reason| ConnectError::Tls {
                address: address.to_string(),
                reason,
            })?,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits.frame_bytes_max))
        .max_frame_size(Some(limits.frame_bytes_max));
    let request = request(address, &settings.name, password);
    let request = request.map_err(|error| ConnectError::Strange {
        address: address.to_string(),
        reason: error.to_string(),
    })?;
    match client_async_with_config(request, pipe, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(error) => Err(refused(settings, error)),
    }
}

async fn encrypt(settings: &Settings, stream: TcpStream) -> Result<Box<dyn Pipe>, String> {
    let files = settings.tls.clone();
    let connector = tokio::task::spawn_blocking(move || tls::connector(&files)).await;
    let connector = connector.unwrap_or_else(|error| Err(error.to_string()))?;
    let name = ServerName::try_from(settings.master.host.clone());
    let name = name.map_err(|error| error.to_string())?;
    let stream = connector.connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| error.to_string())?))
}

fn request(address: &MasterAddress, name: &str, password: &str) -> http::Result<Request<()>> {
    let credentials = BASE64_STANDARD.encode(format!("{name}:{password}"));
    let mut authorization = HeaderValue::try_from(format!("Basic {credentials}"))?;
    authorization.set_sensitive(true);
    Request::get(address.to_string())
        .header(HOST, address.authority())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header(AUTHORIZATION, authorization)
        .body(())
}

fn refused(settings: &Settings, error: SocketError) -> ConnectError {
    let address = settings.master.to_string();
    let SocketError::Http(response) = error else {
        return ConnectError::Strange {
            address,
            reason: error.to_string(),
        };
    };
    let status = response.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return ConnectError::Unauthorized {
            address,
            name: settings.name.clone(),
            place: settings.password.to_string(),
        };
    }
    let body = response.body().as_deref().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let line = body.lines().next().unwrap_or_default().trim();
    let line: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(REFUSAL_CHARS_MAX)
        .collect();
    let said = match line.is_empty() {
        true => String::new(),
        false => format!(": {line}"),
    };
    ConnectError::Refused {
        address,
        status,
        said,
    }
}
