//! The workers of the running configuration.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use toolpost_config::Config;
use toolpost_config::config::{WorkerConfig, WorkerKind};
use toolpost_worker::{LocalWorker, LocalWorkerOptions};

use super::link::WorkerLink;
use super::local::LocalWorkerLink;
use super::remote::Places;

/// A worker that builds can run on now.
#[derive(Clone)]
pub(crate) struct ConnectedWorker {
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) link: Arc<dyn WorkerLink>,
    /// The session of a worker that connects from elsewhere.
    pub(crate) session: Option<u64>,
}

/// Workers by name.
pub(crate) type Workers = BTreeMap<String, ConnectedWorker>;

/// A worker cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("worker `{worker}` cannot start: {reason}")]
pub(crate) struct WorkerError {
    pub(crate) worker: String,
    pub(crate) reason: String,
}

/// Opens workers and keeps those that can be kept.
#[derive(Default)]
pub(crate) struct WorkerPool {
    inner: Mutex<Inner>,
    /// Sessions of workers that connect from elsewhere.
    pub(crate) remote: Places,
}

#[derive(Default)]
struct Inner {
    /// Whoever looks holds it for a moment; it is copied only when a worker comes or goes just then.
    connected: Arc<Workers>,
    /// Local workers by directory, as long as a configuration or a build uses them: a directory has one
    /// worker at a time, whatever it is called.
    local: HashMap<PathBuf, Weak<LocalWorkerLink>>,
}

impl WorkerPool {
    /// Opens the workers of a configuration; those that run already are kept. Changes nothing that is in use:
    /// [`Self::replace`] does.
    pub(crate) async fn open(&self, config: &Config) -> Result<Workers, WorkerError> {
        let mut workers = Workers::new();
        for (name, worker) in &config.workers {
            let WorkerKind::Local { base_dir } = &worker.kind else {
                // A remote worker is connected when it comes.
                continue;
            };
            let link = self
                .open_local(base_dir)
                .await
                .map_err(|reason| WorkerError {
                    worker: name.clone(),
                    reason,
                })?;
            let connected = ConnectedWorker {
                config: Arc::clone(worker),
                link,
                session: None,
            };
            workers.insert(name.clone(), connected);
        }
        Ok(workers)
    }

    async fn open_local(&self, base_dir: &PathBuf) -> Result<Arc<LocalWorkerLink>, String> {
        if let Some(link) = self.inner().local.get(base_dir).and_then(Weak::upgrade) {
            return Ok(link);
        }
        let options = LocalWorkerOptions::new(base_dir);
        let worker = LocalWorker::open(options)
            .await
            .map_err(|error| error.to_string())?;
        let link = Arc::new(LocalWorkerLink::new(worker));
        let mut inner = self.inner();
        inner.local.retain(|_, link| link.strong_count() > 0);
        inner.local.insert(base_dir.clone(), Arc::downgrade(&link));
        Ok(link)
    }

    /// From now on these are the workers, and those that connect from elsewhere and are still in the configuration. Builds keep
    /// the links that they have. Gives those from before.
    pub(crate) fn replace(&self, mut workers: Workers, config: &Config) -> Arc<Workers> {
        let is_remote = |name: &str| {
            let worker = config.workers.get(name);
            worker.filter(|worker| matches!(worker.kind, WorkerKind::Remote { .. }))
        };
        let before = {
            let mut inner = self.inner();
            let before = std::mem::take(&mut inner.connected);
            for (name, worker) in before.iter().filter(|(_, worker)| worker.session.is_some()) {
                if let Some(config) = is_remote(name) {
                    let config = Arc::clone(config);
                    let worker = ConnectedWorker {
                        config,
                        ..worker.clone()
                    };
                    workers.insert(name.clone(), worker);
                }
            }
            inner.connected = Arc::new(workers);
            before
        };
        self.remote.keep(|name| is_remote(name).is_some());
        before
    }

    /// A worker from elsewhere can be used.
    pub(crate) fn insert(&self, name: &str, worker: ConnectedWorker) {
        Arc::make_mut(&mut self.inner().connected).insert(name.to_owned(), worker);
    }

    /// A worker from elsewhere is gone, unless it is back already.
    pub(crate) fn remove(&self, name: &str, session: u64) {
        let mut inner = self.inner();
        let known = inner.connected.get(name).and_then(|worker| worker.session);
        if known == Some(session) {
            Arc::make_mut(&mut inner.connected).remove(name);
        }
    }

    /// The workers, by name, as they are now. For a moment: a worker that comes while somebody holds this has it copied.
    pub(crate) fn connected(&self) -> Arc<Workers> {
        Arc::clone(&self.inner().connected)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
