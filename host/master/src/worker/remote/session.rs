//! One connection with a worker: the protocol's state machine, fed with a socket, the time, and what builds want.
//!
//! Ends with a reason, whatever happens: the worker goes, breaks the protocol, is silent, does not read, or is told to go. Whoever
//! waits for one of its commands then hears that the worker is lost.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError as SocketProtocol};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_util::sync::CancellationToken;
use toolpost_wire::{
    Command, CommandEvent, CommandId, CommandNumber, Effect, Former, Limits, MasterEvent,
    MasterSession, Patience, Payload, ProtocolError, WorkerInfo, WorkerSettings,
};

use super::link::{Connection, Seat};
use super::oddities::Oddities;
use super::parked::{Left, Parked};
use super::port::{Heard, Port, Reply, output_bytes};
use super::{OUTPUT_STALL_MAX, SEND_WAIT_MAX};

/// Bytes that are read from a socket at one time. Each connected worker has a buffer of this size.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes that are collected before they are written.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Wishes that wait for a session to take them; who has more waits.
const ASKS_MAX: usize = 32;
/// How long a worker that is told to end may stay.
const DISMISS_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long the farewell may take.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(2);

/// A byte stream to a worker: TCP, TLS, or what a web server has upgraded.
pub(super) trait Pipe: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Pipe for T {}

/// Messages to and from a worker.
pub(super) type Socket = WebSocketStream<Box<dyn Pipe>>;

/// How sockets are set up.
pub(super) fn socket_config(limits: &Limits) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(limits.frame_bytes_max))
        .max_frame_size(Some(limits.frame_bytes_max))
}

/// A command that somebody wants started.
pub(super) struct Start {
    pub(super) builder: Option<String>,
    pub(super) command: Command,
    pub(super) patience: Patience,
    pub(super) port: Port,
}

/// What builds want of a session.
pub(super) enum Ask {
    // Boxed, as the queue of each session has room for so many from the start.
    Start(Box<Start>),
    Reply(Box<Reply>),
    /// Whether the worker is still there.
    Probe(oneshot::Sender<()>),
}

/// The way to a session that runs.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    /// Where what is odd about the worker is told.
    pub(super) odd: Arc<Oddities>,
    pub(super) epoch: u64,
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) wake: Arc<Notify>,
    /// Why it is over, once it is.
    pub(super) ended: Arc<OnceLock<String>>,
    /// Why the worker is told to end, once it is.
    pub(super) dismissal: Arc<OnceLock<String>>,
    /// Has the worker told to end.
    pub(super) dismiss: CancellationToken,
    /// Ends it.
    pub(super) stop: CancellationToken,
    /// Cancelled when it is over and everybody knows.
    pub(super) closed: CancellationToken,
}

/// A session and what it needs.
pub(super) struct Session {
    socket: Socket,
    wire: MasterSession,
    asks: mpsc::Receiver<Ask>,
    handle: Handle,
    ports: HashMap<CommandNumber, Port>,
    /// What builds hold of the session before, and which process of the worker that was.
    held: Option<(String, Arc<Connection>)>,
    /// How long the worker is waited for when the connection is lost.
    keep: Duration,
    wishes: watch::Sender<Wishes>,
    probes: Vec<oneshot::Sender<()>>,
    /// When a worker that was told to end has to be gone.
    gone_by: Option<Instant>,
    /// Worth a word in its last message.
    attached: Option<Box<WorkerInfo>>,
}

/// What a worker wants for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) pause: Pause,
    /// To end as soon as nothing runs on it.
    pub(super) leaves: bool,
}

/// Whether a worker wants nothing new to begin on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pause {
    /// It is a stock one, or has not come to that.
    NotSaid,
    /// It takes builds.
    Not,
    /// For this reason.
    Wanted(String),
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The worker closed the connection.
    Left,
    /// This side has told it to go.
    Told(String),
    /// The worker broke the protocol.
    Failed(String),
    /// It broke, or the worker is silent: it may come back.
    Broken(String),
}

impl End {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Left => "the worker closed the connection",
            Self::Told(reason) | Self::Failed(reason) | Self::Broken(reason) => reason,
        }
    }
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        match error.is_silence() {
            true => Self::Broken(error.to_string()),
            false => Self::Failed(error.to_string()),
        }
    }
}

impl From<SocketError> for End {
    fn from(error: SocketError) -> Self {
        if let SocketError::Capacity(CapacityError::MessageTooLong { size, max_size }) = error {
            let error = ProtocolError::FrameTooLong {
                bytes: size,
                limit: max_size,
            };
            return Self::Failed(error.to_string());
        }
        let text = format!("the connection broke: {error}");
        match error {
            SocketError::Io(_)
            | SocketError::Protocol(SocketProtocol::ResetWithoutClosingHandshake) => {
                Self::Broken(text)
            }
            _ => Self::Failed(text),
        }
    }
}

impl Handle {
    /// Has the worker told to end, for the first reason that is given.
    pub(super) fn dismiss(&self, reason: &str) {
        let _ = self.dismissal.set(reason.to_owned());
        self.dismiss.cancel();
    }
}

impl Session {
    pub(super) fn new(
        odd: Arc<Oddities>,
        socket: Socket,
        limits: Arc<Limits>,
        epoch: u64,
        left: Left,
        keep: Duration,
    ) -> (Box<Self>, Handle) {
        let (sender, asks) = mpsc::channel(ASKS_MAX);
        let Left { unwanted, parked } = left;
        let mut ports = HashMap::new();
        let mut held = None;
        let suspended = parked.map(|parked| {
            // Whoever waits for the end of this state need not wait any more.
            drop(parked.over);
            ports = parked.ports;
            held = Some((parked.instance.clone(), parked.connection));
            (parked.instance, parked.commands)
        });
        let wake = held.as_ref().map(|(_, connection)| connection.wake());
        let handle = Handle {
            odd,
            epoch,
            asks: sender,
            wake: wake.unwrap_or_default(),
            ended: Arc::default(),
            dismissal: Arc::default(),
            dismiss: CancellationToken::new(),
            stop: CancellationToken::new(),
            closed: CancellationToken::new(),
        };
        let settings = WorkerSettings::default();
        let former = Former {
            unwanted,
            suspended,
            keep: Some(keep),
        };
        let session = Self {
            socket,
            wire: MasterSession::new(Instant::now(), limits, epoch, settings, former),
            asks,
            handle: handle.clone(),
            ports,
            held,
            keep,
            wishes: watch::Sender::new(Wishes {
                pause: Pause::NotSaid,
                leaves: false,
            }),
            probes: Vec::new(),
            gone_by: None,
            attached: None,
        };
        // There is one for each worker, and futures have a copy of what is moved into them.
        (Box::new(session), handle)
    }

    /// Runs until the worker can be used, or the end.
    pub(super) async fn attach(&mut self) -> Result<Box<WorkerInfo>, End> {
        loop {
            // Before the wait: an attached worker may say nothing more until it is asked.
            self.settle().await?;
            if let Some(info) = self.attached.take() {
                return Ok(info);
            }
            self.wait().await?;
        }
    }

    /// Runs until the end.
    pub(super) async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.step().await {
                // However a worker goes that was told to: it does not come back to go on.
                return match self.handle.dismissal.get() {
                    Some(reason) => End::Told(reason.clone()),
                    None => end,
                };
            }
        }
    }

    /// What builds hold already, if this is the worker's process that they had.
    pub(super) fn held(&mut self, info: &WorkerInfo) -> Option<Arc<Connection>> {
        let (instance, connection) = self.held.take()?;
        if info.instance.as_ref() == Some(&instance) {
            return Some(connection);
        }
        connection.sit(Seat::Gone("it was started anew".into()));
        None
    }

    /// What the worker wants for itself; ends with the session.
    pub(super) fn wanted(&self) -> watch::Receiver<Wishes> {
        self.wishes.subscribe()
    }

    /// Ids of what the worker may go on running.
    pub(super) fn running(&self) -> Vec<CommandId> {
        self.wire.running()
    }

    /// Takes leave. What can go on over another connection is given back; everybody else who waits hears that it is over.
    pub(super) async fn close(
        mut self: Box<Self>,
        end: &End,
        connection: Option<&Arc<Connection>>,
    ) -> Option<Parked> {
        // One that ends before it is attached leaves what it was to go on with.
        let held = self.held.take().map(|(_, connection)| connection);
        let connection = connection.cloned().or(held);
        // Set before the ports are dropped: whoever finds one closed asks for the reason.
        let _ = self.handle.ended.set(end.reason().to_owned());
        let resumable =
            matches!(end, End::Broken(_)) && self.wire.outlives() && !self.keep.is_zero();
        if let (true, Some(connection)) = (resumable, connection.clone())
            && let Some((instance, commands)) = self.wire.suspend()
        {
            let mut ports = self.ports;
            ports.retain(|number, _| commands.iter().any(|one| one.number == *number));
            connection.sit(Seat::Away);
            return Some(Parked {
                epoch: self.handle.epoch,
                instance,
                commands,
                ports,
                connection,
                keep: self.keep,
                over: CancellationToken::new().drop_guard(),
            });
        }
        if let Some(connection) = connection {
            connection.sit(Seat::Gone(end.reason().to_owned()));
        }
        self.ports.clear();
        let code = match end {
            End::Failed(_) | End::Broken(_) => CloseCode::Policy,
            End::Left | End::Told(_) => CloseCode::Away,
        };
        let frame = farewell(code, end.reason());
        let _ = timeout(CLOSE_WAIT_MAX, self.socket.close(Some(frame))).await;
        None
    }

    /// Sends what is to be sent, then waits for one thing to happen.
    async fn step(&mut self) -> Result<(), End> {
        self.settle().await?;
        self.wait().await
    }

    /// Waits for one thing to happen.
    async fn wait(&mut self) -> Result<(), End> {
        let deadline = self.wire.deadline();
        let read_after = self.wire.read_after(Instant::now());
        let stop = self.handle.stop.clone();
        let dismiss = self.handle.dismiss.clone();
        let wake = Arc::clone(&self.handle.wake);
        tokio::select! {
            () = stop.cancelled() => {
                return Err(End::Told("the master ended the session".into()));
            }
            () = dismiss.cancelled(), if self.gone_by.is_none() => {
                let now = Instant::now();
                self.gone_by = Some(now + DISMISS_WAIT_MAX);
                self.wire.shut_down(now);
            }
            () = until(self.gone_by) => {
                return Err(End::Told("it was told to end and did not".into()));
            }
            message = self.socket.next(), if read_after.is_none() => self.heard(message).await?,
            ask = self.asks.recv() => if let Some(ask) = ask { self.asked(ask) },
            () = wake.notified() => self.wishes(),
            () = until(read_after) => {}
            () = until(deadline) => self.due()?,
        }
        Ok(())
    }

    fn due(&mut self) -> Result<(), End> {
        Ok(self.wire.handle_timeout(Instant::now())?)
    }

    async fn heard(&mut self, message: Option<Result<Message, SocketError>>) -> Result<(), End> {
        let frame: Bytes = match message {
            None | Some(Ok(Message::Close(_))) => return Err(End::Left),
            Some(Err(SocketError::ConnectionClosed | SocketError::AlreadyClosed)) => {
                return Err(End::Left);
            }
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(Message::Binary(frame))) => frame,
            Some(Ok(Message::Text(_))) => {
                let text = "a message is text, where the protocol has binary ones";
                return Err(End::Failed(text.into()));
            }
            // The socket answers pings itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
        };
        Ok(self.wire.handle(Instant::now(), &frame)?)
    }

    fn asked(&mut self, ask: Ask) {
        let now = Instant::now();
        match ask {
            Ask::Start(start) => {
                let Start {
                    builder,
                    command,
                    patience,
                    port,
                } = *start;
                match self.wire.start(now, builder, command, patience) {
                    Some(number) => {
                        self.ports.insert(number, port);
                    }
                    None => {
                        let reason = "as many commands run on the worker as may (commands_max)";
                        let refused = CommandEvent::Refused(reason.into());
                        let _ = port.put(Heard::Event(refused), None);
                    }
                }
            }
            Ask::Reply(reply) => self.wire.answer(&reply.ticket, reply.answer),
            Ask::Probe(answer) => {
                self.probes.push(answer);
                let message = "another connection has this worker's name";
                self.wire.probe(now, message);
            }
        }
    }

    /// Does what somebody wants of commands that run.
    fn wishes(&mut self) {
        let now = Instant::now();
        let wire = &mut self.wire;
        self.ports.retain(|number, port| {
            if port.wish.is_abandon() {
                wire.abandon(now, *number);
                return false;
            }
            if port.wish.is_interrupt() {
                wire.interrupt(now, *number);
            }
            true
        });
    }

    /// Carries out what the state machine wants until it wants nothing more.
    async fn settle(&mut self) -> Result<(), End> {
        let mut unsent = false;
        while let Some(effect) = self.wire.poll() {
            match effect {
                Effect::Send(frame) => {
                    unsent = true;
                    self.send(frame).await?;
                }
                Effect::Event(MasterEvent::Attached(info)) => self.attached = Some(info),
                Effect::Event(MasterEvent::ProbeAnswered) => {
                    for probe in self.probes.drain(..) {
                        // Whoever asked may be gone.
                        let _ = probe.send(());
                    }
                }
                Effect::Event(MasterEvent::Command { number, event }) => {
                    self.happened(number, event).await?;
                }
                Effect::Event(MasterEvent::Stranger(id)) => {
                    let what = format!("speaks of command {:?}, which nobody waits for", id.0);
                    self.handle.odd.tell(&what);
                }
                Effect::Event(MasterEvent::EndedLate { id, overdue: true }) => {
                    let what = format!("has ended command {id}, which was given up, after all");
                    self.handle.odd.tell(&what);
                }
                Effect::Event(MasterEvent::Paused(reason)) => {
                    let pause = reason.map_or(Pause::Not, Pause::Wanted);
                    self.wishes.send_modify(|wishes| wishes.pause = pause);
                }
                Effect::Event(MasterEvent::Leaving) => {
                    self.wishes.send_modify(|wishes| wishes.leaves = true);
                }
                Effect::Event(_) => {}
            }
        }
        if unsent {
            let flushed = timeout(SEND_WAIT_MAX, self.socket.flush()).await;
            sent(flushed)?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: Bytes) -> Result<(), End> {
        let fed = timeout(SEND_WAIT_MAX, self.socket.feed(Message::Binary(frame))).await;
        sent(fed)
    }

    /// Hands on what happened to a command, as fast as somebody takes it.
    async fn happened(&mut self, number: CommandNumber, event: CommandEvent) -> Result<(), End> {
        let last = matches!(
            event,
            CommandEvent::Refused(_)
                | CommandEvent::Complete(_)
                | CommandEvent::Abandoned
                | CommandEvent::Gone { .. }
        );
        match event {
            CommandEvent::Updates(updates, ticket) => {
                let share = Port::share(output_bytes(&updates));
                if let Some(charge) = self.room(number, share).await?
                    && let Some(port) = self.ports.get(&number)
                {
                    let _ = port.put(Heard::Updates(updates), Some(charge));
                }
                self.wire.answer(&ticket, Ok(Payload::nothing()));
            }
            event => {
                if matches!(event, CommandEvent::Abandoned) {
                    let what = "did not end a command that it was told to end, twice: it is given up, and may still run there";
                    self.handle.odd.tell(what);
                }
                let port = self.ports.get(&number);
                let heard = Heard::Event(event);
                let unanswered = match port {
                    Some(port) => port.put(heard, None),
                    None => super::port::ticket_of(heard),
                };
                if let Some(ticket) = unanswered {
                    self.wire.answer(&ticket, Err("nobody reads on".into()));
                }
            }
        }
        if last {
            self.ports.remove(&number);
        }
        Ok(())
    }

    /// Waits for room in the queue of a command; `None` when its output is not wanted.
    async fn room(
        &mut self,
        number: CommandNumber,
        share: u32,
    ) -> Result<Option<tokio::sync::OwnedSemaphorePermit>, End> {
        let stalled = tokio::time::Instant::now() + OUTPUT_STALL_MAX;
        let wake = Arc::clone(&self.handle.wake);
        loop {
            let Some(port) = self.ports.get_mut(&number).filter(|port| !port.overflowed) else {
                return Ok(None);
            };
            let room = Arc::clone(&port.room);
            if let Ok(charge) = Arc::clone(&room).try_acquire_many_owned(share) {
                return Ok(Some(charge));
            }
            tokio::select! {
                charge = room.acquire_many_owned(share) => return Ok(charge.ok()),
                () = wake.notified() => self.wishes(),
                () = self.handle.stop.cancelled() => {
                    return Err(End::Told("the master ended the session".into()));
                }
                () = self.handle.dismiss.cancelled() => {
                    port.overflowed = true;
                    return Ok(None);
                }
                () = sleep_until(stalled) => {
                    port.overflowed = true;
                    self.wire.interrupt(Instant::now(), number);
                    return Ok(None);
                }
            }
        }
    }
}

fn sent(outcome: Result<Result<(), SocketError>, tokio::time::error::Elapsed>) -> Result<(), End> {
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(End::Broken(format!(
            "it did not read what it was sent for {} s",
            SEND_WAIT_MAX.as_secs()
        ))),
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// A reason fits into a close frame up to 123 bytes.
pub(super) fn farewell(code: CloseCode, reason: &str) -> CloseFrame {
    const REASON_BYTES_MAX: usize = 123;
    let end = reason.floor_char_boundary(REASON_BYTES_MAX.min(reason.len()));
    CloseFrame {
        code,
        reason: reason[..end].to_owned().into(),
    }
}
