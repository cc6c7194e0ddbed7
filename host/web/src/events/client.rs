//! A client of the event streams, and where it is among the recent events.
//!
//! It reads them at its own pace, so nobody waits for it, and an event that it heard is never given again: each pattern knows up to
//! which place it was told.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::hub::{Hub, News, Refused};
use super::messages::{Message, Told, Whose, shapes};
use super::pattern::{PATTERNS_PER_CLIENT_MAX, Pattern};
use super::recent::{Item, Place, Since};
use crate::auth::{Pass, Sight};

/// Entries that are looked at in one go.
const LOOK_AT_MAX: usize = 1_024;

/// A pattern, and which of what it means is still to be told.
#[derive(Debug, Clone)]
pub(super) struct Listened {
    pub(super) pattern: Pattern,
    /// What came before is not wanted.
    from: Place,
    /// Between `from` and here everything was told.
    told: Place,
}

impl Listened {
    pub(super) fn new(pattern: Pattern, from: Place) -> Self {
        Self {
            pattern,
            from,
            told: from,
        }
    }

    fn wants(&self, key: &str, place: Place) -> bool {
        place > self.told && self.pattern.matches(key)
    }

    fn has_told(&self, key: &str, place: Place) -> bool {
        self.from < place && place <= self.told && self.pattern.matches(key)
    }
}

/// A client; it is forgotten when this is dropped.
pub(crate) struct Client {
    id: Arc<str>,
    hub: Arc<Hub>,
    news: watch::Receiver<News>,
    /// The entry to look at next.
    next: u64,
    /// What was looked at and may be wanted.
    waiting: VecDeque<Item>,
    /// Whether it has to be told first that what it asked for is not known.
    too_old: bool,
    pass: Pass,
    /// What it may hear of, as of the last look.
    sight: Sight,
    /// Whether it may hear of the entry that it is at.
    judged: Option<(u64, bool)>,
}

/// An event that a client listens to.
pub(super) struct Event {
    entry: u64,
    message: Arc<Message>,
    /// Which of the message's keys it listens to.
    keys: Vec<usize>,
}

impl Event {
    /// The keys that are listened to with their numbers, and the row as JSON.
    pub(super) fn messages<'a>(
        &'a self,
        client: &'a Client,
    ) -> impl Iterator<Item = (&'a str, String, &'a [u8])> {
        self.keys.iter().map(move |key| {
            let number = client.number(Place::of(self.entry, *key));
            (
                self.message.keys[*key].as_str(),
                number,
                &self.message.body[..],
            )
        })
    }

    /// The keys that are listened to.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| self.message.keys[*key].as_str())
    }
}

/// What a client hears next.
pub(super) enum Heard {
    /// An event that it listens to.
    Event(Event),
    /// What followed the place that it named is not known; what is new follows.
    TooOld,
    /// So many events were missed, wanted or not.
    Missed(u64),
    /// Nothing will follow.
    End,
    /// Whoever listens may not do so any more.
    Refused,
}

impl Client {
    pub(super) fn new(
        id: Arc<str>,
        hub: Arc<Hub>,
        news: watch::Receiver<News>,
        from: Place,
        too_old: bool,
        pass: Pass,
    ) -> Self {
        Self {
            id,
            hub,
            news,
            next: from.next_entry(),
            waiting: VecDeque::new(),
            too_old,
            sight: pass.first_sight(),
            pass,
            judged: None,
        }
    }

    /// What it is called in requests that add and remove patterns.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    fn number(&self, place: Place) -> String {
        self.hub.recent().number(place)
    }

    /// Where it is: everything before was heard or is not wanted.
    fn place(&self) -> Place {
        let next = self.waiting.front().map_or(self.next, |item| item.entry);
        Place::behind(next.saturating_sub(1))
    }

    /// The number of the place where it is.
    pub(super) fn here(&self) -> String {
        self.number(self.place())
    }

    /// The same, unless it has to be told first that what it asked for is not known.
    pub(super) fn here_if_known(&self) -> Option<String> {
        (!self.too_old).then(|| self.here())
    }

    /// Listens to one more pattern, from a place on; gives the number of that place. What was heard already is not heard again,
    /// whatever it was heard for.
    pub(super) fn add(&mut self, pattern: &Pattern, since: Since<'_>) -> Result<String, Refused> {
        let from = self.hub.recent().place(since).ok_or(Refused::TooOld)?;
        let here = self.place();
        let mut goes_back = from < here;
        self.hub.change(&self.id, |patterns| {
            if patterns.iter().any(|listened| listened.pattern == *pattern) {
                goes_back = false;
                return Ok(());
            }
            if patterns.len() >= PATTERNS_PER_CLIENT_MAX {
                return Err(Refused::TooManyPatterns);
            }
            for listened in patterns.iter_mut() {
                listened.told = listened.told.max(here);
            }
            patterns.push(Listened::new(pattern.clone(), from));
            Ok(())
        })?;
        if goes_back {
            self.waiting.clear();
            self.next = from.next_entry();
        }
        Ok(self.number(from))
    }

    /// No longer listens to a pattern.
    pub(super) fn remove(&self, pattern: &Pattern) -> Result<(), Refused> {
        super::Broadcaster(self.hub.clone()).remove(&self.id, pattern)
    }

    /// What happens next that it listens to. Nothing is lost when the future is dropped.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            // Before the look, so that what comes after it is noticed.
            let ended = *self.news.borrow_and_update() == News::Ended;
            match self.pass.sight().await {
                Ok(sight) => self.sight = sight,
                Err(error) => {
                    error.log("event stream");
                    return Heard::Refused;
                }
            }
            if let Some(heard) = self.ready() {
                return heard;
            }
            if let Some(item) = self.waiting.front() {
                if let Some(message) = &item.message {
                    let (entry, whose) = (item.entry, message.whose);
                    let builders = self.hub.builders_of(whose).await;
                    let seen = builders.iter().any(|builder| self.sight.sees(*builder));
                    self.judged = Some((entry, seen));
                    continue;
                }
                let message = self.hub.message(item).await;
                match (message, self.waiting.front_mut()) {
                    (Some(message), Some(item)) => item.message = Some(message),
                    _ => {
                        self.waiting.pop_front();
                        return Heard::Missed(1);
                    }
                }
            } else if ended || self.news.changed().await.is_err() {
                return Heard::End;
            }
        }
    }

    /// What happens next, if it is known already and nothing has to be read for it.
    pub(super) fn ready(&mut self) -> Option<Heard> {
        if std::mem::take(&mut self.too_old) {
            return Some(Heard::TooOld);
        }
        loop {
            let Some(item) = self.waiting.front() else {
                match self.look() {
                    Look::Missed(count) => return Some(Heard::Missed(count)),
                    Look::Further => continue,
                    Look::AtEnd => return None,
                }
            };
            let entry = item.entry;
            if let Told::Lost(count) = item.told {
                self.waiting.pop_front();
                return Some(Heard::Missed(count));
            }
            let message = item.message.clone()?;
            let keys = self.wanted(entry, &message);
            let is_heard = !keys.is_empty() && self.may_hear(entry, message.whose)?;
            self.waiting.pop_front();
            if is_heard {
                return Some(Heard::Event(Event {
                    entry,
                    message,
                    keys,
                }));
            }
        }
    }

    /// Whether it may hear of an entry; `None` when that has to be found out first.
    fn may_hear(&self, entry: u64, whose: Whose) -> Option<bool> {
        match whose {
            _ if self.sight.is_all() => Some(true),
            Whose::Farm => Some(true),
            Whose::Whole => Some(false),
            Whose::Builder(builder) => Some(self.sight.sees(builder)),
            Whose::Build(_) | Whose::Step(_) | Whose::Buildset(_) => {
                let judged = self.judged.filter(|(of, _)| *of == entry);
                judged.map(|(_, seen)| seen)
            }
        }
    }

    /// Looks further, and notes what may be wanted.
    fn look(&mut self) -> Look {
        let listened = self.hub.listened(&self.id);
        let shapes_wanted: Vec<_> = listened.iter().map(|l| l.pattern.shape()).collect();
        let wanted = |told: &Told| {
            let fits = |(root, len): &(&str, usize)| {
                let mut shapes_wanted = shapes_wanted.iter();
                shapes_wanted.any(|shape| shape.1 == *len && (shape.0 == "*" || shape.0 == *root))
            };
            matches!(told, Told::Lost(_)) || shapes(told).iter().any(fits)
        };
        let (items, next, missed) = self.hub.recent().look(self.next, LOOK_AT_MAX, wanted);
        // A pattern that was added meanwhile may want what was just passed over.
        if !Arc::ptr_eq(&listened, &self.hub.listened(&self.id)) {
            return Look::Further;
        }
        let further = next != self.next;
        self.next = next;
        self.waiting.extend(items);
        match (missed, further) {
            (0, true) => Look::Further,
            (0, false) => Look::AtEnd,
            (missed, _) => Look::Missed(missed),
        }
    }

    /// Which keys of a message are still to be told.
    fn wanted(&self, entry: u64, message: &Message) -> Vec<usize> {
        let listened = self.hub.listened(&self.id);
        let is_due = |index: usize, key: &str| {
            let place = Place::of(entry, index);
            listened.iter().any(|listened| listened.wants(key, place))
                && !listened
                    .iter()
                    .any(|listened| listened.has_told(key, place))
        };
        let keys = message.keys.iter().enumerate();
        keys.filter(|(index, key)| is_due(*index, key))
            .map(|(index, _)| index)
            .collect()
    }
}

enum Look {
    Missed(u64),
    Further,
    AtEnd,
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut clients = self.hub.clients();
        clients.by_id.remove(&self.id);
        clients.gather_shapes();
    }
}
