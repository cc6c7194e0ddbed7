//! `/ws`, as Buildbot has it: a client says in JSON which events it wants, and gets each as `{"k": KEY, "m": ROW}`.
//!
//! Ours in addition: `?since=now&path=PATTERN`, with as many `path` as wanted, listens from the beginning and gives each message the
//! number `n`; `?since=N&path=...` goes on after that message. `startConsuming` takes `since` as well, for its own path.

mod command;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client::Event;
use super::{Asked, Client, Heard, Pattern, Refused, Since};
use crate::api::json;
use crate::auth::Pass;
use crate::error::ApiError;
use crate::security::foreign_origin;
use crate::state::Web;
use command::{Answer, Command};

/// Longest message that a client may send, bytes.
const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are read from a socket at one time, and that are gathered before they are written; each client has both.
const BUFFER_BYTES: usize = 4 * 1024;
/// Events that are written together, when so many are there.
const WRITTEN_TOGETHER_MAX: usize = 64;
/// How long a client may take no byte of what is sent, until it counts as gone.
const SEND_WAIT_MAX: Duration = Duration::from_secs(30);
/// From the answer to the request until the connection is a WebSocket.
const UPGRADE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long the farewell may take.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(2);
/// A client of which nothing was heard for so many pings is gone.
const SILENT_PINGS_MAX: u32 = 3;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/ws", get(open))
        .route("/ws/", get(open))
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Why a conversation is over.
enum Over {
    /// The client wants to go, or has to; it is told this.
    Farewell(CloseCode, &'static str),
    /// There is nobody to tell anything.
    Gone,
}

async fn open(
    State(web): State<Web>,
    RawQuery(query): RawQuery,
    mut request: Request,
) -> Response<Body> {
    // A page of any site may open a WebSocket anywhere, and read it.
    if let Some(origin) = foreign_origin(request.headers()) {
        let error = ApiError::CrossSite { origin };
        error.log("/ws");
        return refuse(error.status(), error.to_string());
    }
    let response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(error) => return no_websocket(request.headers(), &error),
    };
    let asked = Asked::parse(query.as_deref());
    let pass = Pass::of(&web, request.extensions());
    let client = match listen(&web, pass, &asked) {
        Ok(client) => client,
        Err((status, text)) => return refuse(status, text),
    };
    let ping_every = Duration::from_millis(web.options.event_ping_ms);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(Ok(upgraded)) = timeout(UPGRADE_WAIT_MAX, upgrade).await {
            let config = WebSocketConfig::default()
                .read_buffer_size(BUFFER_BYTES)
                .write_buffer_size(BUFFER_BYTES)
                .max_message_size(Some(COMMAND_BYTES_MAX))
                .max_frame_size(Some(COMMAND_BYTES_MAX));
            let pipe = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(pipe, Role::Server, Some(config)).await;
            let numbered = asked.since.is_some();
            let conversation = Conversation {
                socket,
                client,
                numbered,
            };
            conversation.run(ping_every).await;
        }
    });
    response
}

/// Takes a client with what it asks for in its address.
fn listen(web: &Web, pass: Pass, asked: &Asked) -> Result<Client, (StatusCode, String)> {
    let refused = |refused: Refused| (refused.status(), refused.text().to_owned());
    let since = Since::parse(asked.since.as_deref().unwrap_or("now"));
    if since != Since::Now && asked.paths.is_empty() {
        let text = "`since` in the address needs a `path` there as well, such as \
            /ws?since=N&path=builds/*/*; or it is given to `startConsuming`";
        return Err((StatusCode::BAD_REQUEST, text.into()));
    }
    let patterns: Option<_> = asked
        .paths
        .iter()
        .map(|path| Pattern::exact(path))
        .collect();
    let patterns = patterns.ok_or((StatusCode::BAD_REQUEST, command::LONG_PATH.to_owned()))?;
    web.events.listen(patterns, since, pass).map_err(refused)
}

fn refuse(status: StatusCode, text: String) -> Response<Body> {
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, plain, text).into_response()
}

fn no_websocket(headers: &HeaderMap, error: &Error) -> Response<Body> {
    if headers.contains_key(header::UPGRADE) {
        return refuse(StatusCode::BAD_REQUEST, error.to_string());
    }
    let text = "this address speaks WebSocket; events for other clients are at /sse";
    let mut response = refuse(StatusCode::UPGRADE_REQUIRED, text.into());
    let websocket = HeaderValue::from_static("websocket");
    response.headers_mut().insert(header::UPGRADE, websocket);
    response
}

/// One client's connection.
struct Conversation {
    socket: Socket,
    client: Client,
    /// Whether its messages have numbers.
    numbered: bool,
}

impl Conversation {
    async fn run(mut self, ping_every: Duration) {
        let Over::Farewell(code, reason) = self.talk(ping_every).await else {
            return;
        };
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // Whoever does not even take leave is gone.
        let _ = timeout(CLOSE_WAIT_MAX, self.socket.close(Some(frame))).await;
    }

    async fn talk(&mut self, ping_every: Duration) -> Over {
        let mut pings = interval_at(Instant::now() + ping_every, ping_every);
        // Or a process that stood still would take its clients for gone.
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_pings = 0;
        loop {
            let done = tokio::select! {
                // What a client asks for comes before what it listens to, or it could not stop a flood.
                biased;
                received = self.socket.next() => {
                    silent_pings = 0;
                    self.receive(received).await
                }
                _ = pings.tick() => {
                    silent_pings += 1;
                    if silent_pings > SILENT_PINGS_MAX {
                        return Over::Gone;
                    }
                    self.send(Message::Ping(bytes::Bytes::new())).await
                }
                heard = self.client.hear() => self.tell(heard).await,
            };
            if let Err(over) = done {
                return over;
            }
        }
    }

    async fn receive(&mut self, received: Option<Result<Message, Error>>) -> Result<(), Over> {
        let frame = match received {
            Some(Ok(Message::Text(text))) => bytes::Bytes::from(text),
            Some(Ok(Message::Binary(bytes))) => bytes,
            // It is answered with the same.
            Some(Ok(Message::Close(_))) => return Err(Over::Farewell(CloseCode::Normal, "")),
            None => return Err(Over::Gone),
            Some(Ok(_)) => return Ok(()),
            Some(Err(Error::Capacity(_))) => {
                return Err(Over::Farewell(CloseCode::Size, "the message is too long"));
            }
            Some(Err(Error::Protocol(_) | Error::Utf8(_))) => {
                return Err(Over::Farewell(
                    CloseCode::Protocol,
                    "that is no WebSocket frame",
                ));
            }
            Some(Err(_)) => return Err(Over::Gone),
        };
        let answer = match command::parse(&frame) {
            Ok((id, command)) => self.carry_out(command, id),
            Err(answer) => *answer,
        };
        self.send(Message::text(answer.to_json())).await
    }

    fn carry_out(&mut self, command: Command, id: serde_json::Value) -> Answer {
        match command {
            Command::Ping => Answer::done("pong", id),
            Command::Start { path, since } => {
                let Some(pattern) = Pattern::exact(&path) else {
                    return Answer::error(400, command::LONG_PATH, id);
                };
                self.numbered |= since.is_some();
                let since = Since::parse(since.as_deref().unwrap_or("now"));
                match self.client.add(&pattern, since) {
                    Ok(from) => Answer::done("OK", id).with(self.numbered.then_some(from)),
                    Err(refused) => Answer::error(refused.status().as_u16(), refused.text(), id),
                }
            }
            Command::Stop { path } => {
                let stopped = Pattern::exact(&path).map(|pattern| self.client.remove(&pattern));
                match stopped {
                    Some(Ok(())) => Answer::done("OK", id),
                    _ => Answer::error(400, format!("path was not consumed '{path}'"), id),
                }
            }
        }
    }

    /// Tells what was heard, and what is there already beside it.
    async fn tell(&mut self, first: Heard) -> Result<(), Over> {
        self.write(first).await?;
        for _ in 0..WRITTEN_TOGETHER_MAX {
            let Some(next) = self.client.ready() else {
                break;
            };
            self.write(next).await?;
        }
        in_time(self.socket.flush()).await
    }

    async fn write(&mut self, heard: Heard) -> Result<(), Over> {
        let text = match heard {
            Heard::Event(event) => {
                for message in self.messages(&event) {
                    in_time(self.socket.feed(message)).await?;
                }
                return Ok(());
            }
            Heard::Missed(missed) => {
                let text = format!("{missed} events were missed: read again what you show");
                self.notice(text)
            }
            Heard::TooOld => self.notice(Refused::TooOld.text().to_owned()),
            Heard::Refused => {
                let reason = "you are not logged in any more, or may not listen";
                return Err(Over::Farewell(CloseCode::Policy, reason));
            }
            Heard::End => {
                let reason = Refused::Ended.text();
                return Err(Over::Farewell(CloseCode::Away, reason));
            }
        };
        in_time(self.socket.feed(Message::text(text))).await
    }

    /// What nobody has asked for. It looks like an answer to nothing, which Buildbot's clients pass over.
    fn notice(&self, text: String) -> String {
        let number = self.numbered.then(|| self.client.here());
        let code = StatusCode::GONE.as_u16();
        Answer::error(code, text, serde_json::Value::Null)
            .with(number)
            .to_json()
    }

    fn messages(&self, event: &Event) -> Vec<Message> {
        let write = |(key, number, row): (&str, String, &[u8])| {
            let mut text = b"{\"k\":".to_vec();
            json::text(&mut text, key);
            text.extend_from_slice(b",\"m\":");
            text.extend_from_slice(row);
            if self.numbered {
                text.extend_from_slice(b",\"n\":");
                json::text(&mut text, &number);
            }
            text.push(b'}');
            Message::text(String::from_utf8_lossy(&text).into_owned())
        };
        event.messages(&self.client).map(write).collect()
    }

    async fn send(&mut self, message: Message) -> Result<(), Over> {
        in_time(self.socket.send(message)).await
    }
}

/// Who takes nothing for long is gone.
async fn in_time(sent: impl Future<Output = Result<(), Error>>) -> Result<(), Over> {
    match timeout(SEND_WAIT_MAX, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Over::Gone),
    }
}
