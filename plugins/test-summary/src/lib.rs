//! A plugin with one step type, `test-summary`: runs tests or reads their reports, and says how many
//! passed and which failed.
//!
//! * `parse`: readers of the formats; pure.
//! * `parameters`: what the configuration can set.
//! * `verdict`: what a report means for the build; pure.
//! * `step`: runs the command, reads the files, writes logs and properties.

mod parameters;
mod parse;
mod step;
mod verdict;

toolpost_sdk::plugin! {
    steps: [step::TestSummary],
}
