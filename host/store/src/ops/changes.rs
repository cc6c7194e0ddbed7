//! Changes: what change sources reported, each once.

use serde_json::Value;
use toolpost_core::model::Change;
use toolpost_core::{BuildsetId, ChangeId, Properties, Timestamp};

use crate::{Result, Store};

/// A change as a change source reports it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewChange {
    /// The author, usually `Name <mail>`.
    pub author: String,
    /// Who committed it.
    pub committer: Option<String>,
    /// The commit message.
    pub comments: String,
    /// Paths it touched.
    pub files: Vec<String>,
    /// Branch, or `None` for the default one.
    pub branch: Option<String>,
    /// Revision id.
    pub revision: Option<String>,
    /// Link to the change for people.
    pub revlink: Option<String>,
    /// Free classification by the change source.
    pub category: Option<String>,
    /// Repository that it is in.
    pub repository: String,
    /// Codebase that it belongs to; empty for the only one.
    pub codebase: String,
    /// Project that it belongs to; empty for none.
    pub project: String,
    /// When the commit was made.
    pub when: Timestamp,
    /// Properties from the change source.
    pub properties: Properties,
}

impl Store {
    /// Records changes in their order, together with the source's new cursor (`state` is a key and a value of the
    /// object `source`). A change whose repository, branch, revision and codebase the same source has reported before is
    /// left out, so that a poll may be repeated. Gives the ids of the added ones.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_changes(
        &self,
        source: &str,
        changes: Vec<NewChange>,
        state: Option<(String, Value)>,
        now: Timestamp,
    ) -> Result<Vec<ChangeId>> {
        todo!("{source} {changes:?} {state:?} {now:?}")
    }

    /// The changes that arrived after this one, oldest first. Ids become visible in their order, so a cursor over them
    /// passes over none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changes_after(&self, after: ChangeId, limit: u32) -> Result<Vec<Change>> {
        todo!("{after} {limit}")
    }

    /// One change.
    ///
    /// # Errors
    /// When there is none or the database fails.
    pub async fn change(&self, id: ChangeId) -> Result<Change> {
        self.get(id.0).await
    }

    /// The newest change's id; zero when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_change(&self) -> Result<ChangeId> {
        todo!()
    }

    /// The changes that a build set was made for, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changes_of_buildset(&self, buildset: BuildsetId) -> Result<Vec<Change>> {
        todo!("{buildset}")
    }
}
