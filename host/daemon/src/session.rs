//! One connection with a master: the protocol's state machine, fed with a socket, the time, and what jobs have to say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::block_in_place;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use toolpost_wire::{
    CommandId, Limits, Resume, Sent, Ticket, WorkerEffect, WorkerEvent, WorkerInfo, WorkerSession,
};

use crate::connect::Socket;
use crate::jobs::{Ask, Jobs, Piece, Record, Style};
use crate::orders::Orders;
use crate::room::Room;

/// Records of one command that may be under way.
const RECORDS_UNDER_WAY_MAX: usize = 8;
/// Messages of all commands that may be under way.
const UNDER_WAY_MAX: usize = 256;
/// How long the master may take to read what it is sent.
const SEND_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long the farewell may take.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(2);

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// This worker is told to stop, by a signal.
    Stopped,
    /// The master wants this worker to end.
    Shutdown,
    /// The connection is gone, or broken.
    Lost(String),
}

/// What a session works with, of which there is one at a time.
pub(crate) struct Post {
    pub(crate) jobs: Jobs,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) info: WorkerInfo,
    pub(crate) room: Room,
    pub(crate) limits: Arc<Limits>,
    pub(crate) orders: Orders,
}

/// A connection that the master has accepted.
pub(crate) struct Session<'p> {
    socket: Socket,
    wire: WorkerSession,
    post: &'p mut Post,
    style: Arc<Style>,
    /// What is done with an answer.
    waiting: HashMap<Sent, Waiting>,
    sending: HashMap<CommandId, Sending>,
    /// The master has begun to use this worker.
    attached: bool,
    /// How long the master wants commands kept when the connection is lost; also says that it is one of ours.
    keep: Option<Duration>,
    /// Why the master was asked to begin nothing new.
    paused: Option<String>,
    /// The master was asked to let this worker end.
    leaves: bool,
    room_looks: Interval,
    /// The master uses this worker without wanting that.
    plain: bool,
}

/// What a session leaves.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// Whether the master ever began to use this worker.
    pub(crate) attached: bool,
    /// How long commands are to be kept for the next session.
    pub(crate) keep: Option<Duration>,
    /// Nothing is to be kept, whatever an earlier session wanted.
    pub(crate) plain: bool,
}

/// How often the disk is looked at.
const ROOM_INTERVAL: Duration = Duration::from_secs(10);

/// The longest that commands are kept, whatever a master wants.
const KEEP_MAX: Duration = Duration::from_secs(3_600);

enum Waiting {
    Record(CommandId, u64),
    Piece(oneshot::Sender<Result<Option<Bytes>, String>>),
}

/// How far the records of a command are.
#[derive(Debug, Clone, Copy, Default)]
struct Sending {
    next: u64,
    under_way: usize,
}

impl<'p> Session<'p> {
    pub(crate) fn new(socket: Socket, post: &'p mut Post) -> Self {
        let limits = Arc::clone(&post.limits);
        // Of transfers that ended with the connection before.
        while post.asks.try_recv().is_ok() {}
        Self {
            socket,
            wire: WorkerSession::new(Instant::now(), limits),
            post,
            style: Arc::default(),
            waiting: HashMap::new(),
            sending: HashMap::new(),
            attached: false,
            keep: None,
            paused: None,
            leaves: false,
            room_looks: room_looks(),
            plain: false,
        }
    }

    /// Runs to the end.
    pub(crate) async fn run(mut self) -> Outcome {
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        let reason = match &end {
            End::Stopped => "the worker stops",
            End::Shutdown => "the worker ends, as it was told to",
            End::Lost(_) => "the worker gives this connection up",
        };
        let frame = CloseFrame {
            code: CloseCode::Away,
            reason: reason.into(),
        };
        let _ = timeout(CLOSE_WAIT_MAX, self.socket.close(Some(frame))).await;
        Outcome {
            end,
            attached: self.attached,
            keep: self.keep,
            plain: self.plain,
        }
    }

    /// Sends what is to be sent, then waits for one thing to happen.
    async fn step(&mut self) -> Result<(), End> {
        self.settle().await?;
        // What was answered has made room.
        self.pump();
        self.settle().await?;
        let deadline = self.wire.deadline();
        let read_after = self.wire.read_after(Instant::now());
        let depot = Arc::clone(&self.post.jobs.depot);
        tokio::select! {
            () = self.post.orders.stop.cancelled() => return Err(End::Stopped),
            () = self.post.orders.leave.cancelled(), if self.keep.is_some() && !self.leaves => {
                tracing::info!("the master is asked to let this worker end");
                self.leaves = true;
                self.wire.leave(Instant::now());
            }
            message = self.socket.next(), if read_after.is_none() => self.heard(message)?,
            ask = self.post.asks.recv() => if let Some(ask) = ask { self.asked(ask) },
            () = depot.wake.notified() => {}
            _ = self.room_looks.tick(), if self.keep.is_some() => self.look_for_room(),
            () = until(read_after) => {}
            () = until(deadline) => {
                let done = self.wire.handle_timeout(Instant::now());
                done.map_err(|error| End::Lost(error.to_string()))?;
            }
        }
        Ok(())
    }

    fn heard(&mut self, message: Option<Result<Message, SocketError>>) -> Result<(), End> {
        let frame = match message {
            None | Some(Err(SocketError::ConnectionClosed | SocketError::AlreadyClosed)) => {
                return Err(End::Lost("the master closed it".into()));
            }
            Some(Ok(Message::Close(frame))) => {
                let said = frame.map(|frame| frame.reason.to_string());
                let said = said.filter(|said| !said.is_empty());
                return Err(End::Lost(match said {
                    Some(said) => format!("the master closed it: {said:?}"),
                    None => "the master closed it".into(),
                }));
            }
            Some(Err(error)) => return Err(End::Lost(format!("it broke: {error}"))),
            Some(Ok(Message::Binary(frame))) => frame,
            Some(Ok(Message::Text(_))) => {
                let text = "the master sent text, where the protocol has binary messages";
                return Err(End::Lost(text.into()));
            }
            // The socket answers pings itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
        };
        let done = self.wire.handle(Instant::now(), &frame);
        done.map_err(|error| End::Lost(error.to_string()))
    }

    /// Puts what jobs have said on its way, as much as may be under way.
    fn pump(&mut self) {
        let now = Instant::now();
        for job in self.post.jobs.all() {
            let id = &job.id;
            if self.sending.contains_key(id) && job.outbox.is_closed() {
                let error = "what it said could not be read back from the worker's disk";
                self.wire.complete(now, id, Some(error.into()));
                self.sending.remove(id);
                self.post.jobs.forget(id);
                continue;
            }
            // One of a former connection waits until the master says where it is.
            let Some(sending) = self.sending.get_mut(id) else {
                continue;
            };
            while sending.under_way < RECORDS_UNDER_WAY_MAX
                && self.wire.unanswered() < UNDER_WAY_MAX
                && let Some(record) = job.outbox.get(sending.next)
            {
                let sent = match record {
                    Record::Updates(updates) => self.wire.update(now, id, updates),
                    Record::Complete(error) => self.wire.complete(now, id, error),
                };
                let Some(sent) = sent else { break };
                self.waiting
                    .insert(sent, Waiting::Record(id.clone(), sending.next));
                sending.next += 1;
                sending.under_way += 1;
            }
        }
    }

    /// Does what the state machine wants until it wants nothing more.
    async fn settle(&mut self) -> Result<(), End> {
        let mut unsent = false;
        let mut shutdown = false;
        while let Some(effect) = self.wire.poll() {
            match effect {
                WorkerEffect::Send(frame) => {
                    unsent = true;
                    let fed = self.socket.feed(Message::Binary(frame));
                    sent(timeout(SEND_WAIT_MAX, fed).await)?;
                }
                WorkerEffect::Event(WorkerEvent::Shutdown) => {
                    tracing::info!("the master tells this worker to end");
                    shutdown = true;
                }
                WorkerEffect::Event(event) => self.happened(event),
            }
        }
        if unsent {
            sent(timeout(SEND_WAIT_MAX, self.socket.flush()).await)?;
        }
        match shutdown {
            // After the answer.
            true => Err(End::Shutdown),
            false => Ok(()),
        }
    }

    fn happened(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Print(text) => tracing::info!("the master says: {text:?}"),
            WorkerEvent::Resume(resume, ticket) => self.resume(&resume, &ticket),
            WorkerEvent::InfoWanted(ticket) => self.wire.answer_info(&ticket, &self.post.info),
            WorkerEvent::Settings(settings) => {
                self.style = Arc::new(Style::of(&settings));
                self.attached = true;
            }
            WorkerEvent::Start {
                id,
                builder,
                command,
                ticket,
            } => {
                let name = command.name();
                let builder = builder.as_deref().unwrap_or("-");
                tracing::debug!("command {id}: {name} for builder {builder:?}");
                if self.keep.is_none() {
                    // A master that does not go on with what another connection began does not want it either.
                    self.post.jobs.keep(|id| self.sending.contains_key(id));
                    self.post.jobs.depot.set_away(false);
                    self.plain = true;
                }
                self.sending.insert(id.clone(), Sending::default());
                let style = Arc::clone(&self.style);
                let ours = self.keep.is_some();
                self.post.jobs.start(id, command, style, ours);
                self.wire.answer(&ticket, Ok(()));
            }
            WorkerEvent::Interrupt { id, why } => {
                tracing::debug!("command {id} is interrupted: {why:?}");
                self.post.jobs.interrupt(&id);
            }
            WorkerEvent::Answered { sent, answer } => self.answered(sent, answer),
            _ => {}
        }
    }

    /// Goes on with the commands that the master waits for, where it is.
    fn resume(&mut self, resume: &Resume, ticket: &Ticket) {
        let keep = Duration::try_from_secs_f64(resume.keep).unwrap_or_default();
        self.keep = Some(keep.min(KEEP_MAX));
        let known: HashMap<&CommandId, u64> = resume
            .commands
            .iter()
            .map(|known| (&known.id, known.taken))
            .collect();
        let ids = self.post.jobs.keep(|id| known.contains_key(id));
        for id in &ids {
            let next = known.get(id).copied().unwrap_or_default();
            if let Some(job) = self.post.jobs.get(id) {
                job.outbox.taken(next);
            }
            let sending = Sending { next, under_way: 0 };
            self.sending.insert(id.clone(), sending);
        }
        if !ids.is_empty() {
            tracing::info!("{} commands go on with this connection", ids.len());
        }
        self.post.jobs.depot.set_away(false);
        self.wire.answer_resume(ticket, ids);
        // A former session may have asked for something else.
        let full = block_in_place(|| self.post.room.look().map(str::to_owned));
        self.paused.clone_from(&full);
        self.wire.pause(Instant::now(), full);
    }

    /// Tells the master when there is no room for anything new, and when there is again.
    fn look_for_room(&mut self) {
        let full = block_in_place(|| self.post.room.look().map(str::to_owned));
        if full != self.paused {
            self.paused.clone_from(&full);
            self.wire.pause(Instant::now(), full);
        }
    }

    fn answered(&mut self, sent: Sent, answer: Result<Option<Bytes>, String>) {
        match self.waiting.remove(&sent) {
            Some(Waiting::Record(id, number)) => {
                if let Some(sending) = self.sending.get_mut(&id) {
                    sending.under_way = sending.under_way.saturating_sub(1);
                }
                let Some(job) = self.post.jobs.get(&id) else {
                    return;
                };
                let last = matches!(job.outbox.get(number), Some(Record::Complete(_)));
                job.outbox.taken(number + 1);
                if last {
                    self.post.jobs.forget(&id);
                    self.sending.remove(&id);
                }
            }
            // The job may be gone.
            Some(Waiting::Piece(waiting)) => drop(waiting.send(answer)),
            None => {}
        }
    }

    /// Sends a piece of a transfer.
    fn asked(&mut self, ask: Ask) {
        let (now, id) = (Instant::now(), &ask.id);
        let wire = &mut self.wire;
        let sent = match ask.piece {
            Piece::File(data) => wire.upload_file(now, id, data),
            Piece::FileEnd => wire.close_file(now, id),
            Piece::Times(accessed, modified) => wire.file_times(now, id, accessed, modified),
            Piece::Archive(data) => wire.upload_archive(now, id, data),
            Piece::ArchiveEnd => wire.close_archive(now, id),
            Piece::Read(length) => wire.read(now, id, length),
            Piece::ReadEnd => wire.close_read(now, id),
        };
        // One of a session that is over is not sent: dropping the answer says so.
        if let Some(sent) = sent {
            self.waiting.insert(sent, Waiting::Piece(ask.answer));
        }
    }
}

fn sent(outcome: Result<Result<(), SocketError>, tokio::time::error::Elapsed>) -> Result<(), End> {
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::Lost(format!("it broke: {error}"))),
        Err(_) => Err(End::Lost(format!(
            "the master did not read what it was sent for {} s",
            SEND_WAIT_MAX.as_secs()
        ))),
    }
}

fn room_looks() -> Interval {
    let mut looks = interval(ROOM_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
