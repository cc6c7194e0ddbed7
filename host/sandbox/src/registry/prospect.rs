//! Versions that wait for a configuration: one that grants what they ask for, or uses their types as they are now. A
//! configuration can be checked against what there would be with them, and both go live together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::registry::reconcile::Staged;
use crate::registry::{Inner, PluginRegistry, RegistryError, Snapshot, UseCheck};
use crate::{PluginKind, PluginVersion, TypeInfo, Want};

/// A type by its kind and name.
type TypeKey = (PluginKind, String);

fn key(info: &Arc<TypeInfo>) -> TypeKey {
    (info.kind(), info.name().to_owned())
}

/// A version that was refused because of the configuration, as far as another configuration is checked against it.
pub(super) struct Waiting {
    digest: String,
    types: Vec<Arc<TypeInfo>>,
    wants: Vec<Want>,
}

impl Waiting {
    pub(super) fn of(version: &PluginVersion) -> Self {
        Self {
            digest: version.digest().to_owned(),
            types: version.types().to_vec(),
            wants: version.wants().to_vec(),
        }
    }
}

/// The types that there would be if versions that wait went live.
#[derive(Clone, Default)]
pub struct Prospect {
    /// What there was when a configuration was checked; nobody looked, if there is none.
    seen: Option<Snapshot>,
    /// Digests of these versions by the names of their plugins.
    versions: BTreeMap<String, String>,
    added: BTreeMap<TypeKey, Arc<TypeInfo>>,
    /// What live versions have that these replace.
    gone: BTreeSet<TypeKey>,
}

impl Prospect {
    /// Whether nothing would go live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Both; `None` when they have a type in common.
    #[must_use]
    pub fn and(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        both.versions.extend(other.versions.clone());
        both.gone.extend(other.gone.iter().cloned());
        for (key, info) in &other.added {
            if both.added.insert(key.clone(), Arc::clone(info)).is_some() {
                return None;
            }
        }
        Some(both)
    }

    /// The names of the types of a kind, when these are `now`.
    #[must_use]
    pub fn names(&self, kind: PluginKind, now: Vec<String>) -> Vec<String> {
        let added = self.added.keys().filter(|(of, _)| *of == kind);
        let added = added.map(|(_, name)| name.clone());
        let kept = now.into_iter().filter(|name| {
            let key = (kind, name.clone());
            !self.gone.contains(&key) && !self.added.contains_key(&key)
        });
        kept.chain(added).collect()
    }

    /// The JSON Schema of the parameters of a type, when it is `now`.
    #[must_use]
    pub fn schema(
        &self,
        kind: PluginKind,
        name: &str,
        now: Option<Arc<Value>>,
    ) -> Option<Arc<Value>> {
        let key = (kind, name.to_owned());
        match self.added.get(&key) {
            Some(info) => Some(Arc::clone(info.schema())),
            None if self.gone.contains(&key) => None,
            None => now,
        }
    }
}

impl PluginRegistry {
    /// Nothing but what there is now, to check a configuration against.
    #[must_use]
    pub fn outlook(&self) -> Prospect {
        Prospect {
            seen: Some(self.snapshot()),
            ..Prospect::default()
        }
    }

    /// What there would be if a version that waits went live: one prospect for each that asks for nothing but what
    /// `grants` gives.
    #[must_use]
    pub fn prospects(&self, grants: &dyn UseCheck) -> Vec<Prospect> {
        let live = self.snapshot();
        let natives = &self.inner.options.native_types;
        let is_others = |plugin: &str, (kind, name): &TypeKey| {
            let owner = live.get(*kind, name);
            owner.is_some_and(|(owner, _)| owner.name() != plugin)
                || natives.contains(&(*kind, name.clone()))
        };
        self.inner.with_slots(|slots| {
            let prospects = slots.iter().filter_map(|(plugin, slot)| {
                let waiting = slot.waiting.as_ref()?;
                let added = waiting.types.iter();
                let added: BTreeMap<_, _> = added.map(|info| (key(info), info.clone())).collect();
                let may = grants.not_granted(plugin, &waiting.wants).is_empty()
                    && !added.keys().any(|key| is_others(plugin, key));
                let replaced = slot.live.iter().flat_map(|live| live.version.types());
                may.then(|| Prospect {
                    seen: None,
                    versions: [(plugin.clone(), waiting.digest.clone())].into(),
                    gone: replaced.map(key).collect(),
                    added,
                })
            });
            prospects.collect()
        })
    }

    /// Makes the versions of a prospect live, all or none, for the configuration that was checked against it, and lets that
    /// be the one that versions are measured against from then on. Nothing goes live in between.
    ///
    /// # Errors
    /// When there is something else now than what the configuration was checked against, or a version does not fit or
    /// cannot be recorded.
    pub async fn release(
        &self,
        prospect: &Prospect,
        uses: &dyn UseCheck,
        take_effect: impl FnOnce() + Send,
    ) -> Result<(), RegistryError> {
        let inner = &self.inner;
        let _alone = inner.reconciling.lock().await;
        let seen = prospect.seen.as_ref();
        if seen.is_some_and(|seen| !Arc::ptr_eq(seen, &self.snapshot())) {
            return Err(RegistryError::Changed);
        }
        let mut staged = Vec::new();
        for (plugin, digest) in &prospect.versions {
            let ready = inner.ready(plugin, digest, uses).await;
            let ready = ready.map_err(|reason| RegistryError::Release {
                plugin: plugin.clone(),
                reason,
            })?;
            staged.push((plugin, ready));
        }
        // From here on nothing fails.
        for (plugin, staged) in staged {
            let event = inner.goes_live(plugin, &staged);
            inner.remember(&event).await;
            inner.go_live(staged, &event);
        }
        take_effect();
        Ok(())
    }
}

impl Inner {
    /// A version that waited, verified and kept in the store; the error says why not.
    async fn ready(
        &self,
        plugin: &str,
        digest: &str,
        uses: &dyn UseCheck,
    ) -> Result<Staged, String> {
        let file = self.with_slot(plugin, |slot| slot.file.clone());
        let staged = self.verified(plugin, &file, uses).await;
        let staged = staged.map_err(|refusal| refusal.reason)?;
        let same = staged.filter(|staged| staged.digest() == digest);
        let staged = same.ok_or("its file has changed meanwhile")?;
        let recorded = self.record(&staged, (self.options.now)()).await;
        recorded.map_err(|error| format!("it cannot be recorded in the store: {error}"))?;
        Ok(staged)
    }
}
