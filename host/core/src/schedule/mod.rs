//! Schedulers as pure state machines: `(state, event, now) -> (state, actions, next wake)`.
//!
//! The shell commits the new state and the actions in one transaction, so that a scheduler never schedules
//! twice and never forgets, whenever the master dies.

pub mod plugin;
mod single_branch;
mod state;
#[cfg(test)]
mod tests;

pub use single_branch::{
    ClassifiedChange, Outcome, PENDING_CHANGES_MAX, SchedulerAction, SchedulerEvent, SingleBranch,
    SingleBranchState,
};
pub use state::StateError;
