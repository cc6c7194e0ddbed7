//! Commands of a master: each a task that says what becomes known through an [`Outbox`], and asks for pieces of files through
//! an [`Exchange`].
//!
//! Jobs know no connection. A session sends what is in their outboxes and tells them what the master answered. They outlive it
//! where the master wants that, but for transfers.

mod disk;
mod exchange;
mod lines;
mod outbox;
mod shell;
mod spool;
mod transfer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolpost_wire::{Command, CommandId, Text, Update};
use toolpost_worker::{FileError, LocalWorker};

use exchange::Exchange;
pub(crate) use exchange::{Ask, Piece};
pub(crate) use lines::Style;
pub(crate) use outbox::{Depot, Outbox, Record};

/// Questions of transfers that wait for a session to take them.
const ASKS_MAX: usize = 32;
/// How long the commands of a lost connection may take to die.
const ABANDON_WAIT_MAX: Duration = Duration::from_secs(40);

/// All jobs of this worker.
pub(crate) struct Jobs {
    worker: LocalWorker,
    jobs: Mutex<BTreeMap<CommandId, Arc<Job>>>,
    asks: mpsc::Sender<Ask>,
    tasks: TaskTracker,
    pub(crate) depot: Arc<Depot>,
}

/// One command.
pub(crate) struct Job {
    pub(crate) id: CommandId,
    pub(crate) outbox: Outbox,
    /// Whether it can go on without a connection.
    outlives: bool,
    /// The master wants it to end.
    stop: CancellationToken,
}

/// What a job works with.
struct Bench {
    worker: LocalWorker,
    base_dir: String,
    job: Arc<Job>,
    exchange: Exchange,
    style: Arc<Style>,
    tells_usage: bool,
}

/// Nobody waits for the job any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Abandoned;

impl Jobs {
    /// None yet; and the end at which a session takes the questions of transfers.
    pub(crate) fn new(worker: LocalWorker, depot: Depot) -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let jobs = Self {
            worker,
            jobs: Mutex::default(),
            asks,
            tasks: TaskTracker::new(),
            depot: Arc::new(depot),
        };
        (jobs, asked)
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<CommandId, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a command. `tells_usage` for masters that know what to do with what it used.
    pub(crate) fn start(
        &self,
        id: CommandId,
        command: Command,
        style: Arc<Style>,
        tells_usage: bool,
    ) {
        let job = Arc::new(Job {
            id: id.clone(),
            outbox: Outbox::new(Arc::clone(&self.depot)),
            outlives: !matches!(
                command,
                Command::UploadFile(_) | Command::UploadDirectory(_) | Command::DownloadFile(_)
            ),
            stop: CancellationToken::new(),
        });
        let bench = Bench {
            worker: self.worker.clone(),
            base_dir: self.worker.base_dir().to_string_lossy().into_owned(),
            job: Arc::clone(&job),
            exchange: Exchange::new(id.clone(), self.asks.clone()),
            style,
            tells_usage,
        };
        if let Some(before) = self.jobs().insert(id, job) {
            before.outbox.close();
        }
        self.tasks.spawn(bench.run(command));
    }

    /// Asks a command to end.
    pub(crate) fn interrupt(&self, id: &CommandId) {
        if let Some(job) = self.jobs().get(id) {
            job.stop.cancel();
        }
    }

    /// The master has heard the last of a command.
    pub(crate) fn forget(&self, id: &CommandId) {
        self.jobs().remove(id);
    }

    pub(crate) fn get(&self, id: &CommandId) -> Option<Arc<Job>> {
        self.jobs().get(id).cloned()
    }

    /// Those that run or have something to say.
    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        self.jobs().values().cloned().collect()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs().is_empty()
    }

    /// Gives up all but these; those that are left.
    pub(crate) fn keep(&self, wanted: impl Fn(&CommandId) -> bool) -> Vec<CommandId> {
        let mut jobs = self.jobs();
        jobs.retain(|id, job| {
            let kept = wanted(id) && !job.outbox.is_closed();
            if !kept {
                job.outbox.close();
            }
            kept
        });
        jobs.keys().cloned().collect()
    }

    /// The connection is lost and may be there again: what can goes on without.
    pub(crate) fn go_on_alone(&self) {
        self.jobs().retain(|_, job| {
            if !job.outlives {
                job.outbox.close();
            }
            job.outlives
        });
        self.depot.set_away(true);
    }

    /// Ends what runs, because nobody waits for it any more, and waits until it has.
    pub(crate) async fn abandon(&self) {
        let count = self.jobs().len();
        self.keep(|_| false);
        self.depot.set_away(false);
        if count == 0 {
            return;
        }
        tracing::info!("{count} commands end, because nobody waits for them any more");
        self.tasks.close();
        let ended = timeout(ABANDON_WAIT_MAX, self.tasks.wait()).await;
        self.tasks.reopen();
        if ended.is_err() {
            tracing::warn!("{} commands do not end", self.tasks.len());
        }
    }
}

impl Bench {
    /// Does a command to its end.
    async fn run(self, command: Command) {
        let begun = Instant::now();
        let id = self.job.id.clone();
        let done = async {
            let error = match command {
                Command::Shell(shell) => self.shell(*shell).await?,
                Command::UploadFile(upload) => self.upload_file(upload, begun).await?,
                Command::UploadDirectory(upload) => self.upload_directory(upload, begun).await?,
                Command::DownloadFile(download) => self.download_file(download, begun).await?,
                command => self.disk(command, begun).await?,
            };
            self.job.outbox.push(Record::Complete(error)).await
        };
        tokio::select! {
            done = done => match done {
                Ok(()) => tracing::debug!("command {id} ended after {:?}", begun.elapsed()),
                Err(Abandoned) => tracing::debug!("command {id} was given up"),
            },
            () = self.job.outbox.closed() => tracing::debug!("command {id} was given up"),
        }
    }

    /// Tells how something without a program ended: `what` it was for the log of the step, after the code.
    async fn report(
        &self,
        what: &str,
        outcome: Result<Vec<Update>, FileError>,
        begun: Instant,
    ) -> Result<Option<String>, Abandoned> {
        let updates = match outcome {
            Ok(mut updates) => {
                updates.extend([Update::Rc(0), elapsed(begun)]);
                updates
            }
            Err(error) => vec![
                Update::Rc(error.number().into()),
                elapsed(begun),
                Update::Stderr(said(format!("{what}: {error}\n"))),
            ],
        };
        self.job.outbox.push(Record::Updates(updates)).await?;
        Ok(None)
    }
}

fn elapsed(begun: Instant) -> Update {
    Update::Elapsed(begun.elapsed().as_secs_f64())
}

/// Output of now.
fn said(text: impl Into<Bytes>) -> Text {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Text {
        bytes: text.into(),
        at: now.map_or(0.0, |now| now.as_secs_f64()),
    }
}
