//! Projects, and their codebases with branches and commits.

use toolpost_core::codebase::{Codebase, CodebaseBranch, CodebaseCommit, Project};
use toolpost_store::{Op, Store};

use super::Row;
use crate::api::json::Object;
use crate::api::query::Spec;
use crate::api::schema::Resource;
use crate::error::ApiError;

/// Of a list of projects, what was asked for: those that are active, or those that are not. Buildbot says of projects whether they
/// are active only to who asks for it.
#[derive(Default)]
pub(crate) struct AskedFor(Option<bool>);

impl Row for Project {
    const RESOURCE: Resource = Resource::Project;
    const ID: &'static str = "projectid";
    type Related = AskedFor;

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, asked: &AskedFor, object: &mut Object<'_>) {
        match asked.0 {
            Some(active) => object.bool("active", active),
            None => object.null("active"),
        }
        object.opt_text("description", self.description.as_deref());
        object.null("description_format");
        object.null("description_html");
        object.text("name", &self.name);
        object.int("projectid", self.id.0);
        object.text("slug", &self.slug);
    }

    async fn related(_: &Store, _: &[Self], spec: &Spec) -> Result<AskedFor, ApiError> {
        let asked = spec.query.filters.iter().find_map(|filter| {
            match (filter.field.as_str(), filter.op, &filter.values[..]) {
                ("active", Op::Eq, [value]) => Some(value == "true"),
                ("active", Op::Ne, [value]) => Some(value != "true"),
                _ => None,
            }
        });
        Ok(AskedFor(asked))
    }
}

impl Row for Codebase {
    const RESOURCE: Resource = Resource::Codebase;
    const ID: &'static str = "codebaseid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.int("codebaseid", self.id.0);
        object.text("name", &self.name);
        object.int("projectid", self.project_id.0);
        object.text("slug", &self.slug);
    }
}

impl Row for CodebaseBranch {
    const RESOURCE: Resource = Resource::Branch;
    const ID: &'static str = "branchid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.int("branchid", self.id.0);
        object.int("codebaseid", self.codebase_id.0);
        object.opt_int("commitid", self.commit_id.map(|id| id.0));
        object.time("last_timestamp", self.moved_at);
        object.text("name", &self.name);
    }
}

impl Row for CodebaseCommit {
    const RESOURCE: Resource = Resource::Commit;
    const ID: &'static str = "commitid";
    type Related = ();

    fn id(&self) -> i64 {
        self.id.0
    }

    fn write(&self, (): &(), object: &mut Object<'_>) {
        object.text("author", &self.author);
        object.int("codebaseid", self.codebase_id.0);
        object.text("comments", &self.comments);
        object.int("commitid", self.id.0);
        object.opt_text("committer", self.committer.as_deref());
        object.opt_int("parent_commitid", self.parent_id.map(|id| id.0));
        object.text("revision", &self.revision);
        object.time("when_timestamp", self.when);
    }
}
