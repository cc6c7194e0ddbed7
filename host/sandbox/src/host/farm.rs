//! What a step may do with its build beyond its worker, logs and properties, and with the farm around it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use toolpost_core::model::Change;

use super::HostError;
use super::artifacts::{Artifact, BuildOf, UploadRoom, UploadedDirectory};
use super::test_results::{NewTestSet, TestResult, TestSet};
use super::triggers::{TriggerRequest, TriggeredBuilds};

/// A named value of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildData {
    /// The bytes.
    pub value: Bytes,
    /// Who set it.
    pub source: String,
}

/// The build of a step and the farm around it. What plugins say is within the limits of the contract already; what the
/// operator granted, and what is there, is up to the implementation. A call may be dropped before its end.
#[async_trait]
pub trait StepFarm: Send + Sync + 'static {
    /// The newest changes that the build was made for, in the order of their ids.
    async fn changes(&self, limit: u32) -> Result<Vec<Change>, HostError>;

    /// Keeps a file of the worker. `room` says how much there is to be kept, and is used up by it.
    async fn upload_file(
        &self,
        path: &str,
        name: &str,
        room: Arc<UploadRoom>,
    ) -> Result<Artifact, HostError>;

    /// Keeps each file below a directory of the worker, at most `skipped_max` paths of what is left out are told.
    async fn upload_directory(
        &self,
        path: &str,
        name: &str,
        room: Arc<UploadRoom>,
        skipped_max: usize,
    ) -> Result<UploadedDirectory, HostError>;

    /// Writes an artifact to a path on the worker.
    async fn download(&self, of: &BuildOf, name: &str, path: &str) -> Result<Artifact, HostError>;

    /// Artifacts whose names start with this, by name.
    async fn artifacts(
        &self,
        of: &BuildOf,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<Artifact>, HostError>;

    /// A value of the build.
    async fn build_data(&self, name: &str) -> Result<Option<BuildData>, HostError>;

    /// Sets a value of the build. An empty source is the step's name.
    async fn set_build_data(&self, name: &str, value: Bytes, source: &str)
    -> Result<(), HostError>;

    /// Makes a set of test results.
    async fn add_test_set(&self, set: NewTestSet) -> Result<TestSet, HostError>;

    /// Adds results to a set.
    async fn add_test_results(
        &self,
        set: TestSet,
        results: Vec<TestResult>,
    ) -> Result<(), HostError>;

    /// Says that a set is complete.
    async fn complete_test_set(
        &self,
        set: TestSet,
        passed: Option<u64>,
        failed: Option<u64>,
    ) -> Result<(), HostError>;

    /// Asks for builds of other builders.
    async fn trigger(&self, request: TriggerRequest)
    -> Result<Arc<dyn TriggeredBuilds>, HostError>;
}

/// No farm: each call is refused with a text that says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFarm;

fn none<T>(what: &str) -> Result<T, HostError> {
    Err(HostError::Config(format!("{what} cannot be had here")))
}

#[async_trait]
impl StepFarm for NoFarm {
    async fn changes(&self, _: u32) -> Result<Vec<Change>, HostError> {
        none("changes")
    }
    async fn upload_file(
        &self,
        _: &str,
        _: &str,
        _: Arc<UploadRoom>,
    ) -> Result<Artifact, HostError> {
        none("artifacts")
    }
    async fn upload_directory(
        &self,
        _: &str,
        _: &str,
        _: Arc<UploadRoom>,
        _: usize,
    ) -> Result<UploadedDirectory, HostError> {
        none("artifacts")
    }
    async fn download(&self, _: &BuildOf, _: &str, _: &str) -> Result<Artifact, HostError> {
        none("artifacts")
    }
    async fn artifacts(&self, _: &BuildOf, _: &str, _: u32) -> Result<Vec<Artifact>, HostError> {
        none("artifacts")
    }
    async fn build_data(&self, _: &str) -> Result<Option<BuildData>, HostError> {
        none("build data")
    }
    async fn set_build_data(&self, _: &str, _: Bytes, _: &str) -> Result<(), HostError> {
        none("build data")
    }
    async fn add_test_set(&self, _: NewTestSet) -> Result<TestSet, HostError> {
        none("test results")
    }
    async fn add_test_results(&self, _: TestSet, _: Vec<TestResult>) -> Result<(), HostError> {
        none("test results")
    }
    async fn complete_test_set(
        &self,
        _: TestSet,
        _: Option<u64>,
        _: Option<u64>,
    ) -> Result<(), HostError> {
        none("test results")
    }
    async fn trigger(&self, _: TriggerRequest) -> Result<Arc<dyn TriggeredBuilds>, HostError> {
        none("builds of other builders")
    }
}
