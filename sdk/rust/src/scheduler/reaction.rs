//! What a scheduler wants done.

use crate::{Change, Properties, SourceStamp};
use serde_json::Value;

/// The answer to an event: what the scheduler remembers, and what it wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Reaction<S> {
    /// What it remembers until the next event.
    pub state: S,
    /// What it wants done. At most 1,000.
    pub actions: Vec<Action>,
}

/// One thing that a scheduler wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Build something.
    AddBuildset(NewBuildset),
    /// Give it a timer event at this time (milliseconds since 1970, UTC).
    WakeAtMs(u64),
    /// Give it no timer event.
    NoWake,
    /// What it wants to hear of from now on.
    Listen(Vec<Interest>),
    /// A text for people, shown beside its name.
    SetStatus(String),
}

/// Something to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interest {
    /// All changes.
    Changes,
    /// The end of every build of this builder, whoever asked for it.
    BuildsOf(String),
}

impl<S> Reaction<S> {
    /// Remembers this, and wants nothing done.
    pub fn new(state: S) -> Self {
        Self {
            state,
            actions: Vec::new(),
        }
    }

    /// Builds something.
    pub fn build(self, buildset: NewBuildset) -> Self {
        self.and(Action::AddBuildset(buildset))
    }

    /// Wants a timer event at this time (milliseconds since 1970, UTC), or at once if it has passed. There is one
    /// timer: this replaces what was set before.
    pub fn wake_at_ms(self, at_ms: u64) -> Self {
        self.and(Action::WakeAtMs(at_ms))
    }

    /// Wants no timer event.
    pub fn no_wake(self) -> Self {
        self.and(Action::NoWake)
    }

    /// Wants to hear of these from now on, and of nothing else but its configuration, its timer, its build sets and
    /// people. In the beginning it hears of changes.
    pub fn listen(self, interests: impl IntoIterator<Item = Interest>) -> Self {
        self.and(Action::Listen(interests.into_iter().collect()))
    }

    /// Shows people this text beside its name: what it waits for. At most 1 KiB.
    pub fn status(self, text: impl Into<String>) -> Self {
        self.and(Action::SetStatus(text.into()))
    }

    /// Wants this done, too.
    pub fn and(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }
}

/// One request for each builder, on the same sources.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct NewBuildset {
    /// Given back when it is complete. At most 256 bytes.
    pub label: String,
    /// Which of its builders; empty: all of them.
    pub builders: Vec<String>,
    /// Why, for people. At most 1 KiB.
    pub reason: String,
    /// The sources, one stamp for each codebase. Empty: the latest of the only codebase.
    pub source_stamps: Vec<SourceStamp>,
    /// Ids of the changes that it is made for; people see their authors. At most 1,000.
    pub changes: Vec<u64>,
    /// Properties of the builds. At most 64 KiB.
    pub properties: Properties,
    /// Requests with a higher one run first. Usually 0.
    pub priority: i32,
}

impl NewBuildset {
    /// A build of the latest sources with all builders of the scheduler, for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            ..Self::default()
        }
    }

    /// A text that comes back when it is complete.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Builds with one builder; may be called for several.
    pub fn builder(mut self, name: impl Into<String>) -> Self {
        self.builders.push(name.into());
        self
    }

    /// Builds the sources as of this change, and says that it is made for it.
    pub fn change(mut self, change: &Change) -> Self {
        self.changes.push(change.id);
        self.source_stamps = vec![change.source_stamp()];
        self
    }

    /// Says for which changes it is made.
    pub fn changes(mut self, ids: impl IntoIterator<Item = u64>) -> Self {
        self.changes.extend(ids);
        self
    }

    /// Builds these sources.
    pub fn source_stamps(mut self, stamps: impl IntoIterator<Item = SourceStamp>) -> Self {
        self.source_stamps.extend(stamps);
        self
    }

    /// Gives the builds a property.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Lets it run before requests with a lower priority.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }
}
