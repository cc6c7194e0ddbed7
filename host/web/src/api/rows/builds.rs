//! What is asked for and done: build sets, requests, builds, steps, logs.

use std::collections::{BTreeMap, BTreeSet};

use toolpost_core::model::{Build, BuildRequest, Buildset, Log, Step};
use toolpost_core::{BuildId, BuildsetId, Properties};
use toolpost_store::Store;

use super::{Patches, Row, is_selected, patches_of, write_properties, write_source_stamp};
use crate::api::json::Object;
use crate::api::query::Spec;
use crate::api::schema::Resource;
use crate::error::ApiError;

/// The properties that were asked for, with the rows that they belong to.
pub(crate) struct Wanted<Id> {
    names: Vec<String>,
    by_id: BTreeMap<Id, Properties>,
}

impl<Id> Default for Wanted<Id> {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            by_id: BTreeMap::new(),
        }
    }
}

impl<Id: Ord> Wanted<Id> {
    /// Writes the properties of a row; an empty object when none were asked for.
    fn write(&self, object: &mut Object<'_>, id: &Id) {
        object.with("properties", |out| match self.by_id.get(id) {
            Some(properties) => write_properties(out, properties, &self.names),
            None => out.extend_from_slice(b"{}"),
        });
    }
}

impl Row for Buildset {
    const RESOURCE: Resource = Resource::Buildset;
    const ID: &'static str = "bsid";
    type Related = Patches;

    fn id(&self) -> i64 {
        self.id.0
    }

    fn patch_bytes(&self) -> u64 {
        let sizes = self.sourcestamps.iter().map(|stamp| stamp.patch_size_bytes);
        sizes.sum()
    }

    fn write(&self, patches: &Patches, object: &mut Object<'_>) {
        object.int("bsid", self.id.0);
        object.bool("complete", self.complete);
        object.opt_time("complete_at", self.complete_at);
        object.opt_text("external_idstring", self.external_idstring.as_deref());
        object.opt_int("parent_buildid", self.parent_buildid.map(|id| id.0));
        object.opt_text("parent_relationship", self.parent_relationship.as_deref());
        object.text("reason", &self.reason);
        object.opt_int("rebuilt_buildid", self.rebuilt_buildid.map(|id| id.0));
        object.results("results", self.results);
        object.list("sourcestamps", &self.sourcestamps, |out, stamp| {
            write_source_stamp(out, stamp, patches);
        });
        object.time("submitted_at", self.submitted_at);
    }

    async fn related(store: &Store, rows: &[Self], spec: &Spec) -> Result<Patches, ApiError> {
        match is_selected(spec, "sourcestamps") {
            true => patches_of(store, rows.iter().flat_map(|row| &row.sourcestamps)).await,
            false => Ok(Patches::new()),
        }
    }
}

impl Row for BuildRequest {
    const RESOURCE: Resource = Resource::BuildRequest;
    const ID: &'static str = "buildrequestid";
    type Related = Wanted<BuildsetId>;

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, wanted: &Self::Related, object: &mut Object<'_>) {
        object.int("builderid", self.builder_id.0);
        object.int("buildrequestid", self.id.0);
        object.int("buildsetid", self.buildset_id.0);
        object.bool("claimed", self.claimed_at.is_some());
        object.opt_time("claimed_at", self.claimed_at);
        object.opt_int("claimed_by_masterid", self.claimed_by.map(|id| id.0));
        object.bool("complete", self.complete);
        object.opt_time("complete_at", self.complete_at);
        object.int("priority", self.priority.into());
        wanted.write(object, &self.buildset_id);
        object.results("results", self.results);
        object.time("submitted_at", self.submitted_at);
        object.bool("waited_for", self.waited_for);
    }

    async fn related(store: &Store, rows: &[Self], spec: &Spec) -> Result<Self::Related, ApiError> {
        let mut wanted = Wanted {
            names: spec.properties.clone(),
            by_id: BTreeMap::new(),
        };
        if !wanted.names.is_empty() && is_selected(spec, "properties") {
            let buildsets: BTreeSet<_> = rows.iter().map(|row| row.buildset_id).collect();
            wanted.by_id = store.properties_of_buildsets(buildsets).await?;
        }
        Ok(wanted)
    }
}

impl Row for Build {
    const RESOURCE: Resource = Resource::Build;
    const ID: &'static str = "buildid";
    type Related = Wanted<BuildId>;

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, wanted: &Self::Related, object: &mut Object<'_>) {
        object.int("builderid", self.builder_id.0);
        object.int("buildid", self.id.0);
        object.int("buildrequestid", self.request_id.0);
        object.bool("complete", self.complete);
        object.opt_time("complete_at", self.complete_at);
        object.int("locks_duration_s", self.locks_duration_ms / 1000);
        object.int("masterid", self.master_id.0);
        object.int("number", self.number);
        wanted.write(object, &self.id);
        object.results("results", self.results);
        object.time("started_at", self.started_at);
        object.text("state_string", &self.state_string);
        object.opt_int("workerid", self.worker_id.map(|id| id.0));
    }

    async fn related(store: &Store, rows: &[Self], spec: &Spec) -> Result<Self::Related, ApiError> {
        let mut wanted = Wanted {
            names: spec.properties.clone(),
            by_id: BTreeMap::new(),
        };
        if !wanted.names.is_empty() && is_selected(spec, "properties") {
            let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            wanted.by_id = store.properties_of_builds(&ids).await?;
        }
        Ok(wanted)
    }
}

impl Row for Step {
    const RESOURCE: Resource = Resource::Step;
    const ID: &'static str = "stepid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.int("buildid", self.build_id.0);
        object.bool("complete", self.complete);
        object.opt_time("complete_at", self.complete_at);
        object.bool("hidden", self.hidden);
        object.opt_time("locks_acquired_at", self.locks_acquired_at);
        object.text("name", &self.name);
        object.int("number", self.number.into());
        object.opt_text("plugin_digest", self.plugin_digest.as_deref());
        match &self.resources {
            Some(used) => object.with("resources", |out| {
                let mut object = Object::open(out, None);
                object.int("commands", used.commands);
                object.int("memory_peak_bytes", used.memory_peak_bytes);
                object.int("read_bytes", used.read_bytes);
                object.int("system_ms", used.system_ms);
                object.int("user_ms", used.user_ms);
                object.int("written_bytes", used.written_bytes);
                object.close();
            }),
            None => object.null("resources"),
        }
        object.results("results", self.results);
        object.opt_time("started_at", self.started_at);
        object.text("state_string", &self.state_string);
        object.int("stepid", self.id.0);
        object.list("urls", &self.urls, |out, url| {
            let mut object = Object::open(out, None);
            object.text("name", &url.name);
            object.text("url", &url.url);
            object.close();
        });
    }
}

impl Row for Log {
    const RESOURCE: Resource = Resource::Log;
    const ID: &'static str = "logid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.bool("complete", self.complete);
        object.int("logid", self.id.0);
        object.text("name", &self.name);
        object.int("num_lines", self.num_lines);
        object.text("slug", &self.slug);
        object.int("stepid", self.step_id.0);
        object.text("type", self.log_type.letter());
    }
}
