//! The state of a scheduler as it is stored.
//!
//! The format carries a version. A version that this program does not know is an error and not a fresh start,
//! because a fresh start would forget changes.

use serde_json::{Map, Value, json};

use super::single_branch::{ClassifiedChange, SingleBranchState};
use crate::Timestamp;
use crate::ids::ChangeId;
use crate::model::SourceStampSpec;

const VERSION: i64 = 1;

/// A stored state that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Written by another version of this program.
    #[error(
        "the scheduler's state has format {found}, this program knows {VERSION}; run the version that wrote it, or delete the state"
    )]
    Version {
        /// The version found.
        found: i64,
    },
    /// Not what any version writes.
    #[error("the scheduler's state is damaged at `{field}`; restore it, or delete the state")]
    Damaged {
        /// Where.
        field: &'static str,
    },
}

impl SingleBranchState {
    /// As it is stored.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let pending: Vec<Value> = self
            .pending
            .iter()
            .map(|change| {
                json!({
                    "change": change.id.0,
                    "important": change.important,
                    "stamp": stamp_to_value(&change.stamp),
                })
            })
            .collect();
        let last_stamps: Vec<Value> = self.last_stamps.values().map(stamp_to_value).collect();
        json!({
            "version": VERSION,
            "last_change": self.last_change.0,
            "stable_at_ms": self.stable_at.map(|at| at.0),
            "pending": pending,
            "last_stamps": last_stamps,
        })
    }

    /// From what was stored.
    ///
    /// # Errors
    /// When it was written by another version or is damaged.
    pub fn from_value(value: &Value) -> Result<Self, StateError> {
        let damaged = |field| StateError::Damaged { field };
        let version = value["version"].as_i64().ok_or(damaged("version"))?;
        if version != VERSION {
            return Err(StateError::Version { found: version });
        }
        let stable_at = match &value["stable_at_ms"] {
            Value::Null => None,
            at => Some(Timestamp(at.as_i64().ok_or(damaged("stable_at_ms"))?)),
        };
        let pending = list(value, "pending")?
            .iter()
            .map(change_from_value)
            .collect::<Option<_>>()
            .ok_or(damaged("pending"))?;
        let last_stamps = list(value, "last_stamps")?
            .iter()
            .map(|stamp| stamp_from_value(stamp).map(|stamp| (stamp.codebase.clone(), stamp)))
            .collect::<Option<_>>()
            .ok_or(damaged("last_stamps"))?;
        Ok(Self {
            last_change: ChangeId(
                value["last_change"]
                    .as_i64()
                    .ok_or(damaged("last_change"))?,
            ),
            pending,
            stable_at,
            last_stamps,
        })
    }
}

fn list<'a>(value: &'a Value, field: &'static str) -> Result<&'a Vec<Value>, StateError> {
    value[field].as_array().ok_or(StateError::Damaged { field })
}

fn change_from_value(value: &Value) -> Option<ClassifiedChange> {
    Some(ClassifiedChange {
        id: ChangeId(value["change"].as_i64()?),
        important: value["important"].as_bool()?,
        stamp: stamp_from_value(&value["stamp"])?,
    })
}

fn stamp_to_value(stamp: &SourceStampSpec) -> Value {
    json!({
        "codebase": stamp.codebase,
        "repository": stamp.repository,
        "branch": stamp.branch,
        "revision": stamp.revision,
        "project": stamp.project,
    })
}

fn stamp_from_value(value: &Value) -> Option<SourceStampSpec> {
    let fields = value.as_object()?;
    let text = |name: &str| Some(fields.get(name)?.as_str()?.to_owned());
    Some(SourceStampSpec {
        codebase: text("codebase")?,
        repository: text("repository")?,
        branch: optional(fields, "branch")?,
        revision: optional(fields, "revision")?,
        project: text("project")?,
        patch: None,
    })
}

/// The outer `None` is damage, the inner one an absent text.
fn optional(fields: &Map<String, Value>, name: &str) -> Option<Option<String>> {
    match fields.get(name)? {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone())),
        _ => None,
    }
}
