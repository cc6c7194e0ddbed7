//! A host, or the hosts below a domain, with a port or without.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Longest name of a host, by the domain name system.
const HOST_BYTES_MAX: usize = 253;

/// Hosts that are named together: `chat.example.org`, `*.example.org:8443`, `127.0.0.1:9000`, `[::1]:9000`.
///
/// Without a port it is that of the scheme (80, 443) and no other. A `*` stands for one or more labels at the front.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern {
    host: Host,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Host {
    Address(IpAddr),
    Name(String),
    /// All below this domain.
    Below(String),
}

/// Why a text names no hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write \"host\", \"host:port\" or \"*.domain\", without http:// and path")]
pub struct HostPatternError;

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let (host, port) = split_port(text)?;
        let address = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let host = match address.parse::<IpAddr>() {
            Ok(address) => Host::Address(address),
            Err(_) => match host.strip_prefix("*.") {
                Some(domain) => Host::Below(name(domain)?),
                None => Host::Name(name(host)?),
            },
        };
        Ok(Self { host, port })
    }
}

/// The host and the port, if there is one. An IPv6 address with a port is in brackets.
fn split_port(text: &str) -> Result<(&str, Option<u16>), HostPatternError> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text, None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        None => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(HostPatternError),
        },
        Some(_) => return Err(HostPatternError),
    };
    Ok((host, port))
}

/// The name of a host as it is compared: in small letters, without the dot of the root.
fn name(text: &str) -> Result<String, HostPatternError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let labels_good = text
        .split('.')
        .all(|label| !label.is_empty() && label.chars().all(good));
    match labels_good && text.len() <= HOST_BYTES_MAX {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(HostPatternError),
    }
}

impl HostPattern {
    /// Whether a request to this host (as it stands in the address) and port is meant. `scheme_port` is the port of its scheme.
    #[must_use]
    pub fn matches(&self, host: &str, port: u16, scheme_port: u16) -> bool {
        if port != self.port.unwrap_or(scheme_port) {
            return false;
        }
        match format!("{host}:{port}").parse::<Self>() {
            Ok(asked) => self.has(&asked.host),
            Err(_) => false,
        }
    }

    /// Whether everything that `other` means is meant.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.port == other.port && self.has(&other.host)
    }

    /// The address, when it is one and no name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Address(address) => Some(address),
            Host::Name(_) | Host::Below(_) => None,
        }
    }

    fn has(&self, other: &Host) -> bool {
        match (&self.host, other) {
            (Host::Below(domain), Host::Name(name)) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|front| front.ends_with('.') && front.len() > 1),
            (Host::Below(domain), Host::Below(below)) => {
                below == domain
                    || below
                        .strip_suffix(domain.as_str())
                        .is_some_and(|front| front.ends_with('.'))
            }
            (mine, other) => mine == other,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) if self.port.is_some() => write!(f, "[{address}]"),
            Host::Address(address) => write!(f, "{address}"),
            Host::Name(name) => f.write_str(name),
            Host::Below(domain) => write!(f, "*.{domain}"),
        }?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}
