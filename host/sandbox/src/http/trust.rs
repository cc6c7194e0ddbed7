//! Whom encrypted connections trust: the system's authorities, and those in a file of the operator, which is read again
//! when it changes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// More is no list of authorities.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Makes encrypted connections. Made when it is first needed: reading the system's certificates takes a while.
#[derive(Debug, Default)]
pub struct Trust {
    made: Mutex<Option<(Option<Version>, Connector)>>,
}

/// Says nothing about itself.
struct Connector(TlsConnector);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector(..)")
    }
}

/// A file as it was at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    path: PathBuf,
    modified: Option<SystemTime>,
    bytes: u64,
}

impl Trust {
    /// What connects to servers that the system's authorities, or those of the file, vouch for.
    ///
    /// # Errors
    /// When there are no authorities, or the file cannot be used.
    pub async fn connector(&self, ca_file: Option<&Path>) -> io::Result<TlsConnector> {
        let mut made = self.made.lock().await;
        let now = match ca_file {
            Some(path) => Some(version(path).await?),
            None => None,
        };
        if let Some((version, connector)) = &*made
            && *version == now
        {
            return Ok(connector.0.clone());
        }
        let file = ca_file.map(Path::to_owned);
        let connector = tokio::task::spawn_blocking(move || connector(file.as_deref()));
        let connector = connector.await.map_err(io::Error::other)??;
        *made = Some((now, Connector(connector.clone())));
        Ok(connector)
    }
}

async fn version(path: &Path) -> io::Result<Version> {
    let metadata = tokio::fs::metadata(path).await;
    let metadata = metadata.map_err(|error| unreadable(path, &error))?;
    Ok(Version {
        path: path.to_owned(),
        modified: metadata.modified().ok(),
        bytes: metadata.len(),
    })
}

fn connector(ca_file: Option<&Path>) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if let Some(path) = ca_file {
        for authority in read_authorities(path)? {
            roots
                .add(authority)
                .map_err(|error| unreadable(path, &error))?;
        }
    }
    if roots.is_empty() {
        return Err(io::Error::other(
            "this machine has no certificates of authorities; install its package `ca-certificates`",
        ));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The certificates in a file, of which there is at least one. Blocks.
///
/// # Errors
/// When it cannot be read, or there is none in it.
pub fn read_authorities(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let bytes = fs::metadata(path).and_then(|metadata| match metadata.len() {
        0..=FILE_BYTES_MAX => fs::read(path),
        _ => Err(io::Error::other(
            "it is too large to be a list of certificates",
        )),
    });
    let bytes = bytes.map_err(|error| unreadable(path, &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| unreadable(path, &error))?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(unreadable(path, &"there is no certificate in it")),
    }
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> io::Error {
    let path = path.display();
    io::Error::other(format!(
        "the certificates of authorities in {path} cannot be used: {reason}"
    ))
}
