//! The plugin registry's memory, kept in the store: the adapter between two layers that do not know each other.

use async_trait::async_trait;
use bytes::Bytes;
use toolpost_sandbox::registry::{LastGood, RecordError, RegistryStore, VersionRecord};
use toolpost_sandbox::{RegistryEvent, RegistryEventKind};
use toolpost_store::{PluginEventKind, PluginEventRow, PluginVersionRow, Store, StoreError};

/// Plugin versions in the store.
#[derive(Debug, Clone)]
pub(crate) struct PluginRecords(pub(crate) Store);

fn words(error: &StoreError) -> RecordError {
    RecordError(error.to_string())
}

#[async_trait]
impl RegistryStore for PluginRecords {
    async fn record_version(
        &self,
        version: VersionRecord,
        component: Bytes,
    ) -> Result<(), RecordError> {
        let row = PluginVersionRow {
            name: version.plugin,
            version: version.version,
            digest: version.digest,
            contract: version.contract,
            describe: version.describe,
            size_bytes: i64::try_from(version.size_bytes).unwrap_or(i64::MAX),
            loaded_at: version.loaded_at,
        };
        self.0
            .record_plugin_version(row, component)
            .await
            .map_err(|error| words(&error))
    }

    async fn record_event(&self, event: &RegistryEvent) -> Result<(), RecordError> {
        let (kind, digest) = match &event.kind {
            RegistryEventKind::Live { digest, .. } => (PluginEventKind::Live, Some(digest)),
            RegistryEventKind::Refused { digest, .. } => {
                (PluginEventKind::Refused, digest.as_ref())
            }
            RegistryEventKind::Removed { digest } => (PluginEventKind::Removed, Some(digest)),
            RegistryEventKind::RolledBack { to, .. } => (PluginEventKind::RolledBack, Some(to)),
            // Only memory was freed: nothing to remember.
            RegistryEventKind::Drained { .. } => return Ok(()),
        };
        let row = PluginEventRow {
            name: event.plugin.clone(),
            kind,
            digest: digest.cloned(),
            reason: event.reason().map(str::to_owned),
            at: event.at,
            fallbacks: event.fallbacks().to_vec(),
        };
        self.0
            .record_plugin_event(row)
            .await
            .map_err(|error| words(&error))
    }

    async fn last_good(&self) -> Result<Vec<LastGood>, RecordError> {
        let live = self.0.live_plugins().await.map_err(|error| words(&error))?;
        Ok(live
            .into_iter()
            .map(|row| LastGood {
                plugin: row.version.name,
                digest: row.version.digest,
                since: row.since,
                fallbacks: row.fallbacks,
            })
            .collect())
    }

    async fn component(&self, digest: &str) -> Result<Option<Bytes>, RecordError> {
        self.0
            .plugin_component(digest)
            .await
            .map_err(|error| words(&error))
    }

    async fn rolled_back(&self) -> Result<Vec<String>, RecordError> {
        self.0
            .rolled_back_plugins()
            .await
            .map_err(|error| words(&error))
    }
}
