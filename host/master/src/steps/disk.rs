//! The steps that look at, make and take away files of the worker: `make-directory`, `remove`, `copy`, `file-exists`,
//! `string-download`, `json-string-download` and `json-properties-download`.

use std::borrow::Cow;

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use toolpost_core::Results;
use toolpost_worker::{FileError, FileKind, WriteMode};

use crate::build::StepContext;
use crate::build::outcome::{Fault, StepEnd};
use crate::worker::LinkFiles;

/// What a text that is written to the worker may have, in bytes; larger things are artifacts.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// A path on the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathParams {
    /// From the step's directory on.
    pub(crate) path: Path,
}

/// A path that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) String);

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        // Nothing is what an expression gives that was meant to be something: not the whole directory of the build.
        match path.is_empty() {
            true => Err(D::Error::custom("a path must not be empty")),
            false => Ok(Self(path)),
        }
    }
}

impl JsonSchema for Path {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Path".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// Copies a file or a directory with all in it on the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopyParams {
    /// What is copied, from the step's directory on.
    pub(crate) source: Path,
    /// Where to. Files that are there are replaced, directories filled up.
    pub(crate) destination: Path,
}

/// Writes a text to a file of the worker.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StringDownloadParams {
    /// What the file holds. Secrets may be in it.
    pub(crate) content: String,
    /// The file, from the step's directory on.
    pub(crate) destination: Path,
    /// Its permissions, such as `"0600"`.
    pub(crate) mode: Option<FileMode>,
}

/// Writes a value to a file of the worker, as JSON.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonStringDownloadParams {
    /// The value. Secrets may be in its texts.
    pub(crate) value: Value,
    /// The file, from the step's directory on.
    pub(crate) destination: Path,
    /// Its permissions, such as `"0600"`.
    pub(crate) mode: Option<FileMode>,
}

/// Writes the properties and source stamps of the build to a file of the worker, as JSON.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonPropertiesDownloadParams {
    /// The file, from the step's directory on.
    pub(crate) destination: Path,
    /// Its permissions, such as `"0600"`.
    pub(crate) mode: Option<FileMode>,
}

/// Permissions of a file in octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileMode(u32);

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let fits = (3..=4).contains(&digits.len());
        match u32::from_str_radix(&digits, 8) {
            Ok(mode) if fits && mode <= 0o777 => Ok(Self(mode)),
            _ => Err(D::Error::custom(format!(
                "`{digits}` are no permissions; write them as \"0644\""
            ))),
        }
    }
}

impl JsonSchema for FileMode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FileMode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Permissions in octal digits, such as \"0644\".",
            "type": "string",
            "pattern": "^0?[0-7]{3}$"
        })
    }
}

/// What a file operation on the worker makes of a step. A step that was stopped meanwhile is cancelled, whatever came of it.
async fn done<T>(
    step: &StepContext,
    work: impl Future<Output = Result<T, FileError>>,
) -> Result<T, Fault> {
    work.await
        .map_err(|error| match (step.cancel.is_cancelled(), error) {
            (true, _) => Fault::Cancelled,
            (false, error @ FileError::Stopped) => Fault::WorkerLost(error.to_string()),
            (false, error) => Fault::Failed(error.to_string()),
        })
}

fn success(text: String) -> Result<StepEnd, Fault> {
    Ok(StepEnd::new(Results::Success, text))
}

/// The path of something that the step does more to than look at it: neither the build's directory nor what is above.
fn inside(step: &StepContext, path: &Path) -> Result<String, Fault> {
    let full = step.path(&path.0);
    if full.split('/').all(|part| matches!(part, "" | ".")) && !full.starts_with('/') {
        let text = format!("`{}` is the directory of the build itself", path.0);
        return Err(Fault::Failed(text));
    }
    Ok(full)
}

pub(crate) async fn make_directory(
    step: &StepContext,
    params: &PathParams,
) -> Result<StepEnd, Fault> {
    let path = step.path(&params.path.0);
    done(step, step.files().create_dir(path)).await?;
    success(format!("made {}", params.path.0))
}

pub(crate) async fn remove(step: &StepContext, params: &PathParams) -> Result<StepEnd, Fault> {
    let path = inside(step, &params.path)?;
    let was_there = done(step, step.files().remove(path)).await?;
    let path = &params.path.0;
    success(match was_there {
        true => format!("removed {path}"),
        false => format!("{path} was not there"),
    })
}

pub(crate) async fn copy(step: &StepContext, params: &CopyParams) -> Result<StepEnd, Fault> {
    let (from, to) = (
        step.path(&params.source.0),
        inside(step, &params.destination)?,
    );
    let files = step.files();
    make_parent(step, files.as_ref(), &to).await?;
    done(step, files.copy(from, to)).await?;
    let (from, to) = (&params.source.0, &params.destination.0);
    success(format!("copied {from} to {to}"))
}

pub(crate) async fn file_exists(step: &StepContext, params: &PathParams) -> Result<StepEnd, Fault> {
    let path = &params.path.0;
    let found = done(step, step.files().stat(step.path(path))).await?;
    let (results, text) = match found.map(|info| info.kind) {
        Some(FileKind::File) => (Results::Success, format!("{path} is there")),
        Some(_) => (Results::Failure, format!("{path} is not a file")),
        None => (Results::Failure, format!("{path} is not there")),
    };
    Ok(StepEnd::new(results, text))
}

pub(crate) async fn download_string(
    step: &StepContext,
    params: &StringDownloadParams,
) -> Result<StepEnd, Fault> {
    let text = params.content.clone();
    write(step, text, &params.destination, params.mode).await
}

pub(crate) async fn download_json(
    step: &StepContext,
    params: &JsonStringDownloadParams,
) -> Result<StepEnd, Fault> {
    let text = params.value.to_string();
    write(step, text, &params.destination, params.mode).await
}

pub(crate) async fn download_properties(
    step: &StepContext,
    params: &JsonPropertiesDownloadParams,
) -> Result<StepEnd, Fault> {
    let properties = step.build.properties();
    let properties: Map<String, Value> = properties
        .iter()
        .map(|(name, property)| (name.to_owned(), property.value.clone()))
        .collect();
    let sources = &step.build.sources;
    let ids = sources.iter().filter_map(|stamp| stamp.patch);
    let patches = step.build.store.patches(ids.collect::<Vec<_>>()).await?;
    let stamps = sources.iter().map(|stamp| {
        let mut told = json!({
            "codebase": stamp.codebase,
            "repository": stamp.repository,
            "branch": stamp.branch,
            "revision": stamp.revision,
            "project": stamp.project,
        });
        if let Some(patch) = stamp.patch.and_then(|id| patches.get(&id)) {
            told["patch_level"] = patch.level.into();
            told["patch_body"] = String::from_utf8_lossy(&patch.body).into();
            told["patch_author"] = patch.author.as_str().into();
            told["patch_comment"] = patch.comment.as_str().into();
            told["patch_subdir"] = patch.subdir.as_str().into();
        }
        told
    });
    let all = json!({
        "properties": properties,
        "sourcestamps": stamps.collect::<Vec<_>>(),
    });
    write(step, all.to_string(), &params.destination, params.mode).await
}

/// Writes a text, with the secrets in it, in the place of what is there.
async fn write(
    step: &StepContext,
    text: String,
    destination: &Path,
    mode: Option<FileMode>,
) -> Result<StepEnd, Fault> {
    let secrets = &step.build.capabilities.secrets;
    let filling = secrets.filling([text.as_bytes()], |_| true).await;
    let filling = filling.map_err(|error| Fault::Exception(error.to_string()))?;
    let bytes = match filling.is_empty() {
        true => Bytes::from(text),
        false => Bytes::from(filling.text(&text)),
    };
    let length = bytes.len();
    if length > TEXT_BYTES_MAX {
        return Err(Fault::Failed(format!(
            "a text has at most {TEXT_BYTES_MAX} bytes, and this one {length}: upload an artifact and use `file-download`"
        )));
    }
    let path = inside(step, destination)?;
    let files = step.files();
    make_parent(step, files.as_ref(), &path).await?;
    let mode = mode.map(|mode| mode.0);
    done(step, files.write(path, bytes, WriteMode::Replace, mode)).await?;
    success(format!("wrote {} ({length} bytes)", destination.0))
}

/// Makes the directory that something is put into.
async fn make_parent(step: &StepContext, files: &dyn LinkFiles, path: &str) -> Result<(), Fault> {
    match path.rsplit_once('/') {
        Some((dir, _)) => done(step, files.create_dir(dir.to_owned())).await,
        None => Ok(()),
    }
}
