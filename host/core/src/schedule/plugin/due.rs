//! Which event is next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::PluginSchedulerState;
use crate::Timestamp;
use crate::ids::{BuildId, BuilderId, BuildsetId, ChangeId, ForcedId};
use crate::journal::{Fact, JournalEntry};

/// An event that is next, without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The configuration is another than the one that it has last heard of.
    Configured {
        /// Whether this is its first event of all.
        first: bool,
    },
    /// A change arrived.
    Change(ChangeId),
    /// A build ended.
    BuildFinished(BuildId),
    /// One of its own build sets is complete.
    BuildsetComplete(BuildsetId),
    /// A person sent its form.
    Forced(ForcedId),
    /// The time that it asked for has come.
    Timer,
}

/// A form that was sent and waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forced {
    /// Its id; they grow.
    pub id: ForcedId,
    /// When it was sent.
    pub at: Timestamp,
}

/// What is stored and not handled yet, as far as it was read at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inbox {
    /// The entries of the journal after the scheduler's cursor.
    pub journal: VecDeque<JournalEntry>,
    /// Whether there are no more of them.
    pub journal_is_all: bool,
    /// The forms that were sent, oldest first.
    pub forced: VecDeque<Forced>,
    /// Whether there are no more of them.
    pub forced_is_all: bool,
    /// Those build sets of the journal that the scheduler made.
    pub own_buildsets: BTreeSet<BuildsetId>,
}

/// What is configured around a scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farm {
    /// Stands for the plugin's version, the parameters and the builders: a scheduler hears when it becomes another.
    pub fingerprint: String,
    /// The builders that it may start, by name.
    pub builders: Vec<String>,
    /// The names of all builders, for those who listen to their builds.
    pub builder_names: BTreeMap<BuilderId, String>,
}

impl Inbox {
    /// Whether there may be more to read, and one of the lists has come to its end.
    fn is_drained(&self) -> bool {
        (self.journal.is_empty() && !self.journal_is_all)
            || (self.forced.is_empty() && !self.forced_is_all)
    }
}

impl PluginSchedulerState {
    /// The next event, or `None` when there is none in the inbox. Passes over entries that it does not listen to.
    ///
    /// Forms, entries and the timer come in the order of their times, so that a scheduler that is late hears what it
    /// would have heard in time.
    pub fn next(&mut self, inbox: &mut Inbox, farm: &Farm, now: Timestamp) -> Option<Due> {
        if self.configured.as_ref() != Some(&farm.fingerprint) {
            let first = self.configured.is_none();
            return Some(Due::Configured { first });
        }
        loop {
            if inbox.is_drained() {
                return None;
            }
            let entry = inbox.journal.front();
            let form = inbox
                .forced
                .front()
                .filter(|form| entry.is_none_or(|entry| form.at <= entry.at));
            let next_at = form.map(|form| form.at).or(entry.map(|entry| entry.at));
            if self.is_timer_due(next_at, now) {
                return Some(Due::Timer);
            }
            if let Some(form) = form {
                return Some(Due::Forced(form.id));
            }
            let entry = *entry?;
            if let Some(due) = self.heard(entry.fact, inbox, farm) {
                return Some(due);
            }
            inbox.journal.pop_front();
            self.cursor = entry.id;
        }
    }

    /// Takes an event out of the inbox: it was handled, or what it was about is gone.
    pub fn pass(&mut self, inbox: &mut Inbox, farm: &Farm, due: Due) {
        match due {
            Due::Configured { .. } => self.configured = Some(farm.fingerprint.clone()),
            Due::Timer => self.wake_at = None,
            Due::Forced(_) => {
                inbox.forced.pop_front();
            }
            Due::Change(_) | Due::BuildFinished(_) | Due::BuildsetComplete(_) => {
                if let Some(entry) = inbox.journal.pop_front() {
                    self.cursor = entry.id;
                }
            }
        }
    }

    /// Whether its time has come, and came before the next thing happened.
    fn is_timer_due(&self, next_at: Option<Timestamp>, now: Timestamp) -> bool {
        self.wake_at
            .is_some_and(|at| at <= now && next_at.is_none_or(|next_at| at <= next_at))
    }

    fn heard(&self, fact: Fact, inbox: &Inbox, farm: &Farm) -> Option<Due> {
        match fact {
            Fact::ChangeAdded(change) => self.interests.changes.then_some(Due::Change(change)),
            Fact::BuildFinished(build, builder, _) => {
                let name = farm.builder_names.get(&builder)?;
                let listens = self.interests.builds_of.contains(name);
                listens.then_some(Due::BuildFinished(build))
            }
            Fact::BuildsetComplete(buildset, _) => {
                let own = inbox.own_buildsets.contains(&buildset);
                own.then_some(Due::BuildsetComplete(buildset))
            }
            Fact::RequestAdded(..)
            | Fact::BuildStarted(..)
            | Fact::WorkerLost(_)
            | Fact::WorkerFound(_)
            | Fact::WorkerMissing(_)
            | Fact::WorkerBack(_) => None,
        }
    }
}
