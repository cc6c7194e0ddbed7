//! Workers that only speak: they attach as stock workers do, answer, and run nothing. Thousands of them are one process.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use toolpost_wire::{
    Argv, Command, CommandId, EnvValue, Limits, Shell, Text, Update, WorkerEffect, WorkerEvent,
    WorkerInfo, WorkerSession,
};

/// What all of them say.
pub(super) const PASSWORD: &str = "open sesame";
/// A command that says this prints lines, as many as follow.
pub(super) const PRINT: &str = "print-lines";
/// A line of the shell that begins like this goes on until it is interrupted.
const LASTING: &str = "sleep ";
/// Between the two parts of what a worker was given to say.
const PAUSE: Duration = Duration::from_millis(200);
/// Lines that are printed, of 60 bytes each with their ends.
const LINE: &[u8; 60] = b"a line of sixty bytes, as compilers and their tests print i\n";
/// Lines of one update: what a stock worker collects before it sends.
const LINES_OF_UPDATE: usize = 1_000;
/// Updates that may be under way.
const UNANSWERED_MAX: usize = 8;
/// Buffers of a WebSocket.
const BUFFER_BYTES: usize = 4 * 1024;
/// What a stock worker tells about itself has about so many variables in its environment.
const VARIABLES: usize = 30;

/// What the workers of one run have in common.
#[derive(Default)]
pub(crate) struct Shared {
    limits: Arc<Limits>,
    /// What any other line of the shell says, in two parts: such a line is run once, and what it said then is said again.
    speech: OnceLock<[Bytes; 2]>,
    /// When the newest command began.
    began: Mutex<Option<Instant>>,
    /// How many were told their settings, which is the last step of an attachment but the master's own.
    pub(super) configured: AtomicUsize,
    /// How many were lost.
    pub(super) lost: AtomicUsize,
}

impl Shared {
    /// When the newest command of any of them began.
    pub(crate) fn began(&self) -> Option<Instant> {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a command does.
enum Act {
    /// Ends at once.
    End,
    /// Prints so many lines.
    Print(usize),
    /// Says what this line of the shell said when it was run.
    Say(Box<Shell>),
    /// Goes on until it is interrupted.
    Last,
}

/// One worker.
struct Client {
    socket: WebSocketStream<TcpStream>,
    session: WorkerSession,
    shared: Arc<Shared>,
    name: String,
    /// A command that prints, and how many lines are left.
    printing: Option<(CommandId, usize)>,
    /// Commands that have more to say, and when.
    speaking: VecDeque<(Instant, CommandId)>,
}

/// Connects a worker, which lives until the task is aborted or the master ends it.
pub(crate) async fn connect(
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
        speaking: VecDeque::new(),
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
    // Of thousands: the usual ones would have to be cleared, which takes longer than all else that a worker does here.
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES);
    let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config))
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
            let next = self.speaking.front().map(|(at, _)| *at);
            let deadline = self.session.deadline().into_iter().chain(next).min();
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
                () = timer => {
                    self.say_more();
                    self.session.handle_timeout(Instant::now())?;
                }
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
                let now = Instant::now();
                *self
                    .shared
                    .began
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(now);
                self.session.answer(&ticket, Ok(()));
                match act_of(command) {
                    Act::Print(lines) => self.printing = Some((id, lines)),
                    Act::Say(shell) => {
                        self.shared.speech.get_or_init(|| said_by(&shell));
                        self.say(&id, 0);
                        self.speaking.push_back((now + PAUSE, id));
                    }
                    Act::Last => {}
                    Act::End => self.end(&id),
                }
            }
            WorkerEvent::Interrupt { id, .. } => {
                if self.printing.as_ref().is_some_and(|(of, _)| *of == id) {
                    self.printing = None;
                }
                self.speaking.retain(|(_, of)| *of != id);
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
            self.write(&id, Bytes::from(LINE.repeat(lines)));
            self.printing = Some((id, left - lines));
        }
    }

    /// The second part of what commands say, where it is time for it.
    fn say_more(&mut self) {
        while let Some((at, _)) = self.speaking.front()
            && *at <= Instant::now()
            && let Some((_, id)) = self.speaking.pop_front()
        {
            self.say(&id, 1);
            self.end(&id);
        }
    }

    fn say(&mut self, id: &CommandId, part: usize) {
        let speech = self.shared.speech.get();
        self.write(
            id,
            speech.map_or_else(Bytes::new, |parts| parts[part].clone()),
        );
    }

    fn write(&mut self, id: &CommandId, bytes: Bytes) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = since.map_or(0.0, |since| since.as_secs_f64());
        let text = Update::Stdout(Text { bytes, at });
        self.session.update(Instant::now(), id, vec![text]);
    }

    fn end(&mut self, id: &CommandId) {
        let now = Instant::now();
        self.session.update(now, id, vec![Update::Rc(0)]);
        self.session.complete(now, id, None);
    }
}

fn act_of(command: Command) -> Act {
    let Command::Shell(shell) = command else {
        return Act::End;
    };
    match &shell.command {
        Argv::Words(words) => match words.as_slice() {
            [program, count] if program == PRINT => count.parse().map_or(Act::End, Act::Print),
            _ => Act::End,
        },
        Argv::Line(line) if line.starts_with(LASTING) => Act::Last,
        Argv::Line(_) => Act::Say(shell),
    }
}

/// Runs a line of the shell. Its output is parted within the first value of its environment that it says.
fn said_by(shell: &Shell) -> [Bytes; 2] {
    let Argv::Line(line) = &shell.command else {
        return Default::default();
    };
    let values: Vec<(&String, &String)> = shell
        .env
        .iter()
        .filter_map(|(name, value)| match value {
            EnvValue::Set(value) => Some((name, value)),
            _ => None,
        })
        .collect();
    let output = process::Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {line}")])
        .envs(values.iter().copied())
        .output();
    let said = Bytes::from(output.map(|output| output.stdout).unwrap_or_default());
    let within = |value: &str| {
        let at = said
            .windows(value.len().max(1))
            .position(|part| part == value.as_bytes())?;
        Some(at + value.len() / 2)
    };
    let cut = values.iter().find_map(|(_, value)| within(value));
    let (first, second) = said.split_at(cut.unwrap_or(said.len()));
    [said.slice_ref(first), said.slice_ref(second)]
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
        packs: false,
        texts: [("admin".to_owned(), format!("{name} <admin@example.com>"))].into(),
    }
}
