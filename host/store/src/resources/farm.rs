//! What a farm is made of: masters, builders, workers, schedulers, change sources.

use std::collections::BTreeMap;

use toolpost_core::model::{Builder, ChangeSource, Master, Scheduler, Worker};
use toolpost_core::{BuilderId, MasterId, WorkerId};

use super::sealed::Stored;
use super::table::{Table, flag, int, link, list, text, time};
use crate::Result;
use crate::sql::{Cells, Connection, json_ids};

impl Stored for Master {
    const TABLE: &'static Table = &Table {
        resource: "master",
        from: "masters t",
        columns: "t.id, t.name, t.active, t.last_active",
        fields: &[
            int("masterid", "t.id"),
            text("name", "t.name"),
            flag("active", "t.active"),
            time("last_active", "t.last_active"),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            name: cells.get()?,
            active: cells.get()?,
            last_active: cells.get()?,
        })
    }
}

const BUILDER_MASTERS: &str = "t.id IN (SELECT x.builder_id FROM builder_masters x JOIN masters m \
    ON m.id = x.master_id WHERE m.active = 1 AND x.master_id";
const BUILDER_WORKERS: &str =
    "t.id IN (SELECT x.builder_id FROM worker_builders x WHERE x.worker_id";

impl Stored for Builder {
    const TABLE: &'static Table = &Table {
        resource: "builder",
        from: "builders t",
        columns: "t.id, t.name, t.description, t.tags, t.project_id",
        fields: &[
            int("builderid", "t.id"),
            text("name", "t.name"),
            text("description", "t.description").null_that_differs(),
            text("description_format", "CAST(NULL AS TEXT)").null(),
            text("description_html", "CAST(NULL AS TEXT)").null(),
            list("tags", "t.tags"),
            int("projectid", "t.project_id").null_that_differs(),
            link("masterid", BUILDER_MASTERS),
            link("masterids", BUILDER_MASTERS),
            link("workerid", BUILDER_WORKERS),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            name: cells.get()?,
            description: cells.get()?,
            tags: cells.json()?,
            project_id: cells.get()?,
            masters: Vec::new(),
        })
    }

    async fn complete(connection: &mut Connection, rows: &mut [Self]) -> Result<()> {
        let sql = format!(
            "SELECT x.builder_id, x.master_id FROM builder_masters x \
             JOIN masters m ON m.id = x.master_id \
             WHERE m.active = 1 AND x.builder_id IN {} ORDER BY x.builder_id, x.master_id",
            connection.ids(1)
        );
        let ids = json_ids(rows.iter().map(|builder| builder.id));
        let mut masters: BTreeMap<BuilderId, Vec<MasterId>> = BTreeMap::new();
        for row in connection
            .fetch_all("builder_masters", sql, vec![ids])
            .await?
        {
            let mut cells = row.cells();
            masters.entry(cells.get()?).or_default().push(cells.get()?);
        }
        for builder in rows {
            builder.masters = masters.remove(&builder.id).unwrap_or_default();
        }
        Ok(())
    }
}

const WORKER_BUILDERS: &str =
    "t.id IN (SELECT x.worker_id FROM worker_builders x WHERE x.builder_id";
const WORKER_MASTERS: &str = "t.id IN (SELECT x.worker_id FROM worker_builders x WHERE x.master_id";
const WORKER_CONFIGURED: &str =
    "t.id IN (SELECT x.worker_id FROM worker_masters x WHERE x.master_id";
const WORKER_CONNECTIONS: &str =
    "t.id IN (SELECT x.worker_id FROM worker_connections x WHERE x.master_id";

impl Stored for Worker {
    const TABLE: &'static Table = &Table {
        resource: "worker",
        from: "workers t",
        columns: "t.id, t.name, t.info, t.paused, t.pause_reason, t.graceful, t.dismissed, \
            t.connected_at, t.address, t.gone_at, t.gone_reason, t.missing_at",
        fields: &[
            int("workerid", "t.id"),
            text("name", "t.name"),
            flag("paused", "t.paused"),
            text("pause_reason", "t.pause_reason").null_that_differs(),
            flag("graceful", "t.graceful"),
            link("builderid", WORKER_BUILDERS),
            link("masterid", WORKER_MASTERS),
            link("connected_to", WORKER_CONNECTIONS),
            link("configured_by", WORKER_CONFIGURED),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            name: cells.get()?,
            info: cells.json()?,
            paused: cells.get()?,
            pause_reason: cells.get()?,
            graceful: cells.get()?,
            dismissed: cells.get()?,
            connected_at: cells.get()?,
            address: cells.get()?,
            gone_at: cells.get()?,
            gone_reason: cells.get()?,
            missing_at: cells.get()?,
            masters: Vec::new(),
            configured_on: Vec::new(),
            connected_to: Vec::new(),
        })
    }

    async fn complete(connection: &mut Connection, rows: &mut [Self]) -> Result<()> {
        // One statement for all: each is a way to the database's thread and back. What has no builder is a connection, or a master.
        let sql = format!(
            "SELECT worker_id, master_id, builder_id, CAST(0 AS BIGINT) FROM worker_builders \
             WHERE worker_id IN {list} \
             UNION ALL SELECT worker_id, master_id, CAST(NULL AS BIGINT), CAST(1 AS BIGINT) \
             FROM worker_connections WHERE worker_id IN {list} \
             UNION ALL SELECT worker_id, master_id, CAST(NULL AS BIGINT), CAST(0 AS BIGINT) \
             FROM worker_masters WHERE worker_id IN {list} ORDER BY 1, 2, 3",
            list = connection.ids(1)
        );
        let ids = json_ids(rows.iter().map(|worker| worker.id));
        let mut configured: BTreeMap<WorkerId, Vec<(MasterId, BuilderId)>> = BTreeMap::new();
        let mut connected: BTreeMap<WorkerId, Vec<MasterId>> = BTreeMap::new();
        let mut masters: BTreeMap<WorkerId, Vec<MasterId>> = BTreeMap::new();
        for row in connection.fetch_all("worker_links", sql, vec![ids]).await? {
            let mut cells = row.cells();
            let (worker, master) = (cells.get()?, cells.get()?);
            match cells.get::<Option<BuilderId>>()? {
                Some(builder) => configured
                    .entry(worker)
                    .or_default()
                    .push((master, builder)),
                None if cells.get::<bool>()? => connected.entry(worker).or_default().push(master),
                None => masters.entry(worker).or_default().push(master),
            }
        }
        for worker in rows {
            worker.masters = masters.remove(&worker.id).unwrap_or_default();
            worker.configured_on = configured.remove(&worker.id).unwrap_or_default();
            worker.connected_to = connected.remove(&worker.id).unwrap_or_default();
        }
        Ok(())
    }
}

impl Stored for Scheduler {
    const TABLE: &'static Table = &Table {
        resource: "scheduler",
        from: "schedulers t",
        columns: "t.id, t.name, t.enabled, t.master_id",
        fields: &[
            int("schedulerid", "t.id"),
            text("name", "t.name"),
            flag("enabled", "t.enabled"),
            int("masterid", "t.master_id").null(),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            name: cells.get()?,
            enabled: cells.get()?,
            master_id: cells.get()?,
        })
    }
}

impl Stored for ChangeSource {
    const TABLE: &'static Table = &Table {
        resource: "change source",
        from: "change_sources t",
        columns: "t.id, t.name, t.master_id",
        fields: &[
            int("changesourceid", "t.id"),
            text("name", "t.name"),
            int("masterid", "t.master_id").null(),
        ],
    };

    fn read(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Self {
            id: cells.get()?,
            name: cells.get()?,
            master_id: cells.get()?,
        })
    }
}
