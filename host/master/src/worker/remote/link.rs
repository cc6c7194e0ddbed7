//! What builds see of a worker that is connected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use toolpost_wire::{Command, Patience, WorkerInfo};
use toolpost_worker::CommandSpec;

use super::command::RemoteCommand;
use super::cursors::Cursors;
use super::files::RemoteFiles;
use super::oddities::Oddities;
use super::paths::Paths;
use super::port::{Outlet, port};
use super::session::{Ask, Handle, Start};
use crate::worker::link::{LinkCommand, LinkError, LinkFiles, WorkerLink};

/// A text that a worker tells about itself is kept up to this many bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024;
/// As many texts.
const TEXTS_MAX: usize = 64;

/// A session of a worker, as builds use it. It is the worker's only as long as the session lasts.
pub(super) struct RemoteWorkerLink {
    pub(super) connection: Arc<Connection>,
    /// What it told about itself; not its environment, which may hold what nobody is to see.
    texts: BTreeMap<String, String>,
}

/// The way to the session, and what has to be known about the machine at its other end. Outlives the session if the worker
/// comes back to go on with it.
pub(super) struct Connection {
    seat: watch::Sender<Seat>,
    /// Wakes the session, whichever it is.
    wake: Arc<Notify>,
    /// That of its first session.
    pub(super) epoch: u64,
    pub(super) paths: Paths,
    pub(super) base_dir: String,
    pub(super) cursors: Cursors,
    /// Where what is odd about the worker is told.
    pub(super) odd: Arc<Oddities>,
    /// Whether uploads can begin anywhere in a file.
    pub(super) offsets: bool,
}

/// Where the session is.
#[derive(Debug, Clone)]
pub(super) enum Seat {
    /// Here.
    Here(Handle),
    /// Nowhere, and it may come back.
    Away,
    /// It does not come back, and why.
    Gone(String),
}

impl RemoteWorkerLink {
    /// With what builds hold already, if the worker goes on where it was.
    pub(super) fn new(handle: Handle, info: WorkerInfo, held: Option<Arc<Connection>>) -> Self {
        let connection = held.unwrap_or_else(|| {
            Arc::new(Connection {
                seat: watch::Sender::new(Seat::Away),
                wake: Arc::clone(&handle.wake),
                epoch: handle.epoch,
                paths: Paths::new(&info.base_dir, &info.system),
                base_dir: info.base_dir.clone(),
                cursors: Cursors::default(),
                odd: Arc::clone(&handle.odd),
                offsets: info.offsets,
            })
        });
        connection.sit(Seat::Here(handle));
        let mut texts: BTreeMap<String, String> = info
            .texts
            .into_iter()
            .take(TEXTS_MAX)
            .map(|(name, text)| (name, cut(text.trim())))
            .collect();
        texts.insert("system".into(), info.system);
        texts.insert("version".into(), info.version);
        texts.insert("numcpus".into(), info.cpus.to_string());
        texts.insert("basedir".into(), info.base_dir);
        Self { connection, texts }
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX.min(text.len()))].to_owned()
}

impl Connection {
    /// The session is here, or away, or gone for ever.
    pub(super) fn sit(&self, seat: Seat) {
        self.seat.send_replace(seat);
    }

    pub(super) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Whether there is no use in another try.
    pub(super) fn is_gone(&self) -> bool {
        matches!(*self.seat.borrow(), Seat::Gone(_))
    }

    /// Asks the session to start a command, as soon as it is here.
    pub(super) async fn start(
        &self,
        builder: &str,
        command: &Command,
        patience: Patience,
    ) -> Result<Outlet, LinkError> {
        let mut seats = self.seat.subscribe();
        loop {
            let seat = seats.borrow_and_update().clone();
            match seat {
                Seat::Gone(reason) => return Err(LinkError::Lost(reason)),
                Seat::Away => {}
                Seat::Here(handle) => {
                    let (port, outlet) = port(&handle);
                    let start = Start {
                        builder: Some(builder.to_owned()),
                        command: command.clone(),
                        patience,
                        port,
                    };
                    // One that is about to end takes nothing more.
                    if handle.asks.send(Ask::Start(Box::new(start))).await.is_ok() {
                        return Ok(outlet);
                    }
                }
            }
            if seats.changed().await.is_err() {
                return Err(LinkError::Lost("the master stops".into()));
            }
        }
    }
}

#[async_trait]
impl WorkerLink for RemoteWorkerLink {
    fn info(&self) -> BTreeMap<String, Value> {
        let texts = self.texts.iter();
        texts
            .map(|(name, text)| (name.clone(), Value::from(text.clone())))
            .collect()
    }

    fn properties(&self) -> BTreeMap<String, String> {
        self.texts.clone()
    }

    fn base_dir(&self) -> String {
        self.connection.base_dir.clone()
    }

    async fn start(&self, spec: CommandSpec) -> Result<Box<dyn LinkCommand>, LinkError> {
        let command = RemoteCommand::start(&self.connection, spec).await?;
        Ok(Box::new(command))
    }

    fn files(&self, build_dir: &str) -> Arc<dyn LinkFiles> {
        Arc::new(RemoteFiles::new(
            Arc::clone(&self.connection),
            build_dir.to_owned(),
        ))
    }

    async fn shut_down(&self, grace: Duration) {
        let seat = self.connection.seat.borrow().clone();
        let Seat::Here(handle) = seat else { return };
        handle.stop.cancel();
        // It closes the connection, which is all that a worker elsewhere needs to know.
        let _ = tokio::time::timeout(grace, handle.closed.cancelled()).await;
    }
}
