//! The plugins of a directory, swapped while they run.
//!
//! A changed file is staged, verified, committed, swapped in and the old version drained: read whole, compiled, asked to
//! describe itself, measured against the running configuration, recorded in the store, and only then given to new
//! builds. Builds that run keep the versions that they pinned. Any failure keeps the version before
//! and is shown in [`PluginStatus::problem`]. The files say what is wished; what is live is in memory, and in the
//! store for the next start.
//!
//! A reconciliation looks at everything, so a lost signal costs a delay only. Files are read, compiled and asked side by side,
//! each by one at a time; what is live is changed by one at a time, for moments.

mod breaker;
mod files;
mod live;
mod memory;
mod options;
mod prospect;
mod reconcile;
mod slot;
mod start;
mod status;
mod store;
mod surroundings;
mod verify;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{PluginKind, ReporterType, Sandbox, SchedulerType, StepType};

use slot::Slot;
use verify::Verifier;

pub use live::{LiveTypes, Pins, Snapshot};
pub use memory::MemoryStore;
pub use options::{RegistryError, RegistryOptions};
pub use prospect::Prospect;
pub use status::{
    HeldVersion, PluginStatus, Problem, RegistryEvent, RegistryEventKind, TypeStatus, VersionStatus,
};
pub use store::{LastGood, RecordError, RegistryStore, TypeUse, UseCheck, VersionRecord};

/// Bytes of components that are in memory while they are loaded.
const READ_MIB_MAX: usize = 256;

/// The plugins of a directory. Cheap to clone; the last clone ends the watching.
#[derive(Clone)]
pub struct PluginRegistry {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    options: RegistryOptions,
    sandbox: Sandbox,
    store: Arc<dyn RegistryStore>,
    uses: Arc<dyn UseCheck>,
    /// What new builds get; always made from the slots.
    live: ArcSwap<LiveTypes>,
    /// By the name of the plugin. Locked for moments only.
    slots: Mutex<BTreeMap<String, Slot>>,
    /// Versions that were rolled back, by digest.
    rejected: Mutex<BTreeSet<String>>,
    /// What is wrong with components that will not get better, by digest, so that each is tried once.
    failures: Mutex<BTreeMap<String, String>>,
    /// Room for files that are being loaded, in MiB.
    reading: Semaphore,
    /// Held by whoever changes what is live.
    reconciling: tokio::sync::Mutex<()>,
    /// A version had a fault or is gone.
    versions_changed: Arc<Notify>,
    closed: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

impl PluginRegistry {
    /// [`Self::prepare`] and [`Self::load`].
    ///
    /// # Errors
    /// As those.
    pub async fn open(
        options: RegistryOptions,
        sandbox: Sandbox,
        store: Arc<dyn RegistryStore>,
        uses: Arc<dyn UseCheck>,
    ) -> Result<Self, RegistryError> {
        let registry = Self::prepare(options, sandbox, store, uses).await?;
        registry.load(|_| 0).await?;
        Ok(registry)
    }

    /// Finds out which plugins there are, and loads none yet: that may take a while, and until then each is shown as one
    /// that is loaded.
    ///
    /// # Errors
    /// When the directory or the store cannot be read.
    pub async fn prepare(
        options: RegistryOptions,
        sandbox: Sandbox,
        store: Arc<dyn RegistryStore>,
        uses: Arc<dyn UseCheck>,
    ) -> Result<Self, RegistryError> {
        let unusable = |source| RegistryError::Dir {
            path: options.dir.clone(),
            source,
        };
        fs::create_dir_all(&options.dir).map_err(unusable)?;
        let files = files::list(&options.dir).map_err(unusable)?;
        let rejected = store.rolled_back().await?.into_iter().collect();
        let inner = Inner {
            options,
            sandbox,
            store,
            uses,
            live: ArcSwap::default(),
            slots: Mutex::default(),
            rejected: Mutex::new(rejected),
            failures: Mutex::default(),
            reading: Semaphore::new(READ_MIB_MAX),
            reconciling: tokio::sync::Mutex::default(),
            versions_changed: Arc::default(),
            closed: CancellationToken::new(),
        };
        for name in files.keys() {
            inner.with_slot(name, |slot| slot.loading = true);
        }
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Loads what was good last, and what is in the directory now if the configuration can be checked with that: `faults` counts
    /// what is wrong with it when these are the types of plugins. If it cannot be checked at all, the best that there is
    /// is live, and nothing is recorded. Does not watch yet and removes nothing, because the configuration runs only now.
    ///
    /// # Errors
    /// When the store cannot be read. A bad plugin is no error here but a [`PluginStatus::problem`].
    pub async fn load(
        &self,
        faults: impl Fn(&LiveTypes) -> usize + Send + Sync,
    ) -> Result<(), RegistryError> {
        let last_good = self.inner.store.last_good().await?;
        self.inner.start(last_good, &faults).await;
        Ok(())
    }

    /// Begins to watch the directory. To be called once the configuration that the uses come from runs.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn watch(&self) {
        tokio::spawn(watch::run(
            Arc::downgrade(&self.inner),
            self.inner.versions_changed.clone(),
            self.inner.closed.clone(),
        ));
    }

    /// Ends the watching.
    pub fn close(&self) {
        self.inner.closed.cancel();
    }

    /// The types that new builds get.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.inner.live.load_full()
    }

    /// The step type of this name that new builds get.
    #[must_use]
    pub fn step_type(&self, name: &str) -> Option<Arc<StepType>> {
        self.inner.live.load().steps.get(name).cloned()
    }

    /// The scheduler type of this name as it is live now.
    #[must_use]
    pub fn scheduler_type(&self, name: &str) -> Option<Arc<SchedulerType>> {
        self.inner.live.load().schedulers.get(name).cloned()
    }

    /// The reporter type of this name as it is live now.
    #[must_use]
    pub fn reporter_type(&self, name: &str) -> Option<Arc<ReporterType>> {
        self.inner.live.load().reporters.get(name).cloned()
    }

    /// The JSON Schema of the parameters of a type.
    #[must_use]
    pub fn schema(&self, kind: PluginKind, name: &str) -> Option<Arc<Value>> {
        let live = self.inner.live.load();
        Some(live.get(kind, name)?.1.schema().clone())
    }

    /// Pins the live versions of these step types for one build; names that no plugin has are left out.
    #[must_use]
    pub fn pin<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Pins {
        Pins::new(&self.snapshot(), names)
    }

    /// Looks at the directory now, also at files that were refused before; returns when all is taken or refused.
    pub async fn rescan(&self) -> Vec<PluginStatus> {
        self.inner.with_failures(BTreeMap::clear);
        self.reconsider().await
    }

    /// The same, without another try of what cannot be loaded: to be called when a configuration was applied.
    pub async fn reconsider(&self) -> Vec<PluginStatus> {
        self.inner.reconcile(reconcile::Depth::AgainRefused).await;
        self.status()
    }

    /// Makes an earlier version the live one. The file stays as it is; it is taken again when it
    /// changes.
    ///
    /// # Errors
    /// When the version is not known any more, or does not fit what runs now.
    pub async fn rollback(
        &self,
        plugin: &str,
        digest: &str,
        reason: &str,
    ) -> Result<(), RegistryError> {
        let _alone = self.inner.reconciling.lock().await;
        self.inner.rollback(plugin, digest, reason).await
    }

    /// Where its plugins run.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.inner.sandbox
    }

    /// Every plugin, by name.
    #[must_use]
    pub fn status(&self) -> Vec<PluginStatus> {
        self.inner.with_slots(|slots| {
            let uses = &*self.inner.uses;
            slots
                .iter()
                .map(|(name, slot)| slot.status(name, uses))
                .collect()
        })
    }
}

impl Inner {
    fn with_slots<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Slot>) -> T) -> T {
        act(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something with the slot of a plugin, which is made if it is not there.
    fn with_slot<T>(&self, name: &str, act: impl FnOnce(&mut Slot) -> T) -> T {
        let file = self.options.dir.join(format!("{name}.wasm"));
        self.with_slots(|slots| {
            act(slots
                .entry(name.to_owned())
                .or_insert_with(|| Slot::new(file)))
        })
    }

    fn with_failures<T>(&self, act: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        act(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_rejected(&self, digest: &str) -> bool {
        let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        rejected.contains(digest)
    }

    /// Measures something against what runs.
    fn verify<T>(&self, with: impl FnOnce(&Verifier<'_>) -> T) -> T {
        self.verify_for(&*self.uses, with)
    }

    /// Measures something against a configuration.
    fn verify_for<T>(&self, uses: &dyn UseCheck, with: impl FnOnce(&Verifier<'_>) -> T) -> T {
        with(&Verifier {
            live: &self.live.load_full(),
            native_types: &self.options.native_types,
            uses,
        })
    }

    /// Makes what new builds get from the slots.
    fn publish(&self) {
        let live = self.with_slots(|slots| {
            let mut types = LiveTypes::default();
            for live in slots.values().filter_map(|slot| slot.live.as_ref()) {
                types.add(&live.version);
            }
            types
        });
        self.live.store(Arc::new(live));
    }

    fn event(&self, plugin: &str, kind: RegistryEventKind) -> RegistryEvent {
        RegistryEvent {
            plugin: plugin.to_owned(),
            at: (self.options.now)(),
            kind,
        }
    }

    /// Records and tells something that has happened. A store that fails cannot undo it.
    async fn tell(&self, plugin: &str, kind: RegistryEventKind) {
        let event = self.event(plugin, kind);
        self.remember(&event).await;
        (self.options.observer)(&event);
    }

    async fn remember(&self, event: &RegistryEvent) {
        if let Err(error) = self.store.record_event(event).await {
            let plugin = &event.plugin;
            tracing::warn!("cannot record what happened to plugin {plugin}: {error}");
        }
    }
}
