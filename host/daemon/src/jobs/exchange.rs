//! Pieces of files between a job and the master: one at a time, each after the answer to the one before.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use toolpost_wire::CommandId;

/// One message of a transfer.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The next bytes of a file.
    File(Bytes),
    /// There are no more.
    FileEnd,
    /// Its times: last access and last change, in seconds since 1970.
    Times(f64, f64),
    /// The next bytes of an archive.
    Archive(Bytes),
    /// There are no more.
    ArchiveEnd,
    /// Wants at most so many bytes.
    Read(u64),
    /// Wants no more.
    ReadEnd,
}

/// A piece on its way to a session.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) id: CommandId,
    pub(crate) piece: Piece,
    /// Gets what the master answers; dropped when it cannot.
    pub(crate) answer: oneshot::Sender<Result<Option<Bytes>, String>>,
}

/// A job's way to whoever has a connection.
#[derive(Debug)]
pub(super) struct Exchange {
    id: CommandId,
    asks: mpsc::Sender<Ask>,
}

impl Exchange {
    pub(super) fn new(id: CommandId, asks: mpsc::Sender<Ask>) -> Self {
        Self { id, asks }
    }

    /// Sends a piece; what the master answers, or why it does not want more.
    pub(super) async fn send(&self, piece: Piece) -> Result<Option<Bytes>, String> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask {
            id: self.id.clone(),
            piece,
            answer,
        };
        let lost = || "the connection is lost".to_owned();
        self.asks.send(ask).await.map_err(|_| lost())?;
        answered.await.unwrap_or_else(|_| Err(lost()))
    }
}
