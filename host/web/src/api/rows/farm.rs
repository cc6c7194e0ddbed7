//! What a farm consists of: masters, builders, workers, schedulers, change sources.

use toolpost_core::model::{Builder, ChangeSource, Master, Scheduler, Worker};
use toolpost_store::Store;

use super::{Masters, Row, by_id, write_master};
use crate::api::json::{self, Object};
use crate::api::query::Spec;
use crate::api::schema::Resource;
use crate::error::ApiError;

impl Row for Master {
    const RESOURCE: Resource = Resource::Master;
    const ID: &'static str = "masterid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.bool("active", self.active);
        object.time("last_active", self.last_active);
        object.int("masterid", self.id.0);
        object.text("name", &self.name);
    }
}

impl Row for Builder {
    const RESOURCE: Resource = Resource::Builder;
    const ID: &'static str = "builderid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.int("builderid", self.id.0);
        object.opt_text("description", self.description.as_deref());
        object.null("description_format");
        object.null("description_html");
        object.list("masterids", &self.masters, |out, id| json::int(out, id.0));
        object.text("name", &self.name);
        object.opt_int("projectid", self.project_id.map(|id| id.0));
        object.list("tags", &self.tags, |out, tag| json::text(out, tag));
    }
}

impl Row for Worker {
    const RESOURCE: Resource = Resource::Worker;
    const ID: &'static str = "workerid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.list(
            "configured_on",
            &self.configured_on,
            |out, (master, builder)| {
                let mut object = Object::open(out, None);
                object.int("builderid", builder.0);
                object.int("masterid", master.0);
                object.close();
            },
        );
        object.list("connected_to", &self.connected_to, |out, master| {
            let mut object = Object::open(out, None);
            object.int("masterid", master.0);
            object.close();
        });
        object.bool("graceful", self.graceful);
        object.text("name", &self.name);
        object.opt_text("pause_reason", self.pause_reason.as_deref());
        object.bool("paused", self.paused);
        object.int("workerid", self.id.0);
        object.with("workerinfo", |out| {
            out.push(b'{');
            for (at, (name, value)) in self.info.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                json::text(out, name);
                out.push(b':');
                json::value(out, value);
            }
            out.push(b'}');
        });
    }
}

impl Row for Scheduler {
    const RESOURCE: Resource = Resource::Scheduler;
    const ID: &'static str = "schedulerid";
    type Related = Masters;

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, masters: &Masters, object: &mut Object<'_>) {
        object.bool("enabled", self.enabled);
        write_master(object, self.master_id.map(|id| id.0), masters);
        object.text("name", &self.name);
        object.int("schedulerid", self.id.0);
    }

    async fn related(store: &Store, rows: &[Self], _: &Spec) -> Result<Masters, ApiError> {
        by_id(
            store,
            rows.iter().filter_map(|row| row.master_id).map(|id| id.0),
        )
        .await
    }
}

impl Row for ChangeSource {
    const RESOURCE: Resource = Resource::ChangeSource;
    const ID: &'static str = "changesourceid";
    type Related = Masters;

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, masters: &Masters, object: &mut Object<'_>) {
        object.int("changesourceid", self.id.0);
        write_master(object, self.master_id.map(|id| id.0), masters);
        object.text("name", &self.name);
    }

    async fn related(store: &Store, rows: &[Self], _: &Spec) -> Result<Masters, ApiError> {
        by_id(
            store,
            rows.iter().filter_map(|row| row.master_id).map(|id| id.0),
        )
        .await
    }
}
