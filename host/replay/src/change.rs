//! Changes in JSON, as recordings and scripts have them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toolpost_core::model::Change;
use toolpost_core::{ChangeId, Properties, SourceStampId, Timestamp};
use toolpost_sandbox::reporter;

/// A change. In scripts everything has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ChangeFacts {
    /// Its number.
    pub id: i64,
    /// The author.
    pub author: String,
    /// The message.
    pub comments: String,
    /// Paths that it touched.
    pub files: Vec<String>,
    /// Branch; none is the default one.
    pub branch: Option<String>,
    /// Revision.
    pub revision: Option<String>,
    /// Classification by the change source.
    pub category: Option<String>,
    /// Where it was made.
    pub repository: String,
    /// Project.
    pub project: String,
    /// Codebase.
    pub codebase: String,
    /// A page that shows it.
    pub revlink: Option<String>,
    /// When it was made, milliseconds since 1970.
    pub when_ms: i64,
    /// Values by name.
    pub properties: Map<String, Value>,
}

impl Default for ChangeFacts {
    fn default() -> Self {
        Self {
            id: 0,
            author: "A U Thor <author@example.org>".into(),
            comments: "a change".into(),
            files: vec!["README.md".into()],
            branch: Some("main".into()),
            revision: None,
            category: None,
            repository: "https://example.org/repository.git".into(),
            project: String::new(),
            codebase: String::new(),
            revlink: None,
            when_ms: 0,
            properties: Map::new(),
        }
    }
}

/// A list of changes.
pub(crate) fn changes(changes: &[Change]) -> Value {
    let facts = changes
        .iter()
        .map(ChangeFacts::from)
        .map(serde_json::to_value);
    facts.collect::<Result<_, _>>().unwrap_or_default()
}

/// The changes of such a list.
pub(crate) fn unchanges(value: &Value) -> Option<Vec<Change>> {
    let facts: Vec<ChangeFacts> = serde_json::from_value(value.clone()).ok()?;
    Some(facts.into_iter().map(Into::into).collect())
}

impl From<&Change> for ChangeFacts {
    fn from(change: &Change) -> Self {
        let properties = change.properties.iter();
        Self {
            id: change.id.0,
            author: change.author.clone(),
            comments: change.comments.clone(),
            files: change.files.clone(),
            branch: change.branch.clone(),
            revision: change.revision.clone(),
            category: change.category.clone(),
            repository: change.repository.clone(),
            project: change.project.clone(),
            codebase: change.codebase.clone(),
            revlink: change.revlink.clone(),
            when_ms: change.when.0,
            properties: properties
                .map(|(name, property)| (name.to_owned(), property.value.clone()))
                .collect(),
        }
    }
}

impl From<ChangeFacts> for Change {
    fn from(facts: ChangeFacts) -> Self {
        let mut properties = Properties::new();
        for (name, value) in facts.properties {
            properties.set(name, value, "Change");
        }
        Self {
            id: ChangeId(facts.id),
            author: facts.author,
            committer: None,
            comments: facts.comments,
            files: facts.files,
            branch: facts.branch,
            revision: facts.revision,
            revlink: facts.revlink,
            category: facts.category,
            repository: facts.repository,
            codebase: facts.codebase,
            project: facts.project,
            when: Timestamp(facts.when_ms),
            parent: None,
            sourcestamp_id: SourceStampId(0),
            properties,
        }
    }
}

impl From<ChangeFacts> for reporter::Change {
    fn from(facts: ChangeFacts) -> Self {
        Self {
            id: u64::try_from(facts.id).unwrap_or(0),
            author: facts.author,
            comments: facts.comments,
            files: facts.files,
            branch: facts.branch,
            revision: facts.revision,
            category: facts.category,
            repository: facts.repository,
            project: facts.project,
            codebase: facts.codebase,
            revlink: facts.revlink,
            when_ms: u64::try_from(facts.when_ms).unwrap_or(0),
            properties: Value::Object(facts.properties).to_string(),
        }
    }
}
