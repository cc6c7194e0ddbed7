//! What the answer of a plugin means.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Due, Farm, Inbox, Interests, PluginSchedulerState};
use crate::Timestamp;
use crate::ids::ChangeId;
use crate::model::SourceStampSpec;

/// The label of a build set. The contract has this and the next four limits.
pub const LABEL_BYTES_MAX: usize = 256;

/// A text for people: what is longer is cut.
pub const TEXT_BYTES_MAX: usize = 1 << 10;

/// Changes of a build set.
pub const BUILDSET_CHANGES_MAX: usize = 1_000;

/// Properties of a build set, as JSON.
pub const PROPERTIES_BYTES_MAX: usize = 64 << 10;

/// Builders that one scheduler listens to.
pub const INTERESTS_MAX: usize = 1_000;

/// A timer event that asks for the next one gets it no sooner, so that a scheduler that always asks for "at once"
/// does not keep the machine busy.
pub const TIMER_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// What a scheduler answered to an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction {
    /// Its own state from now on.
    pub memory: Value,
    /// What it wants done, in this order.
    pub actions: Vec<Action>,
}

/// What a scheduler wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Build something.
    AddBuildset(WantedBuildset),
    /// Send a timer event at this time.
    WakeAt(Timestamp),
    /// Send none.
    NoWake,
    /// Tell it of these things from now on.
    Listen(Interests),
    /// Show this text beside its name.
    SetStatus(String),
}

/// A build set that a scheduler wants.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WantedBuildset {
    /// Given back when it is complete.
    pub label: String,
    /// Names of builders; empty for all of the scheduler's.
    pub builders: Vec<String>,
    /// Why, for people.
    pub reason: String,
    /// One for each codebase; empty for the latest of the only one.
    pub source_stamps: Vec<SourceStampSpec>,
    /// The changes that it is made for.
    pub changes: Vec<ChangeId>,
    /// Properties of its builds.
    pub properties: Map<String, Value>,
    /// Higher runs first.
    pub priority: i32,
}

/// Why an answer is not taken. The event stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A builder that is not the scheduler's.
    #[error("it wants to start builder `{wanted}`, but its `builders` are `{}`", known.join("`, `"))]
    Builder {
        /// The builder.
        wanted: String,
        /// Those that are.
        known: Vec<String>,
    },
    /// A codebase that would be built twice.
    #[error(
        "it wants to build codebase `{0}` from two source stamps; one for each codebase is possible"
    )]
    Codebase(String),
    /// More of something than there may be.
    #[error("{what}: {found}, the limit is {limit}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
}

impl PluginSchedulerState {
    /// Takes in the answer to an event that [`Self::next`] gave, and gives the build sets to make: with the names of all
    /// their builders and at least one source stamp. Nothing has changed when it is refused.
    ///
    /// # Errors
    /// The first action that cannot be done.
    pub fn handled(
        &mut self,
        inbox: &mut Inbox,
        farm: &Farm,
        due: Due,
        reaction: Reaction,
        now: Timestamp,
    ) -> Result<Vec<WantedBuildset>, Refusal> {
        reaction
            .actions
            .iter()
            .try_for_each(|action| check(action, farm))?;
        self.pass(inbox, farm, due);
        self.memory = reaction.memory;
        let mut buildsets = Vec::new();
        for action in reaction.actions {
            match action {
                Action::AddBuildset(wanted) => buildsets.push(complete(wanted, farm)),
                Action::WakeAt(at) if due == Due::Timer => {
                    self.wake_at = Some(at.max(now.after(TIMER_INTERVAL_MIN)));
                }
                Action::WakeAt(at) => self.wake_at = Some(at),
                Action::NoWake => self.wake_at = None,
                Action::Listen(interests) => self.interests = interests,
                Action::SetStatus(text) => self.status = cut(text),
            }
        }
        Ok(buildsets)
    }
}

fn check(action: &Action, farm: &Farm) -> Result<(), Refusal> {
    match action {
        Action::AddBuildset(wanted) => check_buildset(wanted, farm),
        Action::Listen(interests) => at_most(
            "builders that it listens to",
            interests.builds_of.len(),
            INTERESTS_MAX,
        ),
        Action::WakeAt(_) | Action::NoWake | Action::SetStatus(_) => Ok(()),
    }
}

fn check_buildset(wanted: &WantedBuildset, farm: &Farm) -> Result<(), Refusal> {
    let stranger = |name: &&String| !farm.builders.contains(name);
    if let Some(stranger) = wanted.builders.iter().find(stranger) {
        return Err(Refusal::Builder {
            wanted: stranger.clone(),
            known: farm.builders.clone(),
        });
    }
    let mut codebases = BTreeSet::new();
    for stamp in &wanted.source_stamps {
        if !codebases.insert(&stamp.codebase) {
            return Err(Refusal::Codebase(stamp.codebase.clone()));
        }
    }
    at_most(
        "bytes of the label of a build set",
        wanted.label.len(),
        LABEL_BYTES_MAX,
    )?;
    at_most(
        "changes of a build set",
        wanted.changes.len(),
        BUILDSET_CHANGES_MAX,
    )?;
    at_most(
        "bytes of the properties of a build set",
        serde_json::to_string(&wanted.properties).map_or(usize::MAX, |json| json.len()),
        PROPERTIES_BYTES_MAX,
    )
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), Refusal> {
    if found <= limit {
        return Ok(());
    }
    Err(Refusal::TooMuch { what, found, limit })
}

/// Fills in what is left out.
fn complete(mut wanted: WantedBuildset, farm: &Farm) -> WantedBuildset {
    if wanted.builders.is_empty() {
        wanted.builders.clone_from(&farm.builders);
    }
    if wanted.source_stamps.is_empty() {
        wanted.source_stamps.push(SourceStampSpec::default());
    }
    wanted.reason = cut(wanted.reason);
    wanted
}

/// Keeps what fits, whole characters only.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}
