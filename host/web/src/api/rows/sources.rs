//! What is built: changes and source stamps.

use std::collections::BTreeMap;

use toolpost_core::PatchId;
use toolpost_core::model::{Change, SourceStamp};
use toolpost_core::patch::Patch;
use toolpost_store::Store;

use super::{Row, by_id, is_selected, write_properties, write_row};
use crate::api::json::{self, Object};
use crate::api::query::Spec;
use crate::api::schema::Resource;
use crate::error::ApiError;

impl Row for SourceStamp {
    const RESOURCE: Resource = Resource::SourceStamp;
    const ID: &'static str = "ssid";
    type Related = Patches;

    fn id(&self) -> i64 {
        self.id.0
    }

    fn patch_bytes(&self) -> u64 {
        self.patch_size_bytes
    }

    fn write(&self, patches: &Patches, object: &mut Object<'_>) {
        object.opt_text("branch", self.spec.branch.as_deref());
        object.text("codebase", &self.spec.codebase);
        object.time("created_at", self.created_at);
        let patch = self.spec.patch.and_then(|id| Some((id, patches.get(&id)?)));
        match patch {
            Some((id, patch)) => object.with("patch", |out| write_patch(out, id, patch)),
            None => object.null("patch"),
        }
        object.text("project", &self.spec.project);
        object.text("repository", &self.spec.repository);
        object.opt_text("revision", self.spec.revision.as_deref());
        object.int("ssid", self.id.0);
    }

    async fn related(store: &Store, rows: &[Self], spec: &Spec) -> Result<Patches, ApiError> {
        match is_selected(spec, "patch") {
            true => patches_of(store, rows).await,
            false => Ok(Patches::new()),
        }
    }
}

/// The patches of source stamps.
pub(crate) type Patches = BTreeMap<PatchId, Patch>;

/// Reads the patches of these source stamps.
pub(crate) async fn patches_of<'s>(
    store: &Store,
    stamps: impl IntoIterator<Item = &'s SourceStamp>,
) -> Result<Patches, ApiError> {
    let ids: Vec<PatchId> = stamps
        .into_iter()
        .filter_map(|stamp| stamp.spec.patch)
        .collect();
    Ok(store.patches(ids).await?)
}

/// The body is given as text: what in it is none becomes replacement characters.
fn write_patch(out: &mut Vec<u8>, id: PatchId, patch: &Patch) {
    let mut object = Object::open(out, None);
    object.text("author", &patch.author);
    object.text("body", &String::from_utf8_lossy(&patch.body));
    object.text("comment", &patch.comment);
    object.int("level", patch.level.into());
    object.int("patchid", id.0);
    object.text("subdir", &patch.subdir);
    object.close();
}

/// Writes a source stamp within something else.
pub(crate) fn write_source_stamp(out: &mut Vec<u8>, stamp: &SourceStamp, patches: &Patches) {
    write_row(out, stamp, patches, &Spec::default());
}

impl Row for Change {
    const RESOURCE: Resource = Resource::Change;
    const ID: &'static str = "changeid";
    type Related = BTreeMap<i64, SourceStamp>;

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, stamps: &Self::Related, object: &mut Object<'_>) {
        object.text("author", &self.author);
        object.opt_text("branch", self.branch.as_deref());
        object.opt_text("category", self.category.as_deref());
        object.int("changeid", self.id.0);
        object.text("codebase", &self.codebase);
        object.text("comments", &self.comments);
        object.opt_text("committer", self.committer.as_deref());
        object.list("files", &self.files, |out, file| json::text(out, file));
        object.list("parent_changeids", self.parent, |out, id| {
            json::int(out, id.0);
        });
        object.text("project", &self.project);
        object.with("properties", |out| {
            write_properties(out, &self.properties, &["*".to_owned()]);
        });
        object.text("repository", &self.repository);
        object.opt_text("revision", self.revision.as_deref());
        object.opt_text("revlink", self.revlink.as_deref());
        match stamps.get(&self.sourcestamp_id.0) {
            // What somebody has committed has no patch.
            Some(stamp) => object.with("sourcestamp", |out| {
                write_source_stamp(out, stamp, &Patches::new());
            }),
            None => object.null("sourcestamp"),
        }
        object.time("when_timestamp", self.when);
    }

    async fn related(store: &Store, rows: &[Self], spec: &Spec) -> Result<Self::Related, ApiError> {
        if !is_selected(spec, "sourcestamp") {
            return Ok(Self::Related::default());
        }
        by_id(store, rows.iter().map(|row| row.sourcestamp_id.0)).await
    }
}
