//! Answers that are still true: bodies by path and query, valid for one version of what they are made of.
//!
//! A farm is looked at far more often than it changes, and by many people at the same time. An entry is given only
//! while nothing that it is made of has been committed since before it was read; callers who want the same answer at
//! the same moment wait for the one of them that reads. Memory is bounded by bytes.

mod blob;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

pub(crate) use blob::Blob;

/// What an entry costs beside its body and key: map slot, headers, counters.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// How an answer is written; the same path has one entry for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON for programs.
    Compact,
    /// JSON for people.
    Indented,
    /// A page in the scheme of the reader's system.
    Page,
    /// A page in the light scheme.
    PageLight,
    /// A page in the dark scheme.
    PageDark,
}

impl Form {
    const COUNT: usize = 5;

    fn age_max(self) -> Option<Duration> {
        match self {
            Self::Compact | Self::Indented => None,
            Self::Page | Self::PageLight | Self::PageDark => Some(PAGE_AGE_MAX),
        }
    }
}

/// A page shows how long ago things were: it is read again after this time even if nothing happened.
const PAGE_AGE_MAX: Duration = Duration::from_secs(5);

/// What an answer is made of, and so what makes it stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depends {
    /// Anything in the store.
    Store,
    /// Anything in the store, and what the master itself says.
    Everything,
    /// The rows of builders.
    Builders,
    /// The rows of builds, found by builders.
    Builds,
}

/// Counts the changes to each of these.
pub(crate) trait Versions {
    /// Equal numbers mean that nothing of it has changed in between.
    fn version(&self, depends: Depends) -> u64;
}

/// The bodies that are kept.
pub(crate) struct ResponseCache {
    bytes_max: usize,
    age_max: Option<Duration>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_form: [HashMap<Box<str>, Entry>; Form::COUNT],
    bytes: usize,
}

struct Entry {
    depends: Depends,
    version: u64,
    made_at: Instant,
    cost: usize,
    blob: Arc<OnceCell<Arc<Blob>>>,
}

impl ResponseCache {
    /// Keeps `bytes_max` bytes; with an age, an entry is given no longer than that whatever its version says, because
    /// other processes write to the same database.
    pub(crate) fn new(bytes_max: usize, age_max: Option<Duration>) -> Self {
        Self {
            bytes_max,
            age_max,
            entries: Mutex::default(),
        }
    }

    /// The body for this path and query in this form, if one is ready.
    pub(crate) fn hit(&self, form: Form, key: &str, versions: &impl Versions) -> Option<Arc<Blob>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.by_form[form as usize].get(key)?;
        if !self.is_fresh(form, entry, versions) {
            return None;
        }
        entry.blob.get().cloned()
    }

    /// The body for this path and query in this form, read with `read` unless it is there or being read.
    pub(crate) async fn get<E>(
        &self,
        form: Form,
        key: &str,
        depends: Depends,
        versions: &impl Versions,
        read: impl Future<Output = Result<Blob, E>>,
    ) -> Result<Arc<Blob>, E> {
        let slot = self.slot(form, key, depends, versions);
        if let Some(blob) = slot.get() {
            return Ok(blob.clone());
        }
        let blob = slot
            .get_or_try_init(async || read.await.map(Arc::new))
            .await?;
        self.account(
            form,
            key,
            &slot,
            blob.cost() + key.len() + ENTRY_OVERHEAD_BYTES,
            versions,
        );
        Ok(blob.clone())
    }

    /// The entry for a key as things are now, made when there is none. Its version is taken before anything is read for
    /// it, so what is read is never older.
    fn slot(
        &self,
        form: Form,
        key: &str,
        depends: Depends,
        versions: &impl Versions,
    ) -> Arc<OnceCell<Arc<Blob>>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.by_form[form as usize].get(key)
            && self.is_fresh(form, entry, versions)
        {
            return entry.blob.clone();
        }
        let cost = key.len() + ENTRY_OVERHEAD_BYTES;
        entries.make_room(cost, self.bytes_max, versions);
        let blob = Arc::new(OnceCell::new());
        let entry = Entry {
            depends,
            version: versions.version(depends),
            made_at: Instant::now(),
            cost,
            blob: blob.clone(),
        };
        entries.put(form, key, entry);
        blob
    }

    /// Counts a body that was read; when there is no room for it, it is not kept.
    fn account(
        &self,
        form: Form,
        key: &str,
        slot: &Arc<OnceCell<Arc<Blob>>>,
        cost: usize,
        versions: &impl Versions,
    ) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.by_form[form as usize].get_mut(key) else {
            return;
        };
        if !Arc::ptr_eq(&entry.blob, slot) || entry.cost >= cost {
            return;
        }
        let grown = cost - entry.cost;
        entry.cost = cost;
        entries.bytes += grown;
        entries.make_room(0, self.bytes_max, versions);
    }

    fn is_fresh(&self, form: Form, entry: &Entry, versions: &impl Versions) -> bool {
        let age = entry.made_at.elapsed();
        let mut ages_max = self.age_max.into_iter().chain(form.age_max());
        entry.version == versions.version(entry.depends) && ages_max.all(|age_max| age < age_max)
    }
}

impl Entries {
    fn put(&mut self, form: Form, key: &str, entry: Entry) {
        self.bytes += entry.cost;
        if let Some(former) = self.by_form[form as usize].insert(key.into(), entry) {
            self.bytes -= former.cost;
        }
    }

    /// Makes room: first what is stale goes, then, when that is not enough, everything. What was asked for often is
    /// back at once, and nobody keeps a list of who asked when.
    fn make_room(&mut self, wanted: usize, bytes_max: usize, versions: &impl Versions) {
        if self.bytes + wanted <= bytes_max {
            return;
        }
        for map in &mut self.by_form {
            map.retain(|_, entry| entry.version == versions.version(entry.depends));
        }
        self.bytes = self.cost();
        if self.bytes + wanted > bytes_max {
            self.by_form.iter_mut().for_each(HashMap::clear);
            self.bytes = 0;
        }
    }

    fn cost(&self) -> usize {
        self.by_form
            .iter()
            .flat_map(HashMap::values)
            .map(|entry| entry.cost)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;

    fn cache() -> ResponseCache {
        ResponseCache::new(100_000, None)
    }

    /// A version of the store; builders have one of their own, that never changes.
    impl Versions for u64 {
        fn version(&self, depends: Depends) -> u64 {
            if depends == Depends::Builders {
                0
            } else {
                *self
            }
        }
    }

    async fn get(cache: &ResponseCache, key: &str, version: u64, body: &'static str) -> Bytes {
        let read = async { Ok::<_, ()>(Blob::new(body, "text/plain")) };
        let depends = if key == "/builders" {
            Depends::Builders
        } else {
            Depends::Store
        };
        let blob = cache.get(Form::Compact, key, depends, &version, read).await;
        blob.expect("reading cannot fail here").bytes().clone()
    }

    #[tokio::test]
    async fn an_answer_is_given_until_the_store_moves_on() {
        let cache = cache();
        assert_eq!(get(&cache, "/a", 1, "first").await, "first");
        assert_eq!(get(&cache, "/a", 1, "second").await, "first");
        assert_eq!(get(&cache, "/b", 1, "other").await, "other");
        assert_eq!(get(&cache, "/a", 2, "second").await, "second");
        assert!(cache.hit(Form::Compact, "/a", &2u64).is_some());
        assert!(cache.hit(Form::Compact, "/a", &3u64).is_none());
        assert_eq!(get(&cache, "/builders", 1, "first").await, "first");
        assert_eq!(get(&cache, "/builders", 2, "second").await, "first");
        assert!(cache.hit(Form::Indented, "/a", &2u64).is_none());
    }

    #[tokio::test]
    async fn with_an_age_an_answer_expires_without_a_commit() {
        let cache = ResponseCache::new(100_000, Some(Duration::ZERO));
        assert_eq!(get(&cache, "/a", 1, "first").await, "first");
        assert_eq!(get(&cache, "/a", 1, "second").await, "second");
    }

    #[tokio::test]
    async fn one_reads_for_all_who_ask_at_once() {
        let cache = cache();
        let reads = AtomicUsize::new(0);
        let ask = || {
            cache.get(Form::Compact, "/a", Depends::Store, &1u64, async {
                reads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<_, ()>(Blob::new("x", "text/plain"))
            })
        };
        let answers = futures::future::join_all((0..10).map(|_| ask())).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let cache = cache();
        let failed = cache
            .get(Form::Compact, "/a", Depends::Store, &1u64, async {
                Err("no")
            })
            .await;
        assert_eq!(failed.err(), Some("no"));
        assert_eq!(get(&cache, "/a", 1, "yes").await, "yes");
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let cache = cache();
        for n in 0..1000u64 {
            let key = format!("/{n}");
            let read = async { Ok::<_, ()>(Blob::new(vec![0u8; 10_000], "text/plain")) };
            cache
                .get(Form::Compact, &key, Depends::Store, &(n / 10), read)
                .await
                .expect("read");
            let entries = cache.entries.lock().expect("not poisoned");
            assert!(entries.bytes <= 100_000, "{} after {n}", entries.bytes);
            assert_eq!(entries.bytes, entries.cost());
        }
    }
}
