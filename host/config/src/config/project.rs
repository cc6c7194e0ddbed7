//! Projects and their codebases.

use std::collections::BTreeMap;

/// `[[project]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectConfig {
    /// Unique name.
    pub name: String,
    /// What stands for it where a name is short.
    pub slug: String,
    /// For people.
    pub description: Option<String>,
    /// Slugs of its codebases by their names.
    pub codebases: BTreeMap<String, String>,
}
