//! What builds see of a worker that is connected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use toolpost_wire::{Command, Patience, WorkerInfo};
use toolpost_worker::CommandSpec;

use super::command::RemoteCommand;
use super::files::{Cursors, RemoteFiles};
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

/// The way to the session, and what has to be known about the machine at its other end.
pub(super) struct Connection {
    pub(super) handle: Handle,
    pub(super) paths: Paths,
    pub(super) base_dir: String,
    pub(super) cursors: Cursors,
}

impl RemoteWorkerLink {
    pub(super) fn new(handle: Handle, info: WorkerInfo) -> Self {
        let paths = Paths::new(&info.base_dir, &info.system);
        let mut texts: BTreeMap<String, String> = info
            .texts
            .into_iter()
            .take(TEXTS_MAX)
            .map(|(name, text)| (name, cut(text.trim())))
            .collect();
        texts.insert("system".into(), info.system);
        texts.insert("version".into(), info.version);
        texts.insert("numcpus".into(), info.cpus.to_string());
        texts.insert("basedir".into(), info.base_dir.clone());
        let connection = Connection {
            handle,
            paths,
            base_dir: info.base_dir,
            cursors: Cursors::default(),
        };
        Self {
            connection: Arc::new(connection),
            texts,
        }
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX.min(text.len()))].to_owned()
}

impl Connection {
    /// Asks the session to start a command.
    pub(super) async fn start(
        &self,
        builder: Option<String>,
        command: Command,
        patience: Patience,
    ) -> Result<Outlet, LinkError> {
        let handle = &self.handle;
        let (port, outlet) = port(handle);
        let start = Start {
            builder,
            command,
            patience,
            port,
        };
        let asked = handle.asks.send(Ask::Start(Box::new(start))).await;
        match asked {
            Ok(()) => Ok(outlet),
            Err(_) => Err(LinkError::Lost(outlet.reason())),
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
        let handle = &self.connection.handle;
        handle.stop.cancel();
        // It closes the connection, which is all that a worker elsewhere needs to know.
        let _ = tokio::time::timeout(grace, handle.closed.cancelled()).await;
    }
}
