//! Projects, and their codebases with branches and commits.

use toolpost_core::codebase::{Codebase, CodebaseBranch, CodebaseCommit, Project};

use super::sealed::Stored;
use super::table::{Table, flag, int, text, time};
use crate::Result;
use crate::sql::Cells;

impl Stored for Project {
    const TABLE: &'static Table = &Table {
        resource: "project",
        from: "projects t",
        columns: "t.id, t.name, t.slug, t.description",
        fields: &[
            int("projectid", "t.id"),
            text("name", "t.name"),
            text("slug", "t.slug"),
            text("description", "t.description").null_that_differs(),
            text("description_format", "CAST(NULL AS TEXT)").null(),
            text("description_html", "CAST(NULL AS TEXT)").null(),
            // Whether a builder of it is configured.
            flag(
                "active",
                "(CASE WHEN EXISTS (SELECT 1 FROM builders b JOIN builder_masters x ON x.builder_id = b.id \
                 WHERE b.project_id = t.id) THEN 1 ELSE 0 END)",
            ),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            name: cells.get()?,
            slug: cells.get()?,
            description: cells.get()?,
        })
    }
}

impl Stored for Codebase {
    const TABLE: &'static Table = &Table {
        resource: "codebase",
        from: "codebases t",
        columns: "t.id, t.project_id, t.name, t.slug",
        fields: &[
            int("codebaseid", "t.id"),
            int("projectid", "t.project_id"),
            text("name", "t.name"),
            text("slug", "t.slug"),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            project_id: cells.get()?,
            name: cells.get()?,
            slug: cells.get()?,
        })
    }
}

impl Stored for CodebaseBranch {
    const TABLE: &'static Table = &Table {
        resource: "branch",
        from: "codebase_branches t",
        columns: "t.id, t.codebase_id, t.name, t.commit_id, t.moved_at",
        fields: &[
            int("branchid", "t.id"),
            int("codebaseid", "t.codebase_id"),
            text("name", "t.name"),
            int("commitid", "t.commit_id").null(),
            time("last_timestamp", "t.moved_at"),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            codebase_id: cells.get()?,
            name: cells.get()?,
            commit_id: cells.get()?,
            moved_at: cells.get()?,
        })
    }
}

impl Stored for CodebaseCommit {
    const TABLE: &'static Table = &Table {
        resource: "commit",
        from: "codebase_commits t",
        columns: "t.id, t.codebase_id, t.author, t.committer, t.comments, t.when_at, t.revision, \
            t.parent_id",
        fields: &[
            int("commitid", "t.id"),
            int("codebaseid", "t.codebase_id"),
            text("author", "t.author"),
            text("committer", "t.committer").null(),
            text("comments", "t.comments"),
            time("when_timestamp", "t.when_at"),
            text("revision", "t.revision"),
            int("parent_commitid", "t.parent_id").null(),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            codebase_id: cells.get()?,
            author: cells.get()?,
            committer: cells.get()?,
            comments: cells.get()?,
            when: cells.get()?,
            revision: cells.get()?,
            parent_id: cells.get()?,
        })
    }
}
