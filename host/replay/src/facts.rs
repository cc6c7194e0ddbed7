//! What the host's types are in JSON: in recordings, and, where people write them, in scripts.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use toolpost_core::model::{LogType, SourceStampSpec};
use toolpost_core::{PatchId, Properties, Property, Results};
use toolpost_sandbox::host::{
    Artifact, BuildInfo, CommandExit, ExitStatus, FileError, FileKind, FileStat, HostError,
    HttpFailure, HttpResponse, LogLevel, LogStream, OutputSource, TriggerProgress, TriggeredBuild,
    UploadedDirectory,
};

/// Payloads up to this long are written down as they are; of longer ones length, digest and beginning.
const PAYLOAD_BYTES_MAX: usize = 1 << 10;

/// Bytes: as text where they are text.
pub(crate) fn blob(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": BASE64_STANDARD.encode(bytes) }),
    }
}

/// The bytes of a [`blob`].
pub(crate) fn unblob(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        _ => {
            let text = value.get("base64")?.as_str()?;
            Some(BASE64_STANDARD.decode(text).ok()?.into())
        }
    }
}

/// What a plugin hands over, in a form that is short and can be compared.
pub(crate) fn payload(bytes: &[u8]) -> Value {
    if bytes.len() <= PAYLOAD_BYTES_MAX {
        return blob(bytes);
    }
    let begins = String::from_utf8_lossy(&bytes[..PAYLOAD_BYTES_MAX]);
    json!({ "bytes": bytes.len(), "sha256": sha256(bytes), "begins": begins })
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn stream_name(stream: LogStream) -> &'static str {
    match stream {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::Header => "header",
    }
}

pub(crate) fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

pub(crate) fn log_type_name(log_type: LogType) -> &'static str {
    match log_type {
        LogType::Stdio => "stdio",
        LogType::Text => "text",
        LogType::Html => "html",
    }
}

/// The result of this name.
pub(crate) fn results(name: &str) -> Option<Results> {
    Results::ALL
        .into_iter()
        .find(|results| results.name() == name)
}

pub(crate) fn property(property: &Property) -> Value {
    json!({ "value": property.value, "source": property.source })
}

pub(crate) fn unproperty(value: &Value) -> Option<Property> {
    Some(Property {
        value: value.get("value")?.clone(),
        source: value.get("source")?.as_str()?.to_owned(),
    })
}

pub(crate) fn properties(properties: &Properties) -> Value {
    let each = properties
        .iter()
        .map(|(name, found)| (name.to_owned(), property(found)));
    Value::Object(each.collect())
}

pub(crate) fn unproperties(value: &Value) -> Option<Properties> {
    let mut properties = Properties::new();
    for (name, found) in value.as_object()? {
        let Property { value, source } = unproperty(found)?;
        properties.set(name, value, source);
    }
    Some(properties)
}

/// Why something could not be done, of either kind of error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `retryable`, `permanent` or `config`; of files the word of the contract, such as `not-found`.
    pub kind: String,
    /// For people; empty where the word says all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Failure {
    pub(crate) fn new(kind: &str, text: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            text: text.to_owned(),
        }
    }
}

impl From<&HostError> for Failure {
    fn from(error: &HostError) -> Self {
        let (kind, text) = match error {
            HostError::Retryable(text) => ("retryable", text),
            HostError::Permanent(text) => ("permanent", text),
            HostError::Config(text) => ("config", text),
            HostError::Internal(text) => ("internal", text),
        };
        Self::new(kind, text)
    }
}

impl From<Failure> for HostError {
    fn from(failure: Failure) -> Self {
        match failure.kind.as_str() {
            "retryable" => Self::Retryable(failure.text),
            "config" => Self::Config(failure.text),
            "internal" => Self::Internal(failure.text),
            _ => Self::Permanent(failure.text),
        }
    }
}

impl From<&FileError> for Failure {
    fn from(error: &FileError) -> Self {
        let (kind, text) = match error {
            FileError::NotFound => ("not-found", ""),
            FileError::WrongKind => ("wrong-kind", ""),
            FileError::NotEmpty => ("not-empty", ""),
            FileError::Outside => ("outside", ""),
            FileError::Denied => ("denied", ""),
            FileError::WorkerLost(text) => ("worker-lost", text.as_str()),
            FileError::Other(text) => ("other", text.as_str()),
            FileError::Internal(text) => ("internal", text.as_str()),
        };
        Self::new(kind, text)
    }
}

impl From<Failure> for FileError {
    fn from(failure: Failure) -> Self {
        match failure.kind.as_str() {
            "not-found" => Self::NotFound,
            "wrong-kind" => Self::WrongKind,
            "not-empty" => Self::NotEmpty,
            "outside" => Self::Outside,
            "denied" => Self::Denied,
            "worker-lost" => Self::WorkerLost(failure.text),
            "internal" => Self::Internal(failure.text),
            _ => Self::Other(failure.text),
        }
    }
}

impl From<&HttpFailure> for Failure {
    fn from(failure: &HttpFailure) -> Self {
        Self::new(failure.word(), &failure.to_string())
    }
}

impl From<Failure> for HttpFailure {
    fn from(failure: Failure) -> Self {
        Self::new(&failure.kind, &failure.text)
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ExitFacts {
    status: StatusFacts,
    elapsed_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StatusFacts {
    Code(i32),
    Signal(i32),
    IdleTimeout,
    TotalTimeout,
    Interrupted,
    WorkerLost(String),
}

impl From<&CommandExit> for ExitFacts {
    fn from(exit: &CommandExit) -> Self {
        Self {
            status: match &exit.status {
                ExitStatus::Code(code) => StatusFacts::Code(*code),
                ExitStatus::Signal(signal) => StatusFacts::Signal(*signal),
                ExitStatus::IdleTimeout => StatusFacts::IdleTimeout,
                ExitStatus::TotalTimeout => StatusFacts::TotalTimeout,
                ExitStatus::Interrupted => StatusFacts::Interrupted,
                ExitStatus::WorkerLost(text) => StatusFacts::WorkerLost(text.clone()),
            },
            elapsed_ms: millis(exit.elapsed),
        }
    }
}

impl From<ExitFacts> for CommandExit {
    fn from(facts: ExitFacts) -> Self {
        Self {
            status: match facts.status {
                StatusFacts::Code(code) => ExitStatus::Code(code),
                StatusFacts::Signal(signal) => ExitStatus::Signal(signal),
                StatusFacts::IdleTimeout => ExitStatus::IdleTimeout,
                StatusFacts::TotalTimeout => ExitStatus::TotalTimeout,
                StatusFacts::Interrupted => ExitStatus::Interrupted,
                StatusFacts::WorkerLost(text) => ExitStatus::WorkerLost(text),
            },
            elapsed: Duration::from_millis(facts.elapsed_ms),
        }
    }
}

/// Output from one stream, with the lengths of the pieces that it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputFacts {
    pub(crate) from: SourceName,
    pub(crate) data: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pieces: Vec<usize>,
}

/// A stream of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SourceName {
    Stdout,
    Stderr,
}

impl From<OutputSource> for SourceName {
    fn from(source: OutputSource) -> Self {
        match source {
            OutputSource::Stdout => Self::Stdout,
            OutputSource::Stderr => Self::Stderr,
        }
    }
}

impl From<SourceName> for OutputSource {
    fn from(name: SourceName) -> Self {
        match name {
            SourceName::Stdout => Self::Stdout,
            SourceName::Stderr => Self::Stderr,
        }
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommandFacts {
    pub(crate) output: Vec<OutputFacts>,
    /// Bytes of output that were not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) dropped_bytes: u64,
    /// `None` when it still ran at the end of the step.
    pub(crate) exit: Option<ExitFacts>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub(crate) fn stat(stat: &FileStat) -> Value {
    let kind = match stat.kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Other => "other",
    };
    json!({ "kind": kind, "size": stat.size, "modified-ms": stat.modified_ms })
}

pub(crate) fn unstat(value: &Value) -> Option<FileStat> {
    Some(FileStat {
        kind: match value.get("kind")?.as_str()? {
            "file" => FileKind::File,
            "directory" => FileKind::Directory,
            "symlink" => FileKind::Symlink,
            _ => FileKind::Other,
        },
        size: value.get("size")?.as_u64()?,
        modified_ms: value.get("modified-ms")?.as_u64()?,
    })
}

/// A source stamp.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StampFacts {
    /// Codebase; empty for the only one.
    pub codebase: String,
    /// Where the sources are.
    pub repository: String,
    /// Project; may be empty.
    pub project: String,
    /// Branch; none is the default one.
    pub branch: Option<String>,
    /// Revision; none is the newest.
    pub revision: Option<String>,
    /// Id of the patch; none without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<i64>,
}

impl From<SourceStampSpec> for StampFacts {
    fn from(stamp: SourceStampSpec) -> Self {
        Self {
            codebase: stamp.codebase,
            repository: stamp.repository,
            project: stamp.project,
            branch: stamp.branch,
            revision: stamp.revision,
            patch: stamp.patch.map(|id| id.0),
        }
    }
}

impl From<StampFacts> for SourceStampSpec {
    fn from(facts: StampFacts) -> Self {
        Self {
            codebase: facts.codebase,
            repository: facts.repository,
            project: facts.project,
            branch: facts.branch,
            revision: facts.revision,
            patch: facts.patch.map(PatchId),
        }
    }
}

/// The build that a step belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BuildFacts {
    /// Its number among all builds.
    pub id: u64,
    /// Name of the builder.
    pub builder: String,
    /// Number of the build, per builder from 1.
    pub number: u64,
    /// Page of the build.
    pub url: String,
    /// Name of the worker.
    pub worker: String,
    /// Working directory of the step on the worker, absolute.
    pub workdir: String,
    /// Name of the step.
    pub step: String,
    /// Why the build was made.
    pub reason: String,
    /// One per codebase.
    pub source_stamps: Vec<StampFacts>,
    /// Number of the build set.
    pub buildset: u64,
    /// Number of the request.
    pub request: u64,
    /// The scheduler that asked for it.
    pub scheduler: Option<String>,
}

impl From<BuildInfo> for BuildFacts {
    fn from(info: BuildInfo) -> Self {
        Self {
            id: info.id,
            builder: info.builder,
            number: info.number,
            url: info.url,
            worker: info.worker,
            workdir: info.workdir,
            step: info.step,
            reason: info.reason,
            source_stamps: info.source_stamps.into_iter().map(Into::into).collect(),
            buildset: info.buildset,
            request: info.request,
            scheduler: info.scheduler,
        }
    }
}

impl From<BuildFacts> for BuildInfo {
    fn from(facts: BuildFacts) -> Self {
        Self {
            id: facts.id,
            builder: facts.builder,
            number: facts.number,
            url: facts.url,
            worker: facts.worker,
            workdir: facts.workdir,
            step: facts.step,
            reason: facts.reason,
            source_stamps: facts.source_stamps.into_iter().map(Into::into).collect(),
            buildset: facts.buildset,
            request: facts.request,
            scheduler: facts.scheduler,
        }
    }
}

/// Names and values, in their order.
pub(crate) fn headers(headers: &HeaderMap) -> Value {
    let each = headers.iter();
    each.map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect()
}

/// A response, whole.
pub(crate) fn response(response: &HttpResponse) -> Value {
    json!({
        "status": response.status().as_u16(),
        "headers": headers(response.headers()),
        "body": blob(response.body()),
    })
}

pub(crate) fn unresponse(value: &Value) -> Option<HttpResponse> {
    let status = u16::try_from(value.get("status")?.as_u64()?).ok()?;
    let mut response = http::Response::builder().status(status);
    for header in value.get("headers")?.as_array()? {
        response = response.header(header.get(0)?.as_str()?, header.get(1)?.as_str()?);
    }
    response.body(unblob(value.get("body")?)?).ok()
}

pub(crate) fn artifact(artifact: &Artifact) -> Value {
    json!({
        "name": artifact.name,
        "size": artifact.size,
        "mode": artifact.mode,
        "sha256": artifact.sha256,
        "url": artifact.url,
    })
}

pub(crate) fn unartifact(value: &Value) -> Option<Artifact> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    Some(Artifact {
        name: text("name")?,
        size: value.get("size")?.as_u64()?,
        mode: u32::try_from(value.get("mode")?.as_u64()?).ok()?,
        sha256: text("sha256")?,
        url: text("url")?,
    })
}

pub(crate) fn artifacts(artifacts: &[Artifact]) -> Value {
    artifacts.iter().map(artifact).collect()
}

pub(crate) fn unartifacts(value: &Value) -> Option<Vec<Artifact>> {
    value.as_array()?.iter().map(unartifact).collect()
}

pub(crate) fn uploaded(directory: &UploadedDirectory) -> Value {
    json!({ "files": artifacts(&directory.files), "skipped": directory.skipped })
}

pub(crate) fn unuploaded(value: &Value) -> Option<UploadedDirectory> {
    Some(UploadedDirectory {
        files: unartifacts(value.get("files")?)?,
        skipped: texts(value.get("skipped")?)?,
    })
}

/// A list of texts.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    let each = value.as_array()?.iter();
    each.map(|text| text.as_str().map(str::to_owned)).collect()
}

pub(crate) fn progress(progress: &TriggerProgress) -> Value {
    let build = |build: &TriggeredBuild| {
        json!({
            "builder": build.builder,
            "request": build.request,
            "number": build.number,
            "url": build.url,
            "results": build.results.map(Results::name),
        })
    };
    json!({
        "buildset": progress.buildset,
        "results": progress.results.map(Results::name),
        "builds": progress.builds.iter().map(build).collect::<Vec<_>>(),
    })
}

pub(crate) fn unprogress(value: &Value) -> Option<TriggerProgress> {
    let ended = |value: &Value| value.get("results")?.as_str().and_then(results);
    let build = |value: &Value| {
        Some(TriggeredBuild {
            builder: value.get("builder")?.as_str()?.to_owned(),
            request: value.get("request")?.as_u64()?,
            number: value.get("number").and_then(Value::as_u64),
            url: value.get("url")?.as_str()?.to_owned(),
            results: ended(value),
        })
    };
    Some(TriggerProgress {
        buildset: value.get("buildset")?.as_u64()?,
        results: ended(value),
        builds: value
            .get("builds")?
            .as_array()?
            .iter()
            .map(build)
            .collect::<Option<_>>()?,
    })
}
