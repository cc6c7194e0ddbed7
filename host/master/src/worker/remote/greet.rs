//! Who may come in: the request that opens a worker's connection, up to the session's end.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    AUTHORIZATION, CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use http::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;
use toolpost_config::config::WorkerKind;
use toolpost_core::WorkerId;
use toolpost_core::model::Worker;
use toolpost_store::{WorkerEnd, WorkerSession};
use toolpost_wire::Limits;
use tracing::{info, warn};

use super::link::RemoteWorkerLink;
use super::parked::Parked;
use super::places::Arbitration;
use super::session::{End, Pause, Pipe, Session, Socket, Wishes, farewell, socket_config};
use crate::engine::Engine;
use crate::error::ControlError;
use crate::stop::Phase;
use crate::worker::ConnectedWorker;

/// From the answer to the request until the connection is a WebSocket.
const UPGRADE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How the reason of a pause begins that the worker itself wants.
const PAUSED_ITSELF: &str = "the worker says: ";
/// The rest of it is cut.
const PAUSE_REASON_BYTES_MAX: usize = 300;
/// Tries to store that a worker is gone, and the wait between them.
const STORE_TRIES: u32 = 5;
const STORE_WAIT: Duration = Duration::from_secs(1);

/// Who somebody says to be.
struct Credentials {
    worker: String,
    password: String,
}

/// Whether a request is one of a worker: it asks for a WebSocket at this path, which is the root for a stock worker.
pub(crate) fn is_worker<B>(request: &Request<B>, path: &str) -> bool {
    request.method() == Method::GET
        && request.uri().path() == path
        && has_word(request.headers(), UPGRADE, "websocket")
}

fn has_word(headers: &HeaderMap, name: http::HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name);
    let mut words = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
}

fn refusal(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(format!("{text}\n"));
    *response.status_mut() = status;
    // For each refusal: a server that never keeps connections would say the same of those that it upgrades.
    let close = http::HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (worker, password) = decoded.split_once(':')?;
    Some(Credentials {
        worker: worker.to_owned(),
        password: password.to_owned(),
    })
}

impl Engine {
    /// Answers the request that opens a worker's connection. What follows runs by itself. `from` is for the log.
    pub(crate) async fn greet_worker<B: Send + 'static>(
        self: &Arc<Self>,
        mut request: Request<B>,
        from: &str,
    ) -> Response<String> {
        let headers = request.headers();
        let key = headers.get(SEC_WEBSOCKET_KEY).cloned();
        let version = headers.get(SEC_WEBSOCKET_VERSION);
        let config = self.config();
        let path = &config.worker_port.path;
        let speaks = is_worker(&request, path)
            && has_word(headers, CONNECTION, "upgrade")
            && version.is_some_and(|version| version == "13");
        let Some(key) = key.filter(|_| speaks) else {
            let text = format!("workers connect here, with a WebSocket at {path}");
            return refusal(StatusCode::BAD_REQUEST, &text);
        };
        if *self.phase.borrow() == Phase::Stopping {
            return refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "the master is about to stop",
            );
        }
        if !*self.ready.borrow() {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "the master is starting");
        }
        let Some(credentials) = credentials(headers) else {
            warn!(
                "somebody at {from} wants to connect as a worker without saying its name and password"
            );
            return unauthorized("a worker has to say its name and password (HTTP Basic)");
        };
        if !self.knows(&credentials, from).await {
            return unauthorized("the master has no worker of this name with this password");
        }
        self.workers.remote.pace.turn().await;
        let upgrade = hyper::upgrade::on(&mut request);
        let engine = Arc::clone(self);
        let from = from.to_owned();
        tokio::spawn(async move {
            match timeout(UPGRADE_WAIT_MAX, upgrade).await {
                Ok(Ok(upgraded)) => {
                    let pipe: Box<dyn Pipe> = Box::new(TokioIo::new(upgraded));
                    engine.receive(credentials.worker, pipe, &from).await;
                }
                Ok(Err(_)) | Err(_) => {
                    let worker = &credentials.worker;
                    warn!(worker.name = %worker, "worker `{worker}` from {from} went before it was connected");
                }
            }
        });
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, http::HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, http::HeaderValue::from_static("Upgrade"));
        if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }

    /// Whether name and password are those of a configured worker; tells the operator if not, and nobody else.
    async fn knows(self: &Arc<Self>, credentials: &Credentials, from: &str) -> bool {
        // What a stranger says goes to the log as a text, cut and without line ends.
        let worker: String = credentials.worker.chars().take(64).collect();
        let config = self.config();
        let Some(configured) = config.workers.get(&credentials.worker) else {
            warn!(
                "somebody at {from} wants to connect as worker {worker:?}, which is not configured"
            );
            return false;
        };
        let WorkerKind::Remote { password, .. } = &configured.kind else {
            warn!("somebody at {from} wants to connect as worker {worker:?}, which is a local one");
            return false;
        };
        let secrets = &self.capabilities.secrets;
        let passwords = &self.workers.remote.passwords;
        let given = &credentials.password;
        match passwords
            .fits(secrets, &credentials.worker, password, given)
            .await
        {
            Ok(true) => true,
            Ok(false) => {
                warn!(worker.name = %worker, "worker `{worker}` at {from} has a wrong password");
                self.note_refused(&credentials.worker, "it had a wrong password", from);
                false
            }
            Err(error) => {
                warn!(worker.name = %worker, "worker `{worker}` cannot connect: its password cannot be read: {error}");
                self.note_refused(
                    &credentials.worker,
                    "the master cannot read its password",
                    from,
                );
                false
            }
        }
    }

    /// Runs the connection of a worker that is who it says, to its end.
    pub(super) async fn receive(self: Arc<Self>, worker: String, pipe: Box<dyn Pipe>, from: &str) {
        let remote = &self.workers.remote;
        let config = Some(socket_config(&remote.limits));
        let mut socket: Socket = WebSocketStream::from_raw_socket(pipe, Role::Server, config).await;
        if let Arbitration::Taken = remote.arbitrate(&worker).await {
            warn!(worker.name = %worker, "a second worker `{worker}` connects from {from}; the first is alive and stays");
            let reason = "a worker of this name is connected already";
            self.note_refused(&worker, reason, from);
            let _ = timeout(
                UPGRADE_WAIT_MAX,
                socket.close(Some(farewell(CloseCode::Policy, reason))),
            )
            .await;
            return;
        }
        let epoch = u64::from(rand::random::<u32>()) + 1;
        let limits = self.limits_of(&worker);
        let keep = self.resume_within(&worker);
        let mut made = None;
        let taken = remote.take(&worker, |left| {
            let odd = self.oddities_of(&worker);
            let (session, handle) = Session::new(odd, socket, limits, epoch, left, keep);
            made = Some((session, handle.clone()));
            handle
        });
        let (true, Some((session, handle))) = (taken, made) else {
            return;
        };
        let closed = handle.closed.clone().drop_guard();
        self.hold(&worker, session, handle, from).await;
        drop(closed);
    }

    /// Attaches the worker, and detaches it when the session is over.
    async fn hold(
        self: &Arc<Self>,
        worker: &str,
        mut session: Box<Session>,
        handle: super::session::Handle,
        from: &str,
    ) {
        let epoch = handle.epoch;
        let dismissal = Arc::clone(&handle.dismissal);
        let mut attached = None;
        let mut connection = None;
        let end = match session.attach().await {
            Err(end) => end,
            Ok(info) => {
                let held = session.held(&info);
                let goes_on = held.is_some();
                let speaks_of_itself = info.instance.is_some();
                let link = RemoteWorkerLink::new(handle, *info, held);
                connection = Some(Arc::clone(&link.connection));
                // Boxed, and so is its opposite: what talks to the store is large, and there is one of this for each worker.
                match Box::pin(self.attach(worker, epoch, link, from, goes_on)).await {
                    Err(end) => end,
                    Ok(id) => {
                        attached = Some(id);
                        if speaks_of_itself {
                            let wanted = session.wanted();
                            let engine = Arc::clone(self);
                            tokio::spawn(engine.follow_wishes(worker.to_owned(), id, wanted));
                        }
                        session.run().await
                    }
                }
            }
        };
        let running = session.running();
        self.workers.remove(worker, epoch);
        let parked = session.close(&end, connection.as_ref()).await;
        match (&end, &parked, attached) {
            (End::Broken(reason), Some(parked), _) => {
                let wait_s = parked.keep.as_secs();
                warn!(worker.name = %worker, "worker `{worker}` is cut off: {reason}; its builds wait up to {wait_s} s for it to go on");
            }
            (End::Failed(reason) | End::Broken(reason), _, known) => {
                if known.is_none() {
                    self.note_refused(worker, reason, from);
                }
                warn!(worker.name = %worker, "worker `{worker}` is lost: {reason}");
            }
            (end, _, Some(_)) => {
                info!(worker.name = %worker, "worker `{worker}` went: {}", end.reason());
            }
            (end, _, None) => {
                self.note_refused(worker, end.reason(), from);
                warn!(worker.name = %worker, "worker `{worker}` went before it was attached: {}", end.reason());
            }
        }
        if let Some(id) = attached {
            let dismissed = dismissal.get().is_some();
            let end = WorkerEnd {
                reason: match parked.is_some() {
                    true => format!("{}; builds wait for it to come back", end.reason()),
                    false => end.reason().to_owned(),
                },
                lost: !dismissed,
                dismissed,
            };
            Box::pin(self.detach(worker, id, end)).await;
        }
        if let Some(parked) = parked {
            self.park(worker, parked);
        } else {
            self.workers.remote.release(worker, epoch, running, None);
        }
        self.distribute.notify_one();
    }

    /// Pauses a worker while it wants that, for as long as its session lasts, and lets it end. What people have paused is theirs.
    async fn follow_wishes(
        self: Arc<Self>,
        worker: String,
        id: WorkerId,
        mut wanted: watch::Receiver<Wishes>,
    ) {
        let mut leaves = false;
        loop {
            let wishes = wanted.borrow_and_update().clone();
            let mut done = self.pause_as_wanted(id, &wishes.pause).await;
            if wishes.leaves && !leaves {
                leaves = true;
                done = done.and(self.let_go(&worker, id).await);
            }
            if let Err(error) = done {
                warn!(worker.name = %worker, "what worker `{worker}` says of its state was not stored: {error}");
            }
            if wanted.changed().await.is_err() {
                return;
            }
        }
    }

    async fn pause_as_wanted(&self, id: WorkerId, pause: &Pause) -> Result<(), ControlError> {
        if *pause == Pause::NotSaid {
            return Ok(());
        }
        let row = self.store.get::<Worker>(id.0).await?;
        let by_itself = row
            .pause_reason
            .is_some_and(|reason| reason.starts_with(PAUSED_ITSELF));
        match pause {
            Pause::Wanted(reason) if !row.paused => {
                // What a worker says is cut to one line.
                let line: String = reason.chars().filter(|c| !c.is_control()).collect();
                let end = line.floor_char_boundary(PAUSE_REASON_BYTES_MAX.min(line.len()));
                let reason = format!("{PAUSED_ITSELF}{}", &line[..end]);
                self.set_worker_paused(id, Some(&reason)).await
            }
            Pause::Not if row.paused && by_itself => self.set_worker_paused(id, None).await,
            Pause::NotSaid | Pause::Not | Pause::Wanted(_) => Ok(()),
        }
    }

    /// How long builds wait for a worker whose connection is lost.
    fn resume_within(&self, worker: &str) -> Duration {
        let config = self.config();
        match config.workers.get(worker).map(|worker| &worker.kind) {
            Some(WorkerKind::Remote { resume_within, .. }) => *resume_within,
            _ => Duration::ZERO,
        }
    }

    /// What the worker may send, and how long it may be silent.
    fn limits_of(&self, worker: &str) -> Arc<Limits> {
        let limits = &self.workers.remote.limits;
        let config = self.config();
        match config.workers.get(worker).map(|worker| &worker.kind) {
            Some(WorkerKind::Remote { keepalive, .. }) if *keepalive != limits.quiet_max => {
                Arc::new(Limits {
                    quiet_max: *keepalive,
                    answer_wait_max: *keepalive * 2,
                    ..Limits::clone(limits)
                })
            }
            _ => Arc::clone(limits),
        }
    }

    /// Keeps what a worker that is cut off can go on with, for a time.
    fn park(self: &Arc<Self>, worker: &str, mut parked: Parked) {
        let over = CancellationToken::new();
        parked.over = over.clone().drop_guard();
        // Whoever stops a build does not wait for a worker that is away.
        parked.release_stopped();
        let wake = parked.connection.wake();
        let (epoch, keep) = (parked.epoch, parked.keep);
        self.workers
            .remote
            .release(worker, epoch, Vec::new(), Some(parked));
        let (engine, worker) = (Arc::clone(self), worker.to_owned());
        tokio::spawn(async move {
            let expiry = sleep(keep);
            tokio::pin!(expiry);
            loop {
                tokio::select! {
                    () = over.cancelled() => return,
                    () = wake.notified() => engine.workers.remote.release_stopped(&worker, epoch),
                    () = &mut expiry => {
                        let reason = format!("it did not come back within {} s", keep.as_secs());
                        warn!(worker.name = %worker, "worker `{worker}` is lost: {reason}");
                        engine.workers.remote.give_up(&worker, epoch, &reason);
                        engine.distribute.notify_one();
                        return;
                    }
                }
            }
        });
    }

    /// Makes the worker one that builds can run on.
    async fn attach(
        &self,
        worker: &str,
        epoch: u64,
        link: RemoteWorkerLink,
        from: &str,
        goes_on: bool,
    ) -> Result<WorkerId, End> {
        let gone = || End::Told("the worker is not configured any more".into());
        let running = self.running();
        let config = running.config.workers.get(worker).ok_or_else(gone)?;
        let id = *running.ids.workers.get(worker).ok_or_else(gone)?;
        let link = Arc::new(link);
        let session = WorkerSession {
            number: i64::try_from(epoch).unwrap_or(i64::MAX),
            address: from.to_owned(),
            info: crate::worker::WorkerLink::info(&*link),
            keeps_orders: self.workers.remote.take_order(id) || goes_on,
        };
        let now = self.clock.now();
        let stored = self
            .store
            .attach_worker(id, self.master_id, session, now)
            .await;
        stored.map_err(|error| End::Failed(format!("the master could not store it: {error}")))?;
        let connected = ConnectedWorker {
            config: Arc::clone(config),
            link,
            session: Some(epoch),
        };
        self.workers.insert(worker, connected);
        self.workers.remote.settled(worker);
        info!(worker.name = %worker, "worker `{worker}` is connected from {from}");
        self.distribute.notify_one();
        self.fleet.ring();
        Ok(id)
    }

    /// Stores that a worker is gone.
    async fn detach(&self, worker: &str, id: WorkerId, end: WorkerEnd) {
        for tried in 1..=STORE_TRIES {
            // A master that stops tells of all its workers at once.
            if *self.phase.borrow() == Phase::Stopping {
                return;
            }
            let now = self.clock.now();
            let stored = self
                .store
                .detach_worker(id, self.master_id, end.clone(), now);
            match stored.await {
                Ok(()) => return,
                Err(error) if tried == STORE_TRIES => {
                    warn!(worker.name = %worker, "worker `{worker}` is gone, which was not stored: {error}");
                }
                Err(_) => sleep(STORE_WAIT).await,
            }
        }
    }
}

fn unauthorized(text: &str) -> Response<String> {
    let mut response = refusal(StatusCode::UNAUTHORIZED, text);
    let challenge = http::HeaderValue::from_static("Basic realm=\"workers\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}
