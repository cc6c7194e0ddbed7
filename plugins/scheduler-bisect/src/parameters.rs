//! What the configuration can set.

use schemars::JsonSchema;
use serde::Deserialize;

/// Finds the change that broke a builder by building between.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The builders whose failures are looked into; all of the scheduler's builders, when none is given.
    #[serde(default)]
    pub(crate) watch: Vec<String>,

    /// The codebase whose changes are searched. The others stay as they are in the build that failed.
    #[serde(default)]
    pub(crate) codebase: String,

    /// How many changes of a branch are remembered. A failure whose last good build is longer ago is not looked into.
    #[serde(default = "default_remember")]
    #[schemars(range(min = 2, max = 1000))]
    pub(crate) remember: usize,

    /// Whether the first bad change is built once more in the end, with its name in the properties.
    #[serde(default = "default_confirm")]
    pub(crate) confirm: bool,
}

fn default_remember() -> usize {
    500
}

fn default_confirm() -> bool {
    true
}
