//! What the registry needs from the application: a memory that survives a restart, the uses in the running
//! configuration, somebody to tell.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use toolpost_core::Timestamp;

use crate::registry::RegistryEvent;
use crate::{PluginKind, TypeInfo, Want};

/// A version that passed every check, for the record.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRecord {
    /// Name of the plugin.
    pub plugin: String,
    /// Its version as it says itself.
    pub version: String,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// Version of the contract that it was built for (`1.0.0`).
    pub contract: String,
    /// What `describe` told, as JSON.
    pub describe: Value,
    /// Size of the component.
    pub size_bytes: u64,
    /// When it was loaded.
    pub loaded_at: Timestamp,
}

/// The version that is to run after a start when its file is bad or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastGood {
    /// Name of the plugin.
    pub plugin: String,
    /// Digest of its version.
    pub digest: String,
    /// Since when it has been live: a new version is watched more closely, also after a start.
    pub since: Timestamp,
    /// Digests of versions that the breaker goes back to, the last one first.
    pub fallbacks: Vec<String>,
}

/// A failure of the registry's memory, in words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct RecordError(pub String);

/// The memory of a registry. Every operation may be repeated.
#[async_trait]
pub trait RegistryStore: Send + Sync + 'static {
    /// Keeps a version and its bytes. Called before the version goes live.
    async fn record_version(
        &self,
        version: VersionRecord,
        component: Bytes,
    ) -> Result<(), RecordError>;

    /// Keeps what happened. [`RegistryEvent::live`] says what it means for [`RegistryStore::last_good`].
    async fn record_event(&self, event: &RegistryEvent) -> Result<(), RecordError>;

    /// For every plugin that was not removed, the version that was live last.
    async fn last_good(&self) -> Result<Vec<LastGood>, RecordError>;

    /// The bytes of a version.
    async fn component(&self, digest: &str) -> Result<Option<Bytes>, RecordError>;

    /// Digests that the breaker or a person rolled back and that have not been live since: a file with
    /// such a digest is not taken when it is found at the start.
    async fn rolled_back(&self) -> Result<Vec<String>, RecordError>;
}

/// One use of a type in the running configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeUse {
    /// Where, for people (`` builder `unit`, step `tests` (toolpost.toml:12) ``).
    pub place: String,
    /// Its own parameters as configured, templates not rendered.
    pub parameters: Value,
}

/// The running configuration, as far as a new version must not break it.
pub trait UseCheck: Send + Sync + 'static {
    /// Every use of a type.
    fn uses_of(&self, kind: PluginKind, name: &str) -> Vec<TypeUse>;

    /// What of this the operator did not grant to a plugin. The default grants nothing.
    fn not_granted(&self, _plugin: &str, wants: &[Want]) -> Vec<Want> {
        wants.to_vec()
    }

    /// Whether the parameters of a use fit a type; the error says what does not. The default checks
    /// them against the schema as they are written.
    fn check(&self, info: &TypeInfo, type_use: &TypeUse) -> Result<(), String> {
        info.check(&type_use.parameters)
    }
}
