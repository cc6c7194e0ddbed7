//! The worker of this process.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::cgroup::Groups;
use crate::command::{CommandSpec, Launcher, RunningCommand, StartError, Starter};
use crate::files::{Files, Root};
use crate::info;
use crate::leftovers::Mark;
use crate::options::{LocalWorkerOptions, OpenError};
use crate::user::User;

/// Keeps a second worker out of the base directory.
const LOCK_FILE: &str = ".toolpost-worker.lock";

/// Runs commands and moves files beneath one base directory. Cheap to clone; all clones are the same
/// worker.
#[derive(Debug, Clone)]
pub struct LocalWorker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    starter: Starter,
    shutdown: watch::Sender<Option<Duration>>,
    info: BTreeMap<String, String>,
}

impl LocalWorker {
    /// Takes the base directory, for which no other worker may be running, and ends the commands that
    /// an earlier worker left there when it was killed.
    pub async fn open(options: LocalWorkerOptions) -> Result<Self, OpenError> {
        let failed = |source| OpenError::BaseDir {
            path: options.base_dir.clone(),
            source,
        };
        std::fs::create_dir_all(&options.base_dir).map_err(failed)?;
        let base_dir = options.base_dir.canonicalize().map_err(failed)?;
        let mut environment: BTreeMap<_, _> = options.environment.into_iter().collect();
        if let Some(user) = &options.user {
            user.take_over(&base_dir).map_err(failed)?;
            environment.extend(user.environment());
        }
        let opened = || -> io::Result<(Root, File)> {
            // From here on somebody else may have put links in the place of files.
            let _rights = options.user.as_ref().map(User::rights).transpose()?;
            let base = Root::open(&base_dir)?;
            Ok((base, File::create(base_dir.join(LOCK_FILE))?))
        };
        let (base, lock) = opened().map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse {
                path: base_dir.clone(),
            },
            TryLockError::Error(source) => failed(source),
        })?;
        let mark = Mark::new(&base_dir);
        let killed = mark.end_leftovers().await;
        if killed > 0 {
            tracing::warn!(
                "ended {killed} processes that an earlier worker left in {}",
                base_dir.display()
            );
        }

        let groups = match options.command_limits {
            limits if limits.is_empty() => None,
            limits => Some(Groups::open(limits).map_err(|reason| OpenError::Limits { reason })?),
        };
        let limits = Arc::new(options.limits);
        let (shutdown, shutting_down) = watch::channel(None);
        let launcher = Launcher {
            base,
            environment,
            mark,
            user: options.user,
            groups,
            _lock: lock,
        };
        let starter = Starter {
            launcher: Arc::new(launcher),
            slots: Arc::new(Semaphore::new(limits.commands_max.max(1))),
            file_slots: Arc::new(Semaphore::new(limits.file_operations_max.max(1))),
            shutdown: shutting_down,
            tasks: TaskTracker::new(),
            limits: Arc::clone(&limits),
        };
        let inner = Inner {
            starter,
            shutdown,
            info: info::collect(&base_dir),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Starts a command as soon as fewer than the most allowed are running. When the future is dropped
    /// the command is killed, or never started.
    pub async fn start(&self, spec: CommandSpec) -> Result<RunningCommand, StartError> {
        self.inner.starter.start(spec).await
    }

    /// The files of one build, confined to its directory (relative to the base directory).
    #[must_use]
    pub fn files(&self, build_dir: impl Into<String>) -> Files {
        self.inner.starter.files(build_dir.into())
    }

    /// Does something that blocks with the rights of whoever the builds run as.
    ///
    /// # Errors
    /// The system does not give them.
    pub fn with_rights<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let user = self.inner.starter.launcher.user.as_ref();
        let _rights = user.map(User::rights).transpose()?;
        Ok(work())
    }

    /// What this worker tells about itself and its machine: `system`, `architecture`, `host`,
    /// `numcpus`, `version`, `basedir`.
    #[must_use]
    pub fn info(&self) -> &BTreeMap<String, String> {
        &self.inner.info
    }

    /// What the environment of a command starts from.
    pub fn environment(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let variables = self.inner.starter.launcher.environment.iter();
        variables.map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Where the builds are.
    #[must_use]
    pub fn base_dir(&self) -> &Path {
        self.inner.starter.launcher.base.path()
    }

    /// How many commands run, those included whose pipes are still being emptied.
    #[must_use]
    pub fn commands_running(&self) -> usize {
        self.inner.starter.tasks.len()
    }

    /// Takes no commands any more, asks those that run to stop and kills those that still do after
    /// `grace`. Returns when all have ended, or when even killing them did not help in time.
    pub async fn shutdown(&self, grace: Duration) {
        let starter = &self.inner.starter;
        starter.slots.close();
        self.inner.shutdown.send_replace(Some(grace));
        starter.tasks.close();
        let limits = &starter.limits;
        let patience = grace
            .saturating_add(limits.kill_wait)
            .saturating_add(limits.pipe_close_wait);
        if timeout(patience, starter.tasks.wait()).await.is_err() {
            tracing::warn!("{} commands did not end at shutdown", starter.tasks.len());
        }
    }
}
