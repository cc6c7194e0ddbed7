//! TLS of the connection with a master.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::settings::TlsFiles;

/// What opens encrypted connections. Blocks; files are read anew each time, so that certificates can be renewed.
pub(crate) fn connector(files: &TlsFiles) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if let Some(path) = &files.ca_file {
        for authority in certificates(path)? {
            let added = roots.add(authority);
            added.map_err(|error| unusable(path, &error))?;
        }
    }
    if roots.is_empty() {
        return Err(
            "this machine has no certificates of authorities; install its package `ca-certificates`, or give --ca-file FILE"
                .to_owned(),
        );
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let mut config = match &files.own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let read = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
            let built = builder.with_client_auth_cert(chain, read);
            built.map_err(|error| unusable(certificate, &error))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path);
    let read: Result<Vec<_>, _> = read.and_then(Iterator::collect);
    let read = read.map_err(|error| unusable(path, &error))?;
    match read.is_empty() {
        true => Err(unusable(path, &"there is no certificate in it")),
        false => Ok(read),
    }
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> String {
    format!("{}: {reason}", path.display())
}
