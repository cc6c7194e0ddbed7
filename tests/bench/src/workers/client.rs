//! Workers that only speak: they attach as stock workers do, answer, and run nothing. Thousands of them are one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::Message;
use toolpost_wire::{
    Argv, Command, CommandId, Limits, Text, Update, WorkerEffect, WorkerEvent, WorkerInfo,
    WorkerSession,
};

/// What all of them say.
pub(super) const PASSWORD: &str = "open sesame";
/// A command that says this prints lines, as many as follow.
pub(super) const PRINT: &str = "print-lines";
/// Lines that are printed, of 60 bytes each with their ends.
const LINE: &[u8; 60] = b"a line of sixty bytes, as compilers and their tests print i\n";
/// Lines of one update: what a stock worker collects before it sends.
const LINES_OF_UPDATE: usize = 1_000;
/// Updates that may be under way.
const UNANSWERED_MAX: usize = 8;
/// What a stock worker tells about itself has about so many variables in its environment.
const VARIABLES: usize = 30;

/// What the workers of one run have in common.
#[derive(Default)]
pub(super) struct Shared {
    limits: Arc<Limits>,
    /// How many were told their settings, which is the last step of an attachment but the master's own.
    pub(super) configured: AtomicUsize,
    /// How many were lost.
    pub(super) lost: AtomicUsize,
}

/// One worker.
struct Client {
    socket: WebSocketStream<TcpStream>,
    session: WorkerSession,
    shared: Arc<Shared>,
    name: String,
    /// A command that prints, and how many lines are left.
    printing: Option<(CommandId, usize)>,
}

/// Connects a worker, which lives until the task is aborted or the master ends it.
pub(super) async fn connect(
    address: SocketAddr,
    name: String,
    shared: Arc<Shared>,
) -> anyhow::Result<JoinHandle<()>> {
    let socket = open(address, &name).await?;
    let session = WorkerSession::new(Instant::now(), Arc::clone(&shared.limits));
    let mut client = Client {
        socket,
        session,
        shared,
        name,
        printing: None,
    };
    Ok(tokio::spawn(async move {
        if let Err(error) = client.run().await {
            client.shared.lost.fetch_add(1, Ordering::Relaxed);
            eprintln!("  worker {} is lost: {error:#}", client.name);
        }
    }))
}

/// A WebSocket of this worker.
async fn open(address: SocketAddr, name: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("connect to {address}"))?;
    stream.set_nodelay(true)?;
    let mut request = format!("ws://{address}/").into_client_request()?;
    let credentials = BASE64_STANDARD.encode(format!("{name}:{PASSWORD}"));
    request.headers_mut().insert(
        AUTHORIZATION,
        HeaderValue::from_str(&format!("Basic {credentials}"))?,
    );
    let (socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .with_context(|| format!("open a WebSocket as {name}"))?;
    Ok(socket)
}

/// How long the master takes to answer one keep-alive of a worker that does nothing else.
pub(crate) struct Pulse {
    socket: WebSocketStream<TcpStream>,
    session: WorkerSession,
    now: Instant,
}

impl Pulse {
    /// Connects the worker of this name, which must be configured with [`PASSWORD`].
    pub(crate) async fn connect(address: SocketAddr, name: &str) -> anyhow::Result<Self> {
        let now = Instant::now();
        let mut pulse = Self {
            socket: open(address, name).await?,
            session: WorkerSession::new(now, Arc::default()),
            now,
        };
        let mut attached = false;
        while !attached {
            pulse.hear().await?;
            while let Some(effect) = pulse.session.poll() {
                match effect {
                    WorkerEffect::Send(frame) => pulse.socket.send(Message::Binary(frame)).await?,
                    WorkerEffect::Event(WorkerEvent::InfoWanted(ticket)) => {
                        pulse.session.answer_info(&ticket, &info(name));
                    }
                    WorkerEffect::Event(WorkerEvent::Settings(_)) => attached = true,
                    WorkerEffect::Event(_) => {}
                }
            }
        }
        while let Some(WorkerEffect::Send(frame)) = pulse.session.poll() {
            pulse.socket.send(Message::Binary(frame)).await?;
        }
        Ok(pulse)
    }

    async fn hear(&mut self) -> anyhow::Result<()> {
        let message = self.socket.next().await.context("the master went")??;
        if let Message::Binary(frame) = message {
            self.session.handle(self.now, &frame)?;
        }
        Ok(())
    }

    /// Sends a keep-alive; how long it took until it was answered.
    pub(crate) async fn beat(&mut self) -> anyhow::Result<Duration> {
        // The protocol's time is put forward until a keep-alive is due.
        self.now = self.session.deadline().context("no keep-alive is due")?;
        self.session.handle_timeout(self.now)?;
        let sent = Instant::now();
        while self.session.unanswered() > 0 {
            while let Some(effect) = self.session.poll() {
                if let WorkerEffect::Send(frame) = effect {
                    self.socket.send(Message::Binary(frame)).await?;
                }
            }
            self.hear().await?;
        }
        Ok(sent.elapsed())
    }
}

impl Client {
    async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            self.print();
            while let Some(effect) = self.session.poll() {
                match effect {
                    WorkerEffect::Send(frame) => self.socket.feed(Message::Binary(frame)).await?,
                    WorkerEffect::Event(event) => self.answer(event),
                }
                self.print();
            }
            self.socket.flush().await?;
            let deadline = self.session.deadline();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = self.socket.next() => match message.context("the master went")?? {
                    Message::Binary(frame) => self.session.handle(Instant::now(), &frame)?,
                    Message::Close(_) => return Ok(()),
                    _ => {}
                },
                () = timer => self.session.handle_timeout(Instant::now())?,
            }
        }
    }

    fn answer(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::InfoWanted(ticket) => {
                self.session.answer_info(&ticket, &info(&self.name));
            }
            WorkerEvent::Settings(_) => {
                self.shared.configured.fetch_add(1, Ordering::Relaxed);
            }
            WorkerEvent::Start {
                id,
                command,
                ticket,
                ..
            } => {
                self.session.answer(&ticket, Ok(()));
                match lines_of(&command) {
                    Some(lines) => self.printing = Some((id, lines)),
                    None => self.end(&id),
                }
            }
            WorkerEvent::Interrupt { id, .. } => {
                if self.printing.as_ref().is_some_and(|(of, _)| *of == id) {
                    self.printing = None;
                }
                self.end(&id);
            }
            _ => {}
        }
    }

    /// Sends the next lines, as long as the master takes them.
    fn print(&mut self) {
        while self.session.unanswered() < UNANSWERED_MAX {
            let Some((id, left)) = self.printing.take() else {
                break;
            };
            if left == 0 {
                self.end(&id);
                break;
            }
            let lines = left.min(LINES_OF_UPDATE);
            let text = Text {
                bytes: Bytes::from(LINE.repeat(lines)),
                at: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0.0, |since| since.as_secs_f64()),
            };
            self.session
                .update(Instant::now(), &id, vec![Update::Stdout(text)]);
            self.printing = Some((id, left - lines));
        }
    }

    fn end(&mut self, id: &CommandId) {
        let now = Instant::now();
        self.session.update(now, id, vec![Update::Rc(0)]);
        self.session.complete(now, id, None);
    }
}

/// How many lines a command is to print, if it is.
fn lines_of(command: &Command) -> Option<usize> {
    let Command::Shell(shell) = command else {
        return None;
    };
    let Argv::Words(words) = &shell.command else {
        return None;
    };
    match words.as_slice() {
        [program, count] if program == PRINT => count.parse().ok(),
        _ => None,
    }
}

fn info(name: &str) -> WorkerInfo {
    let variable = |n: usize| {
        (
            format!("VARIABLE_{n}"),
            "/usr/local/bin:/usr/bin".to_owned(),
        )
    };
    WorkerInfo {
        base_dir: format!("/var/lib/workers/{name}"),
        system: "posix".into(),
        version: "4.3.0".into(),
        cpus: 2,
        environment: (0..VARIABLES).map(variable).collect(),
        commands: [
            "shell",
            "upload_file",
            "download_file",
            "mkdir",
            "rmdir",
            "stat",
            "glob",
        ]
        .map(|command| (command.to_owned(), "3.3".to_owned()))
        .into(),
        instance: None,
        offsets: false,
        texts: [("admin".to_owned(), format!("{name} <admin@example.com>"))].into(),
    }
}
