//! Build sets and their source stamps.

use std::collections::BTreeMap;

use toolpost_core::model::{SourceStamp, SourceStampSpec};
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, ChangeId, Properties, RequestId, SchedulerId, Timestamp,
};

use crate::{Result, Store};

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
        todo!("{new:?} {now:?}")
    }

    /// The properties that the build set was made with.
    ///
    /// # Errors
    /// When the build set is unknown or the database fails.
    pub async fn buildset_properties(&self, buildset: BuildsetId) -> Result<Properties> {
        todo!("{buildset}")
    }

    /// What the build set is to build, by codebase.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sourcestamps_of(&self, buildset: BuildsetId) -> Result<Vec<SourceStamp>> {
        todo!("{buildset}")
    }
}
