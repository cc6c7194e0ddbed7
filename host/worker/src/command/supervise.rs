//! The task that owns one running command: reads its pipes, waits for its end, keeps its times, and
//! sends its process group the signals that its [`Course`] asks for.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::command::course::{Course, View};
use crate::command::exit::{Exit, Status, StopCause};
use crate::command::follow::Follower;
use crate::command::group::Members;
use crate::command::launch::Pipes;
use crate::command::leader::Leader;
use crate::command::output::{OutputSender, OutputStream, Pump};
use crate::command::running::StopRequest;
use crate::command::spec::InterruptSignal;
use crate::command::usage::Usage;

/// How long the worker's commands have left to stop, once it shuts down.
pub(crate) type Shutdown = watch::Receiver<Option<Duration>>;

pub(crate) struct Supervisor {
    leader: Leader,
    members: Members,
    course: Course,
    status: Option<Status>,
    usage: Option<Usage>,
    sender: OutputSender,
    requests: watch::Receiver<StopRequest>,
    shutdown: Shutdown,
}

/// What goes into a command, and where what comes out of it is.
pub(crate) struct Ends {
    pub(crate) pipes: Pipes,
    pub(crate) stdin: Option<Bytes>,
    pub(crate) follower: Follower,
}

struct Plumbing {
    stdout: Pump<ChildStdout>,
    stderr: Pump<ChildStderr>,
    stdin: Option<(ChildStdin, Bytes)>,
}

impl Supervisor {
    pub(crate) fn new(
        leader: Leader,
        members: Members,
        course: Course,
        sender: OutputSender,
        requests: watch::Receiver<StopRequest>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            leader,
            members,
            course,
            status: None,
            usage: None,
            sender,
            requests,
            shutdown,
        }
    }

    /// Stays with the command until its end. Dropping the future kills the group.
    pub(crate) async fn run(mut self, ends: Ends) -> Exit {
        let mut plumbing = Plumbing::new(ends.pipes, ends.stdin, &self.sender);
        let mut follower = ends.follower;
        let pipes_closed = {
            let running = pin!(plumbing.run());
            let following = pin!(follower.run());
            self.until_over(running, following).await
        };
        if !pipes_closed {
            plumbing.finish().await;
        }
        follower.look().await;
        Exit {
            status: self.status.unwrap_or(Status::Lost),
            cause: self.course.cause(),
            elapsed: self.course.elapsed(Instant::now()),
            usage: self.usage,
            memory_exceeded: self.members.memory_exceeded(),
            pipes_left_open: !pipes_closed,
        }
    }

    /// Whether the pipes were closed by everybody when the command was over.
    async fn until_over(
        &mut self,
        mut plumbing: Pin<&mut impl Future<Output = ()>>,
        mut following: Pin<&mut impl Future<Output = ()>>,
    ) -> bool {
        let mut pipes_closed = false;
        while !self.course.over(pipes_closed) {
            let deadline = self.course.deadline();
            tokio::select! {
                biased;
                ended = self.leader.ended(), if self.status.is_none() => self.leader_ended(ended),
                (cause, grace) = next_stop(&mut self.requests, &mut self.shutdown) => {
                    let signal = self.course.stop(Instant::now(), cause, grace);
                    self.send(signal).await;
                }
                () = until(deadline) => self.tick().await,
                () = plumbing.as_mut(), if !pipes_closed => pipes_closed = true,
                () = following.as_mut() => {}
            }
            if !self.course.group_may_live() {
                self.members.disarm();
            }
        }
        pipes_closed
    }

    fn leader_ended(&mut self, ended: io::Result<(ExitStatus, Usage)>) {
        self.status = Some(match ended {
            Ok((status, usage)) => {
                self.usage = Some(self.members.usage(usage));
                Status::from_system(status)
            }
            Err(error) => {
                tracing::warn!("a command cannot be waited for: {error}");
                Status::Lost
            }
        });
        self.course.leader_ended(Instant::now());
    }

    async fn tick(&mut self) {
        let group_alive = self.status.is_none() || self.members.alive().await;
        let activity = self.sender.activity();
        let signal = self.course.tick(View {
            now: Instant::now(),
            last_output: activity.last_output,
            reader_waits: activity.reader_waits(),
            group_alive,
        });
        self.send(signal).await;
    }

    async fn send(&mut self, signal: Option<InterruptSignal>) {
        if let Some(signal) = signal {
            self.members.signal(signal).await;
        }
    }
}

impl Plumbing {
    fn new(pipes: Pipes, stdin: Option<Bytes>, sender: &OutputSender) -> Self {
        Self {
            stdout: Pump::new(pipes.stdout, OutputStream::Stdout, sender.clone()),
            stderr: Pump::new(pipes.stderr, OutputStream::Stderr, sender.clone()),
            stdin: pipes.stdin.zip(stdin),
        }
    }

    async fn run(&mut self) {
        let stdin = self.stdin.take();
        let feed = async {
            if let Some((mut pipe, bytes)) = stdin {
                // A command need not read its input to the end.
                let _ = pipe.write_all(&bytes).await;
            }
        };
        tokio::join!(self.stdout.run(), self.stderr.run(), feed);
    }

    async fn finish(&mut self) {
        tokio::join!(self.stdout.finish(), self.stderr.finish());
    }
}

/// Waits for the next reason to stop, however many there were before.
async fn next_stop(
    requests: &mut watch::Receiver<StopRequest>,
    shutdown: &mut Shutdown,
) -> (StopCause, Option<Duration>) {
    tokio::select! {
        Ok(()) = requests.changed() => {
            let grace = *requests.borrow_and_update();
            (StopCause::Interrupted, grace)
        }
        Ok(()) = shutdown.changed() => {
            let grace = *shutdown.borrow_and_update();
            (StopCause::Shutdown, grace)
        }
        else => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
