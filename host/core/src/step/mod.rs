//! Steps of a build: what a person says about one, which runs next, and how each result counts.
//!
//! Pure state machines. The shell renders texts, asks the lock table and runs commands; what it learns it
//! feeds to [`BuildProgress`] and [`StepProgress`], which say what comes next.

mod build;
mod names;
mod options;
mod progress;
#[cfg(test)]
mod tests;
mod text;

pub use build::{BuildProgress, Next, PlannedStep, Stop};
pub use names::StepNames;
pub use options::{BuildSummaryPolicy, FailurePolicy, ResultFlags, StepOptions, When};
pub use progress::{Interruption, StepAction, StepPhase, StepProgress};
pub use text::{CutShort, StepTexts};
