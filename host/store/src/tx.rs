//! Transactions, and the jobs that run in them.

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use toolpost_core::{Event, Fact, Timestamp};

use crate::ops::journal;
use crate::sql::Connection;
use crate::{Result, StoreError};

/// An open transaction: a connection, what the job that runs in it has noted for the journal, and the events that
/// are told once it is committed.
pub(crate) struct Tx {
    pub(crate) connection: Connection,
    pub(crate) facts: Vec<(Timestamp, Fact)>,
    pub(crate) events: Vec<Event>,
}

impl Tx {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            facts: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Tells this after the commit.
    pub(crate) fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Adds this to the journal when the job is done.
    pub(crate) fn note(&mut self, at: Timestamp, fact: Fact) {
        self.facts.push((at, fact));
    }
}

impl Deref for Tx {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// Runs a job and adds what it noted to the journal; a panic of it is an error like any other.
pub(crate) async fn run_job<T, J>(operation: &'static str, job: &mut J, tx: &mut Tx) -> Result<T>
where
    J: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T>>,
{
    // Left from a job that failed.
    tx.facts.clear();
    let run = async {
        let value = job(tx).await?;
        journal::append(tx).await?;
        Ok(value)
    };
    AssertUnwindSafe(run)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            tracing::error!(operation, "{operation} panicked: {}", panic_text(&*panic));
            Err(StoreError::Panicked { operation })
        })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

/// A job whose type of result is forgotten, so that jobs can wait in one queue.
pub(crate) trait QueuedJob: Send {
    /// Runs it, keeps its result, and says whether it succeeded.
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool>;
    /// Gives the kept result to the caller.
    fn answer(self: Box<Self>);
    /// Gives an error to the caller.
    fn fail(self: Box<Self>, error: StoreError);
}

/// A job with its caller.
pub(crate) struct Waiting<T, J> {
    operation: &'static str,
    job: J,
    result: Option<Result<T>>,
    caller: oneshot::Sender<Result<T>>,
}

impl<T, J> Waiting<T, J> {
    pub(crate) fn new(operation: &'static str, job: J) -> (Self, oneshot::Receiver<Result<T>>) {
        let (caller, answer) = oneshot::channel();
        let waiting = Self {
            operation,
            job,
            result: None,
            caller,
        };
        (waiting, answer)
    }
}

impl<T, J> QueuedJob for Waiting<T, J>
where
    T: Send + 'static,
    J: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool> {
        Box::pin(async move {
            let result = run_job(self.operation, &mut self.job, tx).await;
            let succeeded = result.is_ok();
            self.result = Some(result);
            succeeded
        })
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            // A caller that went away does not want to know.
            let _gone = self.caller.send(result);
        }
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _gone = self.caller.send(Err(error));
    }
}
