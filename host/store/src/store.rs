//! The handle that everything goes through.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use toolpost_core::Event;

use crate::counts::Counts;
use crate::parties::{Parties, Turns};
use crate::sql::{Backend, Connection};
use crate::tx::Tx;
use crate::{OnCommit, Result, StoreError, StoreOptions, postgres, sqlite};

/// The records of a farm. Cheap to clone; all clones share one database.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// What the writes of this handle wait for first.
    turns: Option<Turns>,
    /// Whether its reads are those of whoever asks from outside.
    for_visitors: bool,
}

struct Inner {
    parties: Parties,
    database: Database,
    objects: Arc<dyn ObjectStore>,
    commits: Arc<Commits>,
    counts: Counts,
    options: StoreOptions,
}

enum Database {
    Sqlite(Box<sqlite::Sqlite>),
    Postgres(postgres::Postgres),
}

/// What happens after each commit.
pub(crate) struct Commits {
    generation: AtomicU64,
    on_commit: OnCommit,
}

impl Commits {
    /// Counts a commit and tells its events.
    pub(crate) fn publish(&self, events: &[Event]) {
        self.generation.fetch_add(1, Ordering::Release);
        if !events.is_empty() {
            (self.on_commit)(events);
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, brings it to the newest schema and starts the writer.
    ///
    /// # Errors
    /// When the database cannot be used; see [`StoreError`].
    pub async fn open(options: StoreOptions) -> Result<Self> {
        let commits = Arc::new(Commits {
            generation: AtomicU64::new(0),
            on_commit: options.on_commit.clone(),
        });
        let database = if let Some(path) = sqlite_path(&options.url) {
            let sqlite = sqlite::Sqlite::open(path?, &options, commits.clone()).await?;
            Database::Sqlite(Box::new(sqlite))
        } else if options.url.starts_with("postgres:") || options.url.starts_with("postgresql:") {
            Database::Postgres(postgres::Postgres::open(&options, commits.clone()).await?)
        } else {
            return Err(bad_url(&options.url, "it is neither SQLite nor PostgreSQL"));
        };
        let objects = match &options.objects {
            Some(objects) => objects.clone(),
            None => local_objects(&options.object_dir).await?,
        };
        Ok(Self {
            turns: None,
            inner: Arc::new(Inner {
                parties: Parties::new(options.writes_per_party_max),
                database,
                objects,
                commits,
                counts: Counts::default(),
                options,
            }),
            for_visitors: false,
        })
    }

    /// A handle for the work of one party, such as the builds of a builder or the calls of a plugin: of the writes of all
    /// handles with this name only a few wait for the database at one time, so that a party with much to write does not
    /// make all others wait behind it.
    #[must_use]
    pub fn of_party(&self, name: &str) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            turns: Some(self.inner.parties.turns_of(name)),
            for_visitors: self.for_visitors,
        }
    }

    /// The same store for whoever asks from outside, as often as he likes and for what he likes: reads go over connections of
    /// their own, so that the master's parts do not wait behind them, a statement that takes too long ends with
    /// [`StoreError::TooMuchWork`], and totals of more than 10,000 rows may be as old as it takes twenty times to count them,
    /// 5 s at most, and are told for up to 5 s more while somebody counts anew.
    #[must_use]
    pub fn for_visitors(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            turns: self.turns.clone(),
            for_visitors: true,
        }
    }

    /// Counts the commits of this store since it was opened. Equal numbers mean that nothing was written in
    /// between by this process.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.commits.generation.load(Ordering::Acquire)
    }

    /// Finishes the writes that wait, closes the database and gives up its lock. Later calls fail with
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        match &self.inner.database {
            Database::Sqlite(sqlite) => sqlite.close().await,
            Database::Postgres(postgres) => postgres.close().await,
        }
    }

    /// Runs `job` in a transaction, which is carried out even if the caller goes away. The job may be run
    /// several times (after a deadlock, or when a commit that it shares fails), so it must do nothing but write
    /// to the `Tx`.
    pub(crate) async fn write<T, J>(&self, operation: &'static str, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let _turn = match &self.turns {
            Some(turns) => Some(turns.next().await),
            None => None,
        };
        match &self.inner.database {
            Database::Sqlite(sqlite) => sqlite.write(operation, job).await,
            // Boxed, so that a task which writes now and then is not as large as this for all its life.
            Database::Postgres(postgres) => Box::pin(postgres.write(operation, job)).await,
        }
    }

    /// A connection for reading.
    pub(crate) async fn read(&self, operation: &'static str) -> Result<Connection> {
        let connection = match &self.inner.database {
            Database::Sqlite(sqlite) if self.for_visitors => {
                return sqlite
                    .visitors
                    .acquire(operation)
                    .await
                    .map(Connection::Visitor);
            }
            Database::Sqlite(sqlite) => sqlite.readers.acquire().await.map(Connection::Reader),
            Database::Postgres(postgres) => {
                let pool = if self.for_visitors {
                    &postgres.visitors
                } else {
                    &postgres.pool
                };
                pool.acquire().await.map(Connection::Postgres)
            }
        };
        connection.map_err(|source| match source {
            sqlx::Error::PoolClosed => StoreError::Closed,
            source => StoreError::query(operation, source),
        })
    }

    pub(crate) fn backend(&self) -> Backend {
        match &self.inner.database {
            Database::Sqlite(_) => Backend::Sqlite,
            Database::Postgres(_) => Backend::Postgres,
        }
    }

    /// Totals that are told again, where that is done.
    pub(crate) fn visitors_counts(&self) -> Option<&Counts> {
        self.for_visitors.then_some(&self.inner.counts)
    }

    pub(crate) fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.inner.objects
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.inner.options
    }
}

fn sqlite_path(url: &str) -> Option<Result<PathBuf>> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(if path.is_empty() || path == ":memory:" {
        Err(bad_url(url, "the path of a file is missing"))
    } else {
        Ok(PathBuf::from(path))
    })
}

/// The error for a URL, without the password that it may hold.
pub(crate) fn bad_url(url: &str, reason: &str) -> StoreError {
    let shown = match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        _ => url.to_owned(),
    };
    StoreError::Url {
        url: shown,
        reason: reason.to_owned(),
    }
}

async fn local_objects(dir: &std::path::Path) -> Result<Arc<dyn ObjectStore>> {
    let failed = |source| StoreError::File {
        path: dir.to_owned(),
        source,
    };
    tokio::fs::create_dir_all(dir).await.map_err(failed)?;
    let local = LocalFileSystem::new_with_prefix(dir)
        .map_err(|error| failed(std::io::Error::other(error)))?;
    // Rows are deleted once their segment is stored, so the segment must be on the disk by then.
    Ok(Arc::new(local.with_fsync(true)))
}
