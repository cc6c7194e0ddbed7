//! Where the session puts what it hears about one command, and where somebody takes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use toolpost_wire::{CommandEvent, Ticket, Update};

use super::OUTPUT_QUEUE_BYTES_MAX;
use super::session::{Ask, Handle};

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    Updates(Vec<Update>),
    /// Everything but updates.
    Event(CommandEvent),
}

#[derive(Debug)]
struct Piece {
    heard: Heard,
    /// Returned to the queue when the piece is taken.
    _charge: Option<OwnedSemaphorePermit>,
}

/// What somebody wants of a command from elsewhere. The session looks at it when it is woken.
#[derive(Debug)]
pub(super) struct Wish {
    interrupt: AtomicBool,
    abandon: AtomicBool,
    wake: Arc<Notify>,
}

impl Wish {
    pub(super) fn new(wake: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            interrupt: AtomicBool::new(false),
            abandon: AtomicBool::new(false),
            wake,
        })
    }

    pub(super) fn interrupt(&self) {
        self.interrupt.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(super) fn abandon(&self) {
        self.abandon.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(super) fn is_interrupt(&self) -> bool {
        self.interrupt.load(Ordering::Acquire)
    }

    pub(super) fn is_abandon(&self) -> bool {
        self.abandon.load(Ordering::Acquire)
    }
}

/// The session's end.
#[derive(Debug)]
pub(super) struct Port {
    pieces: mpsc::UnboundedSender<Piece>,
    pub(super) room: Arc<Semaphore>,
    pub(super) wish: Arc<Wish>,
    /// Nobody took its output for too long, so that it is stopped and the rest is not kept.
    pub(super) overflowed: bool,
}

/// The other end. Dropping it gives the command up.
#[derive(Debug)]
pub(super) struct Outlet {
    pieces: mpsc::UnboundedReceiver<Piece>,
    room: Arc<Semaphore>,
    pub(super) wish: Arc<Wish>,
    /// Why the session is over, once it is.
    ended: Arc<OnceLock<String>>,
    asks: mpsc::Sender<Ask>,
    complete: bool,
}

pub(super) fn port(handle: &Handle) -> (Port, Outlet) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(OUTPUT_QUEUE_BYTES_MAX));
    let wish = Wish::new(Arc::clone(&handle.wake));
    let outlet = Outlet {
        pieces: receiver,
        room: Arc::clone(&room),
        wish: Arc::clone(&wish),
        ended: Arc::clone(&handle.ended),
        asks: handle.asks.clone(),
        complete: false,
    };
    let port = Port {
        pieces: sender,
        room,
        wish,
        overflowed: false,
    };
    (port, outlet)
}

impl Port {
    /// The share of the queue that so much output needs.
    pub(super) fn share(bytes: usize) -> u32 {
        u32::try_from(bytes.min(OUTPUT_QUEUE_BYTES_MAX)).unwrap_or(u32::MAX)
    }

    /// Hands on what was heard. Gives the question back that nobody is there to answer any more.
    pub(super) fn put(&self, heard: Heard, charge: Option<OwnedSemaphorePermit>) -> Option<Ticket> {
        let piece = Piece {
            heard,
            _charge: charge,
        };
        let refused = self.pieces.send(piece).err()?;
        ticket_of(refused.0.heard)
    }
}

impl Outlet {
    /// What was heard next; `None` when the session is over.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        let piece = self.pieces.recv().await?;
        if let Heard::Event(
            CommandEvent::Refused(_)
            | CommandEvent::Complete(_)
            | CommandEvent::Abandoned
            | CommandEvent::Gone { .. },
        ) = &piece.heard
        {
            self.complete = true;
        }
        Some(piece.heard)
    }

    /// Why there is no session any more.
    pub(super) fn reason(&self) -> String {
        let reason = self.ended.get().cloned();
        reason.unwrap_or_else(|| "its connection is closed".into())
    }

    /// Answers what came with a ticket; `false` when the session that it came from is over.
    pub(super) async fn reply(&self, ticket: Ticket, answer: toolpost_wire::Answer) -> bool {
        let reply = Ask::Reply(Box::new(Reply { ticket, answer }));
        self.asks.send(reply).await.is_ok()
    }

    /// Answers what nobody is going to answer any more, so that the worker does not wait for it.
    pub(super) fn refuse(&self, tickets: impl IntoIterator<Item = Ticket>) {
        let tickets: Vec<Ticket> = tickets.into_iter().collect();
        // Without a runtime the process is about to end.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if tickets.is_empty() {
            return;
        }
        let asks = self.asks.clone();
        runtime.spawn(async move {
            for ticket in tickets {
                let answer = Err("nobody reads on".into());
                let reply = Ask::Reply(Box::new(Reply { ticket, answer }));
                // Fails when the session is over, and its questions with it.
                let _ = asks.send(reply).await;
            }
        });
    }
}

/// What has to be answered in an event that nobody took.
pub(super) fn ticket_of(heard: Heard) -> Option<Ticket> {
    match heard {
        Heard::Event(
            CommandEvent::Updates(_, ticket)
            | CommandEvent::FileData(_, ticket)
            | CommandEvent::FileEnd(ticket)
            | CommandEvent::FileTimes(_, _, ticket)
            | CommandEvent::ReadWanted(_, ticket)
            | CommandEvent::ReadEnd(ticket)
            | CommandEvent::ArchiveData(_, ticket)
            | CommandEvent::ArchiveEnd(ticket),
        ) => Some(ticket),
        _ => None,
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.room.close();
        self.pieces.close();
        let mut tickets = Vec::new();
        while let Ok(piece) = self.pieces.try_recv() {
            tickets.extend(ticket_of(piece.heard));
        }
        self.refuse(tickets);
        if !self.complete {
            self.wish.abandon();
        }
    }
}

/// Bytes of output in these updates, with what each costs beside them.
pub(super) fn output_bytes(updates: &[Update]) -> usize {
    const OVERHEAD_BYTES: usize = 128;
    let sizes = updates.iter().map(|update| match update {
        Update::Stdout(text) | Update::Stderr(text) | Update::Header(text) => text.bytes.len(),
        Update::Log { text, .. } => text.bytes.len(),
        Update::Files(files) => files.iter().map(String::len).sum(),
        _ => 0,
    });
    sizes.map(|size| size + OVERHEAD_BYTES).sum()
}

/// An answer to what came with a ticket.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) ticket: Ticket,
    pub(super) answer: toolpost_wire::Answer,
}
