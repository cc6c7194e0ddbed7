//! Events for whoever listens over HTTP.
//!
//! One task hears the bus, reads the row of each event once for everybody, and hands the finished message to all
//! clients through a bounded channel. A client that cannot keep up misses messages and is told how many; nobody waits
//! for it. Without a listener for a kind of thing nothing is read.

mod live;
mod messages;
mod pattern;
mod sse;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use tokio::sync::broadcast;
use toolpost_bus::{Bus, Signal, Subscription};
use toolpost_core::Event;
use toolpost_store::Store;

use crate::state::Web;
use messages::{Keyed, Reader};
use pattern::{PATTERNS_PER_CLIENT_MAX, Pattern};

/// Messages that a client may fall behind before it misses some.
const BEHIND_MESSAGES_MAX: usize = 4_096;

/// Events that are looked at together, so that repetitions among them are read once.
const BATCH_EVENTS_MAX: usize = 256;

/// What clients get.
#[derive(Debug)]
enum Message {
    /// An event under each of its keys.
    Event(Vec<Keyed>),
    /// This many events were lost on the bus: anything may have changed.
    Lost(u64),
    /// The bus was closed: nothing will follow.
    End,
}

/// The clients and the task that serves them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Broadcaster {
    sender: broadcast::Sender<Arc<Message>>,
    clients: Arc<Clients>,
}

/// Who listens to what.
struct Clients {
    clients_max: usize,
    by_id: Mutex<ById>,
}

#[derive(Default)]
struct ById {
    /// Whether the bus was closed.
    ended: bool,
    patterns: HashMap<Arc<str>, Vec<Pattern>>,
    /// The first segments of all patterns; made again when one comes or goes.
    roots: HashSet<String>,
}

impl ById {
    fn gather_roots(&mut self) {
        let roots = self
            .patterns
            .values()
            .flatten()
            .map(|pattern| pattern.root().to_owned());
        self.roots = roots.collect();
    }
}

/// A client; it is forgotten when this is dropped.
pub(crate) struct Client {
    id: Arc<str>,
    clients: Arc<Clients>,
    receiver: broadcast::Receiver<Arc<Message>>,
}

/// Why a client was not taken, or not allowed to listen to more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are as many clients as are allowed.
    Full,
    /// The master is stopping.
    Ended,
    /// No client has this id.
    UnknownClient,
    /// It listens to as much as is allowed.
    TooManyPatterns,
    /// It does not listen to that.
    NotListening,
}

/// What a client hears next.
enum Heard {
    /// A [`Message::Event`].
    Event(Arc<Message>),
    /// So many messages were missed.
    Missed(u64),
    /// Nothing will follow.
    End,
}

impl Broadcaster {
    /// Starts the task; it ends with the bus.
    pub(crate) fn start(bus: &Bus, store: Store, clients_max: usize) -> Self {
        let broadcaster = Self {
            sender: broadcast::Sender::new(BEHIND_MESSAGES_MAX),
            clients: Arc::new(Clients {
                clients_max,
                by_id: Mutex::default(),
            }),
        };
        tokio::spawn(serve(
            bus.subscribe(),
            store,
            broadcaster.sender.downgrade(),
            broadcaster.clients.clone(),
        ));
        broadcaster
    }

    /// Takes a client that listens to these patterns.
    pub(crate) fn listen(&self, patterns: Vec<Pattern>) -> Result<Client, Refused> {
        if patterns.len() > PATTERNS_PER_CLIENT_MAX {
            return Err(Refused::TooManyPatterns);
        }
        let receiver = self.sender.subscribe();
        let id: Arc<str> = uuid().into();
        let mut by_id = self.clients.lock();
        if by_id.ended {
            return Err(Refused::Ended);
        }
        if by_id.patterns.len() >= self.clients.clients_max {
            return Err(Refused::Full);
        }
        by_id.patterns.insert(id.clone(), patterns);
        by_id.gather_roots();
        drop(by_id);
        Ok(Client {
            id,
            clients: self.clients.clone(),
            receiver,
        })
    }

    /// Lets a client listen to one more pattern.
    pub(crate) fn add(&self, client: &str, pattern: Pattern) -> Result<(), Refused> {
        let mut by_id = self.clients.lock();
        let patterns = by_id
            .patterns
            .get_mut(client)
            .ok_or(Refused::UnknownClient)?;
        if patterns.len() >= PATTERNS_PER_CLIENT_MAX {
            return Err(Refused::TooManyPatterns);
        }
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
        by_id.gather_roots();
        Ok(())
    }

    /// Lets a client no longer listen to a pattern.
    pub(crate) fn remove(&self, client: &str, pattern: &Pattern) -> Result<(), Refused> {
        let mut by_id = self.clients.lock();
        let patterns = by_id
            .patterns
            .get_mut(client)
            .ok_or(Refused::UnknownClient)?;
        let before = patterns.len();
        patterns.retain(|listened| listened != pattern);
        let removed = patterns.len() < before;
        by_id.gather_roots();
        if removed {
            Ok(())
        } else {
            Err(Refused::NotListening)
        }
    }
}

impl Clients {
    fn lock(&self) -> std::sync::MutexGuard<'_, ById> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody listens to things of these kinds.
    fn want(&self, roots: &[&str]) -> bool {
        let by_id = self.lock();
        by_id.roots.contains("*") || roots.iter().any(|root| by_id.roots.contains(*root))
    }
}

impl Client {
    /// What it is called in requests that add and remove patterns.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The next message, whether it listens to it or not.
    async fn hear(&mut self) -> Heard {
        match self.receiver.recv().await {
            Ok(message) => match &*message {
                Message::End => Heard::End,
                Message::Lost(lost) => Heard::Missed(*lost),
                Message::Event(_) => Heard::Event(message),
            },
            Err(broadcast::error::RecvError::Lagged(missed)) => Heard::Missed(missed),
            Err(broadcast::error::RecvError::Closed) => Heard::End,
        }
    }

    /// Which of these it listens to.
    fn wanted<'a>(&self, message: &'a Message) -> Vec<&'a Keyed> {
        let Message::Event(keyed) = message else {
            return Vec::new();
        };
        let by_id = self.clients.lock();
        let Some(patterns) = by_id.patterns.get(&self.id) else {
            return Vec::new();
        };
        keyed
            .iter()
            .filter(|keyed| patterns.iter().any(|pattern| pattern.matches(&keyed.key)))
            .collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut by_id = self.clients.lock();
        by_id.patterns.remove(&self.id);
        by_id.gather_roots();
    }
}

/// Hears the bus until it ends, or until the web server is gone.
async fn serve(
    mut subscription: Subscription,
    store: Store,
    sender: broadcast::WeakSender<Arc<Message>>,
    clients: Arc<Clients>,
) {
    let mut reader = Reader::default();
    while let Some(first) = subscription.recv().await {
        let Some(sender) = sender.upgrade() else {
            return;
        };
        let (events, lost) = batch(&mut subscription, first);
        // Sending fails only when nobody listens, which is no failure.
        if lost > 0 {
            let _ = sender.send(Arc::new(Message::Lost(lost)));
        }
        for event in events
            .iter()
            .filter(|event| clients.want(messages::roots(event)))
        {
            match reader.read(&store, event).await {
                Ok(keyed) if keyed.is_empty() => {}
                Ok(keyed) => {
                    let _ = sender.send(Arc::new(Message::Event(keyed)));
                }
                Err(error) => {
                    error.log("event stream");
                    let _ = sender.send(Arc::new(Message::Lost(1)));
                }
            }
        }
    }
    clients.lock().ended = true;
    if let Some(sender) = sender.upgrade() {
        let _ = sender.send(Arc::new(Message::End));
    }
}

/// What is on the bus right now, without events that a later one of the batch repeats; and how many were lost.
fn batch(subscription: &mut Subscription, first: Signal) -> (Vec<Event>, u64) {
    let mut events = Vec::new();
    let mut lost = 0;
    let mut next = Some(first);
    while let Some(signal) = next {
        match signal {
            Signal::Event(event) => events.push(event),
            Signal::Lagged(missed) => lost += missed,
        }
        next = (events.len() < BATCH_EVENTS_MAX)
            .then(|| subscription.try_recv())
            .flatten();
    }
    let mut kept: Vec<Event> = Vec::with_capacity(events.len());
    for event in events.into_iter().rev() {
        if !(messages::is_repeatable(&event) && kept.contains(&event)) {
            kept.push(event);
        }
    }
    kept.reverse();
    (kept, lost)
}

/// A random id in the form of RFC 9562, version 4. Who does not know it cannot change what its client listens to.
fn uuid() -> String {
    let random: u128 = rand::random();
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// The event streams.
pub(crate) fn routes() -> Router<Web> {
    sse::routes().merge(live::routes())
}

#[cfg(test)]
mod tests {
    use toolpost_core::{BuildId, BuilderId, LogId, StepId};

    use super::*;

    #[test]
    fn ids_are_version_4() {
        let id = uuid();
        let shape: String = id
            .chars()
            .map(|c| if c.is_ascii_hexdigit() { 'x' } else { c })
            .collect();
        assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(id, uuid());
    }

    #[tokio::test]
    async fn repetitions_in_a_batch_are_read_once() {
        let bus = Bus::new(64);
        let mut subscription = bus.subscribe();
        let appended = Event::LogAppended(LogId(1), StepId(1));
        let started = Event::BuildStarted(BuildId(1), BuilderId(1));
        let finished = Event::LogFinished(LogId(1), StepId(1));
        bus.publish(&[
            appended.clone(),
            started.clone(),
            appended.clone(),
            Event::LogAppended(LogId(2), StepId(1)),
            appended.clone(),
            finished.clone(),
            started.clone(),
        ]);
        let first = subscription.recv().await.expect("the bus is open");
        let (events, lost) = batch(&mut subscription, first);
        assert_eq!(lost, 0);
        assert_eq!(
            events,
            [
                started.clone(),
                Event::LogAppended(LogId(2), StepId(1)),
                appended,
                finished,
                started,
            ]
        );
    }
}
