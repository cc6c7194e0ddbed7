//! Whether a plugin may send a request to a host, and to which addresses.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;
use toolpost_core::hosts::{HostPattern, Reach, reach};

use crate::host::HttpGrants;
use crate::{Want, Wanted};

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// As it stands in the address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    /// The address, when the host is one.
    pub(super) address: Option<IpAddr>,
    may_be_private: bool,
}

impl Target {
    /// Where a request to this address goes, if the plugin asked for that and it is granted.
    pub(super) fn granted(uri: &Uri, wanted: &Wanted, grants: &HttpGrants) -> Result<Self, String> {
        let authority = uri.authority().ok_or("the address has no host")?;
        if authority.as_str().contains('@') {
            return Err("a user name in an address is not sent; use a header".into());
        }
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let scheme_port = if is_tls { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(scheme_port);
        let written = authority.host();
        let named = |pattern: &HostPattern| pattern.matches(written, port, scheme_port);
        let is_wanted = wanted.wants().iter().any(|want| match want {
            Want::Http(host) => host == "*" || host.parse().is_ok_and(|host| named(&host)),
            _ => false,
        });
        let shown = match port == scheme_port {
            true => written.to_owned(),
            false => format!("{written}:{port}"),
        };
        if !is_wanted {
            return Err(wanted.refusal(&Want::Http(shown)));
        }
        let host = written.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<IpAddr>().ok();
        let may_be_private = grants.private.iter().any(&named);
        if !may_be_private && !grants.public.iter().any(&named) {
            return Err(format!(
                "requests to `{shown}` are not granted: add it to `grant.http` of the plugin"
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            is_tls,
            address,
            may_be_private,
        })
    }

    /// Whether the host may have this address; the error says why not.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), String> {
        // An operator who writes an address means it.
        if self.address == Some(address) {
            return Ok(());
        }
        let host = &self.host;
        match reach(address) {
            Reach::Public => Ok(()),
            Reach::Private if self.may_be_private => Ok(()),
            Reach::Private => Err(format!(
                "`{host}` has the private address {address}: add it to `grant.http_private` if that is meant"
            )),
            Reach::Never => Err(format!(
                "`{host}` has the address {address}, which no plugin may speak to"
            )),
        }
    }
}
