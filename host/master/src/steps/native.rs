//! The step types that are compiled in: only what orchestrates. Everything else is a plugin.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toolpost_config::TypeCatalog;
use toolpost_core::PluginKind;
use toolpost_core::step::ResultFlags;

use super::disk::{
    self, CopyParams, JsonPropertiesDownloadParams, JsonStringDownloadParams, PathParams,
    StringDownloadParams,
};
use super::git::{self, GitParams};
use super::property::{self, SetPropertyFromCommandParams, SetPropertyParams};
use super::shell::{self, ShellParams};
use super::transfer::{
    self, DirectoryUploadParams, FileDownloadParams, FileUploadParams, MultipleFileUploadParams,
};
use super::trigger::{self, TriggerParams};
use crate::build::StepContext;
use crate::build::outcome::{Fault, StepEnd};

/// A native step with its parameters, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NativeStep {
    Shell(Box<ShellParams>),
    Git(Box<GitParams>),
    SetProperty(SetPropertyParams),
    SetPropertyFromCommand(Box<SetPropertyFromCommandParams>),
    Trigger(Box<TriggerParams>),
    FileUpload(FileUploadParams),
    DirectoryUpload(DirectoryUploadParams),
    MultipleFileUpload(MultipleFileUploadParams),
    FileDownload(FileDownloadParams),
    MakeDirectory(PathParams),
    Remove(PathParams),
    Copy(CopyParams),
    FileExists(PathParams),
    StringDownload(StringDownloadParams),
    JsonStringDownload(JsonStringDownloadParams),
    JsonPropertiesDownload(JsonPropertiesDownloadParams),
}

const SHELL: &str = "shell";
const GIT: &str = "git";
const SET_PROPERTY: &str = "set-property";
const SET_PROPERTY_FROM_COMMAND: &str = "set-property-from-command";
const TRIGGER: &str = "trigger";
const FILE_UPLOAD: &str = "file-upload";
const DIRECTORY_UPLOAD: &str = "directory-upload";
const MULTIPLE_FILE_UPLOAD: &str = "multiple-file-upload";
const FILE_DOWNLOAD: &str = "file-download";
const MAKE_DIRECTORY: &str = "make-directory";
const REMOVE: &str = "remove";
const COPY: &str = "copy";
const FILE_EXISTS: &str = "file-exists";
const STRING_DOWNLOAD: &str = "string-download";
const JSON_STRING_DOWNLOAD: &str = "json-string-download";
const JSON_PROPERTIES_DOWNLOAD: &str = "json-properties-download";

impl NativeStep {
    /// Reads rendered parameters; `None` when no native step has this name.
    ///
    /// # Errors
    /// What does not fit, in serde's words: a template may have made something of another shape than
    /// the one that was checked.
    pub(crate) fn parse(type_name: &str, parameters: Value) -> Option<Result<Self, String>> {
        Some(match type_name {
            SHELL => read::<ShellParams>(parameters)
                .and_then(ShellParams::checked)
                .map(|params| Self::Shell(Box::new(params))),
            GIT => read(parameters).map(|params| Self::Git(Box::new(params))),
            SET_PROPERTY => read(parameters).map(Self::SetProperty),
            SET_PROPERTY_FROM_COMMAND => read::<SetPropertyFromCommandParams>(parameters)
                .and_then(SetPropertyFromCommandParams::checked)
                .map(|params| Self::SetPropertyFromCommand(Box::new(params))),
            TRIGGER => read(parameters).map(|params| Self::Trigger(Box::new(params))),
            FILE_UPLOAD => read(parameters).map(Self::FileUpload),
            DIRECTORY_UPLOAD => read(parameters).map(Self::DirectoryUpload),
            MULTIPLE_FILE_UPLOAD => read(parameters).map(Self::MultipleFileUpload),
            FILE_DOWNLOAD => read(parameters).map(Self::FileDownload),
            MAKE_DIRECTORY => read(parameters).map(Self::MakeDirectory),
            REMOVE => read(parameters).map(Self::Remove),
            COPY => read(parameters).map(Self::Copy),
            FILE_EXISTS => read(parameters).map(Self::FileExists),
            STRING_DOWNLOAD => read(parameters).map(Self::StringDownload),
            JSON_STRING_DOWNLOAD => read(parameters).map(Self::JsonStringDownload),
            JSON_PROPERTIES_DOWNLOAD => read(parameters).map(Self::JsonPropertiesDownload),
            _ => return None,
        })
    }
}

impl NativeStep {
    /// How results of this type count unless the configuration says otherwise.
    pub(crate) fn result_flags(type_name: &str) -> ResultFlags {
        match type_name {
            // Nothing makes sense without the sources.
            GIT => ResultFlags::HALTING,
            _ => ResultFlags::DEFAULT,
        }
    }

    /// What it does, shown while it runs.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Shell(params) => params.command.quoted_summary(),
            Self::Git(_) => "checking out".into(),
            Self::SetProperty(params) => format!("setting property '{}'", params.property),
            Self::SetPropertyFromCommand(params) => params.command.quoted_summary(),
            Self::Trigger(params) => params.describe(),
            Self::FileUpload(FileUploadParams { source, .. })
            | Self::DirectoryUpload(DirectoryUploadParams { source, .. }) => {
                format!("uploading {source}")
            }
            Self::MultipleFileUpload(params) => {
                format!("uploading {}", params.sources.0.join(", "))
            }
            Self::FileDownload(params) => format!("downloading {}", params.artifact),
            Self::MakeDirectory(params) => format!("making {}", params.path.0),
            Self::Remove(params) => format!("removing {}", params.path.0),
            Self::Copy(CopyParams { source, .. }) => format!("copying {}", source.0),
            Self::FileExists(params) => format!("looking for {}", params.path.0),
            Self::StringDownload(StringDownloadParams { destination, .. })
            | Self::JsonStringDownload(JsonStringDownloadParams { destination, .. })
            | Self::JsonPropertiesDownload(JsonPropertiesDownloadParams { destination, .. }) => {
                format!("writing {}", destination.0)
            }
        }
    }

    /// Does it.
    pub(crate) async fn run(&self, step: &Arc<StepContext>) -> Result<StepEnd, Fault> {
        match self {
            Self::Shell(params) => shell::run(step, params).await,
            Self::Git(params) => git::run(step, params).await,
            Self::SetProperty(params) => property::set(step, params).await,
            Self::SetPropertyFromCommand(params) => property::set_from_command(step, params).await,
            Self::Trigger(params) => trigger::run(step, params).await,
            Self::FileUpload(params) => transfer::upload_file(step, params).await,
            Self::DirectoryUpload(params) => transfer::upload_directory(step, params).await,
            Self::MultipleFileUpload(params) => transfer::upload_files(step, params).await,
            Self::FileDownload(params) => transfer::download(step, params).await,
            Self::MakeDirectory(params) => disk::make_directory(step, params).await,
            Self::Remove(params) => disk::remove(step, params).await,
            Self::Copy(params) => disk::copy(step, params).await,
            Self::FileExists(params) => disk::file_exists(step, params).await,
            Self::StringDownload(params) => disk::download_string(step, params).await,
            Self::JsonStringDownload(params) => disk::download_json(step, params).await,
            Self::JsonPropertiesDownload(params) => disk::download_properties(step, params).await,
        }
    }
}

fn read<T: DeserializeOwned>(parameters: Value) -> Result<T, String> {
    serde_json::from_value(parameters).map_err(|error| error.to_string())
}

/// The native step types with the schemas of their parameters.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeCatalog;

static SCHEMAS: LazyLock<BTreeMap<&'static str, Arc<Value>>> = LazyLock::new(|| {
    [
        (SHELL, schema::<ShellParams>()),
        (GIT, schema::<GitParams>()),
        (SET_PROPERTY, schema::<SetPropertyParams>()),
        (
            SET_PROPERTY_FROM_COMMAND,
            schema::<SetPropertyFromCommandParams>(),
        ),
        (TRIGGER, schema::<TriggerParams>()),
        (FILE_UPLOAD, schema::<FileUploadParams>()),
        (DIRECTORY_UPLOAD, schema::<DirectoryUploadParams>()),
        (MULTIPLE_FILE_UPLOAD, schema::<MultipleFileUploadParams>()),
        (FILE_DOWNLOAD, schema::<FileDownloadParams>()),
        (MAKE_DIRECTORY, schema::<PathParams>()),
        (REMOVE, schema::<PathParams>()),
        (COPY, schema::<CopyParams>()),
        (FILE_EXISTS, schema::<PathParams>()),
        (STRING_DOWNLOAD, schema::<StringDownloadParams>()),
        (JSON_STRING_DOWNLOAD, schema::<JsonStringDownloadParams>()),
        (
            JSON_PROPERTIES_DOWNLOAD,
            schema::<JsonPropertiesDownloadParams>(),
        ),
    ]
    .into()
});

fn schema<T: JsonSchema>() -> Arc<Value> {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    Arc::new(generator.into_root_schema_for::<T>().to_value())
}

impl NativeCatalog {
    /// All types that are compiled in, which no plugin may bring. Those of schedulers are keys of the configuration itself.
    #[must_use]
    pub fn all() -> Vec<(PluginKind, String)> {
        let steps = SCHEMAS
            .keys()
            .map(|name| (PluginKind::Step, (*name).to_owned()));
        let schedulers =
            ["force", "single-branch"].map(|name| (PluginKind::Scheduler, name.to_owned()));
        steps.chain(schedulers).collect()
    }

    /// Whether a step type is compiled in.
    pub(crate) fn has(type_name: &str) -> bool {
        SCHEMAS.contains_key(type_name)
    }
}

impl TypeCatalog for NativeCatalog {
    fn names(&self, kind: PluginKind) -> Vec<String> {
        match kind {
            PluginKind::Step => SCHEMAS.keys().map(ToString::to_string).collect(),
            PluginKind::Scheduler | PluginKind::Reporter => Vec::new(),
        }
    }

    fn parameters_schema(&self, kind: PluginKind, type_name: &str) -> Option<Arc<Value>> {
        match kind {
            PluginKind::Step => SCHEMAS.get(type_name).cloned(),
            PluginKind::Scheduler | PluginKind::Reporter => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the schema says of `parameters`, and whether they can be read.
    fn check(type_name: &str, parameters: &Value) -> (bool, bool) {
        let schema = NativeCatalog
            .parameters_schema(PluginKind::Step, type_name)
            .unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let readable = NativeStep::parse(type_name, parameters.clone()).unwrap();
        (validator.is_valid(parameters), readable.is_ok())
    }

    #[test]
    fn schema_and_reader_take_and_refuse_the_same_parameters() {
        let good = [
            ("shell", json!({"command": "make check"})),
            (
                "shell",
                json!({"command": ["make", "check"], "timeout": "20m", "max_time": 30}),
            ),
            (
                "shell",
                json!({"command": "x", "env": {"A": "1", "B": false}}),
            ),
            (
                "shell",
                json!({"command": "x", "logfiles": {"a": "a.log", "b": {"path": "b.log", "follow": true}}}),
            ),
            ("git", json!({})),
            (
                "git",
                json!({"repository": "x", "shallow": true, "mode": "full", "method": "clean"}),
            ),
            (
                "git",
                json!({"shallow": 5, "retry": {"attempts": 2, "delay": "1s"}}),
            ),
            (
                "set-property",
                json!({"property": "a", "value": [1, {"b": null}]}),
            ),
            (
                "set-property-from-command",
                json!({"command": "x", "property": "p"}),
            ),
            (
                "set-property-from-command",
                json!({"command": "x", "extract": "(?P<a>.)"}),
            ),
            ("trigger", json!({"builders": "docs"})),
            (
                "trigger",
                json!({"builders": ["a", "b"], "wait_for_finish": true, "set_properties": {"n": [1]}}),
            ),
            ("file-upload", json!({"source": "a/b"})),
            ("directory-upload", json!({"source": "a", "artifact": ""})),
            (
                "file-download",
                json!({"artifact": "a", "build": {"builder": "b", "number": 3}}),
            ),
            ("multiple-file-upload", json!({"sources": "*.log"})),
            (
                "multiple-file-upload",
                json!({"sources": ["a", "b/*"], "artifact": "logs"}),
            ),
            ("make-directory", json!({"path": "a/b"})),
            ("remove", json!({"path": "a"})),
            ("copy", json!({"source": "a", "destination": "b"})),
            ("file-exists", json!({"path": "a"})),
            (
                "string-download",
                json!({"content": "", "destination": "a", "mode": "0600"}),
            ),
            (
                "json-string-download",
                json!({"value": [null], "destination": "a"}),
            ),
            (
                "json-properties-download",
                json!({"destination": "a", "mode": "644"}),
            ),
        ];
        for (type_name, parameters) in good {
            assert_eq!(
                check(type_name, &parameters),
                (true, true),
                "{type_name} {parameters}"
            );
        }
        let bad = [
            ("shell", json!({})),
            ("shell", json!({"command": 5})),
            ("shell", json!({"command": []})),
            ("shell", json!({"command": "x", "comand": "y"})),
            ("shell", json!({"command": "x", "timeout": "soon"})),
            ("shell", json!({"command": "x", "env": {"A": true}})),
            ("shell", json!({"command": "x", "logfiles": {"": "a.log"}})),
            (
                "shell",
                json!({"command": "x", "logfiles": {"a": {"follow": true}}}),
            ),
            (
                "shell",
                json!({"command": "x", "logfiles": {"a": {"path": "a", "f": 1}}}),
            ),
            ("git", json!({"mode": "half"})),
            ("git", json!({"shallow": 0})),
            ("set-property", json!({"property": "a"})),
            ("set-property-from-command", json!({"command": "x"})),
            ("trigger", json!({"builders": []})),
            ("trigger", json!({"builders": "a", "waitForFinish": true})),
            ("multiple-file-upload", json!({"sources": []})),
            ("remove", json!({"path": ""})),
            ("copy", json!({"source": "a"})),
            (
                "string-download",
                json!({"content": "", "destination": "a", "mode": "4755"}),
            ),
            (
                "string-download",
                json!({"content": "", "destination": "a", "mode": "rw"}),
            ),
            ("file-upload", json!({})),
            ("file-download", json!({"artifact": "a", "build": 3})),
        ];
        for (type_name, parameters) in bad {
            assert_eq!(
                check(type_name, &parameters),
                (false, false),
                "{type_name} {parameters}"
            );
        }
    }

    #[test]
    fn every_native_type_has_a_reader() {
        for name in NativeCatalog.names(PluginKind::Step) {
            assert!(NativeStep::parse(&name, json!({})).is_some(), "{name}");
        }
        assert!(NativeStep::parse("junit", json!({})).is_none());
    }
}
