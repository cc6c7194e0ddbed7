//! Events for whoever listens over HTTP.
//!
//! One task hears the bus and numbers what happened (`recent`). What somebody listens to it reads at once, for everybody; the rest
//! is read when somebody comes back and asks for what he has missed. Clients follow at their own pace: one that cannot keep up
//! misses messages and is told how many; nobody waits for it. `/ws` and `/sse` are Buildbot's, `/live` is for our pages.

mod client;
mod hub;
mod live;
mod messages;
mod pattern;
mod recent;
mod sse;
mod ws;

use std::sync::{Arc, Weak};

use axum::Router;
use toolpost_bus::{Bus, Signal, Subscription};
use toolpost_core::Event;
use toolpost_store::Store;

use crate::auth::Pass;
use crate::state::Web;
use client::{Client, Heard, Listened};
use hub::{Hub, News, Refused};
use messages::{Teller, Told};
use pattern::{PATTERNS_PER_CLIENT_MAX, Pattern};
use recent::Since;

/// Events that are looked at together, so that repetitions among them are read once.
const BATCH_EVENTS_MAX: usize = 256;

/// The clients and the task that serves them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Broadcaster(Arc<Hub>);

/// What a client asks for in the query string.
#[derive(Default)]
struct Asked {
    /// After which event: its number, or `now`.
    since: Option<String>,
    /// What it listens to from the beginning.
    paths: Vec<String>,
}

impl Asked {
    fn parse(query: Option<&str>) -> Self {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "since" => asked.since = Some(value.into_owned()),
                "path" => asked.paths.push(value.into_owned()),
                _ => {}
            }
        }
        asked
    }
}

impl Broadcaster {
    /// Starts the task; it ends with the bus.
    pub(crate) fn start(bus: &Bus, store: Store, clients_max: usize) -> Self {
        let hub = Arc::new(Hub::new(store, clients_max));
        tokio::spawn(serve(bus.subscribe(), Arc::downgrade(&hub)));
        Self(hub)
    }

    /// Takes a client that listens to these patterns. When it is not known any more what followed the place that it names, it is
    /// told that first, and then what is new.
    pub(crate) fn listen(
        &self,
        patterns: Vec<Pattern>,
        since: Since<'_>,
        pass: Pass,
    ) -> Result<Client, Refused> {
        if patterns.len() > PATTERNS_PER_CLIENT_MAX {
            return Err(Refused::TooManyPatterns);
        }
        let news = self.0.news.subscribe();
        let (known, end) = {
            let recent = self.0.recent();
            (recent.place(since), recent.end())
        };
        let from = known.unwrap_or(end);
        let too_old = known.is_none();
        let patterns = patterns
            .into_iter()
            .map(|pattern| Listened::new(pattern, from))
            .collect();
        let id: Arc<str> = uuid().into();
        let mut clients = self.0.clients();
        if clients.ended {
            return Err(Refused::Ended);
        }
        if clients.by_id.len() >= self.0.clients_max {
            return Err(Refused::Full);
        }
        clients.by_id.insert(id.clone(), Arc::new(patterns));
        clients.gather_shapes();
        drop(clients);
        Ok(Client::new(id, self.0.clone(), news, from, too_old, pass))
    }

    /// Lets a client listen to one more pattern, from now on.
    pub(crate) fn add(&self, client: &str, pattern: Pattern) -> Result<(), Refused> {
        self.0.change(client, |patterns| {
            // Now, and not a moment ago: what was added in between has woken nobody for this pattern.
            let end = self.0.recent().end();
            if patterns.iter().any(|listened| listened.pattern == pattern) {
                return Ok(());
            }
            if patterns.len() >= PATTERNS_PER_CLIENT_MAX {
                return Err(Refused::TooManyPatterns);
            }
            patterns.push(Listened::new(pattern, end));
            Ok(())
        })
    }

    /// Lets a client no longer listen to a pattern.
    pub(crate) fn remove(&self, client: &str, pattern: &Pattern) -> Result<(), Refused> {
        self.0.change(client, |patterns| {
            let before = patterns.len();
            patterns.retain(|listened| listened.pattern != *pattern);
            if patterns.len() < before {
                Ok(())
            } else {
                Err(Refused::NotListening)
            }
        })
    }
}

/// Hears the bus until it ends, or until the web server is gone.
async fn serve(mut subscription: Subscription, hub: Weak<Hub>) {
    let mut teller = Teller::default();
    while let Some(first) = subscription.recv().await {
        let Some(hub) = hub.upgrade() else {
            return;
        };
        let (events, lost) = batch(&mut subscription, first);
        let mut told = Vec::with_capacity(events.len());
        if lost > 0 {
            told.push(Told::Lost(lost));
        }
        let count = events.len() as u64;
        match teller.tell(&hub.store, events).await {
            Ok(tells) => told.extend(tells),
            Err(error) => {
                error.log("event stream");
                told.push(Told::Lost(count));
            }
        }
        for told in told {
            let wanted = hub.clients().want(messages::shapes(&told));
            // A message that cannot be read now is read again for each who wants it.
            let message = if wanted { hub.read(&told).await } else { None };
            hub.add(told, message);
        }
    }
    if let Some(hub) = hub.upgrade() {
        hub.clients().ended = true;
        hub.news.send_replace(News::Ended);
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
    sse::routes().merge(ws::routes()).merge(live::routes())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use toolpost_core::{BuildId, BuilderId, LogId, StepId};
    use toolpost_store::StoreOptions;

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
    async fn who_begins_to_listen_while_an_event_is_added_is_woken_for_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", dir.path().join("farm.db").display());
        let store = Store::open(StoreOptions::new(url, dir.path().join("objects")));
        let hub = Arc::new(Hub::new(store.await.expect("a store"), 8));
        let told = Told::Row(Event::BuildStarted(BuildId(1), BuilderId(1)), "new");
        // Nobody wants it when it happens, so it is not read.
        assert!(!hub.clients().want(messages::shapes(&told)));
        let pattern = Pattern::parse("builds/*/*").expect("a pattern");
        let client =
            Broadcaster(hub.clone()).listen(vec![pattern], Since::Now, Pass::to_everything());
        let mut client = client.expect("there is room");
        let mut hears = std::pin::pin!(client.hear());
        assert!(futures::poll!(hears.as_mut()).is_pending());
        let message = messages::Message {
            whose: messages::Whose::Farm,
            keys: vec!["builds/1/new".into()],
            body: "{}".into(),
        };
        hub.add(told, Some(Arc::new(message)));
        let heard = hears.now_or_never();
        assert!(
            matches!(heard, Some(Heard::Event(_))),
            "at once, and not with the next event"
        );
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
