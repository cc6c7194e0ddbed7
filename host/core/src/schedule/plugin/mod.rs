//! Schedulers of plugins: which event such a scheduler hears next, and what its answer means.
//!
//! The shell folds events through the plugin one by one and commits what comes of them with the place that
//! was reached. Which event is next depends only on the state and on what is stored, never on how much was read at one
//! time; so it is the same after a crash, and each is handled exactly once.

mod due;
mod reaction;
mod state;
#[cfg(test)]
mod tests;

pub use due::{Due, Farm, Forced, Inbox};
pub use reaction::{
    Action, BUILDSET_CHANGES_MAX, INTERESTS_MAX, LABEL_BYTES_MAX, PROPERTIES_BYTES_MAX, Reaction,
    Refusal, TEXT_BYTES_MAX, TIMER_INTERVAL_MIN, WantedBuildset,
};
pub use state::{Interests, PluginSchedulerState};
