//! Builders and their steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use toolpost_core::collapse::CollapsePolicy;
use toolpost_core::locks::LockAccess;
use toolpost_core::step::StepOptions;

use super::PropertyValues;

/// `[[builder]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct BuilderConfig {
    /// Unique name.
    pub name: String,
    /// For people; Markdown.
    pub description: Option<String>,
    /// Name of the project that it belongs to.
    pub project: Option<String>,
    /// For filtering on pages, in the order in which they are written.
    pub tags: Vec<String>,
    /// Names of the workers that may run its builds; not empty.
    pub workers: Vec<String>,
    /// Environment of every command of its steps.
    pub env: BTreeMap<String, EnvironmentValue>,
    /// Properties of its builds.
    pub properties: PropertyValues,
    /// The same, where nothing else sets them.
    pub default_properties: PropertyValues,
    /// Locks that a build holds from start to end.
    pub locks: Vec<LockAccess>,
    /// Builds of it that run at one time; `None` for as many as its workers take.
    pub max_builds: Option<u32>,
    /// Whether pending requests that would build the same are made one.
    pub collapse: CollapsePolicy,
    /// Directory of its builds, relative to that of the worker. No two builders share one.
    pub build_dir: String,
    /// Directory that its steps work in, relative to `build_dir`; may be a template.
    pub workdir: String,
    /// What a build does, in this order.
    pub steps: Vec<Arc<StepConfig>>,
}

/// A variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentValue {
    /// Set to this; may be a template.
    Set(String),
    /// Not there, even if the worker has it.
    Unset,
}

/// `[[builder.step]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct StepConfig {
    /// The step type: what `use` names.
    pub step_type: String,
    /// What every step may have.
    pub options: StepOptions,
    /// Parameters of the step type. They fit its schema, apart from strings that are templates: those are
    /// rendered for each build, and only then known.
    pub parameters: Map<String, Value>,
}
