//! A memory that forgets at the end of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::registry::{
    LastGood, RecordError, RegistryEvent, RegistryEventKind, RegistryStore, VersionRecord,
};

/// A [`RegistryStore`] in memory: for commands that only look at plugins, and for tests.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    components: BTreeMap<String, Bytes>,
    live: BTreeMap<String, LastGood>,
    rolled_back: BTreeSet<String>,
    events: Vec<RegistryEvent>,
}

impl MemoryStore {
    /// Everything that happened.
    #[must_use]
    pub fn events(&self) -> Vec<RegistryEvent> {
        self.with(|contents| contents.events.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Contents) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl RegistryStore for MemoryStore {
    async fn record_version(
        &self,
        version: VersionRecord,
        component: Bytes,
    ) -> Result<(), RecordError> {
        self.with(|contents| contents.components.insert(version.digest, component));
        Ok(())
    }

    async fn record_event(&self, event: &RegistryEvent) -> Result<(), RecordError> {
        self.with(|contents| {
            match event.live() {
                Some(Some(digest)) => {
                    contents.rolled_back.remove(digest);
                    let good = LastGood {
                        plugin: event.plugin.clone(),
                        digest: digest.to_owned(),
                        since: event.at,
                        fallbacks: event.fallbacks().to_vec(),
                    };
                    contents.live.insert(event.plugin.clone(), good);
                }
                Some(None) => {
                    contents.live.remove(&event.plugin);
                }
                None => {}
            }
            if let RegistryEventKind::RolledBack { from, .. } = &event.kind {
                contents.rolled_back.insert(from.clone());
            }
            contents.events.push(event.clone());
        });
        Ok(())
    }

    async fn last_good(&self) -> Result<Vec<LastGood>, RecordError> {
        Ok(self.with(|contents| contents.live.values().cloned().collect()))
    }

    async fn component(&self, digest: &str) -> Result<Option<Bytes>, RecordError> {
        Ok(self.with(|contents| contents.components.get(digest).cloned()))
    }

    async fn rolled_back(&self) -> Result<Vec<String>, RecordError> {
        Ok(self.with(|contents| contents.rolled_back.iter().cloned().collect()))
    }
}
