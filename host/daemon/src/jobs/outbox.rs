//! What a command has said and the master has not taken yet, in order and numbered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use toolpost_wire::Update;

use super::Abandoned;

/// What one command may have said before it has to wait, in bytes. One record more than that fits.
const OUTBOX_BYTES_MAX: usize = 256 * 1024;
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

/// The queue between a job, which puts records in, and a session, which sends them and takes out what was answered.
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// Something was taken out.
    room: Notify,
    /// Something was put in.
    wake: Arc<Notify>,
    closed: CancellationToken,
}

#[derive(Default)]
struct Queue {
    /// Number of the first record.
    first: u64,
    records: VecDeque<Record>,
    bytes: usize,
}

impl Outbox {
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self {
            queue: Mutex::default(),
            room: Notify::new(),
            wake,
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
            let room = self.room.notified();
            if self.closed.is_cancelled() {
                return Err(Abandoned);
            }
            {
                let mut queue = self.queue();
                if queue.bytes < OUTBOX_BYTES_MAX
                    && let Some(record) = record.take()
                {
                    queue.bytes += record.bytes();
                    queue.records.push_back(record);
                }
            }
            if record.is_none() {
                self.wake.notify_one();
                return Ok(());
            }
            tokio::select! {
                () = room => {}
                () = self.closed.cancelled() => {}
            }
        }
    }

    /// The record with this number, if there is one.
    pub(crate) fn get(&self, number: u64) -> Option<Record> {
        let queue = self.queue();
        let place = usize::try_from(number.checked_sub(queue.first)?).ok()?;
        queue.records.get(place).cloned()
    }

    /// The master has everything up to the record with this number.
    pub(crate) fn taken(&self, number: u64) {
        let mut queue = self.queue();
        while queue.first <= number
            && let Some(record) = queue.records.pop_front()
        {
            queue.first += 1;
            queue.bytes -= record.bytes();
        }
        drop(queue);
        self.room.notify_one();
    }

    /// Nobody waits for the command any more.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Waits until nobody does.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
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

    fn record(bytes: usize) -> Record {
        Record::Updates(vec![Update::Stdout(said(vec![b'x'; bytes]))])
    }

    #[tokio::test]
    async fn who_says_too_much_waits_until_something_is_taken() {
        let outbox = Outbox::new(Arc::default());
        outbox.push(record(OUTBOX_BYTES_MAX)).await.unwrap();
        let mut waiting = Box::pin(outbox.push(record(1)));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        assert!(outbox.get(1).is_none());
        outbox.taken(0);
        waiting.await.unwrap();
        assert!(outbox.get(0).is_none() && outbox.get(1).is_some());
        outbox.push(record(OUTBOX_BYTES_MAX)).await.unwrap();
        let mut waiting = Box::pin(outbox.push(record(1)));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        outbox.close();
        assert_eq!(waiting.await, Err(Abandoned));
    }
}
