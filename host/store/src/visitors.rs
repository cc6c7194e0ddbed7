//! SQLite's connections for whoever asks from outside: few, apart from those of the master's own parts, and each statement is
//! interrupted when it takes too long.
//!
//! A connection whose statement was given up by its caller is not lent to the next one before that statement has ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Result, StoreError};

/// Instructions of SQLite's machine between two looks at the clock: some tens of microseconds.
const STEPS_PER_LOOK: i32 = 10_000;

/// The connections, opened when they are needed.
pub(crate) struct Visitors {
    options: SqliteConnectOptions,
    connections_max: u32,
    statement_max: Duration,
    turns: Arc<Semaphore>,
    idle: Idle,
}

type Idle = Arc<Mutex<Vec<Reader>>>;

/// A connection, and until when its statement may take.
struct Reader {
    connection: SqliteConnection,
    deadline: Arc<Deadline>,
}

struct Deadline {
    since: Instant,
    /// Milliseconds after `since`.
    at_ms: AtomicU64,
}

impl Deadline {
    fn set(&self, after: Duration) {
        let at = self.since.elapsed() + after;
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.at_ms.store(at_ms, Ordering::Relaxed);
    }

    fn is_ahead(&self) -> bool {
        self.since.elapsed().as_millis() < self.at_ms.load(Ordering::Relaxed).into()
    }
}

impl Visitors {
    pub(crate) fn new(
        options: SqliteConnectOptions,
        connections_max: u32,
        statement_max: Duration,
    ) -> Self {
        Self {
            options,
            connections_max,
            statement_max,
            turns: Arc::new(Semaphore::new(connections_max as usize)),
            idle: Idle::default(),
        }
    }

    /// Waits for a connection.
    pub(crate) async fn acquire(&self, operation: &'static str) -> Result<Visitor> {
        let turn = self.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| StoreError::Closed)?;
        let idle = lock(&self.idle).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => {
                let opened = self.open().await;
                opened.map_err(|source| StoreError::query(operation, source))?
            }
        };
        Ok(Visitor {
            reader: Some(reader),
            statement_max: self.statement_max,
            at_work: false,
            idle: self.idle.clone(),
            turn: Some(turn),
        })
    }

    async fn open(&self) -> Result<Reader, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        let deadline = Arc::new(Deadline {
            since: Instant::now(),
            at_ms: AtomicU64::new(0),
        });
        let watched = deadline.clone();
        connection
            .lock_handle()
            .await?
            .set_progress_handler(STEPS_PER_LOOK, move || watched.is_ahead());
        Ok(Reader {
            connection,
            deadline,
        })
    }

    /// Waits for those that are lent, and closes all.
    pub(crate) async fn close(&self) {
        // Closed already when that fails.
        let all = self.turns.acquire_many(self.connections_max).await;
        self.turns.close();
        drop(all);
        let idle = std::mem::take(&mut *lock(&self.idle));
        for reader in idle {
            if let Err(error) = reader.connection.close().await {
                tracing::debug!("cannot close a connection for reading in order: {error}");
            }
        }
    }
}

fn lock(idle: &Idle) -> std::sync::MutexGuard<'_, Vec<Reader>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that is lent; it goes back when this is dropped.
pub struct Visitor {
    /// `None` only while it is dropped.
    reader: Option<Reader>,
    statement_max: Duration,
    /// Whether a statement was begun of which nobody has seen the end.
    at_work: bool,
    idle: Idle,
    turn: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for Visitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visitor").finish_non_exhaustive()
    }
}

impl Visitor {
    /// The connection for one statement, which has the time that statements have; [`Self::end`] has to follow it.
    pub(crate) fn begin(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        let reader = self.reader.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        reader.deadline.set(self.statement_max);
        self.at_work = true;
        Ok(&mut reader.connection)
    }

    /// The end of the statement was seen.
    pub(crate) fn end(&mut self) {
        self.at_work = false;
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let (Some(mut reader), Some(turn)) = (self.reader.take(), self.turn.take()) else {
            return;
        };
        if !self.at_work {
            lock(&self.idle).push(reader);
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let idle = self.idle.clone();
        runtime.spawn(async move {
            reader.deadline.set(Duration::ZERO);
            // Answered once the statement has ended, whichever way.
            if reader.connection.ping().await.is_ok() {
                lock(&idle).push(reader);
            }
            drop(turn);
        });
    }
}
