//! What the registry tells about itself: events as they happen, the state on request.

use std::path::PathBuf;

use serde_json::Value;
use toolpost_core::Timestamp;

use crate::{PluginKind, Want};

/// Something that happened to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEvent {
    /// Name of the plugin.
    pub plugin: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: RegistryEventKind,
}

/// What happened to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryEventKind {
    /// A version went live.
    Live {
        /// Its digest.
        digest: String,
        /// The version that it replaced.
        replaced: Option<String>,
        /// Digests of versions that the breaker goes back to, the last one first.
        fallbacks: Vec<String>,
    },
    /// A file was not taken; what ran before still does.
    Refused {
        /// Digest of the file, if it could be read.
        digest: Option<String>,
        /// Why.
        reason: String,
    },
    /// The file of the plugin is gone and nothing used it: it is gone too.
    Removed {
        /// The version that was live.
        digest: String,
    },
    /// The breaker or a person went back to an earlier version.
    RolledBack {
        /// The version that is no longer live.
        from: String,
        /// The version that is.
        to: String,
        /// Digests of versions that the breaker goes back to from there, the last one first.
        fallbacks: Vec<String>,
        /// Why.
        reason: String,
    },
    /// Nothing uses a replaced version any more; its memory is free.
    Drained {
        /// Its digest.
        digest: String,
    },
}

impl RegistryEvent {
    /// The digest that is live after this event: `Some(None)` when the plugin is gone, `None` when the event
    /// changes nothing about it.
    #[must_use]
    pub fn live(&self) -> Option<Option<&str>> {
        match &self.kind {
            RegistryEventKind::Live { digest, .. } => Some(Some(digest)),
            RegistryEventKind::RolledBack { to, .. } => Some(Some(to)),
            RegistryEventKind::Removed { .. } => Some(None),
            RegistryEventKind::Refused { .. } | RegistryEventKind::Drained { .. } => None,
        }
    }

    /// What the breaker goes back to from the version that is live after this event.
    #[must_use]
    pub fn fallbacks(&self) -> &[String] {
        match &self.kind {
            RegistryEventKind::Live { fallbacks, .. }
            | RegistryEventKind::RolledBack { fallbacks, .. } => fallbacks,
            _ => &[],
        }
    }

    /// The digest that the event is about, if there is one.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        match &self.kind {
            RegistryEventKind::Live { digest, .. }
            | RegistryEventKind::Removed { digest }
            | RegistryEventKind::Drained { digest } => Some(digest),
            RegistryEventKind::RolledBack { from, .. } => Some(from),
            RegistryEventKind::Refused { digest, .. } => digest.as_deref(),
        }
    }

    /// Why it happened, if there is more to say.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match &self.kind {
            RegistryEventKind::Refused { reason, .. }
            | RegistryEventKind::RolledBack { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// A plugin as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginStatus {
    /// Its name: that of the file without `.wasm`.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// The version that new builds get; `None` when no version was ever good.
    pub live: Option<VersionStatus>,
    /// Replaced versions that builds still use, newest first.
    pub draining: Vec<VersionStatus>,
    /// What is wrong with the file now, or why its version is not the live one.
    pub problem: Option<Problem>,
    /// The version in the file, when all that is wrong with it is that it asks for more than is granted.
    pub held: Option<HeldVersion>,
    /// Whether its file is being read, compiled and checked at this moment.
    pub loading: bool,
    /// What the live version asks for and has no grant for any more: calls for that are refused.
    pub not_granted: Vec<Want>,
    /// When a version went live last.
    pub live_since: Option<Timestamp>,
    /// How many times a version went live since the start.
    pub reloads: u64,
    /// How many times a file was not taken since the start.
    pub refusals: u64,
    /// How many times an earlier version was gone back to since the start.
    pub rollbacks: u64,
}

/// A version that waits for grants. It goes live as soon as the configuration has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldVersion {
    /// As the plugin says it.
    pub version: String,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// All that it asks for.
    pub wants: Vec<Want>,
    /// What of this is not granted.
    pub missing: Vec<Want>,
}

/// A version as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionStatus {
    /// As the plugin says it.
    pub version: String,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// Version of the contract that it was built for.
    pub contract: String,
    /// What it is for.
    pub description: String,
    /// What it brings.
    pub types: Vec<TypeStatus>,
    /// What it asks the operator for.
    pub wants: Vec<Want>,
    /// Size of the component.
    pub size_bytes: u64,
    /// When it was loaded.
    pub loaded_at: Timestamp,
    /// Builds that hold it.
    pub pins: u64,
    /// Calls that run now.
    pub calls_running: u64,
    /// Calls that ended.
    pub calls_total: u64,
    /// Calls that ended by a fault of the plugin.
    pub faults_total: u64,
    /// The text of the last such fault.
    pub last_fault: Option<String>,
}

/// A type as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeStatus {
    /// What it is.
    pub kind: PluginKind,
    /// What the configuration calls it.
    pub name: String,
    /// What it does.
    pub summary: String,
    /// JSON Schema of its parameters.
    pub schema: Value,
    /// JSON Schema of its form, when it is a scheduler that can be forced.
    pub force_schema: Option<Value>,
}

/// Something that is wrong with a plugin's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Since when.
    pub at: Timestamp,
    /// Digest of the file, if it could be read.
    pub digest: Option<String>,
    /// What, and what helps.
    pub reason: String,
}
