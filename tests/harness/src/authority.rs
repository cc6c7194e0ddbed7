//! An authority of its own for each test, as companies have one, and a server that it vouches for.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An authority, and the certificate of the server `localhost`, as files.
#[derive(Debug)]
pub struct Authority {
    dir: TempDir,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// When its files cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let mut own = CertificateParams::default();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let common = "Toolpost's tests";
        own.distinguished_name.push(DnType::CommonName, common);
        let own_key = KeyPair::generate().expect("a key");
        let own_certificate = own.self_signed(&own_key).expect("a certificate");
        let issuer = Issuer::new(own, own_key);
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let server = server.signed_by(&key, &issuer).expect("a certificate");
        let authority = Self {
            dir: TempDir::with_prefix("toolpost-authority-").expect("a temporary folder"),
        };
        for (file, contents) in [
            (authority.certificate(), own_certificate.pem()),
            (authority.server_certificate(), server.pem()),
            (authority.server_key(), key.serialize_pem()),
        ] {
            std::fs::write(file, contents).expect("the folder can be written");
        }
        authority
    }

    /// Its own certificate, which others trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The certificate of the server.
    #[must_use]
    pub fn server_certificate(&self) -> PathBuf {
        self.dir.path().join("server.pem")
    }

    /// The key of the server.
    #[must_use]
    pub fn server_key(&self) -> PathBuf {
        self.dir.path().join("server-key.pem")
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let chain = CertificateDer::from_pem_file(self.server_certificate());
        let key = PrivateKeyDer::from_pem_file(self.server_key()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("its versions")
            .with_no_client_auth()
            .with_single_cert(vec![chain.expect("a certificate")], key)
            .expect("the key fits the certificate");
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
