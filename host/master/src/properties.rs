//! Where the properties of build sets and builds come from, with Buildbot's sources and order of precedence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Value, json};
use toolpost_config::config::{BuilderConfig, PropertyValues, WorkerConfig};
use toolpost_core::model::{Buildset, Change, SourceStampSpec};
use toolpost_core::template::{Scope, SourceScope, Templates};
use toolpost_core::{BuilderId, ProjectId, Properties};

/// The template engine of this process.
pub(crate) static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::default);

/// Property with the revision that a source step found: a text, or a text for each codebase.
pub(crate) const GOT_REVISION: &str = "got_revision";

/// Source of properties that a scheduler sets.
pub(crate) const SCHEDULER: &str = "Scheduler";

/// Properties of a build set that a scheduler makes.
///
/// # Errors
/// A template that cannot be rendered, with the property's name.
pub(crate) fn scheduler_properties(
    scheduler: &str,
    configured: &PropertyValues,
    sources: &[SourceStampSpec],
) -> Result<Properties, String> {
    let mut properties = Properties::new();
    properties.set("scheduler", scheduler, SCHEDULER);
    let scope = Scope::new()
        .with_properties(&properties)
        .with_sources(sources.iter().cloned());
    for (name, value) in configured {
        let value = render(name, value, &scope)?;
        properties.set(name.clone(), value, SCHEDULER);
    }
    Ok(properties)
}

/// What a build's first properties depend on.
pub(crate) struct Origin<'a> {
    pub(crate) builder_id: BuilderId,
    pub(crate) builder: &'a BuilderConfig,
    /// The project of the builder.
    pub(crate) project_id: Option<ProjectId>,
    pub(crate) worker: &'a WorkerConfig,
    pub(crate) worker_dir: &'a str,
    /// Where the build works, below that.
    pub(crate) build_dir: &'a str,
    /// What the worker tells about itself.
    pub(crate) worker_texts: &'a BTreeMap<String, String>,
    pub(crate) buildset: &'a Buildset,
    pub(crate) requested: &'a Properties,
    pub(crate) changes: &'a [Change],
}

/// The properties that a build starts with, all but its number, and what could not be rendered.
pub(crate) fn build_properties(origin: &Origin<'_>) -> (Properties, Option<String>) {
    let mut properties = Properties::new();
    properties.set("reason", origin.buildset.reason.clone(), "Build");
    for change in origin.changes {
        properties.merge(&change.properties);
    }
    properties.merge(origin.requested);
    properties.set("buildername", origin.builder.name.clone(), "Builder");
    properties.set("builderid", origin.builder_id.0, "Builder");
    if let (Some(name), Some(id)) = (&origin.builder.project, origin.project_id) {
        properties.set("projectname", name.clone(), "Builder");
        properties.set("projectid", id.0, "Builder");
    }
    set_source(&mut properties, origin);
    let worker = &origin.worker.name;
    let builddir = format!("{}/{}", origin.worker_dir, origin.build_dir);
    properties.set("workername", worker.clone(), "Worker");
    properties.set("basedir", origin.worker_dir, "Worker");
    properties.set("builddir", builddir, "Worker");
    let problem = set_configured(&mut properties, origin).err();
    for (name, text) in origin.worker_texts {
        if properties.get(name).is_none() {
            properties.set(name.clone(), text.clone(), "Worker");
        }
    }
    (properties, problem)
}

fn set_source(properties: &mut Properties, origin: &Origin<'_>) {
    if let [only] = &origin.buildset.sourcestamps[..] {
        let spec = &only.spec;
        let values = [
            ("branch", json!(spec.branch)),
            ("revision", json!(spec.revision)),
            ("repository", json!(spec.repository)),
            ("codebase", json!(spec.codebase)),
            ("project", json!(spec.project)),
        ];
        for (name, value) in values {
            properties.set(name, value, "Build");
        }
    }
    let authors = origin.changes.iter().map(|change| change.author.as_str());
    let owners: BTreeSet<&str> = authors.collect();
    if !owners.is_empty() {
        properties.set("owners", json!(owners), "Build");
    }
}

/// Values of the configuration: fixed ones win over what was asked for, defaults do not.
fn set_configured(properties: &mut Properties, origin: &Origin<'_>) -> Result<(), String> {
    let layers = [
        (&origin.builder.properties, "Builder", true),
        (&origin.worker.properties, "Worker", true),
        (&origin.builder.default_properties, "Builder", false),
        (&origin.worker.default_properties, "Worker", false),
    ];
    for (values, source, wins) in layers {
        let stamps = &origin.buildset.sourcestamps;
        let scope = Scope::new()
            .with_properties(properties)
            .with_sources(stamps.iter().map(|stamp| stamp.spec.clone()));
        for (name, value) in values {
            if wins || properties.get(name).is_none() {
                let value = render(name, value, &scope)?;
                properties.set(name.clone(), value, source);
            }
        }
    }
    Ok(())
}

fn render(name: &str, value: &Value, scope: &Scope) -> Result<Value, String> {
    TEMPLATES
        .render_value(value, scope)
        .map_err(|error| format!("property `{name}` of the configuration: {error}"))
}

/// The revision that each codebase was checked out at, as far as source steps have said.
pub(crate) fn got_revisions(properties: &Properties) -> BTreeMap<String, String> {
    match properties.get(GOT_REVISION) {
        Some(Value::String(revision)) => [(String::new(), revision.clone())].into(),
        Some(Value::Object(revisions)) => revisions
            .iter()
            .filter_map(|(codebase, revision)| Some((codebase.clone(), revision.as_str()?.into())))
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// Source stamps as templates see them, with the revisions that were found.
pub(crate) fn source_scopes(
    sources: &[SourceStampSpec],
    properties: &Properties,
) -> Vec<SourceScope> {
    let found = got_revisions(properties);
    let scopes = sources.iter().map(|stamp| SourceScope {
        got_revision: found.get(&stamp.codebase).cloned(),
        stamp: stamp.clone(),
    });
    scopes.collect()
}
