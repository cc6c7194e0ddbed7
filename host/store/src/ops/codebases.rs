//! Projects with their codebases, as configured, and what change sources find in these.

use std::collections::BTreeMap;

use toolpost_core::codebase::CommonCommit;
use toolpost_core::{CodebaseId, CommitId, ProjectId, Timestamp};

use crate::ops::changes::NewChange;
use crate::sql::{Connection, args};
use crate::tx::Tx;
use crate::{Result, Store};

/// A project as configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredProject {
    /// Unique name.
    pub name: String,
    /// What stands for it where a name is short.
    pub slug: String,
    /// For people.
    pub description: Option<String>,
    /// Names and slugs of its codebases.
    pub codebases: Vec<(String, String)>,
}

/// Commits that are looked at on the way back from one, as on a stock master.
const COMMITS_BACK_MAX: i64 = 100;

const COMMON: &str = "common_commit";
const RECORD: &str = "record_commit";
const SYNC: &str = "sync_projects";

impl Store {
    /// Where two commits part; `None` when that is not known, or too far back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn common_commit(
        &self,
        first: CommitId,
        second: CommitId,
    ) -> Result<Option<CommonCommit>> {
        let mut connection = self.read(COMMON).await?;
        let first = line_of(&mut connection, first).await?;
        let second = line_of(&mut connection, second).await?;
        Ok(CommonCommit::of(&first, &second))
    }
}

/// A commit, its parent, the parent's parent and so on.
async fn line_of(connection: &mut Connection, commit: CommitId) -> Result<Vec<CommitId>> {
    let sql = "WITH RECURSIVE line (id, parent_id, back) AS (\
        SELECT id, parent_id, CAST(0 AS BIGINT) FROM codebase_commits WHERE id = $1 \
        UNION ALL SELECT c.id, c.parent_id, line.back + 1 FROM codebase_commits c \
        JOIN line ON c.id = line.parent_id WHERE line.back < $2) \
        SELECT id FROM line ORDER BY back";
    let rows = connection
        .fetch_all(COMMON, sql, args![commit, COMMITS_BACK_MAX])
        .await?;
    rows.iter().map(|row| row.first()).collect()
}

/// Makes the records of projects and codebases what is configured, and gives the ids of the projects by their names. What is
/// configured no more keeps its record.
pub(super) async fn sync(
    tx: &mut Tx,
    projects: &[ConfiguredProject],
) -> Result<BTreeMap<String, ProjectId>> {
    // In the order of names, so that two masters do not wait for each other in a circle.
    let sorted: BTreeMap<&str, &ConfiguredProject> = projects
        .iter()
        .map(|project| (project.name.as_str(), project))
        .collect();
    let mut ids = BTreeMap::new();
    for project in sorted.values() {
        let sql = "INSERT INTO projects (name, slug, description) VALUES ($1, $2, $3) \
            ON CONFLICT (name) DO UPDATE SET slug = excluded.slug, description = excluded.description \
            RETURNING id";
        let args = args![&project.name, &project.slug, &project.description];
        let id: ProjectId = tx.fetch_one(SYNC, sql, args).await?.first()?;
        for (name, slug) in &project.codebases {
            let sql = "INSERT INTO codebases (project_id, name, slug) VALUES ($1, $2, $3) \
                ON CONFLICT (project_id, name) DO UPDATE SET slug = excluded.slug";
            tx.execute(SYNC, sql, args![id, name, slug]).await?;
        }
        ids.insert(project.name.clone(), id);
    }
    Ok(ids)
}

/// Records the commit of a change in the codebase that it names, if that is configured, as the newest of its branch.
pub(super) async fn record(tx: &mut Tx, change: &NewChange, now: Timestamp) -> Result<()> {
    let Some(revision) = &change.revision else {
        return Ok(());
    };
    let sql = "SELECT c.id FROM codebases c JOIN projects p ON p.id = c.project_id \
        WHERE p.name = $1 AND c.name = $2";
    let named = args![&change.project, &change.codebase];
    let Some(row) = tx.fetch_optional(RECORD, sql, named).await? else {
        return Ok(());
    };
    let codebase: CodebaseId = row.first()?;
    let branch = change.branch.as_deref().unwrap_or_default();
    let sql = "SELECT commit_id FROM codebase_branches WHERE codebase_id = $1 AND name = $2";
    let newest = tx.fetch_optional(RECORD, sql, args![codebase, branch]);
    let parent: Option<CommitId> = match newest.await? {
        Some(row) => row.first()?,
        None => None,
    };
    // A commit that came by another branch keeps the parent that it had there.
    let sql = "INSERT INTO codebase_commits \
        (codebase_id, revision, author, committer, comments, when_at, parent_id) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) \
        ON CONFLICT (codebase_id, revision) DO UPDATE SET revision = excluded.revision RETURNING id";
    let args = args![
        codebase,
        revision,
        &change.author,
        &change.committer,
        &change.comments,
        change.when,
        parent,
    ];
    let commit: CommitId = tx.fetch_one(RECORD, sql, args).await?.first()?;
    let sql = "INSERT INTO codebase_branches (codebase_id, name, commit_id, moved_at) \
        VALUES ($1, $2, $3, $4) ON CONFLICT (codebase_id, name) \
        DO UPDATE SET commit_id = excluded.commit_id, moved_at = excluded.moved_at";
    tx.execute(RECORD, sql, args![codebase, branch, commit, now])
        .await?;
    Ok(())
}
