//! Workers that connect from elsewhere and do what they must not: each costs its own connection, with a line for the operator
//! and one for the worker.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{Error, Message};
use toolpost_core::Results;
use toolpost_core::model::{Worker, WorkerNoteKind};
use toolpost_store::Query;
use toolpost_wire::{
    CommandId, Frame, Payload, ToMaster, ToWorker, Update, WorkerEffect, WorkerEvent, WorkerInfo,
    WorkerSession,
};

use crate::farm::{Farm, farm};

/// What the operator was told in this process.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Told {
    fn listen() -> Self {
        static TOLD: OnceLock<Told> = OnceLock::new();
        let told = TOLD.get_or_init(|| {
            let told = Self::default();
            let writer = told.clone();
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .init();
            told
        });
        told.clone()
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A worker whose every word is the test's.
struct Guest {
    socket: WebSocketStream<TcpStream>,
    worker: WorkerSession,
}

impl Guest {
    /// Connects, or says what the master answered instead.
    async fn connect(port: SocketAddr, credentials: Option<&str>) -> Result<Self, String> {
        Self::connect_at(port, "/", credentials).await
    }

    async fn connect_at(
        port: SocketAddr,
        path: &str,
        credentials: Option<&str>,
    ) -> Result<Self, String> {
        let stream = TcpStream::connect(port).await.expect("a connection");
        let mut request = format!("ws://{port}{path}")
            .into_client_request()
            .expect("a URL");
        if let Some(credentials) = credentials {
            let value = format!("Basic {}", BASE64_STANDARD.encode(credentials));
            let value = HeaderValue::from_str(&value).expect("a header");
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self {
                socket,
                worker: WorkerSession::new(Instant::now(), Arc::default()),
            }),
            Err(Error::Http(answer)) => Err(answer.status().to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Connects as a good worker does.
    async fn attach(port: SocketAddr, name: &str) -> Self {
        Self::attach_at(port, "/", name).await
    }

    async fn attach_at(port: SocketAddr, path: &str, name: &str) -> Self {
        let credentials = format!("{name}:open sesame");
        let connected = Self::connect_at(port, path, Some(&credentials)).await;
        let mut guest = connected.expect("to be let in");
        let mut attached = false;
        while !attached {
            let event = guest.hear().await.expect("the opening");
            match event {
                WorkerEvent::InfoWanted(ticket) => {
                    let info = WorkerInfo {
                        base_dir: "/srv".into(),
                        system: "posix".into(),
                        ..WorkerInfo::default()
                    };
                    guest.worker.answer_info(&ticket, &info);
                }
                WorkerEvent::Settings(_) => attached = true,
                _ => {}
            }
        }
        guest.flush().await;
        guest
    }

    async fn flush(&mut self) {
        while let Some(effect) = self.worker.poll() {
            if let WorkerEffect::Send(frame) = effect {
                self.send(Message::Binary(frame)).await;
            }
        }
    }

    /// The next thing that the master wants, or why it closed the connection.
    async fn hear(&mut self) -> Result<WorkerEvent, String> {
        loop {
            while let Some(effect) = self.worker.poll() {
                match effect {
                    WorkerEffect::Send(frame) => self.send(Message::Binary(frame)).await,
                    WorkerEffect::Event(event) => return Ok(event),
                }
            }
            let frame = self.message().await?;
            let done = self.worker.handle(Instant::now(), &frame);
            done.expect("the master keeps to the protocol");
        }
    }

    async fn message(&mut self) -> Result<Bytes, String> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => return Ok(frame),
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map(|frame| frame.reason.to_string());
                    return Err(reason.unwrap_or_default());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("nothing".into()),
            }
        }
    }

    async fn send(&mut self, message: Message) {
        // The master may have closed it.
        let _ = self.socket.send(message).await;
    }

    /// Why the master ends the connection.
    async fn farewell(mut self) -> String {
        loop {
            if let Err(reason) = self.message().await {
                return reason;
            }
        }
    }
}

fn request(seq: u64, request: ToMaster) -> Message {
    Message::Binary(Frame::Request { seq, request }.encode())
}

fn raw(bytes: &'static [u8]) -> Message {
    Message::Binary(Bytes::from_static(bytes))
}

/// The name of a worker that is given up soon when it does not answer.
const MUTE: &str = "mute";

/// A farm that waits for these workers.
async fn farm_of(names: &[&str]) -> (Farm, SocketAddr) {
    let mut config = "[workers]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    for name in names {
        config.push_str(&format!(
            "\n[[worker]]\nname = {name:?}\nkind = \"remote\"\npassword = \"open sesame\"\n"
        ));
        if *name == MUTE {
            config.push_str("keepalive = \"2s\"\n");
        }
    }
    let farm = farm().config(&config).start().await;
    let port = farm.master().worker_address().expect("a port for workers");
    (farm, port)
}

async fn told(farm: &Farm, told: &Told, line: &str) {
    farm.until(&format!("the operator hears {line:?}"), async || {
        told.text().contains(line)
    })
    .await;
}

/// What the page of a worker has to show, newest first.
async fn notes(farm: &Farm, name: &str) -> Vec<(WorkerNoteKind, String)> {
    let query = Query::new().eq("name", name);
    let workers: Vec<Worker> = farm.store().list(&query).await.expect("workers");
    let notes = farm.store().worker_notes(workers[0].id, 10).await;
    let notes = notes.expect("notes").into_iter();
    notes.map(|note| (note.kind, note.text)).collect()
}

async fn noted(farm: &Farm, name: &str, kind: WorkerNoteKind, text: &str) {
    let note = (kind, text.to_owned());
    farm.until(
        &format!("{note:?} is on the page of `{name}`"),
        async || notes(farm, name).await.contains(&note),
    )
    .await;
}

/// What a worker does, which of its messages end it, and why.
fn misdeeds() -> Vec<(&'static str, Vec<Message>, &'static str)> {
    let nothing = || Ok(Payload::nothing());
    let unasked = Frame::<ToWorker>::Response {
        seq: 99,
        answer: nothing(),
    };
    vec![
        (
            "garbage",
            vec![raw(b"GET / HTTP/1.1")],
            "`the message` of a message is an integer instead of a map",
        ),
        (
            "text",
            vec![Message::text("{}")],
            "a message is text, where the protocol has binary ones",
        ),
        (
            "wrong-type",
            vec![raw(b"\x82\xa2op\x05\xaaseq_number\x01")],
            "`op` of a message is an integer instead of a text",
        ),
        (
            "log-forger",
            vec![raw(b"\x81\xa2op\xa3a\nb")],
            "a message of the kind `a b` has no `seq_number`",
        ),
        (
            "again",
            vec![
                request(500, ToMaster::Keepalive),
                request(500, ToMaster::Keepalive),
            ],
            "sequence number 500 was used before",
        ),
        (
            "unasked",
            vec![Message::Binary(unasked.encode())],
            "there is an answer to request 99, which was never made or is answered already",
        ),
    ]
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_its_own_connection_and_everybody_hears_why() {
    let operator = Told::listen();
    let misdeeds = misdeeds();
    let mut names: Vec<&str> = misdeeds.iter().map(|(name, ..)| *name).collect();
    names.extend(["huge", "good", MUTE]);
    let (farm, port) = farm_of(&names).await;
    // Says nothing more, while everything else happens.
    let mute = Guest::attach(port, MUTE).await;
    let mut good = Guest::attach(port, "good").await;
    for (name, messages, reason) in misdeeds {
        let mut guest = Guest::attach(port, name).await;
        for message in messages {
            guest.send(message).await;
        }
        assert_eq!(guest.farewell().await, reason);
        told(
            &farm,
            &operator,
            &format!("worker `{name}` is lost: {reason}"),
        )
        .await;
        noted(&farm, name, WorkerNoteKind::Lost, reason).await;
    }
    // The head of a message, by which its length is known; nobody waits for the rest.
    let mut huge = Guest::attach(port, "huge").await;
    let head = b"\x82\xff\x00\x00\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00";
    let stream = huge.socket.get_mut();
    stream.write_all(head).await.expect("to be heard");
    let reason = "a message of 16777217 bytes is longer than the 16777216 that are allowed (frame_bytes_max)";
    assert_eq!(huge.farewell().await, reason);
    told(
        &farm,
        &operator,
        &format!("worker `huge` is lost: {reason}"),
    )
    .await;
    noted(&farm, "huge", WorkerNoteKind::Lost, reason).await;
    // Words about a command that there never was are answered; what may run from another time is to end.
    let id = CommandId("3-1".into());
    let updates = vec![Update::Rc(0)];
    good.send(request(1, ToMaster::Update { id, updates }))
        .await;
    told(
        &farm,
        &operator,
        "worker `good` speaks of command \"3-1\", which nobody waits for",
    )
    .await;
    let odd = "it speaks of command \"3-1\", which nobody waits for";
    noted(&farm, "good", WorkerNoteKind::Odd, odd).await;
    let answered = [good.message().await, good.message().await];
    let answered = answered.map(|frame| {
        let frame = Frame::<ToWorker>::decode(&frame.expect("to stay"), &Default::default());
        frame.expect("a message")
    });
    let interrupts = |frame: &Frame<ToWorker>| matches!(frame, Frame::Request { request: ToWorker::InterruptCommand { id, .. }, .. } if id.0 == "3-1");
    assert!(answered.iter().any(interrupts), "{answered:?}");
    // A second one of a name that is alive.
    let second = Guest::connect(port, Some("good:open sesame")).await;
    let second = tokio::spawn(second.expect("the password is right").farewell());
    let probe = good.hear().await;
    assert!(matches!(probe, Ok(WorkerEvent::Print(_))), "{probe:?}");
    good.flush().await;
    let refusal = "a worker of this name is connected already";
    assert_eq!(second.await.expect("an end"), refusal);
    told(
        &farm,
        &operator,
        "a second worker `good` connects from 127.0.0.1",
    )
    .await;
    let refused = format!("{refusal}, from 127.0.0.1");
    noted(&farm, "good", WorkerNoteKind::Refused, &refused).await;
    let reason = "`keepalive` was not answered within 4 s";
    told(
        &farm,
        &operator,
        &format!("worker `{MUTE}` is lost: {reason}"),
    )
    .await;
    noted(&farm, MUTE, WorkerNoteKind::Lost, reason).await;
    drop(mute);
}

#[tokio::test]
async fn a_worker_whose_clock_is_wrong_builds_and_everybody_hears_of_it() {
    let operator = Told::listen();
    let config = "[workers]\nlisten = \"127.0.0.1:0\"\npath = \"/farm\"\n\n\
        [[worker]]\nname = \"late\"\nkind = \"remote\"\npassword = \"open sesame\"\n\n\
        [[builder]]\nname = \"b\"\nworkers = [\"late\"]\n\
        [[builder.step]]\nuse = \"shell\"\ncommand = \"true\"\n\n\
        [[scheduler]]\nname = \"force\"\nuse = \"force\"\nbuilders = [\"b\"]\n";
    let farm = farm().config(config).start().await;
    let port = farm.master().worker_address().expect("a port for workers");
    let elsewhere = Guest::connect(port, Some("late:open sesame")).await;
    assert_eq!(elsewhere.err().as_deref(), Some("400 Bad Request"));
    let mut guest = Guest::attach_at(port, "/farm", "late").await;
    let works = async {
        loop {
            let event = guest.hear().await.expect("to stay");
            if let WorkerEvent::Start { id, ticket, .. } = event {
                let (worker, now) = (&mut guest.worker, Instant::now());
                worker.answer(&ticket, Ok(()));
                worker.update(now, &id, vec![Update::Elapsed(-3_600.0), Update::Rc(0)]);
                worker.complete(now, &id, None);
            }
        }
    };
    let request = farm.submit("b", &[]).await;
    let end = tokio::select! {
        end = farm.end_of(request) => end,
        () = works => unreachable!("it works for ever"),
    };
    assert_eq!(end.results, Some(Results::Success));
    let said = "says that a command took -3600.0 s for which the master waited";
    told(&farm, &operator, &format!("worker `late` {said}")).await;
    farm.until("it is on the page", async || {
        let notes = notes(&farm, "late").await;
        notes
            .iter()
            .any(|(kind, text)| *kind == WorkerNoteKind::Odd && text.contains(said))
    })
    .await;
}

#[tokio::test]
async fn who_is_no_worker_of_this_master_is_not_let_in_and_the_operator_hears_why() {
    let operator = Told::listen();
    let (farm, port) = farm_of(&["member"]).await;
    let cases = [
        (Some("member:guessed"), "worker `member` at 127.0.0.1:"),
        (
            Some("stranger\n:open sesame"),
            "wants to connect as worker \"stranger\\n\", which is not configured",
        ),
        (
            Some("w:open sesame"),
            "wants to connect as worker \"w\", which is a local one",
        ),
        (
            None,
            "wants to connect as a worker without saying its name and password",
        ),
    ];
    for (credentials, line) in cases {
        let refused = Guest::connect(port, credentials).await.err();
        assert_eq!(refused.as_deref(), Some("401 Unauthorized"));
        told(&farm, &operator, line).await;
    }
    assert!(!operator.text().contains("guessed") && !operator.text().contains("open sesame"));
    // A stock worker of the other protocol.
    let mut stream = TcpStream::connect(port).await.expect("a connection");
    stream
        .write_all(b"\x02\x81pb\x04\x82none")
        .await
        .expect("to be heard");
    told(
        &farm,
        &operator,
        "a stock worker needs `--protocol msgpack_experimental_v7`",
    )
    .await;
}
