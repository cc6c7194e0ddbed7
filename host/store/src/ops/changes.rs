//! Changes: what change sources reported, each once.

use std::sync::Arc;

use serde_json::Value;
use toolpost_core::model::{Change, SourceStampSpec};
use toolpost_core::{BuildsetId, ChangeId, Event, Fact, Properties, SourceStampId, Timestamp};

use crate::digest::digest_of;
use crate::ops::{codebases, properties_json, sourcestamps, state};
use crate::resources::read_all;
use crate::sql::args;
use crate::tx::Tx;
use crate::{ROWS_PER_LIST_MAX, Result, Store};

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
    /// Records changes in their order, together with the source's new cursor (`state` is a key and a value of
    /// the object `source`). A change whose repository, branch, revision and codebase the same source has
    /// reported before is left out, so that a poll may be repeated. Gives the ids of the added ones.
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
        let input = Arc::new((source.to_owned(), changes, state));
        self.write("add_changes", move |tx| {
            let input = input.clone();
            Box::pin(async move {
                let (source, changes, state) = &*input;
                let added = add(tx, source, changes, now).await?;
                if let Some((key, value)) = state {
                    state::put_state(tx, source, key, &value.to_string()).await?;
                }
                Ok(added)
            })
        })
        .await
    }

    /// The changes that arrived after this one, oldest first. Ids become visible in their order, so a cursor
    /// over them passes over none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changes_after(&self, after: ChangeId, limit: u32) -> Result<Vec<Change>> {
        let mut connection = self.read("changes_after").await?;
        let limit = limit.min(ROWS_PER_LIST_MAX);
        let end = "WHERE t.id > $1 ORDER BY t.id LIMIT $2";
        read_all(&mut connection, "changes_after", end, args![after, limit]).await
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
        let mut connection = self.read("last_change").await?;
        let sql = "SELECT COALESCE(MAX(id), 0) FROM changes";
        connection
            .fetch_one("last_change", sql, args![])
            .await?
            .first()
    }

    /// The changes that a build set was made for, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changes_of_buildset(&self, buildset: BuildsetId) -> Result<Vec<Change>> {
        let mut connection = self.read("changes_of_buildset").await?;
        let end = "JOIN buildset_changes x ON x.change_id = t.id WHERE x.buildset_id = $1 \
            ORDER BY t.id LIMIT $2";
        let args = args![buildset, ROWS_PER_LIST_MAX];
        read_all(&mut connection, "changes_of_buildset", end, args).await
    }
}

/// PostgreSQL: changes are added one transaction after the other, so that their ids become visible in order.
const CHANGES_LOCK: i64 = 0x6368_616e_6765_7300;

async fn add(
    tx: &mut Tx,
    source: &str,
    changes: &[NewChange],
    now: Timestamp,
) -> Result<Vec<ChangeId>> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    tx.lock_key("add_changes", CHANGES_LOCK).await?;
    let mut added = Vec::new();
    for change in changes {
        if let Some(id) = add_one(tx, source, change, now).await? {
            tx.emit(Event::ChangeAdded(id));
            tx.note(now, Fact::ChangeAdded(id));
            added.push(id);
        }
    }
    Ok(added)
}

async fn add_one(
    tx: &mut Tx,
    source: &str,
    change: &NewChange,
    now: Timestamp,
) -> Result<Option<ChangeId>> {
    let digest = change.revision.as_deref().map(|revision| {
        digest_of([
            Some(source),
            Some(&change.repository),
            change.branch.as_deref(),
            Some(revision),
            Some(&change.codebase),
        ])
    });
    if let Some(digest) = &digest {
        let sql = "SELECT id FROM changes WHERE digest = $1";
        let known = tx.fetch_optional("add_changes", sql, args![digest]).await?;
        if known.is_some() {
            return Ok(None);
        }
    }
    let stamp = SourceStampSpec {
        codebase: change.codebase.clone(),
        repository: change.repository.clone(),
        branch: change.branch.clone(),
        revision: change.revision.clone(),
        project: change.project.clone(),
        patch: None,
    };
    let sourcestamp = sourcestamps::find_or_add(tx, &stamp, now).await?;
    codebases::record(tx, change, now).await?;
    let parent = parent_of(tx, change).await?;
    insert(tx, source, change, digest, parent, sourcestamp)
        .await
        .map(Some)
}

async fn parent_of(tx: &mut Tx, change: &NewChange) -> Result<Option<ChangeId>> {
    let branch = match change.branch {
        Some(_) => "branch = $4",
        // The argument is there in both cases, because PostgreSQL wants all of them used.
        None => "branch IS NULL AND $4 IS NULL",
    };
    let sql = format!(
        "SELECT id FROM changes WHERE repository = $1 AND project = $2 AND codebase = $3 \
         AND {branch} ORDER BY id DESC LIMIT 1"
    );
    let args = args![
        &change.repository,
        &change.project,
        &change.codebase,
        &change.branch
    ];
    tx.fetch_optional("add_changes", sql, args)
        .await?
        .map(|row| row.first())
        .transpose()
}

async fn insert(
    tx: &mut Tx,
    source: &str,
    change: &NewChange,
    digest: Option<String>,
    parent: Option<ChangeId>,
    sourcestamp: SourceStampId,
) -> Result<ChangeId> {
    let sql = "INSERT INTO changes (source, digest, author, committer, comments, files, branch, \
        revision, revlink, category, repository, codebase, project, when_at, parent_id, \
        sourcestamp_id, properties) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
        RETURNING id";
    let args = args![
        source,
        digest,
        &change.author,
        &change.committer,
        &change.comments,
        Value::from(change.files.clone()).to_string(),
        &change.branch,
        &change.revision,
        &change.revlink,
        &change.category,
        &change.repository,
        &change.codebase,
        &change.project,
        change.when,
        parent,
        sourcestamp,
        properties_json(&change.properties),
    ];
    tx.fetch_one("add_changes", sql, args).await?.first()
}
