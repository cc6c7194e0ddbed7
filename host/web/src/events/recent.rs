//! What happened lately, numbered: whoever was away for a while hears the rest of it.
//!
//! In memory, so the numbers of one run of the master say nothing in another; the run's name is part of each. An entry has ids
//! only, as events do. Its message is kept as well once somebody has made it, while there is room. Waits for nothing.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::messages::{Message, Told};

/// Entries that are kept. They take some 8 MiB, and last for minutes on a busy farm.
const RECENT_EVENTS_MAX: usize = 128 * 1024;

/// Messages that are kept with them, bytes. Older ones are made again when somebody asks.
const RECENT_MESSAGES_BYTES_MAX: usize = 32 << 20;

/// Keys that an event is told under, at most: each is a message with a number of its own.
pub(super) const KEYS_PER_EVENT_MAX: u64 = 4;

/// A place between messages: everything up to it was told. A client says it to hear what followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

impl Place {
    /// Behind the message of an entry under one of its keys.
    pub(super) fn of(entry: u64, key: usize) -> Self {
        let last = KEYS_PER_EVENT_MAX - 1;
        Self(entry * KEYS_PER_EVENT_MAX + u64::try_from(key).map_or(last, |key| key.min(last)))
    }

    /// Behind all messages of an entry.
    pub(super) fn behind(entry: u64) -> Self {
        Self::of(entry, usize::MAX)
    }

    /// The first entry of which not every message lies before this place.
    pub(super) fn next_entry(self) -> u64 {
        (self.0 + 1) / KEYS_PER_EVENT_MAX
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a client wants to hear: what follows a place, or only what is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since<'a> {
    Now,
    Number(&'a str),
}

impl<'a> Since<'a> {
    /// `now`, or a number as it came with a message.
    pub(super) fn parse(text: &'a str) -> Self {
        if text == "now" {
            Self::Now
        } else {
            Self::Number(text)
        }
    }
}

/// An entry, as it is looked at outside of the lock.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) entry: u64,
    pub(super) told: Told,
    pub(super) message: Option<Arc<Message>>,
}

struct Entry {
    told: Told,
    message: Option<Arc<Message>>,
}

/// The entries that are kept.
pub(super) struct Recent {
    /// Tells the numbers of this run of the master from those of others.
    run: String,
    /// The number of the oldest entry that is kept; the first of all has 1.
    first: u64,
    entries: VecDeque<Entry>,
    /// No entry before this one has a message.
    messages_from: u64,
    message_bytes: usize,
}

impl Recent {
    pub(super) fn new(run: String) -> Self {
        Self {
            run,
            first: 1,
            entries: VecDeque::new(),
            messages_from: 1,
            message_bytes: 0,
        }
    }

    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The place behind everything.
    pub(super) fn end(&self) -> Place {
        Place::behind(self.next() - 1)
    }

    /// How a place is written for clients.
    pub(super) fn number(&self, place: Place) -> String {
        format!("{}-{place}", self.run)
    }

    /// The place that a client names; `None` when what followed it is not kept (any more).
    pub(super) fn place(&self, since: Since<'_>) -> Option<Place> {
        let Since::Number(text) = since else {
            return Some(self.end());
        };
        let (run, number) = text.rsplit_once('-')?;
        let place = Place(number.parse().ok()?);
        let kept = run == self.run && place <= self.end() && place.next_entry() >= self.first;
        kept.then_some(place)
    }

    /// Adds an entry, and gives its number.
    pub(super) fn push(&mut self, told: Told, message: Option<Arc<Message>>) -> u64 {
        if self.entries.len() >= RECENT_EVENTS_MAX {
            self.drop_first();
        }
        let number = self.next();
        self.entries.push_back(Entry {
            told,
            message: None,
        });
        if let Some(message) = message {
            self.keep(number, message);
        }
        number
    }

    fn drop_first(&mut self) {
        let Some(dropped) = self.entries.pop_front() else {
            return;
        };
        let bytes = dropped.message.map_or(0, |message| message.bytes());
        self.message_bytes -= bytes;
        self.first += 1;
        self.messages_from = self.messages_from.max(self.first);
    }

    /// Keeps the message of an entry, unless newer ones have taken the room.
    pub(super) fn keep(&mut self, number: u64, message: Arc<Message>) {
        if number < self.messages_from {
            return;
        }
        let Some(entry) = self.entry(number) else {
            return;
        };
        if entry.message.is_some() {
            return;
        }
        let bytes = message.bytes();
        entry.message = Some(message);
        self.message_bytes += bytes;
        while self.message_bytes > RECENT_MESSAGES_BYTES_MAX && self.messages_from < self.next() {
            let oldest = self.messages_from;
            let dropped = self.entry(oldest).and_then(|entry| entry.message.take());
            self.message_bytes -= dropped.map_or(0, |message| message.bytes());
            self.messages_from += 1;
        }
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(index)
    }

    /// The message of an entry, if it is kept.
    pub(super) fn message(&mut self, number: u64) -> Option<Arc<Message>> {
        self.entry(number)?.message.clone()
    }

    /// Looks at up to `looked_at_max` entries from this one on. Gives those that are wanted, the one to look at next, and how many
    /// there were in between that are not kept any more.
    pub(super) fn look(
        &self,
        from: u64,
        looked_at_max: usize,
        wanted: impl Fn(&Told) -> bool,
    ) -> (Vec<Item>, u64, u64) {
        let start = from.max(self.first);
        let skipped = usize::try_from(start - self.first).unwrap_or(usize::MAX);
        let mut next = start;
        let mut items = Vec::new();
        for entry in self.entries.iter().skip(skipped).take(looked_at_max) {
            if wanted(&entry.told) {
                items.push(Item {
                    entry: next,
                    told: entry.told.clone(),
                    message: entry.message.clone(),
                });
            }
            next += 1;
        }
        (items, next, start - from)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::events::messages::Whose;

    fn lost(count: u64) -> Told {
        Told::Lost(count)
    }

    fn message(bytes: usize) -> Arc<Message> {
        Arc::new(Message {
            whose: Whose::Farm,
            keys: vec!["builds/1/new".into()],
            body: Bytes::from(vec![b'x'; bytes]),
        })
    }

    #[test]
    fn each_message_has_a_place_of_its_own() {
        let places: Vec<_> = (1..4)
            .flat_map(|entry| (0..3).map(move |key| Place::of(entry, key)))
            .collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
        assert_eq!(Place::of(5, 0).next_entry(), 5);
        assert_eq!(Place::of(5, 2).next_entry(), 5);
        assert_eq!(Place::behind(5).next_entry(), 6);
        assert!(Place::of(5, 2) < Place::behind(5));
    }

    #[test]
    fn a_place_is_known_while_what_followed_it_is_kept() {
        let mut recent = Recent::new("ab".into());
        let start = recent.number(recent.end());
        for count in 0..RECENT_EVENTS_MAX as u64 {
            recent.push(lost(count), None);
        }
        let find = |recent: &Recent, text: &str| recent.place(Since::parse(text));
        assert_eq!(find(&recent, &start), Some(Place::behind(0)));
        assert_eq!(find(&recent, "now"), Some(recent.end()));
        recent.push(lost(0), None);
        assert_eq!(find(&recent, &start), None);
        let second = recent.number(Place::behind(1));
        assert_eq!(find(&recent, &second), Some(Place::behind(1)));
        let ahead = recent.number(Place::behind(RECENT_EVENTS_MAX as u64 + 2));
        for unknown in [ahead.as_str(), "ba-7", "ab-", "7", "", "ab--7", "ab-7x"] {
            assert_eq!(find(&recent, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn whoever_looks_too_late_is_told_how_much_is_gone() {
        let mut recent = Recent::new("ab".into());
        for count in 0..RECENT_EVENTS_MAX as u64 + 10 {
            recent.push(lost(count), None);
        }
        let (items, next, missed) = recent.look(1, 3, |told| *told != lost(11));
        assert_eq!(missed, 10);
        assert_eq!(next, 14);
        let looked_at: Vec<_> = items.iter().map(|item| item.entry).collect();
        assert_eq!(looked_at, [11, 13]);
    }

    #[test]
    fn messages_are_kept_while_there_is_room_the_newest_longest() {
        let mut recent = Recent::new("ab".into());
        let half = RECENT_MESSAGES_BYTES_MAX / 2;
        for count in 0..4 {
            recent.push(lost(count), None);
        }
        recent.keep(1, message(half));
        recent.keep(3, message(half));
        assert!(recent.message(1).is_none() && recent.message(3).is_some());
        // What was made again for somebody who is late does not drive out what is newer.
        recent.keep(1, message(10));
        assert!(recent.message(1).is_none());
        recent.keep(4, message(10));
        recent.keep(4, message(20));
        assert_eq!(
            recent.message(4).map(|message| message.body.len()),
            Some(10)
        );
        assert!(recent.message_bytes <= RECENT_MESSAGES_BYTES_MAX);
        let (items, ..) = recent.look(4, 1, |_| true);
        assert!(items[0].message.is_some());
    }
}
