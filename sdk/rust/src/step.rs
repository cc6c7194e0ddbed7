//! What a step type consists of.

use crate::{Context, Error, Outcome};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// A step type: one value of `use` in a `[[builder.step]]` of the configuration.
pub trait Step {
    /// The name that the configuration uses: lower-case words joined by hyphens, unique among all
    /// steps of a master.
    const NAME: &'static str;

    /// What it does, in one sentence.
    const SUMMARY: &'static str;

    /// What the configuration can set. The host checks it against the JSON Schema of this type
    /// before anything runs; add `#[serde(deny_unknown_fields)]`, so that typing errors are found.
    type Parameters: DeserializeOwned + JsonSchema;

    /// Runs the step from top to bottom.
    ///
    /// # Errors
    ///
    /// When the step could not do its work. A test that fails is [`Outcome::failure`].
    fn run(parameters: Self::Parameters, ctx: &Context) -> Result<Outcome, Error>;
}
