//! From a spec to a running command: a turn, a process, and the task that looks after it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::command::course::{Course, Plan};
use crate::command::follow::{Follower, Watched};
use crate::command::group::Members;
use crate::command::launch::{Launcher, Prepared, Process, StartError};
use crate::command::output;
use crate::command::running::{CommandControl, RunningCommand};
use crate::command::spec::CommandSpec;
use crate::command::supervise::{Ends, Shutdown, Supervisor};
use crate::files::Files;
use crate::options::Limits;

/// A program that somebody has open for writing cannot be started. One that a step has just written
/// looks like that for the moment in which another thread starts a command, so it is tried again.
const BUSY_TRIES_MAX: u32 = 8;
const BUSY_WAIT: Duration = Duration::from_millis(10);

/// Starts the commands of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Starter {
    pub(crate) launcher: Arc<Launcher>,
    pub(crate) limits: Arc<Limits>,
    /// A permit for each file operation that may run.
    pub(crate) file_slots: Arc<Semaphore>,
    /// A permit for each command that may run; closed when the worker shuts down.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
    pub(crate) tasks: TaskTracker,
}

/// A command that is ready to start and may do so.
struct Ready {
    prepared: Prepared,
    plan: Plan,
    stdin: Option<Bytes>,
    watched: Watched,
    slot: OwnedSemaphorePermit,
}

enum Attempt {
    Started(Box<RunningCommand>),
    Busy(Box<Ready>),
    Failed(StartError),
}

impl Starter {
    /// Waits for a turn and starts the command.
    pub(crate) async fn start(&self, spec: CommandSpec) -> Result<RunningCommand, StartError> {
        let slot = self.take_slot().await?;
        let launcher = Arc::clone(&self.launcher);
        let plan = self.plan(&spec);
        let stdin = spec.stdin.clone();
        let (files, log_files) = (self.files(spec.build_dir.clone()), spec.log_files.clone());
        let prepared = blocking(move || launcher.prepare(&spec)).await??;
        let watched = Watched::new(files, &log_files).await;
        let mut ready = Box::new(Ready {
            prepared,
            plan,
            stdin,
            watched: watched.map_err(StartError::LogFile)?,
            slot,
        });
        for tries in 1.. {
            let starter = self.clone();
            let last = tries == BUSY_TRIES_MAX;
            match blocking(move || starter.attempt(ready, last)).await? {
                Attempt::Started(running) => return Ok(*running),
                Attempt::Failed(error) => return Err(error),
                Attempt::Busy(again) => ready = again,
            }
            sleep(BUSY_WAIT * tries).await;
        }
        Err(StartError::ShuttingDown)
    }

    /// The files of one build, confined to its directory (relative to the base directory).
    pub(crate) fn files(&self, build_dir: String) -> Files {
        Files::new(
            Arc::clone(&self.launcher),
            build_dir,
            Arc::clone(&self.limits),
            Arc::clone(&self.file_slots),
        )
    }

    async fn take_slot(&self) -> Result<OwnedSemaphorePermit, StartError> {
        let wait = self.limits.start_wait_max;
        match timeout(wait, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) => Err(StartError::ShuttingDown),
            Err(_) => Err(StartError::NoSlot {
                commands_max: self.limits.commands_max,
                wait,
            }),
        }
    }

    fn plan(&self, spec: &CommandSpec) -> Plan {
        Plan {
            idle_timeout: spec.idle_timeout,
            total_timeout: spec.total_timeout,
            signal: spec.interrupt_signal,
            grace: spec.interrupt_grace,
            pipe_close_wait: self.limits.pipe_close_wait,
            kill_wait: self.limits.kill_wait,
        }
    }

    /// Makes the process and hands it to its supervisor in one go, so that no dropped future can
    /// leave a process that nobody looks after.
    fn attempt(&self, mut ready: Box<Ready>, last: bool) -> Attempt {
        match ready.prepared.spawn() {
            Ok(process) => Attempt::Started(Box::new(self.supervise(*ready, process))),
            Err(error) if error.is_busy_program() && !last => Attempt::Busy(ready),
            Err(error) => Attempt::Failed(error),
        }
    }

    fn supervise(&self, ready: Ready, process: Process) -> RunningCommand {
        let started = Instant::now();
        let (family, group) = (ready.prepared.family.clone(), ready.prepared.group.clone());
        let members = Members::new(process.leader.id(), family, group);
        let launch = ready.prepared.into_launch(process.leader.id());
        let (sender, receiver) = output::queue(self.limits.output_queue_bytes_max, started);
        let (control, requested) = CommandControl::new(ready.plan.grace);
        let (ended, ending) = oneshot::channel();
        let course = Course::new(ready.plan, started);
        let ends = Ends {
            pipes: process.pipes,
            stdin: ready.stdin,
            follower: Follower::new(ready.watched, sender.clone()),
        };
        let supervisor = Supervisor::new(
            process.leader,
            members,
            course,
            sender,
            requested,
            self.shutdown.clone(),
        );
        let slot = ready.slot;
        // The base directory stays taken as long as a command works in it.
        let launcher = Arc::clone(&self.launcher);
        self.tasks.spawn(async move {
            let exit = supervisor.run(ends).await;
            drop((slot, launcher));
            // Nobody may want to know any more.
            let _ = ended.send(exit);
        });
        RunningCommand::new(launch, started, receiver, control, ending)
    }
}

/// Runs what may block on a thread for that; an error when the runtime is about to end.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| StartError::ShuttingDown)
}
