//! Which directories of workers builds use. Builds of one builder that run on one worker at the same time have one each, because
//! each is free to empty its own. The lowest that is free is taken, so that incremental checkouts find what they left.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use toolpost_core::WorkerId;

/// Directories that are in use. Only of this process: a worker is connected to one master, and what a master that is gone had
/// running there is ended first.
#[derive(Debug, Default)]
pub(crate) struct BuildDirs {
    taken: Mutex<HashSet<(WorkerId, String)>>,
}

/// A directory of one build, until this is dropped.
#[derive(Debug)]
pub(crate) struct BuildDir {
    dirs: Arc<BuildDirs>,
    worker: WorkerId,
    path: String,
}

impl BuildDirs {
    /// The directory of a builder on a worker, or one beside it if another build is there.
    pub(crate) fn take(self: &Arc<Self>, worker: WorkerId, wanted: &str) -> BuildDir {
        let mut taken = self.taken();
        let names = (2..).map(|number: u32| format!("{wanted}~{number}"));
        let mut free = std::iter::once(wanted.to_owned())
            .chain(names)
            .filter(|path| taken.insert((worker, path.clone())));
        // There are more numbers than builds.
        let path = free.next().unwrap_or_else(|| wanted.to_owned());
        BuildDir {
            dirs: Arc::clone(self),
            worker,
            path,
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<(WorkerId, String)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BuildDir {
    /// Relative to the worker's base directory.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for BuildDir {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        self.dirs.taken().remove(&(self.worker, path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_build_has_the_lowest_directory_that_is_free() {
        let dirs = Arc::new(BuildDirs::default());
        let take = |worker, wanted: &str| dirs.take(WorkerId(worker), wanted);
        let first = take(1, "unit");
        let second = take(1, "unit");
        let third = take(1, "unit");
        let (elsewhere, other) = (take(2, "unit"), take(1, "docs"));
        let paths = [&first, &second, &third, &elsewhere, &other].map(BuildDir::path);
        assert_eq!(paths, ["unit", "unit~2", "unit~3", "unit", "docs"]);
        drop(second);
        // A builder may have that directory, too.
        let named = take(1, "unit~2");
        assert_eq!(named.path(), "unit~2");
        assert_eq!(take(1, "unit").path(), "unit~4");
        drop(first);
        assert_eq!(take(1, "unit").path(), "unit");
    }
}
