//! A plugin with one step type, `compile-warnings`: runs a build, and counts and collects the warnings
//! of its compilers.
//!
//! * `parse`: recognises warnings; pure.
//! * `parameters`: what the configuration can set.
//! * `verdict`: what the warnings mean for the build; pure.
//! * `step`: runs the command, writes the log and the properties.

mod parameters;
mod parse;
mod step;
mod verdict;

toolpost_sdk::plugin! {
    steps: [step::CompileWarnings],
}
