//! Which plugins compute at this moment, so that a delay elsewhere can be compared with what ran meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

/// The plugins that are on a thread now, one entry for each thread. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Computing(Arc<Mutex<Vec<Arc<str>>>>);

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

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.with(|plugins| plugins.iter().map(ToString::to_string).collect());
        names.sort_unstable();
        names.dedup();
        names
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Arc<str>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
