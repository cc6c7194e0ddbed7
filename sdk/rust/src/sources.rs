//! What builds are made of: changes and source stamps.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Properties by their names.
pub type Properties = Map<String, Value>;

/// Which sources a build works on, for one codebase.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStamp {
    /// The name of the codebase; empty when there is only one.
    pub codebase: String,
    /// Where the sources are.
    pub repository: String,
    /// The project that they belong to; may be empty.
    pub project: String,
    /// The branch; `None` is the default one.
    pub branch: Option<String>,
    /// The revision; `None` is the latest.
    pub revision: Option<String>,
    /// The id of the patch that is applied to the revision; `None` without one. Such a build is of what somebody tries, and its
    /// result says nothing of the revision alone.
    pub patch: Option<u64>,
}

/// What a change source reported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its number; later ones are larger.
    pub id: u64,
    /// The author, usually `Name <mail>`.
    pub author: String,
    /// The commit message.
    pub comments: String,
    /// Paths that it touched.
    pub files: Vec<String>,
    /// The branch; `None` is the default one.
    pub branch: Option<String>,
    /// The revision.
    pub revision: Option<String>,
    /// Free classification by the change source.
    pub category: Option<String>,
    /// Where it was made.
    pub repository: String,
    /// The project that it belongs to; may be empty.
    pub project: String,
    /// The codebase that it belongs to; empty when there is only one.
    pub codebase: String,
    /// A page that shows it.
    pub revlink: Option<String>,
    /// When it was made, in milliseconds since 1970, UTC.
    pub when_ms: u64,
    /// Properties from the change source.
    pub properties: Properties,
}

impl Change {
    /// The sources as of this change.
    #[must_use]
    pub fn source_stamp(&self) -> SourceStamp {
        SourceStamp {
            codebase: self.codebase.clone(),
            repository: self.repository.clone(),
            project: self.project.clone(),
            branch: self.branch.clone(),
            revision: self.revision.clone(),
            patch: None,
        }
    }
}
