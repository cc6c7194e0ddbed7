//! Schedulers.

use std::time::Duration;

use globset::GlobSet;
use serde_json::{Map, Value};
use toolpost_core::filter::ChangeFilter;
use toolpost_core::model::SourceStampSpec;

use super::changes::compile_globs;
use super::{ForceConfig, PropertyValues};

/// `[[scheduler]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    /// Unique name.
    pub name: String,
    /// Names of the builders that it starts; not empty.
    pub builders: Vec<String>,
    /// Properties of its build sets.
    pub properties: PropertyValues,
    /// When it starts them.
    pub kind: SchedulerKind,
}

/// When builders are started.
#[derive(Debug, Clone, PartialEq)]
pub enum SchedulerKind {
    /// `use = "single-branch"`.
    SingleBranch(Box<SingleBranchConfig>),
    /// `use = "force"`.
    Force(Box<ForceConfig>),
    /// When a plugin says so.
    Plugin(Box<PluginSchedulerConfig>),
}

/// A scheduler of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginSchedulerConfig {
    /// The scheduler type: what `use` names.
    pub scheduler_type: String,
    /// Added to the priority that the plugin asks for.
    pub priority: i32,
    /// Parameters of the scheduler type. Templates in them are the plugin's matter.
    pub parameters: Map<String, Value>,
}

/// Builds when changes came in and then none came for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleBranchConfig {
    /// Which changes it takes; `branch` and `branches` of the configuration are in it.
    pub change_filter: ChangeFilter,
    /// How long no further change may come before it builds; `None` for a build for each important change
    /// at once.
    pub tree_stable_timer: Option<Duration>,
    /// Which of those changes start a build.
    pub files: FileFilter,
    /// Whether unimportant changes are left out of the build that an important one starts.
    pub only_important: bool,
    /// The codebases that it knows, each with what is built of it when no change is of it; not empty, the
    /// only one has an empty name.
    pub codebases: Vec<SourceStampSpec>,
    /// Whether a codebase without a change is built as of its last change, and not as configured.
    pub create_absolute_source_stamps: bool,
    /// The reason that builds show.
    pub reason: String,
    /// Priority of its requests; higher runs first.
    pub priority: i32,
}

/// Which files make a change important.
#[derive(Debug, Clone, Default)]
pub struct FileFilter {
    important: Vec<String>,
    unimportant: Vec<String>,
    important_set: GlobSet,
    unimportant_set: GlobSet,
}

impl FileFilter {
    /// Compiles patterns; no important ones means that every file is important.
    ///
    /// # Errors
    /// The first pattern that is not a glob.
    pub fn new(important: Vec<String>, unimportant: Vec<String>) -> Result<Self, globset::Error> {
        Ok(Self {
            important_set: compile_globs(&important)?,
            unimportant_set: compile_globs(&unimportant)?,
            important,
            unimportant,
        })
    }

    /// Whether a change that touched these files starts a build: when one of them is important. A change
    /// that names no files does.
    pub fn is_important<S: AsRef<str>>(&self, files: impl IntoIterator<Item = S>) -> bool {
        let mut files = files.into_iter().peekable();
        files.peek().is_none()
            || files.any(|file| {
                let file = file.as_ref();
                (self.important.is_empty() || self.important_set.is_match(file))
                    && !self.unimportant_set.is_match(file)
            })
    }

    /// Patterns of important files.
    #[must_use]
    pub fn important(&self) -> &[String] {
        &self.important
    }

    /// Patterns of unimportant files.
    #[must_use]
    pub fn unimportant(&self) -> &[String] {
        &self.unimportant
    }
}

/// Equal patterns accept equal files; the compiled form has no equality of its own.
impl PartialEq for FileFilter {
    fn eq(&self, other: &Self) -> bool {
        (&self.important, &self.unimportant) == (&other.important, &other.unimportant)
    }
}

impl Eq for FileFilter {}
