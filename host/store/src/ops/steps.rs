//! Steps of a build.

use toolpost_core::{BuildId, Results, StepId, Timestamp};

use crate::{Result, Store};

/// A step to add.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewStep {
    /// Its name; made unique in the build by a number at the end.
    pub name: String,
    /// Digest of the plugin that runs it, for a plugin step.
    pub plugin_digest: Option<String>,
}

impl Store {
    /// Adds a step at the end of a build.
    ///
    /// # Errors
    /// When the build is unknown or the database fails.
    pub async fn add_step(&self, build: BuildId, step: NewStep) -> Result<StepId> {
        todo!("{build} {step:?}")
    }

    /// Adds steps at the end of a build, in this order.
    ///
    /// # Errors
    /// When the build is unknown or the database fails.
    pub async fn add_steps(&self, build: BuildId, steps: Vec<NewStep>) -> Result<Vec<StepId>> {
        todo!("{build} {steps:?}")
    }

    /// Says that a step runs, and since when it has its locks.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn start_step(
        &self,
        step: StepId,
        now: Timestamp,
        locks_acquired_at: Option<Timestamp>,
    ) -> Result<()> {
        todo!("{step} {now:?} {locks_acquired_at:?}")
    }

    /// Says which plugin version runs the step.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn set_step_plugin(&self, step: StepId, digest: &str) -> Result<()> {
        todo!("{step} {digest}")
    }

    /// Sets the line about what the step does now.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn set_step_state(&self, step: StepId, state: &str) -> Result<()> {
        todo!("{step} {state}")
    }

    /// Adds a link to a step; the same name replaces the link.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn add_step_url(&self, step: StepId, name: &str, url: &str) -> Result<()> {
        todo!("{step} {name} {url}")
    }

    /// Ends a step; does nothing when it has ended.
    ///
    /// # Errors
    /// When the step is unknown or the database fails.
    pub async fn finish_step(
        &self,
        step: StepId,
        results: Results,
        state: &str,
        hidden: bool,
        now: Timestamp,
    ) -> Result<()> {
        todo!("{step} {results} {state} {hidden} {now:?}")
    }
}
