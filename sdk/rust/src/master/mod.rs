//! What a step can ask of its master: artifacts, data of the build, test results, builds of other builders.

mod artifacts;
mod test_results;
mod trigger;

pub use artifacts::{Artifact, Artifacts, BuildOf, UploadedDirectory};
pub use test_results::{TestResult, TestResultSet};
pub use trigger::{BuildRequest, Progress, Sources, Trigger, Triggered, TriggeredBuild};

use crate::{Change, Error};

/// What a host does for a step on the side of the master.
pub trait Master {
    /// The changes that the build was made for.
    fn changes(&self) -> Result<Vec<Change>, Error>;
    /// Keeps a file of the worker.
    fn upload_file(&self, path: &str, name: &str) -> Result<Artifact, Error>;
    /// Keeps the files below a directory of the worker.
    fn upload_directory(&self, path: &str, name: &str) -> Result<UploadedDirectory, Error>;
    /// Writes an artifact to the worker.
    fn download(&self, build: &BuildOf, name: &str, path: &str) -> Result<Artifact, Error>;
    /// The artifacts whose names start with this.
    fn find_artifacts(&self, build: &BuildOf, prefix: &str) -> Result<Vec<Artifact>, Error>;
    /// A named value of the build.
    fn build_data(&self, name: &str) -> Result<Option<BuildData>, Error>;
    /// Sets a named value of the build.
    fn set_build_data(&self, name: &str, value: &[u8], source: &str) -> Result<(), Error>;
    /// Makes an empty set of test results.
    fn create_test_results(
        &self,
        description: &str,
        category: &str,
        value_unit: &str,
    ) -> Result<Box<dyn HostTestResults>, Error>;
    /// Asks for builds of other builders.
    fn trigger(&self, request: &BuildRequest) -> Result<Box<dyn HostTriggered>, Error>;
}

/// A set of test results that is being filled.
pub trait HostTestResults {
    /// Adds results.
    fn add(&self, results: &[TestResult]) -> Result<(), Error>;
    /// Says that all are there.
    fn complete(&self, passed: Option<u64>, failed: Option<u64>) -> Result<(), Error>;
}

/// Builds that were asked for.
pub trait HostTriggered {
    /// How far they are.
    fn progress(&self) -> Result<Progress, Error>;
    /// Waits until all have ended.
    fn wait(&self) -> Result<Progress, Error>;
}

/// A named value of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildData {
    /// The bytes.
    pub value: Vec<u8>,
    /// Who set it, for people.
    pub source: String,
}
