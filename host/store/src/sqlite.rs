//! SQLite: one writer that commits in groups, and a few readers.
//!
//! The writer task owns the only connection that writes, so no statement ever waits for another writer. It
//! takes the jobs that wait, runs each under a savepoint, commits once, and then answers all. A job that fails
//! undoes itself alone. A group that cannot be committed is run again one job at a time, so that the one to
//! blame is the only one to fail.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::sql::Connection;
use crate::store::Commits;
use crate::tx::{QueuedJob, Tx, Waiting};
use crate::visitors::Visitors;
use crate::{Result, StoreError, StoreOptions, Synchronous, migrate};

/// Prepared statements that a connection keeps.
const STATEMENTS_KEPT: usize = 512;
/// Pages of the write-ahead log after which it is worked into the file: 16 MiB, so that log output does not
/// force the disk at every breath.
const CHECKPOINT_PAGES: &str = "4000";
/// Rows that SQLite's thread gets ahead of the task that reads them: a page of a list needs no waiting in between.
const ROWS_BUFFERED: usize = 1024;
/// Page cache of the writer, KiB (negative as `PRAGMA cache_size` wants it).
const WRITER_CACHE_KIB: &str = "-8192";
/// The write-ahead log is cut back to this after a checkpoint, bytes.
const WAL_BYTES_KEPT: &str = "67108864";

pub(crate) struct Sqlite {
    jobs: mpsc::Sender<Message>,
    pub(crate) readers: SqlitePool,
    pub(crate) visitors: Visitors,
    writer: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Job(Box<dyn QueuedJob>),
    Close,
}

impl Sqlite {
    pub(crate) async fn open(
        path: PathBuf,
        options: &StoreOptions,
        commits: Arc<Commits>,
    ) -> Result<Self> {
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).map_err(|source| file_error(dir, source))?;
        }
        let lock = lock_file(&path).await?;
        let failed = |source| StoreError::Open {
            database: path.display().to_string(),
            source,
        };
        let connection = write_options(&path, options)
            .connect()
            .await
            .map_err(failed)?;
        let mut connection = Connection::Writer(Box::new(connection));
        migrate::migrate(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.connections_max)
            // A connection to a file does not break, and its prepared statements are worth keeping.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(read_options(&path, options))
            .await
            .map_err(failed)?;
        let visitors = Visitors::new(
            read_options(&path, options),
            options.visitors_max,
            Duration::from_millis(options.visitor_statement_ms_max),
        );
        let (jobs, queue) = mpsc::channel(options.queued_jobs_max);
        let writer = Writer {
            tx: Tx::new(connection),
            queue,
            group_jobs_max: options.group_jobs_max.max(1),
            commits,
            lock,
        };
        Ok(Self {
            jobs,
            readers,
            visitors,
            writer: Mutex::new(Some(tokio::spawn(writer.run()))),
        })
    }

    pub(crate) async fn write<T, J>(&self, operation: &'static str, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let (waiting, answer) = Waiting::new(operation, job);
        self.jobs
            .send(Message::Job(Box::new(waiting)))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) async fn close(&self) {
        // The queue is closed already when somebody else has asked for it.
        let _closed = self.jobs.send(Message::Close).await;
        self.readers.close().await;
        self.visitors.close().await;
        if let Some(writer) = self.writer.lock().await.take()
            && let Err(error) = writer.await
        {
            tracing::error!("the writer of the database ended badly: {error}");
        }
    }
}

fn base_options(path: &Path, options: &StoreOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(Duration::from_millis(options.busy_timeout_ms))
        .statement_cache_capacity(STATEMENTS_KEPT)
        .row_buffer_size(ROWS_BUFFERED)
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}

fn write_options(path: &Path, options: &StoreOptions) -> SqliteConnectOptions {
    base_options(path, options)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match options.synchronous {
            Synchronous::Normal => SqliteSynchronous::Normal,
            Synchronous::Full => SqliteSynchronous::Full,
        })
        .pragma("cache_size", WRITER_CACHE_KIB)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", WAL_BYTES_KEPT)
        .thread_name(|_| "toolpost-db-write".to_owned())
}

fn read_options(path: &Path, options: &StoreOptions) -> SqliteConnectOptions {
    base_options(path, options)
        .pragma("query_only", "on")
        .thread_name(|n| format!("toolpost-db-{n}"))
}

fn file_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File {
        path: path.to_owned(),
        source,
    }
}

/// How often and how far apart the file is tried. What a master that was killed has just forked holds the file until it has
/// become another program.
const LOCK_TRIES: u32 = 20;
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// Takes the file beside the database that says who has it. The operating system gives it up with the process.
async fn lock_file(database: &Path) -> Result<File> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |source| file_error(&path, source);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    let mut locked = file.try_lock();
    for _ in 0..LOCK_TRIES {
        if !matches!(locked, Err(std::fs::TryLockError::WouldBlock)) {
            break;
        }
        tokio::time::sleep(LOCK_WAIT).await;
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(failed)?;
            return Err(StoreError::InUse {
                path: database.to_owned(),
                pid: pid.trim().parse().ok(),
            });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

struct Writer {
    tx: Tx,
    queue: mpsc::Receiver<Message>,
    group_jobs_max: usize,
    commits: Arc<Commits>,
    lock: File,
}

impl Writer {
    async fn run(mut self) {
        while let Some(group) = self.next_group().await {
            self.run_group(group).await;
        }
        self.queue.close();
        if let Connection::Writer(connection) = self.tx.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!("cannot close the database in order: {error}");
        }
        drop(self.lock);
    }

    /// Waits for a job and takes those that wait behind it; `None` at the end.
    async fn next_group(&mut self) -> Option<Vec<Box<dyn QueuedJob>>> {
        let mut group = Vec::new();
        match self.queue.recv().await {
            Some(Message::Job(job)) => group.push(job),
            Some(Message::Close) | None => return None,
        }
        while group.len() < self.group_jobs_max {
            match self.queue.try_recv() {
                Ok(Message::Job(job)) => group.push(job),
                Ok(Message::Close) => {
                    // Callers that are queued behind are told that it is closed.
                    self.queue.close();
                    while self.queue.try_recv().is_ok() {}
                    break;
                }
                Err(_) => break,
            }
        }
        Some(group)
    }

    async fn run_group(&mut self, mut group: Vec<Box<dyn QueuedJob>>) {
        let mut outcome = self.try_group(&mut group).await;
        if outcome.is_ok() {
            group.into_iter().for_each(QueuedJob::answer);
            return;
        }
        let alone = group.len() == 1;
        for mut job in group {
            if !alone {
                outcome = self.try_group(std::slice::from_mut(&mut job)).await;
            }
            match std::mem::replace(&mut outcome, Ok(())) {
                Ok(()) => job.answer(),
                Err(error) => job.fail(error),
            }
        }
    }

    /// Runs jobs in one transaction and tells its events; an error means that nothing of it happened.
    async fn try_group(&mut self, group: &mut [Box<dyn QueuedJob>]) -> Result<()> {
        self.tx.events.clear();
        let outcome = self.transaction(group).await;
        match &outcome {
            Ok(()) => self.commits.publish(&self.tx.events),
            Err(_) => roll_back(&mut self.tx).await,
        }
        outcome
    }

    async fn transaction(&mut self, group: &mut [Box<dyn QueuedJob>]) -> Result<()> {
        let tx = &mut self.tx;
        control(tx, "BEGIN IMMEDIATE").await?;
        if let [job] = group {
            if job.run(tx).await {
                return control(tx, "COMMIT").await;
            }
            tx.events.clear();
            roll_back(tx).await;
            return Ok(());
        }
        for job in group {
            control(tx, "SAVEPOINT job").await?;
            let events = tx.events.len();
            if !job.run(tx).await {
                tx.events.truncate(events);
                control(tx, "ROLLBACK TO job").await?;
            }
            control(tx, "RELEASE job").await?;
        }
        control(tx, "COMMIT").await
    }
}

async fn control(tx: &mut Tx, statement: &'static str) -> Result<()> {
    tx.execute("commit", statement, Vec::new()).await.map(drop)
}

/// Ends a transaction that is to have done nothing. After some errors, a full disk among them, SQLite has done
/// that by itself, and the statement fails because nothing is left to roll back.
async fn roll_back(tx: &mut Tx) {
    if let Err(error) = control(tx, "ROLLBACK").await {
        tracing::debug!("rolled back already: {error}");
    }
}
