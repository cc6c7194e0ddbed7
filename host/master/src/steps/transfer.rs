//! The steps `file-upload`, `directory-upload`, `multiple-file-upload` and `file-download`: between the worker and the artifacts of builds.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use toolpost_core::Results;
use toolpost_core::kept::artifact_name_fault;
use toolpost_sandbox::host::{BuildOf, UploadedDirectory};

use super::params::{OneOrMore, host_fault};
use crate::build::StepContext;
use crate::build::farm::{Artifacts, upload_room};
use crate::build::outcome::{Fault, StepEnd};

/// Paths of left-out entries that are named.
const SKIPPED_MAX: usize = 20;

/// Keeps a file of the worker with the build.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileUploadParams {
    /// The file on the worker.
    pub(crate) source: String,
    /// Its name among the artifacts of the build. Default: its own.
    #[serde(default)]
    pub(crate) artifact: Option<String>,
}

/// Keeps each file below a directory of the worker with the build.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectoryUploadParams {
    /// The directory on the worker.
    pub(crate) source: String,
    /// What the names of the artifacts begin with. Default: the directory's name; empty for nothing.
    #[serde(default)]
    pub(crate) artifact: Option<String>,
}

/// Keeps files and directories of the worker with the build.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MultipleFileUploadParams {
    /// Files and directories on the worker, or patterns for them, such as `"logs/*.txt"`. One that is not there is a failure, and so
    /// is a pattern that fits nothing.
    pub(crate) sources: OneOrMore,
    /// What the names of the artifacts begin with. Default: nothing. Behind that is the last part of each source's path.
    #[serde(default)]
    pub(crate) artifact: Option<String>,
}

/// Writes an artifact to the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileDownloadParams {
    /// The name of the artifact.
    pub(crate) artifact: String,
    /// Where to on the worker. Default: the last part of the artifact's name.
    #[serde(default)]
    pub(crate) destination: Option<String>,
    /// Whose it is. Default: that of this build.
    #[serde(default)]
    pub(crate) build: Option<OtherBuild>,
}

/// Another build.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherBuild {
    /// Its builder.
    pub(crate) builder: String,
    /// Its number.
    pub(crate) number: u64,
}

/// The last part of a path.
fn last(path: &str) -> &str {
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty());
    parts.next().unwrap_or_default()
}

fn checked(name: &str) -> Result<(), Fault> {
    match artifact_name_fault(name) {
        Some(fault) => Err(Fault::Failed(fault.into())),
        None => Ok(()),
    }
}

/// A failure, unless the step was cancelled.
async fn until_cancelled<T>(
    step: &StepContext,
    work: impl Future<Output = Result<T, toolpost_sandbox::host::HostError>>,
) -> Result<T, Fault> {
    work.await
        .map_err(|error| match step.cancel.is_cancelled() {
            true => Fault::Cancelled,
            false => host_fault(error),
        })
}

pub(crate) async fn upload_file(
    step: &StepContext,
    params: &FileUploadParams,
) -> Result<StepEnd, Fault> {
    let name = params.artifact.as_deref();
    let name = name.unwrap_or_else(|| last(&params.source));
    checked(name)?;
    let (artifacts, room) = (Artifacts::new(step), upload_room(step.build.uploads));
    let upload = artifacts.upload_file(&params.source, name, &room);
    let kept = until_cancelled(step, upload).await?;
    let store = &step.build.store;
    store.add_step_url(step.id, &kept.name, &kept.url).await?;
    let text = format!("uploaded {} ({} bytes)", kept.name, kept.size);
    Ok(StepEnd::new(Results::Success, text))
}

pub(crate) async fn upload_directory(
    step: &StepContext,
    params: &DirectoryUploadParams,
) -> Result<StepEnd, Fault> {
    let name = params.artifact.as_deref();
    let name = name.unwrap_or_else(|| last(&params.source));
    if !name.is_empty() {
        checked(name)?;
    }
    let (artifacts, room) = (Artifacts::new(step), upload_room(step.build.uploads));
    let upload = artifacts.upload_directory(&params.source, name, &room, SKIPPED_MAX);
    Ok(uploaded(&until_cancelled(step, upload).await?))
}

fn uploaded(uploaded: &UploadedDirectory) -> StepEnd {
    let text = format!("uploaded {} files", uploaded.files.len());
    if uploaded.skipped.is_empty() {
        return StepEnd::new(Results::Success, text);
    }
    let text = format!("{text}, left out {}", uploaded.skipped.join(", "));
    StepEnd::new(Results::Warnings, text)
}

pub(crate) async fn upload_files(
    step: &StepContext,
    params: &MultipleFileUploadParams,
) -> Result<StepEnd, Fault> {
    let prefix = params.artifact.as_deref().unwrap_or_default();
    if !prefix.is_empty() {
        checked(prefix)?;
    }
    let (artifacts, room) = (Artifacts::new(step), upload_room(step.build.uploads));
    let mut all = UploadedDirectory::default();
    let mut names = BTreeSet::new();
    for source in &params.sources.0 {
        for path in until_cancelled(step, artifacts.find_on_worker(source)).await? {
            let name = match prefix {
                "" => last(&path).to_owned(),
                prefix => format!("{prefix}/{}", last(&path)),
            };
            checked(&name)?;
            if !names.insert(name.clone()) {
                let text = format!("two of the sources would be the artifact `{name}`");
                return Err(Fault::Failed(text));
            }
            let upload = artifacts.upload_whatever(path, &name, &room);
            let mut some = until_cancelled(step, upload).await?;
            all.files.append(&mut some.files);
            all.skipped.append(&mut some.skipped);
        }
    }
    all.skipped.truncate(SKIPPED_MAX);
    Ok(uploaded(&all))
}

pub(crate) async fn download(
    step: &StepContext,
    params: &FileDownloadParams,
) -> Result<StepEnd, Fault> {
    let name = &params.artifact;
    let of = match &params.build {
        Some(other) => BuildOf::Other(other.builder.clone(), other.number),
        None => BuildOf::This,
    };
    let path = params.destination.as_deref();
    let path = path.unwrap_or_else(|| last(name));
    let artifacts = Artifacts::new(step);
    let written = until_cancelled(step, artifacts.download(&of, name, path)).await?;
    let text = format!("downloaded {} ({} bytes)", written.name, written.size);
    Ok(StepEnd::new(Results::Success, text))
}
