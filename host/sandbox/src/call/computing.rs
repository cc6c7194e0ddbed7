//! Which plugins compute at this moment, so that a delay elsewhere can be compared with what ran meanwhile, and how much all of
//! them have computed so far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The plugins that are on a thread now, one entry for each thread. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Computing(Arc<Inner>);

#[derive(Default)]
struct Inner {
    now: Mutex<Vec<Arc<str>>>,
    total_ns: AtomicU64,
}

impl Computing {
    pub(crate) fn begin(&self, plugin: &Arc<str>) {
        self.with(|plugins| plugins.push(plugin.clone()));
    }

    pub(crate) fn end(&self, plugin: &Arc<str>) {
        self.with(|plugins| {
            if let Some(at) = plugins.iter().position(|known| known == plugin) {
                plugins.swap_remove(at);
            }
        });
    }

    /// Adds processor time.
    pub(crate) fn add_ns(&self, computed: u64) {
        self.0.total_ns.fetch_add(computed, Ordering::Relaxed);
    }

    /// Processor time of all of them since the start.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.total_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.with(|plugins| plugins.iter().map(ToString::to_string).collect());
        names.sort_unstable();
        names.dedup();
        names
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Arc<str>>) -> T) -> T {
        act(&mut self.0.now.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
