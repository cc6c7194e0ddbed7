//! The channel: many publishers, many subscribers, bounded, nobody waits.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use toolpost_core::Event;

use crate::topic::{Published, Topic};

/// How many events a subscriber may fall behind before it hears [`Signal::Lagged`] instead. They take
/// less than 2 MiB in all, shared by every subscriber.
pub const BUS_CAPACITY_EVENTS: usize = 16 * 1024;

/// Hands events to every subscriber. Cheap to clone; all clones are the same bus.
#[derive(Debug, Clone)]
pub struct Bus {
    /// `None` once the bus is closed: the channel ends when its only sender is gone.
    sender: Arc<RwLock<Option<broadcast::Sender<Event>>>>,
    published: Arc<Published>,
}

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Something happened.
    Event(Event),
    /// This many events were missed because the subscriber was too slow: anything may have changed,
    /// so read the store again.
    Lagged(u64),
}

/// One reader of the bus, from the moment it subscribed. Dropping it is enough to leave.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Event>,
}

impl Bus {
    /// A bus on which a subscriber may fall `capacity_events` behind (rounded up to a power of two,
    /// at least one).
    #[must_use]
    pub fn new(capacity_events: usize) -> Self {
        let sender = broadcast::Sender::new(capacity_events.max(1));
        Self {
            sender: Arc::new(RwLock::new(Some(sender))),
            published: Arc::default(),
        }
    }

    /// Hands the events to every subscriber, in this order. Never waits; without subscribers, or on
    /// a closed bus, the events are gone.
    pub fn publish(&self, events: &[Event]) {
        self.published.count(events);
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sender.as_ref() else {
            return;
        };
        if sender.receiver_count() == 0 {
            return;
        }
        for event in events {
            // Fails only when the last subscriber left a moment ago, which is no failure.
            let _ = sender.send(event.clone());
        }
    }

    /// How many events of a topic were published so far. Equal numbers mean that nothing of it happened in
    /// between in this process; the number grows before [`Self::publish`] returns.
    #[must_use]
    pub fn published(&self, topic: Topic) -> u64 {
        self.published.of(topic)
    }

    /// Hears every event that is published from now on. On a closed bus the subscription is at its
    /// end already.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let receiver = match sender.as_ref() {
            Some(sender) => sender.subscribe(),
            None => broadcast::channel(1).1,
        };
        Subscription { receiver }
    }

    /// How many subscriptions are open.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    /// Ends the bus: subscribers hear what was published before, then the end.
    pub fn close(&self) {
        let mut sender = self.sender.write().unwrap_or_else(PoisonError::into_inner);
        *sender = None;
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new(BUS_CAPACITY_EVENTS)
    }
}

impl Subscription {
    /// Waits for the next signal; `None` when the bus is closed (or its last clone dropped) and
    /// everything before that was heard. Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Signal> {
        match self.receiver.recv().await {
            Ok(event) => Some(Signal::Event(event)),
            Err(RecvError::Lagged(missed)) => Some(Signal::Lagged(missed)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next signal if there is one at once. `None` says nothing about whether the bus is closed.
    pub fn try_recv(&mut self) -> Option<Signal> {
        match self.receiver.try_recv() {
            Ok(event) => Some(Signal::Event(event)),
            Err(TryRecvError::Lagged(missed)) => Some(Signal::Lagged(missed)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}
