//! Builds: claimed and numbered in one transaction, finished in another.

use std::collections::BTreeMap;

use serde_json::Value;
use toolpost_core::model::Build;
use toolpost_core::{
    BuildId, BuilderId, BuildsetId, MasterId, Properties, RequestId, Results, Timestamp, WorkerId,
};

use crate::{Result, Store};

/// A build to start.
#[derive(Debug, Clone, PartialEq)]
pub struct StartBuild {
    /// The master that runs it.
    pub master: MasterId,
    /// The builder.
    pub builder: BuilderId,
    /// The worker.
    pub worker: WorkerId,
    /// The request to carry out, then those that are collapsed into it and end as `SKIPPED`.
    pub requests: Vec<RequestId>,
    /// Properties that the build starts with.
    pub properties: Properties,
}

/// What came of [`Store::finish_build`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildEnd {
    /// The build ended; its request is complete.
    Finished {
        /// The build set, when this was its last request.
        completed_buildset: Option<BuildsetId>,
    },
    /// The build ended; its request is back in the queue.
    Requeued,
    /// The build had ended before; nothing was changed.
    AlreadyComplete,
}

impl Store {
    /// Claims the requests and makes the build, with the builder's next number, in one transaction. `None` when one of the
    /// requests is no longer pending: another master was first, or somebody cancelled it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_build(&self, start: StartBuild, now: Timestamp) -> Result<Option<Build>> {
        todo!("{start:?} {now:?}")
    }

    /// Sets the line about what a running build does now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_build_state(&self, build: BuildId, state: &str) -> Result<()> {
        todo!("{build} {state}")
    }

    /// Adds to the time that the build spent waiting for locks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_build_locks_duration(&self, build: BuildId, duration_ms: i64) -> Result<()> {
        todo!("{build} {duration_ms}")
    }

    /// Sets a property of a build.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_build_property(
        &self,
        build: BuildId,
        name: &str,
        value: &Value,
        source: &str,
    ) -> Result<()> {
        todo!("{build} {name} {value} {source}")
    }

    /// Sets several properties of a build at once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_build_properties(&self, build: BuildId, properties: Properties) -> Result<()> {
        todo!("{build} {properties:?}")
    }

    /// The properties of a build.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn build_properties(&self, build: BuildId) -> Result<Properties> {
        todo!("{build}")
    }

    /// The properties of several builds, for lists.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn properties_of_builds(
        &self,
        builds: &[BuildId],
    ) -> Result<BTreeMap<BuildId, Properties>> {
        todo!("{builds:?}")
    }

    /// Ends a build. Its request is complete with the same result, and the build set too when it was the last; with
    /// [`Results::Retry`] the request goes back to the queue instead.
    ///
    /// # Errors
    /// When the build is unknown or the database fails.
    pub async fn finish_build(
        &self,
        build: BuildId,
        results: Results,
        state: &str,
        now: Timestamp,
    ) -> Result<BuildEnd> {
        todo!("{build} {results} {state} {now:?}")
    }
}
