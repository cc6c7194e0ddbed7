//! Values of the contract that several kinds share, from and to those of this crate.

use super::bindings::imports::toolpost::plugin::types as wit;
use crate::{Change, Error, Properties, Results, SourceStamp};
use serde_json::Value;

pub(super) fn error(error: wit::Error) -> Error {
    match error {
        wit::Error::Retryable(message) => Error::Retryable(message),
        wit::Error::Permanent(message) => Error::Permanent(message),
        wit::Error::Config(message) => Error::config("", message),
    }
}

pub(super) fn to_wit_error(error: Error) -> wit::Error {
    match error {
        Error::Retryable(message) => wit::Error::Retryable(message),
        Error::Permanent(message) => wit::Error::Permanent(message),
        Error::Config { .. } => wit::Error::Config(error.to_string()),
    }
}

pub(super) fn results(results: wit::Results) -> Results {
    match results {
        wit::Results::Success => Results::Success,
        wit::Results::Warnings => Results::Warnings,
        wit::Results::Failure => Results::Failure,
        wit::Results::Skipped => Results::Skipped,
        wit::Results::Exception => Results::Exception,
        wit::Results::Retry => Results::Retry,
        wit::Results::Cancelled => Results::Cancelled,
    }
}

pub(super) fn to_wit_results(results: Results) -> wit::Results {
    match results {
        Results::Success => wit::Results::Success,
        Results::Warnings => wit::Results::Warnings,
        Results::Failure => wit::Results::Failure,
        Results::Skipped => wit::Results::Skipped,
        Results::Exception => wit::Results::Exception,
        Results::Retry => wit::Results::Retry,
        Results::Cancelled => wit::Results::Cancelled,
    }
}

pub(super) fn source_stamp(stamp: wit::SourceStamp) -> SourceStamp {
    SourceStamp {
        codebase: stamp.codebase,
        repository: stamp.repository,
        project: stamp.project,
        branch: stamp.branch,
        revision: stamp.revision,
        patch: stamp.patch,
    }
}

pub(super) fn source_stamps(stamps: Vec<wit::SourceStamp>) -> Vec<SourceStamp> {
    stamps.into_iter().map(source_stamp).collect()
}

pub(super) fn to_wit_source_stamp(stamp: SourceStamp) -> wit::SourceStamp {
    wit::SourceStamp {
        codebase: stamp.codebase,
        repository: stamp.repository,
        project: stamp.project,
        branch: stamp.branch,
        revision: stamp.revision,
        patch: stamp.patch,
    }
}

pub(super) fn change(change: wit::Change) -> Change {
    Change {
        id: change.id,
        author: change.author,
        comments: change.comments,
        files: change.files,
        branch: change.branch,
        revision: change.revision,
        category: change.category,
        repository: change.repository,
        project: change.project,
        codebase: change.codebase,
        revlink: change.revlink,
        when_ms: change.when_ms,
        properties: properties(&change.properties),
    }
}

/// The host sends objects; should it not, there is nothing in it that has a name.
pub(super) fn properties(json: &str) -> Properties {
    serde_json::from_str(json).unwrap_or_default()
}

/// The host sends JSON; should it not, the text itself says the most.
pub(super) fn value(json: String) -> Value {
    serde_json::from_str(&json).unwrap_or(Value::String(json))
}

/// Parameters and states, which make no sense unless they are JSON.
pub(super) fn parse(what: &str, json: &str) -> Result<Value, Error> {
    serde_json::from_str(json).map_err(|error| Error::permanent(format!("{what}: {error}")))
}
