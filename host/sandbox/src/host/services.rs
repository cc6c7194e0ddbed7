//! What plugins of several kinds may ask of the master beside their own work.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use toolpost_core::hosts::HostPattern;

use super::HostError;
use super::http::{HttpFailure, HttpRequest, HttpResponse, Network};

pub use crate::bindings::toolpost::plugin::mail::{Attachment, Message};

/// Hosts that a plugin may call over HTTP, and who vouches for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpGrants {
    /// Those that must have public addresses, unless they are addresses themselves.
    pub public: Vec<HostPattern>,
    /// Those that may have private addresses.
    pub private: Vec<HostPattern>,
    /// A file with certificates of authorities that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
}

/// The services of the master, as one plugin may use them: an implementation knows whose they are, and what
/// was granted. Payloads are within the limits of the contract already.
#[async_trait]
pub trait PluginServices: Send + Sync + 'static {
    /// What stands for a secret until it leaves for somebody who may have it.
    async fn secret_placeholder(&self, name: &str) -> Result<String, HostError>;

    /// HMAC with SHA-256 of these bytes, with a secret as its key. Computed where it is asked for: on the plugins' threads, as
    /// the plugin's time.
    async fn hmac_sha256(&self, secret: &str, data: Bytes) -> Result<Vec<u8>, HostError>;

    /// The value of a key of the plugin's storage.
    async fn stored(&self, key: &str) -> Result<Option<Bytes>, HostError>;

    /// Sets or removes the value of a key.
    async fn store(&self, key: &str, value: Option<Bytes>) -> Result<(), HostError>;

    /// The same, if it is as expected; whether it was.
    async fn compare_and_store(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Option<Bytes>,
    ) -> Result<bool, HostError>;

    /// Keys that begin with this, sorted.
    async fn keys(&self, prefix: &str) -> Result<Vec<String>, HostError>;

    /// Renders a template with the variables of an object. Computed where it is asked for, likewise.
    async fn render(&self, template: String, values: Value) -> Result<String, HostError>;

    /// Hands a message to the mail server.
    async fn send_mail(&self, message: Message, key: &str) -> Result<(), HostError>;

    /// Hosts that it may call over HTTP, as of now.
    fn http_grants(&self) -> HttpGrants {
        HttpGrants::default()
    }

    /// Bytes that leave for a granted host, with the secrets in them that the plugin may use.
    async fn fill_in(&self, bytes: Bytes) -> Result<Bytes, HostError> {
        Ok(bytes)
    }

    /// Bytes that come back to the plugin, without secrets.
    fn mask(&self, bytes: Bytes) -> Bytes {
        bytes
    }

    /// Variables of the master's environment that it may read, with their values.
    fn environment(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Answers an HTTP request to a granted host. Secrets are placeholders in it, and are hidden again in what the network
    /// answers.
    async fn exchange(
        &self,
        request: HttpRequest,
        network: &dyn Network,
    ) -> Result<HttpResponse, HttpFailure> {
        network.send(request).await
    }

    /// What the plugin's clocks show, where that is not the real time.
    fn clock(&self) -> Option<Arc<dyn PluginClock>> {
        None
    }
}

/// A clock that is put forward by somebody.
pub trait PluginClock: Send + Sync + 'static {
    /// The time since 1970, UTC. Never goes back.
    fn since_1970(&self) -> Duration;
}

/// No services: each is refused with a text that says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoServices;

fn none<T>(what: &str) -> Result<T, HostError> {
    Err(HostError::Config(format!("there is no {what} here")))
}

#[async_trait]
impl PluginServices for NoServices {
    async fn secret_placeholder(&self, name: &str) -> Result<String, HostError> {
        none(&format!("secret `{name}`"))
    }
    async fn hmac_sha256(&self, secret: &str, _: Bytes) -> Result<Vec<u8>, HostError> {
        none(&format!("secret `{secret}`"))
    }
    async fn stored(&self, _: &str) -> Result<Option<Bytes>, HostError> {
        none("storage")
    }
    async fn store(&self, _: &str, _: Option<Bytes>) -> Result<(), HostError> {
        none("storage")
    }
    async fn compare_and_store(
        &self,
        _: &str,
        _: Option<Bytes>,
        _: Option<Bytes>,
    ) -> Result<bool, HostError> {
        none("storage")
    }
    async fn keys(&self, _: &str) -> Result<Vec<String>, HostError> {
        none("storage")
    }
    async fn render(&self, _: String, _: Value) -> Result<String, HostError> {
        none("template engine")
    }
    async fn send_mail(&self, _: Message, _: &str) -> Result<(), HostError> {
        none("mail server")
    }
}
