//! What a step imports to ask of its master.

use super::WasmHost;
use super::bindings::imports::toolpost::plugin as wit;
use super::convert::{change, error, results, to_wit_source_stamp};
use crate::master::{HostTestResults, HostTriggered, Master};
use crate::{
    Artifact, BuildData, BuildOf, BuildRequest, Change, Error, Progress, Sources, TestResult,
    TriggeredBuild, UploadedDirectory,
};

impl Master for WasmHost {
    fn changes(&self) -> Result<Vec<Change>, Error> {
        let changes = wit::build_info::changes().map_err(error)?;
        Ok(changes.into_iter().map(change).collect())
    }

    fn upload_file(&self, path: &str, name: &str) -> Result<Artifact, Error> {
        wit::artifacts::upload_file(path, name)
            .map(artifact)
            .map_err(error)
    }

    fn upload_directory(&self, path: &str, name: &str) -> Result<UploadedDirectory, Error> {
        let uploaded = wit::artifacts::upload_directory(path, name).map_err(error)?;
        Ok(UploadedDirectory {
            files: uploaded.files.into_iter().map(artifact).collect(),
            skipped: uploaded.skipped,
        })
    }

    fn download(&self, build: &BuildOf, name: &str, path: &str) -> Result<Artifact, Error> {
        wit::artifacts::download(&build_of(build), name, path)
            .map(artifact)
            .map_err(error)
    }

    fn find_artifacts(&self, build: &BuildOf, prefix: &str) -> Result<Vec<Artifact>, Error> {
        let found = wit::artifacts::find(&build_of(build), prefix).map_err(error)?;
        Ok(found.into_iter().map(artifact).collect())
    }

    fn build_data(&self, name: &str) -> Result<Option<BuildData>, Error> {
        let data = wit::build_data::get(name).map_err(error)?;
        Ok(data.map(|data| BuildData {
            value: data.value,
            source: data.source,
        }))
    }

    fn set_build_data(&self, name: &str, value: &[u8], source: &str) -> Result<(), Error> {
        wit::build_data::set(name, value, source).map_err(error)
    }

    fn create_test_results(
        &self,
        description: &str,
        category: &str,
        value_unit: &str,
    ) -> Result<Box<dyn HostTestResults>, Error> {
        let set = wit::test_results::TestResultSet::create(description, category, value_unit);
        Ok(Box::new(set.map_err(error)?))
    }

    fn trigger(&self, request: &BuildRequest) -> Result<Box<dyn HostTriggered>, Error> {
        let request = wit::triggers::BuildRequest {
            builders: request.builders.clone(),
            sources: match &request.sources {
                Sources::OfThisBuild => wit::triggers::Sources::OfThisBuild,
                Sources::Newest => wit::triggers::Sources::Newest,
                Sources::Given(stamps) => wit::triggers::Sources::Given(
                    stamps.iter().cloned().map(to_wit_source_stamp).collect(),
                ),
            },
            properties: request
                .properties
                .iter()
                .map(|(name, value)| (name.clone(), value.to_string()))
                .collect(),
            reason: request.reason.clone(),
            priority: request.priority,
            waited_for: request.waited_for,
        };
        let triggered = wit::triggers::Triggered::request(&request).map_err(error)?;
        Ok(Box::new(triggered))
    }
}

impl HostTestResults for wit::test_results::TestResultSet {
    fn add(&self, results: &[TestResult]) -> Result<(), Error> {
        let result = |result: &TestResult| wit::test_results::TestResult {
            name: result.name.clone(),
            code_path: result.code_path.clone(),
            line: result.line,
            duration_ns: result
                .duration
                .map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
            value: result.value.clone(),
        };
        let results: Vec<_> = results.iter().map(result).collect();
        // The inherent method, which is the import.
        Self::add(self, &results).map_err(error)
    }

    fn complete(&self, passed: Option<u64>, failed: Option<u64>) -> Result<(), Error> {
        Self::complete(self, passed, failed).map_err(error)
    }
}

impl HostTriggered for wit::triggers::Triggered {
    fn progress(&self) -> Result<Progress, Error> {
        Self::progress(self).map(progress).map_err(error)
    }

    fn wait(&self) -> Result<Progress, Error> {
        Self::wait(self).map(progress).map_err(error)
    }
}

fn build_of(build: &BuildOf) -> wit::artifacts::BuildOf {
    match build {
        BuildOf::ThisBuild => wit::artifacts::BuildOf::ThisBuild,
        BuildOf::Other(builder, number) => {
            wit::artifacts::BuildOf::Other((builder.clone(), *number))
        }
    }
}

fn artifact(artifact: wit::artifacts::Artifact) -> Artifact {
    Artifact {
        name: artifact.name,
        size: artifact.size,
        mode: artifact.mode,
        sha256: artifact.sha256,
        url: artifact.url,
    }
}

fn progress(progress: wit::triggers::Progress) -> Progress {
    let build = |build: wit::triggers::TriggeredBuild| TriggeredBuild {
        builder: build.builder,
        request: build.request,
        number: build.number,
        url: build.url,
        results: build.results.map(results),
    };
    Progress {
        buildset: progress.buildset,
        results: progress.results.map(results),
        builds: progress.builds.into_iter().map(build).collect(),
    }
}
