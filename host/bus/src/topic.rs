//! Counts what was published by what it is about, for who only asks whether anything has happened since.

use std::sync::atomic::{AtomicU64, Ordering};

use toolpost_core::Event;

/// What an event is about, as far as somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Builders, and the masters and workers that have them.
    Builders,
    /// Builds: start, progress, end.
    Builds,
    /// Plugins and the configuration: what is not a row of the store.
    Setup,
}

impl Topic {
    fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Builder(_) | Event::Master(_) | Event::Worker(_) => Self::Builders,
            Event::BuildStarted(..) | Event::BuildChanged(..) | Event::BuildFinished(..) => {
                Self::Builds
            }
            Event::Plugin(_) | Event::Configuration => Self::Setup,
            _ => return None,
        })
    }
}

/// How many events of each topic there were.
#[derive(Debug, Default)]
pub(crate) struct Published([AtomicU64; 3]);

impl Published {
    pub(crate) fn count(&self, events: &[Event]) {
        for topic in events.iter().filter_map(Topic::of) {
            self.0[topic as usize].fetch_add(1, Ordering::Release);
        }
    }

    pub(crate) fn of(&self, topic: Topic) -> u64 {
        self.0[topic as usize].load(Ordering::Acquire)
    }
}
