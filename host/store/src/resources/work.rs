//! What a farm does: changes, source stamps, build sets, requests, builds, steps, logs.

use std::collections::BTreeMap;

use toolpost_core::model::{
    Build, BuildRequest, Buildset, Change, Log, LogType, SourceStamp, SourceStampSpec, Step,
    StepUrl,
};
use toolpost_core::{BuildsetId, MasterId, RequestId, Timestamp};

use super::sealed::Stored;
use super::table::{Spread, Table, at_most_one, flag, int, link, list, text, time};
use crate::ops;
use crate::sql::{Cells, Connection, json_ids};
use crate::{Result, StoreError};

impl Stored for Change {
    const TABLE: &'static Table = &Table {
        resource: "change",
        from: "changes t",
        columns: "t.id, t.author, t.committer, t.comments, t.files, t.branch, t.revision, \
            t.revlink, t.category, t.repository, t.codebase, t.project, t.when_at, t.parent_id, \
            t.sourcestamp_id, t.properties",
        fields: &[
            int("changeid", "t.id"),
            text("author", "t.author"),
            text("committer", "t.committer").null(),
            text("comments", "t.comments"),
            list("files", "t.files"),
            text("branch", "t.branch").null(),
            text("revision", "t.revision").null(),
            text("revlink", "t.revlink").null(),
            text("category", "t.category").null(),
            text("repository", "t.repository"),
            text("codebase", "t.codebase"),
            text("project", "t.project"),
            time("when_timestamp", "t.when_at"),
            at_most_one("parent_changeids", "t.parent_id"),
            int("ssid", "t.sourcestamp_id"),
            link(
                "bsid",
                "t.id IN (SELECT x.change_id FROM buildset_changes x WHERE x.buildset_id",
            ),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            author: cells.get()?,
            committer: cells.get()?,
            comments: cells.get()?,
            files: cells.json()?,
            branch: cells.get()?,
            revision: cells.get()?,
            revlink: cells.get()?,
            category: cells.get()?,
            repository: cells.get()?,
            codebase: cells.get()?,
            project: cells.get()?,
            when: cells.get()?,
            parent: cells.get()?,
            sourcestamp_id: cells.get()?,
            properties: cells.json()?,
        })
    }
}

/// The body of a patch is not among them, for it may be long.
const STAMP_COLUMNS: &str = "t.id, t.codebase, t.repository, t.branch, t.revision, t.project, \
    t.patch_id, COALESCE((SELECT p.size_bytes FROM patches p WHERE p.id = t.patch_id), 0), \
    t.created_at";

impl Stored for SourceStamp {
    const TABLE: &'static Table = &Table {
        resource: "source stamp",
        from: "sourcestamps t",
        columns: STAMP_COLUMNS,
        fields: &[
            int("ssid", "t.id"),
            text("codebase", "t.codebase"),
            text("repository", "t.repository"),
            text("branch", "t.branch").null(),
            text("revision", "t.revision").null(),
            text("project", "t.project"),
            time("created_at", "t.created_at"),
            link(
                "bsid",
                "t.id IN (SELECT x.sourcestamp_id FROM buildset_sourcestamps x WHERE x.buildset_id",
            ),
            // Those without a patch are everybody's.
            link(
                "builderid",
                "t.id IN (SELECT t.id WHERE t.patch_id IS NULL UNION ALL \
                 SELECT x.sourcestamp_id FROM buildset_sourcestamps x \
                 JOIN requests r ON r.buildset_id = x.buildset_id \
                 WHERE x.sourcestamp_id = t.id AND r.builder_id",
            ),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            spec: SourceStampSpec {
                codebase: cells.get()?,
                repository: cells.get()?,
                branch: cells.get()?,
                revision: cells.get()?,
                project: cells.get()?,
                patch: cells.get()?,
            },
            patch_size_bytes: cells.get::<i64>()?.unsigned_abs(),
            created_at: cells.get()?,
        })
    }
}

impl Stored for Buildset {
    const TABLE: &'static Table = &Table {
        resource: "build set",
        from: "buildsets t",
        columns: "t.id, t.external_idstring, t.reason, t.submitted_at, t.complete, t.complete_at, \
            t.results, t.parent_build_id, t.parent_relationship, t.rebuilt_build_id",
        fields: &[
            int("bsid", "t.id"),
            text("external_idstring", "t.external_idstring").null(),
            text("reason", "t.reason"),
            time("submitted_at", "t.submitted_at").spread(Spread::Recent),
            flag("complete", "t.complete"),
            time("complete_at", "t.complete_at").null(),
            // As a stock master compares it; what is shown is NULL until the build set is complete.
            int("results", "COALESCE(t.results, -1)"),
            int("parent_buildid", "t.parent_build_id").null(),
            text("parent_relationship", "t.parent_relationship").null(),
            int("rebuilt_buildid", "t.rebuilt_build_id").null(),
            int("schedulerid", "t.scheduler_id").null(),
            link(
                "changeid",
                "t.id IN (SELECT x.buildset_id FROM buildset_changes x WHERE x.change_id",
            ),
            link(
                "builderid",
                "t.id IN (SELECT x.buildset_id FROM requests x WHERE x.builder_id",
            ),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            external_idstring: cells.get()?,
            reason: cells.get()?,
            submitted_at: cells.get()?,
            complete: cells.get()?,
            complete_at: cells.get()?,
            results: cells.get()?,
            parent_buildid: cells.get()?,
            parent_relationship: cells.get()?,
            rebuilt_buildid: cells.get()?,
            sourcestamps: Vec::new(),
        })
    }

    async fn complete(connection: &mut Connection, rows: &mut [Self]) -> Result<()> {
        let sql = format!(
            "SELECT x.buildset_id, {STAMP_COLUMNS} FROM buildset_sourcestamps x \
             JOIN sourcestamps t ON t.id = x.sourcestamp_id WHERE x.buildset_id IN {} \
             ORDER BY x.buildset_id, t.codebase, t.id",
            connection.ids(1)
        );
        let ids = json_ids(rows.iter().map(|buildset| buildset.id));
        let mut stamps: BTreeMap<BuildsetId, Vec<SourceStamp>> = BTreeMap::new();
        for row in connection
            .fetch_all("buildset_sourcestamps", sql, vec![ids])
            .await?
        {
            let mut cells = row.cells();
            let buildset = cells.get()?;
            let stamp = SourceStamp::read(&mut cells)?;
            stamps.entry(buildset).or_default().push(stamp);
        }
        for buildset in rows {
            buildset.sourcestamps = stamps.remove(&buildset.id).unwrap_or_default();
        }
        Ok(())
    }
}

/// Of the claim of a request. Not a join, because it is looked for only where there is one, and a page of requests that wait has none.
const CLAIMED_AT: &str = "(SELECT c.claimed_at FROM claims c WHERE c.request_id = t.id)";
const CLAIMED_BY: &str = "(SELECT c.master_id FROM claims c WHERE c.request_id = t.id)";

impl Stored for BuildRequest {
    const TABLE: &'static Table = &Table {
        resource: "build request",
        from: "requests t",
        columns: "t.id, t.buildset_id, t.builder_id, t.priority, t.claimed, t.complete, t.complete_at, \
            t.results, t.submitted_at, t.waited_for",
        fields: &[
            int("buildrequestid", "t.id"),
            int("buildsetid", "t.buildset_id"),
            int("builderid", "t.builder_id"),
            int("priority", "t.priority"),
            flag("claimed", "t.claimed"),
            time("claimed_at", CLAIMED_AT).null(),
            int("claimed_by_masterid", CLAIMED_BY).null(),
            flag("complete", "t.complete"),
            time("complete_at", "t.complete_at").null(),
            int("results", "COALESCE(t.results, -1)"),
            time("submitted_at", "t.submitted_at").spread(Spread::Recent),
            flag("waited_for", "t.waited_for"),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        let (id, buildset_id) = (cells.get()?, cells.get()?);
        let (builder_id, priority) = (cells.get()?, cells.get()?);
        let claimed: bool = cells.get()?;
        Ok(Self {
            id,
            buildset_id,
            builder_id,
            priority,
            claimed_by: None,
            // When that was is read with all others.
            claimed_at: claimed.then_some(Timestamp(0)),
            complete: cells.get()?,
            complete_at: cells.get()?,
            results: cells.get()?,
            submitted_at: cells.get()?,
            waited_for: cells.get()?,
        })
    }

    async fn complete(connection: &mut Connection, rows: &mut [Self]) -> Result<()> {
        let claimed = rows.iter().filter(|row| row.claimed_at.is_some());
        let claimed: Vec<_> = claimed.map(|row| row.id).collect();
        if claimed.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "SELECT request_id, master_id, claimed_at FROM claims WHERE request_id IN {}",
            connection.ids(1)
        );
        let mut claims: BTreeMap<RequestId, (MasterId, Timestamp)> = BTreeMap::new();
        for row in connection
            .fetch_all("claims", sql, vec![json_ids(claimed)])
            .await?
        {
            let mut cells = row.cells();
            claims.insert(cells.get()?, (cells.get()?, cells.get()?));
        }
        for request in rows {
            let claim = claims.get(&request.id);
            request.claimed_by = claim.map(|(master, _)| *master);
            request.claimed_at = claim.map(|(_, at)| *at);
        }
        Ok(())
    }
}

impl Stored for Build {
    const TABLE: &'static Table = &Table {
        resource: "build",
        from: "builds t",
        columns: "t.id, t.number, t.builder_id, t.request_id, t.worker_id, t.master_id, \
            t.started_at, t.complete, t.complete_at, t.locks_duration_ms, t.state_string, t.results",
        fields: &[
            int("buildid", "t.id"),
            int("number", "t.number"),
            int("builderid", "t.builder_id"),
            int("buildrequestid", "t.request_id"),
            int("workerid", "t.worker_id").null(),
            int("masterid", "t.master_id"),
            time("started_at", "t.started_at").spread(Spread::Recent),
            flag("complete", "t.complete").spread(Spread::ZeroIsRare),
            time("complete_at", "t.complete_at")
                .null()
                .spread(Spread::Recent),
            int("locks_duration_s", "t.locks_duration_ms / 1000"),
            text("state_string", "t.state_string"),
            int("results", "t.results").null(),
            link(
                "bsid",
                "t.request_id IN (SELECT x.id FROM requests x WHERE x.buildset_id",
            ),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            number: cells.get()?,
            builder_id: cells.get()?,
            request_id: cells.get()?,
            worker_id: cells.get()?,
            master_id: cells.get()?,
            started_at: cells.get()?,
            complete: cells.get()?,
            complete_at: cells.get()?,
            locks_duration_ms: cells.get()?,
            state_string: cells.get()?,
            results: cells.get()?,
        })
    }
}

impl Stored for Step {
    const TABLE: &'static Table = &Table {
        resource: "step",
        from: "steps t",
        columns: "t.id, t.number, t.name, t.build_id, t.started_at, t.locks_acquired_at, \
            t.complete, t.complete_at, t.state_string, t.results, t.urls, t.hidden, t.plugin_digest, \
            (SELECT x.value FROM build_data x WHERE x.build_id = t.build_id \
            AND x.name = 'resources_' || t.number)",
        fields: &[
            int("stepid", "t.id"),
            int("number", "t.number"),
            text("name", "t.name"),
            int("buildid", "t.build_id"),
            time("started_at", "t.started_at").null(),
            time("locks_acquired_at", "t.locks_acquired_at").null(),
            flag("complete", "t.complete"),
            time("complete_at", "t.complete_at").null(),
            text("state_string", "t.state_string"),
            int("results", "t.results").null(),
            flag("hidden", "t.hidden"),
            text("plugin_digest", "t.plugin_digest").null(),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            number: cells.get()?,
            name: cells.get()?,
            build_id: cells.get()?,
            started_at: cells.get()?,
            locks_acquired_at: cells.get()?,
            complete: cells.get()?,
            complete_at: cells.get()?,
            state_string: cells.get()?,
            results: cells.get()?,
            urls: cells
                .json::<Vec<(String, String)>>()?
                .into_iter()
                .map(|(name, url)| StepUrl { name, url })
                .collect(),
            hidden: cells.get()?,
            plugin_digest: cells.get()?,
            resources: cells
                .get::<Option<Vec<u8>>>()?
                .and_then(|value| ops::resources::from_json(&value)),
        })
    }
}

impl Stored for Log {
    const TABLE: &'static Table = &Table {
        resource: "log",
        from: "logs t",
        columns: "t.id, t.name, t.slug, t.step_id, t.complete, t.num_lines, t.log_type",
        fields: &[
            int("logid", "t.id"),
            text("name", "t.name"),
            text("slug", "t.slug"),
            int("stepid", "t.step_id"),
            flag("complete", "t.complete"),
            int("num_lines", "t.num_lines"),
            text("type", "t.log_type"),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            name: cells.get()?,
            slug: cells.get()?,
            step_id: cells.get()?,
            complete: cells.get()?,
            num_lines: cells.get()?,
            log_type: log_type(cells.get()?)?,
        })
    }
}

/// The type that was stored as its letter.
pub(crate) fn log_type(letter: String) -> Result<LogType> {
    LogType::from_letter(&letter).ok_or(StoreError::Corrupt {
        what: "type of a log".to_owned(),
        reason: letter,
    })
}
