//! Build sets and their source stamps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use toolpost_core::model::{SourceStamp, SourceStampSpec};
use toolpost_core::patch::Patch;
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, ChangeId, Event, Fact, Properties, RequestId, Results,
    SchedulerId, Timestamp,
};

use crate::digest::digest_of;
use crate::ops::{patches, properties_json, sourcestamps};
use crate::resources::read_all;
use crate::sql::{args, json_ids};
use crate::tx::Tx;
use crate::{ROWS_PER_LIST_MAX, Result, Store, StoreError};

/// The build whose trigger step makes a build set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentBuild {
    /// That build.
    pub build: BuildId,
    /// How the build set relates to it (`"Triggered from"`).
    pub relationship: String,
}

/// A build set to make.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewBuildset {
    /// Why it is made, for people.
    pub reason: String,
    /// An id given by whoever asked.
    pub external_idstring: Option<String>,
    /// The scheduler that makes it.
    pub scheduler: Option<SchedulerId>,
    /// What to build, one per codebase. When empty, the newest of `changes` in each codebase says it.
    pub sourcestamps: Vec<SourceStampSpec>,
    /// New patches, by the codebase of `sourcestamps` that each is for, in place of what its source stamp says.
    pub patches: BTreeMap<String, Patch>,
    /// The changes that it is made for.
    pub changes: Vec<ChangeId>,
    /// Properties that every build of it starts with.
    pub properties: Properties,
    /// The builders that are to build it; a request for each.
    pub builders: Vec<BuilderId>,
    /// Higher runs first.
    pub priority: i32,
    /// Whether a trigger step waits for it; such requests are never collapsed.
    pub waited_for: bool,
    /// The build whose trigger step makes it.
    pub parent: Option<ParentBuild>,
    /// The build that it repeats.
    pub rebuilt: Option<BuildId>,
}

/// A build set that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedBuildset {
    /// Its id.
    pub id: BuildsetId,
    /// Its requests.
    pub requests: BTreeMap<BuilderId, RequestId>,
}

impl Store {
    /// Makes a build set with a request for each builder; without builders it is complete at once.
    ///
    /// # Errors
    /// When a change or builder is unknown or the database fails.
    pub async fn add_buildset(&self, new: NewBuildset, now: Timestamp) -> Result<AddedBuildset> {
        let new = Arc::new(new);
        self.write("add_buildset", move |tx| {
            let new = new.clone();
            Box::pin(async move { add(tx, &new, now).await })
        })
        .await
    }

    /// The properties that the build set was made with.
    ///
    /// # Errors
    /// When the build set is unknown or the database fails.
    pub async fn buildset_properties(&self, buildset: BuildsetId) -> Result<Properties> {
        let mut connection = self.read("buildset_properties").await?;
        let sql = "SELECT properties FROM buildsets WHERE id = $1";
        connection
            .fetch_optional("buildset_properties", sql, args![buildset])
            .await?
            .ok_or_else(|| StoreError::not_found("build set", buildset))?
            .cells()
            .json()
    }

    /// The properties of several build sets, for lists; those that are not there are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn properties_of_buildsets(
        &self,
        buildsets: impl IntoIterator<Item = BuildsetId> + Send,
    ) -> Result<BTreeMap<BuildsetId, Properties>> {
        const OPERATION: &str = "properties_of_buildsets";
        let ids = json_ids(buildsets);
        let mut connection = self.read(OPERATION).await?;
        let sql = format!(
            "SELECT id, properties FROM buildsets WHERE id IN {}",
            connection.ids(1)
        );
        let rows = connection.fetch_all(OPERATION, sql, vec![ids]).await?;
        let properties = rows.iter().map(|row| {
            let mut cells = row.cells();
            Ok((cells.get()?, cells.json()?))
        });
        properties.collect()
    }

    /// What the build set is to build, by codebase.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sourcestamps_of(&self, buildset: BuildsetId) -> Result<Vec<SourceStamp>> {
        let mut connection = self.read("sourcestamps_of").await?;
        let end = "JOIN buildset_sourcestamps x ON x.sourcestamp_id = t.id \
            WHERE x.buildset_id = $1 ORDER BY t.codebase, t.id LIMIT $2";
        let args = args![buildset, ROWS_PER_LIST_MAX];
        read_all(&mut connection, "sourcestamps_of", end, args).await
    }
}

/// Makes a build set and its requests in this transaction.
pub(super) async fn add(tx: &mut Tx, new: &NewBuildset, now: Timestamp) -> Result<AddedBuildset> {
    let mut stamps = if new.sourcestamps.is_empty() {
        newest_of_changes(tx, &new.changes).await?
    } else {
        new.sourcestamps.clone()
    };
    for stamp in &mut stamps {
        if let Some(patch) = new.patches.get(&stamp.codebase) {
            stamp.patch = Some(patches::find_or_add(tx, patch).await?);
        }
    }
    let id = insert(tx, new, now).await?;
    link_sources(tx, id, new, &stamps, now).await?;
    tx.emit(Event::BuildsetAdded(id));
    let requests = add_requests(tx, id, new, &collapse_key(&stamps), now).await?;
    if requests.is_empty() {
        settle(tx, &BTreeSet::from([id]), now).await?;
    }
    Ok(AddedBuildset { id, requests })
}

/// For each codebase the source stamp of the newest change.
async fn newest_of_changes(tx: &mut Tx, changes: &[ChangeId]) -> Result<Vec<SourceStampSpec>> {
    let end = format!("WHERE t.id IN {} ORDER BY t.id", tx.ids(1));
    let ids = json_ids(changes.iter().copied());
    let found: Vec<toolpost_core::model::Change> =
        read_all(tx, "add_buildset", &end, vec![ids]).await?;
    if let Some(missing) = changes
        .iter()
        .find(|id| found.iter().all(|change| change.id != **id))
    {
        return Err(StoreError::not_found("change", *missing));
    }
    let mut newest = BTreeMap::new();
    for change in found {
        let stamp = SourceStampSpec {
            codebase: change.codebase,
            repository: change.repository,
            branch: change.branch,
            revision: change.revision,
            project: change.project,
            patch: None,
        };
        newest.insert(stamp.codebase.clone(), stamp);
    }
    Ok(newest.into_values().collect())
}

async fn insert(tx: &mut Tx, new: &NewBuildset, now: Timestamp) -> Result<BuildsetId> {
    let sql = "INSERT INTO buildsets (external_idstring, reason, scheduler_id, submitted_at, \
        complete, parent_build_id, parent_relationship, rebuilt_build_id, properties) \
        VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8) RETURNING id";
    let parent = new.parent.as_ref();
    let args = args![
        &new.external_idstring,
        &new.reason,
        new.scheduler,
        now,
        parent.map(|parent| parent.build),
        parent.map(|parent| parent.relationship.as_str()),
        new.rebuilt,
        properties_json(&new.properties),
    ];
    tx.fetch_one("add_buildset", sql, args).await?.first()
}

async fn link_sources(
    tx: &mut Tx,
    buildset: BuildsetId,
    new: &NewBuildset,
    stamps: &[SourceStampSpec],
    now: Timestamp,
) -> Result<()> {
    let mut rows = Vec::with_capacity(stamps.len());
    for stamp in stamps {
        let stamp = sourcestamps::find_or_add(tx, stamp, now).await?;
        rows.push(args![buildset, stamp]);
    }
    let into = "INSERT INTO buildset_sourcestamps (buildset_id, sourcestamp_id)";
    let after = "ON CONFLICT DO NOTHING";
    tx.insert("add_buildset", into, rows, after).await?;
    let rows = new
        .changes
        .iter()
        .map(|change| args![buildset, *change])
        .collect();
    let into = "INSERT INTO buildset_changes (buildset_id, change_id)";
    tx.insert("add_buildset", into, rows, after).await?;
    Ok(())
}

/// Requests with different keys are never collapsed; those with equal keys may be.
fn collapse_key(stamps: &[SourceStampSpec]) -> String {
    let mut lines: Vec<_> = stamps
        .iter()
        .map(|stamp| {
            [
                Some(stamp.codebase.as_str()),
                Some(stamp.repository.as_str()),
                stamp.branch.as_deref(),
                Some(stamp.project.as_str()),
            ]
        })
        .collect();
    lines.sort_unstable();
    // So what has a patch never meets what has none.
    let patches = stamps.iter().filter_map(|stamp| stamp.patch);
    let patches: Vec<String> = patches.map(|patch| patch.to_string()).collect();
    let patches = patches.iter().map(|patch| Some(patch.as_str()));
    digest_of(lines.into_iter().flatten().chain(patches))
}

async fn add_requests(
    tx: &mut Tx,
    buildset: BuildsetId,
    new: &NewBuildset,
    collapse_key: &str,
    now: Timestamp,
) -> Result<BTreeMap<BuilderId, RequestId>> {
    let rows = new
        .builders
        .iter()
        .map(|builder| {
            args![
                buildset,
                *builder,
                new.priority,
                now,
                new.waited_for,
                collapse_key
            ]
        })
        .collect();
    let into = "INSERT INTO requests \
        (buildset_id, builder_id, priority, submitted_at, waited_for, collapse_key)";
    let after = "RETURNING builder_id, id";
    let mut requests = BTreeMap::new();
    for row in tx.insert("add_buildset", into, rows, after).await? {
        let mut cells = row.cells();
        let (builder, request) = (cells.get()?, cells.get()?);
        requests.insert(builder, request);
    }
    for (builder, request) in &requests {
        tx.emit(Event::RequestAdded(*request, *builder));
        tx.note(now, Fact::RequestAdded(*request, *builder));
    }
    Ok(requests)
}

/// Completes those of the build sets of which no request is left, each with the worst of their results; gives those that it did.
/// The statements are as many as there are different results, not build sets: a build may carry out hundreds.
pub(super) async fn settle(
    tx: &mut Tx,
    buildsets: &BTreeSet<BuildsetId>,
    now: Timestamp,
) -> Result<BTreeSet<BuildsetId>> {
    const OPERATION: &str = "settle_buildsets";
    if buildsets.is_empty() {
        return Ok(BTreeSet::new());
    }
    // Two masters may each finish one of the last two requests: the second one here sees the first one's commit.
    tx.lock_rows(OPERATION, "buildsets", buildsets.iter().copied())
        .await?;
    let mut settled = BTreeSet::new();
    for (results, buildsets) in worst_of(tx, OPERATION, buildsets).await? {
        let sql = format!(
            "UPDATE buildsets SET complete = 1, complete_at = $2, results = $3 \
             WHERE id IN {} AND complete = 0 RETURNING id",
            tx.ids(1)
        );
        let args = vec![json_ids(buildsets), now.into(), results.into()];
        for row in tx.fetch_all(OPERATION, sql, args).await? {
            let buildset = row.first()?;
            tx.emit(Event::BuildsetComplete(buildset));
            tx.note(now, Fact::BuildsetComplete(buildset, results));
            settled.insert(buildset);
        }
    }
    Ok(settled)
}

/// The worst results of the requests of these build sets, with the build sets that have them. Those of which a request is left
/// are not among them; one that has no requests is a success.
async fn worst_of(
    tx: &mut Tx,
    operation: &'static str,
    buildsets: &BTreeSet<BuildsetId>,
) -> Result<Vec<(Results, Vec<BuildsetId>)>> {
    let sql = format!(
        "SELECT DISTINCT buildset_id, complete, results FROM requests WHERE buildset_id IN {}",
        tx.ids(1)
    );
    let ids = json_ids(buildsets.iter().copied());
    let mut left: BTreeSet<BuildsetId> = BTreeSet::new();
    let mut worst: BTreeMap<BuildsetId, Results> = BTreeMap::new();
    for row in tx.fetch_all(operation, sql, vec![ids]).await? {
        let mut cells = row.cells();
        let buildset = cells.get()?;
        if cells.get::<bool>()? {
            let results: Results = cells.get()?;
            let known = worst.entry(buildset).or_insert(results);
            *known = known.worst(results);
        } else {
            left.insert(buildset);
        }
    }
    let of = |results: Results| {
        let of_it = buildsets.iter().copied().filter(|buildset| {
            !left.contains(buildset)
                && worst.get(buildset).copied().unwrap_or(Results::Success) == results
        });
        (results, of_it.collect::<Vec<_>>())
    };
    let mut found: Vec<_> = Results::ALL.into_iter().map(of).collect();
    found.retain(|(_, buildsets)| !buildsets.is_empty());
    Ok(found)
}
