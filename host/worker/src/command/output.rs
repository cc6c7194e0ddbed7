//! From the command's pipes to whoever takes the output: as it comes, bounded in bytes.
//!
//! Each piece carries the share of the queue that it occupies; taking the piece gives the share back.
//! A pump has its share before it reads, so a full queue leaves the bytes in the pipe and the command
//! waits in `write`.

use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

/// One read: what a pipe holds on Linux.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// A buffer with less room than this is replaced instead of filled up.
const READ_BYTES_MIN: usize = 4 * 1024;
/// What a piece costs beyond its bytes, so that many tiny pieces are bounded as well.
const PIECE_OVERHEAD_BYTES: usize = 128;
/// The share of the queue that who reads holds before.
const CHARGE_BYTES: usize = READ_BYTES + PIECE_OVERHEAD_BYTES;
/// The least queue with which two pumps and who follows files cannot block each other, and some to flow.
const QUEUE_BYTES_MIN: usize = 256 * 1024;
/// The most that the pipe of a command that has ended can still hold: `pipe-max-size` of Linux.
const PIPE_BYTES_MAX: usize = 1024 * 1024;

/// Where a piece of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The file at this place in [`CommandSpec::log_files`](crate::CommandSpec::log_files).
    File(usize),
}

/// A piece of output: bytes as they came, cut anywhere, at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where it came from.
    pub stream: OutputStream,
    /// What was written.
    pub bytes: Bytes,
}

#[derive(Debug)]
struct Piece {
    output: Output,
    /// Returned to the queue when the piece is taken.
    _charge: OwnedSemaphorePermit,
}

/// The end at which pieces are taken.
#[derive(Debug)]
pub(crate) struct OutputReceiver {
    pieces: mpsc::UnboundedReceiver<Piece>,
    room: Arc<Semaphore>,
}

/// The end at which pumps put pieces in.
#[derive(Clone)]
pub(crate) struct OutputSender {
    pieces: mpsc::UnboundedSender<Piece>,
    room: Arc<Semaphore>,
    activity: Arc<Mutex<Activity>>,
}

/// When the command last wrote, and whether it can.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity {
    pub(crate) last_output: Instant,
    waiting_pumps: u32,
}

/// Reads one pipe until its end.
pub(crate) struct Pump<R> {
    pipe: Option<R>,
    stream: OutputStream,
    buffer: BytesMut,
    room: Room,
}

/// Room in the queue that is held before something is read.
pub(crate) struct Room {
    charge: Option<OwnedSemaphorePermit>,
    sender: OutputSender,
}

/// A queue that holds about `queue_bytes_max` of output.
pub(crate) fn queue(queue_bytes_max: usize, now: Instant) -> (OutputSender, OutputReceiver) {
    let bytes = queue_bytes_max.clamp(QUEUE_BYTES_MIN, Semaphore::MAX_PERMITS);
    let room = Arc::new(Semaphore::new(bytes));
    let (sender, receiver) = mpsc::unbounded_channel();
    let sender = OutputSender {
        pieces: sender,
        room: Arc::clone(&room),
        activity: Arc::new(Mutex::new(Activity {
            last_output: now,
            waiting_pumps: 0,
        })),
    };
    let receiver = OutputReceiver {
        pieces: receiver,
        room,
    };
    (sender, receiver)
}

impl OutputReceiver {
    /// The next piece; `None` when all pipes are closed and everything was taken.
    pub(crate) async fn next(&mut self) -> Option<Output> {
        self.pieces.recv().await.map(|piece| piece.output)
    }
}

impl Drop for OutputReceiver {
    /// Nobody will make room any more: lets the pumps end instead of wait.
    fn drop(&mut self) {
        self.room.close();
    }
}

impl OutputSender {
    pub(crate) fn activity(&self) -> Activity {
        *self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Activity)) {
        change(&mut self.activity.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Activity {
    /// Nobody takes the output, so that the command may be unable to write.
    pub(crate) fn reader_waits(&self) -> bool {
        self.waiting_pumps > 0
    }
}

impl<R: AsyncRead + Unpin> Pump<R> {
    pub(crate) fn new(pipe: Option<R>, stream: OutputStream, sender: OutputSender) -> Self {
        Self {
            pipe,
            stream,
            buffer: BytesMut::new(),
            room: Room::new(sender),
        }
    }

    /// Reads to the end of the pipe. Nothing is lost when the future is dropped.
    pub(crate) async fn run(&mut self) {
        while self.pipe.is_some() && self.room.ensure().await {
            let read = self.read().await;
            self.deliver(&read);
        }
        self.pipe = None;
    }

    /// Takes what is in the pipe now, and closes it in whosever hands its other end is.
    pub(crate) async fn finish(&mut self) {
        let mut taken = 0;
        while taken < PIPE_BYTES_MAX && self.pipe.is_some() && self.room.ensure().await {
            let read = tokio::select! {
                biased;
                read = unconstrained(self.read()) => read,
                () = ready(()) => break,
            };
            taken += read.as_ref().copied().unwrap_or(0);
            self.deliver(&read);
        }
        self.pipe = None;
    }

    async fn read(&mut self) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(0);
        };
        if self.buffer.capacity() < READ_BYTES_MIN {
            self.buffer = BytesMut::with_capacity(READ_BYTES);
        }
        pipe.read_buf(&mut self.buffer).await
    }

    fn deliver(&mut self, read: &io::Result<usize>) {
        let bytes = self.buffer.split().freeze();
        let delivered = matches!(read, Ok(1..)) && self.room.put(self.stream, bytes);
        if !delivered {
            // The end, or a pipe that cannot be read, which is an end as well.
            self.pipe = None;
        }
    }
}

impl Room {
    pub(crate) fn new(sender: OutputSender) -> Self {
        Self {
            charge: None,
            sender,
        }
    }

    /// Puts a piece of at most [`READ_BYTES`] into the queue, for which there is room since [`Self::ensure`].
    pub(crate) fn put(&mut self, stream: OutputStream, bytes: Bytes) -> bool {
        let share = bytes.len() + PIECE_OVERHEAD_BYTES;
        let charge = self.charge.as_mut().and_then(|charge| charge.split(share));
        let Some(charge) = charge else {
            return false;
        };
        let now = Instant::now();
        self.sender.update(|activity| activity.last_output = now);
        let piece = Piece {
            output: Output { stream, bytes },
            _charge: charge,
        };
        // Fails when nobody takes output any more; the closed queue ends whoever reads.
        let _ = self.sender.pieces.send(piece);
        true
    }

    /// Waits for room in the queue for one read; `false` when nobody takes output any more.
    pub(crate) async fn ensure(&mut self) -> bool {
        let held = self
            .charge
            .as_ref()
            .map_or(0, |charge| charge.num_permits());
        let missing = u32::try_from(CHARGE_BYTES.saturating_sub(held)).unwrap_or(u32::MAX);
        let room = &self.sender.room;
        let more = match Arc::clone(room).try_acquire_many_owned(missing) {
            Ok(more) => more,
            Err(TryAcquireError::Closed) => return false,
            Err(TryAcquireError::NoPermits) => {
                let _waits = Waits::begin(&self.sender);
                match Arc::clone(room).acquire_many_owned(missing).await {
                    Ok(more) => more,
                    Err(_) => return false,
                }
            }
        };
        match &mut self.charge {
            Some(charge) => charge.merge(more),
            None => self.charge = Some(more),
        }
        true
    }
}

/// Counted as one who waits for room, also when the wait is given up.
struct Waits<'s>(&'s OutputSender);

impl<'s> Waits<'s> {
    fn begin(sender: &'s OutputSender) -> Self {
        sender.update(|activity| activity.waiting_pumps += 1);
        Self(sender)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.0.update(|activity| {
            activity.waiting_pumps -= 1;
            activity.last_output = now;
        });
    }
}
