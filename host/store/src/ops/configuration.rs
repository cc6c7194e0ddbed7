//! Which builders, workers, schedulers and change sources a master has configured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use toolpost_core::{
    BuilderId, ChangeSourceId, Event, MasterId, ProjectId, SchedulerId, Timestamp, WorkerId,
};

use crate::ops::codebases::{self, ConfiguredProject};
use crate::ops::masters;
use crate::sql::{Backend, args, json_ids};
use crate::tx::Tx;
use crate::{Result, Store};

/// A builder as configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredBuilder {
    /// Unique name.
    pub name: String,
    /// For people; may be Markdown.
    pub description: Option<String>,
    /// For filtering on pages.
    pub tags: Vec<String>,
    /// Name of the project that it belongs to.
    pub project: Option<String>,
}

/// A worker as configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredWorker {
    /// Unique name.
    pub name: String,
    /// Names of the builders that may use it.
    pub builders: Vec<String>,
}

/// All names of a master's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredNames {
    /// Projects.
    pub projects: Vec<ConfiguredProject>,
    /// Builders.
    pub builders: Vec<ConfiguredBuilder>,
    /// Workers.
    pub workers: Vec<ConfiguredWorker>,
    /// Names of schedulers.
    pub schedulers: Vec<String>,
    /// Names of change sources.
    pub change_sources: Vec<String>,
}

/// The row ids of the configured names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredIds {
    /// Projects by name.
    pub projects: BTreeMap<String, ProjectId>,
    /// Builders by name.
    pub builders: BTreeMap<String, BuilderId>,
    /// Workers by name.
    pub workers: BTreeMap<String, WorkerId>,
    /// Schedulers by name.
    pub schedulers: BTreeMap<String, SchedulerId>,
    /// Change sources by name.
    pub change_sources: BTreeMap<String, ChangeSourceId>,
}

impl Store {
    /// Makes the records of this master's configuration what `names` says and gives their ids. What is no longer
    /// named keeps its record and history, but is configured on this master no more. A name keeps its id for ever.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sync_configuration(
        &self,
        master: MasterId,
        names: ConfiguredNames,
        now: Timestamp,
    ) -> Result<ConfiguredIds> {
        let names = Arc::new(names);
        self.write(OPERATION, move |tx| {
            let names = names.clone();
            Box::pin(async move {
                // A master that configures itself is alive.
                masters::beat(tx, master, now).await?;
                sync(tx, master, &names).await
            })
        })
        .await
    }
}

const OPERATION: &str = "sync_configuration";

/// Pairs that a link table has and pairs that it should have.
type Links = BTreeSet<(i64, i64)>;

async fn sync(tx: &mut Tx, master: MasterId, names: &ConfiguredNames) -> Result<ConfiguredIds> {
    let projects = codebases::sync(tx, &names.projects).await?;
    let ids = ConfiguredIds {
        builders: sync_builders(tx, &names.builders, &projects).await?,
        projects,
        workers: name_rows(
            tx,
            "workers",
            names.workers.iter().map(|worker| &worker.name),
        )
        .await?,
        schedulers: name_rows(tx, "schedulers", &names.schedulers).await?,
        change_sources: name_rows(tx, "change_sources", &names.change_sources).await?,
    };
    link_builders(tx, master, &ids).await?;
    link_workers(tx, master, names, &ids).await?;
    let moved = own(tx, "schedulers", master, ids.schedulers.values().copied()).await?;
    for scheduler in moved {
        tx.emit(Event::Scheduler(SchedulerId(scheduler)));
    }
    own(
        tx,
        "change_sources",
        master,
        ids.change_sources.values().copied(),
    )
    .await?;
    Ok(ids)
}

async fn sync_builders(
    tx: &mut Tx,
    builders: &[ConfiguredBuilder],
    projects: &BTreeMap<String, ProjectId>,
) -> Result<BTreeMap<String, BuilderId>> {
    // In the order of names, so that two masters with the same configuration do not wait for each other in a
    // circle.
    let sorted: BTreeMap<&str, &ConfiguredBuilder> = builders
        .iter()
        .map(|builder| (builder.name.as_str(), builder))
        .collect();
    let rows = sorted
        .values()
        .map(|builder| {
            let tags = serde_json::Value::from(builder.tags.clone()).to_string();
            let project = builder.project.as_ref();
            let project = project.and_then(|name| projects.get(name)).copied();
            args![&builder.name, &builder.description, tags, project]
        })
        .collect();
    let into = "INSERT INTO builders (name, description, tags, project_id)";
    let after = "ON CONFLICT (name) DO UPDATE \
        SET description = excluded.description, tags = excluded.tags, \
        project_id = excluded.project_id WHERE builders.description IS DISTINCT FROM excluded.description \
        OR builders.tags <> excluded.tags \
        OR builders.project_id IS DISTINCT FROM excluded.project_id RETURNING id";
    for row in tx.insert(OPERATION, into, rows, after).await? {
        tx.emit(Event::Builder(row.first()?));
    }
    ids_by_name(tx, "builders", sorted.keys()).await
}

/// Makes sure that each name has a row.
async fn name_rows<Id: From<i64>>(
    tx: &mut Tx,
    table: &'static str,
    names: impl IntoIterator<Item = &String>,
) -> Result<BTreeMap<String, Id>> {
    let names: BTreeSet<&String> = names.into_iter().collect();
    let into = format!("INSERT INTO {table} (name)");
    let rows = names.iter().map(|name| args![*name]).collect();
    let after = "ON CONFLICT (name) DO NOTHING";
    tx.insert(OPERATION, &into, rows, after).await?;
    ids_by_name(tx, table, names).await
}

async fn ids_by_name<Id: From<i64>>(
    tx: &mut Tx,
    table: &'static str,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<BTreeMap<String, Id>> {
    let wanted: Vec<String> = names
        .into_iter()
        .map(|name| name.as_ref().to_owned())
        .collect();
    let list = serde_json::Value::from(wanted).to_string();
    let names = match tx.backend() {
        Backend::Sqlite => "SELECT value FROM json_each($1)",
        Backend::Postgres => "SELECT json_array_elements_text($1::json)",
    };
    let sql = format!("SELECT id, name FROM {table} WHERE name IN ({names})");
    let rows = tx.fetch_all(OPERATION, sql, args![list]).await?;
    rows.iter()
        .map(|row| {
            let mut cells = row.cells();
            let id: i64 = cells.get()?;
            Ok((cells.get()?, Id::from(id)))
        })
        .collect()
}

/// Makes the rows of a link table of this master what they should be and gives the first ids of those that changed.
async fn sync_links(
    tx: &mut Tx,
    (table, first, second): (&'static str, &'static str, &'static str),
    master: MasterId,
    wanted: &Links,
) -> Result<BTreeSet<i64>> {
    let sql = format!("SELECT {first}, {second} FROM {table} WHERE master_id = $1");
    let mut present = Links::new();
    for row in tx.fetch_all(OPERATION, sql, args![master]).await? {
        let mut cells = row.cells();
        present.insert((cells.get()?, cells.get()?));
    }
    // The link of a builder or a worker to its master has no second id: there it is the master's again.
    let columns = if second == "master_id" {
        format!("{first}, master_id")
    } else {
        format!("{first}, {second}, master_id")
    };
    let row = |&(a, b): &(i64, i64)| {
        if second == "master_id" {
            args![a, b]
        } else {
            args![a, b, master]
        }
    };
    let added: Vec<_> = wanted.difference(&present).collect();
    let into = format!("INSERT INTO {table} ({columns})");
    let rows = added.iter().map(|link| row(link)).collect();
    tx.insert(OPERATION, &into, rows, "ON CONFLICT DO NOTHING")
        .await?;
    let removed: Vec<_> = present.difference(wanted).collect();
    let sql =
        format!("DELETE FROM {table} WHERE master_id = $3 AND {first} = $1 AND {second} = $2");
    for (a, b) in &removed {
        tx.execute(OPERATION, sql.clone(), args![*a, *b, master])
            .await?;
    }
    Ok(added.into_iter().chain(removed).map(|(a, _)| *a).collect())
}

async fn link_builders(tx: &mut Tx, master: MasterId, ids: &ConfiguredIds) -> Result<()> {
    let wanted = ids.builders.values().map(|id| (id.0, master.0)).collect();
    let table = ("builder_masters", "builder_id", "master_id");
    for builder in sync_links(tx, table, master, &wanted).await? {
        tx.emit(Event::Builder(BuilderId(builder)));
    }
    Ok(())
}

async fn link_workers(
    tx: &mut Tx,
    master: MasterId,
    names: &ConfiguredNames,
    ids: &ConfiguredIds,
) -> Result<()> {
    let all = ids.workers.values().map(|id| (id.0, master.0)).collect();
    let table = ("worker_masters", "worker_id", "master_id");
    let mut changed = sync_links(tx, table, master, &all).await?;
    let mut wanted = Links::new();
    for worker in &names.workers {
        let id = ids.workers[&worker.name].0;
        for builder in &worker.builders {
            // The configuration was checked before it came here; a name that is not in it is nobody's builder.
            if let Some(builder) = ids.builders.get(builder) {
                wanted.insert((id, builder.0));
            }
        }
    }
    let table = ("worker_builders", "worker_id", "builder_id");
    changed.extend(sync_links(tx, table, master, &wanted).await?);
    for worker in changed {
        tx.emit(Event::Worker(WorkerId(worker)));
    }
    Ok(())
}

/// Gives rows to this master, takes its other rows of the table from it, and gives the ids of all that changed.
async fn own(
    tx: &mut Tx,
    table: &'static str,
    master: MasterId,
    ids: impl IntoIterator<Item = impl Into<i64>>,
) -> Result<Vec<i64>> {
    let list = tx.ids(2);
    let ids = json_ids(ids);
    let taken = format!(
        "UPDATE {table} SET master_id = NULL \
         WHERE master_id = $1 AND id NOT IN {list} RETURNING id"
    );
    let given = format!(
        "UPDATE {table} SET master_id = $1 \
         WHERE id IN {list} AND master_id IS DISTINCT FROM $1 RETURNING id"
    );
    let mut moved = Vec::new();
    for sql in [taken, given] {
        let args = vec![master.into(), ids.clone()];
        for row in tx.fetch_all(OPERATION, sql, args).await? {
            moved.push(row.first()?);
        }
    }
    Ok(moved)
}
