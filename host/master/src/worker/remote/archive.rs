//! A directory of a worker on its way as an archive.

use async_trait::async_trait;
use bytes::Bytes;
use toolpost_wire::{CommandEvent, Payload, Ticket};
use toolpost_worker::FileError;

use super::files::reply;
use super::outcome::{Outcome, ended, failed};
use super::port::{Heard, Outlet};
use crate::worker::link::LinkArchive;

/// The archive, as far as it came.
pub(super) struct RemoteArchive {
    path: String,
    outlet: Outlet,
    outcome: Outcome,
    /// Of the piece that was taken last; the worker sends the next one when it is answered.
    ticket: Option<Ticket>,
    complete: bool,
}

impl RemoteArchive {
    pub(super) fn new(path: String, outlet: Outlet) -> Self {
        Self {
            path,
            outlet,
            outcome: Outcome::default(),
            ticket: None,
            complete: false,
        }
    }
}

#[async_trait]
impl LinkArchive for RemoteArchive {
    async fn next(&mut self) -> Result<Option<Bytes>, FileError> {
        if let Some(ticket) = self.ticket.take() {
            reply(&self.outlet, ticket, Ok(Payload::nothing())).await?;
        }
        loop {
            match self.outlet.next().await {
                Some(Heard::Updates(updates)) => {
                    updates
                        .into_iter()
                        .for_each(|update| self.outcome.update(update));
                }
                Some(Heard::Event(CommandEvent::ArchiveData(data, ticket))) => {
                    self.ticket = Some(ticket);
                    return Ok(Some(data));
                }
                Some(Heard::Event(CommandEvent::ArchiveEnd(ticket))) => {
                    self.complete = true;
                    reply(&self.outlet, ticket, Ok(Payload::nothing())).await?;
                }
                // A stock worker ends a directory that it cannot read as it does a file.
                Some(Heard::Event(CommandEvent::FileEnd(ticket))) => {
                    reply(&self.outlet, ticket, Ok(Payload::nothing())).await?;
                }
                Some(Heard::Event(event)) => {
                    let Some(ended) = ended(&self.path, event) else {
                        continue;
                    };
                    ended?;
                    let Outcome { rc, said, .. } = &self.outcome;
                    return match (*rc, self.complete) {
                        (Some(0), true) => Ok(None),
                        (rc, _) => Err(failed("read", &self.path, rc, said)),
                    };
                }
                None => return Err(FileError::Stopped),
            }
        }
    }
}
