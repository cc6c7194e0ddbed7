//! Plugin versions, what happened to them, and the components' bytes.

use bytes::Bytes;
use serde_json::Value;
use toolpost_core::Timestamp;

use crate::{Result, Store};

/// A plugin version that was committed.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginVersionRow {
    /// Name of the plugin.
    pub name: String,
    /// Its version as it says itself.
    pub version: String,
    /// Digest of the component; identifies the version.
    pub digest: String,
    /// Version of the contract that it is built for.
    pub contract: String,
    /// What `describe` returned.
    pub describe: Value,
    /// Size of the component, bytes.
    pub size_bytes: i64,
    /// When it was first committed.
    pub loaded_at: Timestamp,
}

/// What happened to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginEventKind {
    /// A version went live.
    Live,
    /// A file was refused; the version before stays.
    Refused,
    /// The plugin was removed.
    Removed,
    /// The breaker went back to an earlier version.
    RolledBack,
}

/// Something that happened to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginEventRow {
    /// Name of the plugin.
    pub name: String,
    /// What happened.
    pub kind: PluginEventKind,
    /// Digest of the file or version, where there is one.
    pub digest: Option<String>,
    /// Why, for people.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// Keeps a plugin version and its component. The same digest again changes nothing but the name and description.
    ///
    /// # Errors
    /// When the object store or the database fails.
    pub async fn record_plugin_version(
        &self,
        version: PluginVersionRow,
        component: Bytes,
    ) -> Result<()> {
        todo!("{version:?} {component:?}")
    }

    /// Records what happened to a plugin.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_plugin_event(&self, event: PluginEventRow) -> Result<()> {
        todo!("{event:?}")
    }

    /// The versions of a plugin, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_versions(&self, name: &str) -> Result<Vec<PluginVersionRow>> {
        todo!("{name}")
    }

    /// For each plugin that is not removed, the version that is live: the one to start with.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_plugins(&self) -> Result<Vec<PluginVersionRow>> {
        todo!()
    }

    /// What happened to a plugin, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_events(&self, name: &str, limit: u32) -> Result<Vec<PluginEventRow>> {
        todo!("{name} {limit}")
    }

    /// The bytes of a component, when they are kept.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn plugin_component(&self, digest: &str) -> Result<Option<Bytes>> {
        todo!("{digest}")
    }

    /// Forgets the bytes of a component; its version stays on record.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn remove_plugin_component(&self, digest: &str) -> Result<()> {
        todo!("{digest}")
    }
}
