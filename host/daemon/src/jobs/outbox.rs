//! What a command has said and the master has not taken yet, in order and numbered: in memory, and on disk while there is no
//! connection.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;
use toolpost_wire::Update;

use super::Abandoned;
use super::spool::Spool;

/// What one command may have said before it has to wait, in bytes. One record more than that fits.
const MEMORY_BYTES_MAX: usize = 256 * 1024;
/// What a record costs beside its texts.
const RECORD_OVERHEAD_BYTES: usize = 128;

/// One message about a command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// Something became known.
    Updates(Vec<Update>),
    /// The last word.
    Complete(Option<String>),
}

/// What all outboxes of a worker have in common.
pub(crate) struct Depot {
    /// Where they keep on disk what does not fit into memory.
    pub(crate) dir: PathBuf,
    /// What they may keep there together, in bytes.
    pub(crate) disk_bytes_max: u64,
    /// What they keep there.
    disk_bytes: AtomicU64,
    /// There is no connection, and there may be one again.
    away: AtomicBool,
    /// Something was put in.
    pub(crate) wake: Notify,
    /// There may be room, or another place for what has none.
    room: Notify,
}

/// The queue between a job, which puts records in, and a session, which sends them and takes out what was answered.
pub(crate) struct Outbox {
    depot: Arc<Depot>,
    queue: Mutex<Queue>,
    closed: CancellationToken,
}

/// Records in memory, and behind them those on disk.
#[derive(Default)]
struct Queue {
    /// Number of the first record.
    first: u64,
    records: VecDeque<Record>,
    bytes: usize,
    spool: Option<Spool>,
}

impl Depot {
    pub(crate) fn new(dir: PathBuf, disk_bytes_max: u64) -> Self {
        Self {
            dir,
            disk_bytes_max,
            disk_bytes: AtomicU64::new(0),
            away: AtomicBool::new(false),
            wake: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Whether there is no connection, and may be one again.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Release);
        self.room.notify_waiters();
    }

    /// Takes a share of the disk, if it is there.
    fn take(&self, bytes: u64) -> bool {
        let taken = self
            .disk_bytes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(bytes)
                    .filter(|sum| *sum <= self.disk_bytes_max)
            });
        taken.is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.disk_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Outbox {
    pub(super) fn new(depot: Arc<Depot>) -> Self {
        Self {
            depot,
            queue: Mutex::default(),
            closed: CancellationToken::new(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record in as soon as there is room.
    pub(super) async fn push(&self, record: Record) -> Result<(), Abandoned> {
        let mut record = Some(record);
        loop {
            let room = self.depot.room.notified();
            tokio::pin!(room);
            // From here on no notification is missed.
            room.as_mut().enable();
            if self.closed.is_cancelled() {
                return Err(Abandoned);
            }
            record = record.and_then(|record| self.put(record));
            if record.is_none() {
                self.depot.wake.notify_one();
                return Ok(());
            }
            tokio::select! {
                () = room => {}
                () = self.closed.cancelled() => {}
            }
        }
    }

    /// Puts a record in, or gives it back.
    fn put(&self, record: Record) -> Option<Record> {
        let mut queue = self.queue();
        if queue.spool.is_none() && queue.bytes < MEMORY_BYTES_MAX {
            queue.bytes += record.bytes();
            queue.records.push_back(record);
            return None;
        }
        if !self.depot.away.load(Ordering::Acquire) {
            // Who is connected and slow slows the command down.
            return Some(record);
        }
        block_in_place(|| self.put_on_disk(&mut queue, record))
    }

    fn put_on_disk(&self, queue: &mut Queue, record: Record) -> Option<Record> {
        let encoded = Spool::encode(&record);
        let bytes = encoded.len() as u64;
        if !self.depot.take(bytes) {
            return Some(record);
        }
        let written = match &mut queue.spool {
            Some(spool) => spool.put(&encoded),
            None => Spool::new(&self.depot.dir).and_then(|mut spool| {
                spool.put(&encoded)?;
                queue.spool = Some(spool);
                Ok(())
            }),
        };
        match written {
            Ok(()) => None,
            Err(error) => {
                // The command waits as it would without a disk.
                tracing::warn!(
                    "output cannot be kept in {}: {error}",
                    self.depot.dir.display()
                );
                self.depot.give_back(bytes);
                Some(record)
            }
        }
    }

    /// The record with this number, if there is one and what is before it leaves room for it.
    pub(crate) fn get(&self, number: u64) -> Option<Record> {
        let mut queue = self.queue();
        let place = usize::try_from(number.checked_sub(queue.first)?).ok()?;
        if place >= queue.records.len() && queue.spool.is_some() {
            block_in_place(|| self.fetch(&mut queue));
        }
        queue.records.get(place).cloned()
    }

    /// Fills the memory from the disk.
    fn fetch(&self, queue: &mut Queue) {
        while queue.bytes < MEMORY_BYTES_MAX
            && let Some(spool) = &mut queue.spool
        {
            match spool.take_first() {
                Ok(Some(record)) => {
                    queue.bytes += record.bytes();
                    queue.records.push_back(record);
                }
                Ok(None) => {
                    self.depot.give_back(spool.bytes());
                    queue.spool = None;
                    self.depot.room.notify_waiters();
                }
                Err(error) => {
                    // Output that has a hole is worse than none: the session says so.
                    tracing::error!(
                        "output in {} cannot be read back: {error}",
                        self.depot.dir.display()
                    );
                    self.close();
                    return;
                }
            }
        }
    }

    /// The master has every record before the one with this number.
    pub(crate) fn taken(&self, number: u64) {
        let mut queue = self.queue();
        while queue.first < number
            && let Some(record) = queue.records.pop_front()
        {
            queue.first += 1;
            queue.bytes -= record.bytes();
        }
        drop(queue);
        self.depot.room.notify_waiters();
    }

    /// Nobody waits for the command any more.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Waits until nobody does.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Whether nobody does, or what it had to say is lost.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let spool = self.queue().spool.take();
        if let Some(spool) = spool {
            self.depot.give_back(spool.bytes());
            self.depot.room.notify_waiters();
        }
    }
}

impl Record {
    fn bytes(&self) -> usize {
        let Self::Updates(updates) = self else {
            return RECORD_OVERHEAD_BYTES;
        };
        let sizes = updates.iter().map(|update| match update {
            Update::Stdout(text) | Update::Stderr(text) | Update::Header(text) => text.bytes.len(),
            Update::Log { text, .. } => text.bytes.len(),
            Update::Files(files) => files.iter().map(|file| file.len() + 8).sum(),
            _ => 0,
        });
        sizes.sum::<usize>() + RECORD_OVERHEAD_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::super::said;
    use super::*;

    fn outbox(disk_bytes_max: u64) -> (tempfile::TempDir, Arc<Depot>, Outbox) {
        let dir = tempfile::tempdir().unwrap();
        let depot = Arc::new(Depot::new(dir.path().to_owned(), disk_bytes_max));
        let outbox = Outbox::new(Arc::clone(&depot));
        (dir, depot, outbox)
    }

    /// A record that can be told from others.
    fn record(number: usize, bytes: usize) -> Record {
        let mut text = number.to_string().into_bytes();
        text.resize(bytes, b'.');
        // No text, so that bytes have to stay bytes.
        text.extend(b"\xff\n");
        Record::Updates(vec![Update::Stdout(said(text)), Update::Rc(7)])
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_says_too_much_waits_until_something_is_taken() {
        let (_dir, _depot, outbox) = outbox(1 << 20);
        outbox.push(record(0, MEMORY_BYTES_MAX)).await.unwrap();
        let mut waiting = Box::pin(outbox.push(record(1, 1)));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        assert!(outbox.get(1).is_none());
        outbox.taken(1);
        waiting.await.unwrap();
        assert!(outbox.get(0).is_none() && outbox.get(1).is_some());
        outbox.push(record(2, MEMORY_BYTES_MAX)).await.unwrap();
        let mut waiting = Box::pin(outbox.push(record(3, 1)));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        outbox.close();
        assert_eq!(waiting.await, Err(Abandoned));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_said_without_a_connection_goes_to_disk_and_comes_back_in_order() {
        let (_dir, depot, outbox) = outbox(2 << 20);
        let records: Vec<Record> = (0..40).map(|number| record(number, 60_000)).collect();
        depot.set_away(true);
        let mut kept = 0;
        for record in &records {
            let mut pushing = Box::pin(outbox.push(record.clone()));
            if futures::poll!(pushing.as_mut()).is_pending() {
                break;
            }
            kept += 1;
        }
        // The disk is full: whoever says more waits, and goes on when somebody reads.
        assert!((30..40).contains(&kept), "{kept}");
        depot.set_away(false);
        let mut read = 0;
        let reading = async {
            while read < records.len() {
                while let Some(record) = outbox.get(read as u64) {
                    assert_eq!(record, records[read], "{read}");
                    read += 1;
                    outbox.taken(read as u64);
                }
                tokio::task::yield_now().await;
            }
        };
        let writing = async {
            for record in &records[kept..] {
                outbox.push(record.clone()).await.unwrap();
            }
        };
        tokio::join!(reading, writing);
        assert_eq!(depot.disk_bytes.load(Ordering::Acquire), 0);
    }
}
