//! The single-branch scheduler: waits until a tree is stable, then builds what has come.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Timestamp;
use crate::filter::ChangeFilter;
use crate::ids::ChangeId;
use crate::model::{Change, SourceStampSpec};
use crate::sourcestamp;

/// Changes that are kept at most while a tree is not stable. When there are more, a build set is made at
/// once if one of them is important; otherwise the oldest are forgotten.
pub const PENDING_CHANGES_MAX: usize = 1_000;

/// What a single-branch scheduler is told to do.
#[derive(Clone, Copy)]
pub struct SingleBranch<'a> {
    /// Which changes it looks at.
    pub filter: &'a ChangeFilter,
    /// Which of those are important; `None` for all of them.
    pub is_important: Option<&'a dyn Fn(&Change) -> bool>,
    /// Whether unimportant changes are ignored and not only built along with important ones.
    pub only_important: bool,
    /// How long nothing may change before a build set is made; `None` for a build set for each important
    /// change at once.
    pub tree_stable_timer: Option<Duration>,
    /// The codebases that it knows, each with what is built of it when no change is of it; a change of
    /// another codebase is ignored.
    pub codebases: &'a [SourceStampSpec],
    /// Whether a codebase without a change is built as of its last change, not as configured
    /// (Buildbot's `createAbsoluteSourceStamps`).
    pub create_absolute_source_stamps: bool,
}

/// What a scheduler hears of.
#[derive(Debug, Clone, Copy)]
pub enum SchedulerEvent<'a> {
    /// Changes in the order of their ids, also those that it will ignore. Those that it has seen are ignored.
    Changes(&'a [Change]),
    /// The time that it asked for may have come; harmless at any other time.
    Wake,
}

/// What a scheduler wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchedulerAction {
    /// Make a build set for all builders of the scheduler.
    AddBuildset {
        /// The changes that led to it, in the order of their ids.
        changes: Vec<ChangeId>,
        /// One for each codebase.
        source_stamps: Vec<SourceStampSpec>,
    },
}

/// A change that waits for its tree to become stable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassifiedChange {
    /// Its id.
    pub id: ChangeId,
    /// Whether it is important.
    pub important: bool,
    /// What it would build.
    pub stamp: SourceStampSpec,
}

/// What a single-branch scheduler remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleBranchState {
    /// The last change that it has seen.
    pub(super) last_change: ChangeId,
    /// Changes that are not built yet.
    pub(super) pending: Vec<ClassifiedChange>,
    /// When the tree is stable.
    pub(super) stable_at: Option<Timestamp>,
    /// The last change of each codebase, for absolute source stamps.
    pub(super) last_stamps: BTreeMap<String, SourceStampSpec>,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The state from now on.
    pub state: SingleBranchState,
    /// What is to be done, in this order.
    pub actions: Vec<SchedulerAction>,
    /// When to send [`SchedulerEvent::Wake`]; `None` for not at all.
    pub wake_at: Option<Timestamp>,
}

impl SingleBranchState {
    /// A scheduler that ignores every change up to this one: what was there when it was configured.
    #[must_use]
    pub fn starting_after(last_change: ChangeId) -> Self {
        Self {
            last_change,
            pending: Vec::new(),
            stable_at: None,
            last_stamps: BTreeMap::new(),
        }
    }

    /// The last change that it has seen; ask the store for those after it.
    #[must_use]
    pub fn last_change(&self) -> ChangeId {
        self.last_change
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.stable_at
    }

    /// Changes that are not built yet.
    #[must_use]
    pub fn pending(&self) -> &[ClassifiedChange] {
        &self.pending
    }
}

impl SingleBranch<'_> {
    /// Takes an event in.
    #[must_use]
    pub fn handle(
        &self,
        mut state: SingleBranchState,
        event: SchedulerEvent<'_>,
        now: Timestamp,
    ) -> Outcome {
        let mut actions = Vec::new();
        if let SchedulerEvent::Changes(changes) = event {
            for change in changes {
                // The tree was stable before this change if its time had come: a master that was down, or
                // busy, does not join what would have been built apart.
                self.fire_if_due(&mut state, now, &mut actions);
                if change.id > state.last_change {
                    state.last_change = change.id;
                    self.take(&mut state, change, now, &mut actions);
                }
            }
        }
        self.fire_if_due(&mut state, now, &mut actions);
        Outcome {
            wake_at: state.stable_at,
            state,
            actions,
        }
    }

    /// Whether the change is looked at, and then whether it is important.
    #[must_use]
    pub fn classify(&self, change: &Change) -> Option<bool> {
        let known = self
            .codebases
            .iter()
            .any(|stamp| stamp.codebase == change.codebase);
        if !known || !self.filter.matches(change) {
            return None;
        }
        let important = self
            .is_important
            .is_none_or(|is_important| is_important(change));
        (important || !self.only_important).then_some(important)
    }

    fn take(
        &self,
        state: &mut SingleBranchState,
        change: &Change,
        now: Timestamp,
        actions: &mut Vec<SchedulerAction>,
    ) {
        let Some(important) = self.classify(change) else {
            return;
        };
        let stamp = SourceStampSpec::of_change(change);
        if self.create_absolute_source_stamps {
            state
                .last_stamps
                .insert(stamp.codebase.clone(), stamp.clone());
        }
        let change = ClassifiedChange {
            id: change.id,
            important,
            stamp,
        };
        let Some(wait) = self.tree_stable_timer else {
            if important {
                actions.push(self.buildset_of(state, &[change]));
            }
            return;
        };
        state.pending.push(change);
        // A tree that gets an unimportant change is not stable either; but that alone is no reason to build.
        if important || state.stable_at.is_some() {
            state.stable_at = Some(now.after(wait));
        }
        if state.pending.len() > PENDING_CHANGES_MAX {
            if state.stable_at.is_some() {
                state.stable_at = Some(now);
            } else {
                state.pending.remove(0);
            }
        }
    }

    fn fire_if_due(
        &self,
        state: &mut SingleBranchState,
        now: Timestamp,
        actions: &mut Vec<SchedulerAction>,
    ) {
        // Without a timer nothing waits: what a former configuration left is due now.
        let due = match self.tree_stable_timer {
            Some(_) => state.stable_at.is_some_and(|stable_at| stable_at <= now),
            None => state.stable_at.is_some(),
        };
        if due {
            state.stable_at = None;
            let pending = std::mem::take(&mut state.pending);
            actions.push(self.buildset_of(state, &pending));
        } else if self.tree_stable_timer.is_none() {
            state.pending.clear();
        }
    }

    fn buildset_of(
        &self,
        state: &SingleBranchState,
        changes: &[ClassifiedChange],
    ) -> SchedulerAction {
        let stamps: Vec<SourceStampSpec> = changes.iter().map(|c| c.stamp.clone()).collect();
        let mut defaults = self.codebases.to_vec();
        if self.create_absolute_source_stamps {
            for default in &mut defaults {
                if let Some(last) = state.last_stamps.get(&default.codebase) {
                    default.clone_from(last);
                }
            }
        }
        SchedulerAction::AddBuildset {
            changes: changes.iter().map(|change| change.id).collect(),
            source_stamps: sourcestamp::with_defaults(&stamps, &defaults),
        }
    }
}
