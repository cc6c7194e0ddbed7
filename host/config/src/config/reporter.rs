//! Reporters.

use serde_json::{Map, Value};
use toolpost_core::report::{RetryPolicy, Wants};

/// `[[reporter]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReporterConfig {
    /// Unique name.
    pub name: String,
    /// The reporter type: what `use` names.
    pub reporter_type: String,
    /// What it tells.
    pub wants: Wants,
    /// What comes after a try that failed.
    pub retry: RetryPolicy,
    /// How much it tells at one time; at least 1.
    pub parallel: u32,
    /// Parameters of the reporter type. Templates in them are the plugin's matter.
    pub parameters: Map<String, Value>,
}
