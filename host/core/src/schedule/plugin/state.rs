//! What is remembered of a scheduler of a plugin, and how it is stored.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::Timestamp;
use crate::ids::JournalId;
use crate::schedule::StateError;

/// What sets the states of these schedulers apart from those of native ones.
const KIND: &str = "plugin";

const VERSION: i64 = 1;

/// What is remembered of one scheduler between two events.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginSchedulerState {
    /// The type that `memory` belongs to.
    pub(super) scheduler_type: String,
    /// The last entry of the journal that it has passed.
    pub(super) cursor: JournalId,
    /// The configuration that it has last heard of.
    pub(super) configured: Option<String>,
    /// When it wants a timer event.
    pub(super) wake_at: Option<Timestamp>,
    pub(super) interests: Interests,
    /// What it says about itself.
    pub(super) status: String,
    /// The plugin's own state.
    pub(super) memory: Value,
}

/// What a scheduler wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interests {
    /// All changes.
    pub changes: bool,
    /// The end of every build of these builders, by name.
    pub builds_of: BTreeSet<String>,
}

impl Default for Interests {
    /// In the beginning a scheduler hears of changes.
    fn default() -> Self {
        Self {
            changes: true,
            builds_of: BTreeSet::new(),
        }
    }
}

impl PluginSchedulerState {
    /// A scheduler of this type that hears of what comes after this entry of the journal.
    #[must_use]
    pub fn starting_after(scheduler_type: &str, cursor: JournalId) -> Self {
        Self {
            scheduler_type: scheduler_type.into(),
            cursor,
            configured: None,
            wake_at: None,
            interests: Interests::default(),
            status: String::new(),
            memory: Value::Null,
        }
    }

    /// Whether a stored state is one of a scheduler of this type. Any other is of a scheduler that had the same name
    /// and means nothing to this one.
    #[must_use]
    pub fn is_of(value: &Value, scheduler_type: &str) -> bool {
        value["kind"] == KIND && value["use"] == scheduler_type
    }

    /// Whether a stored state is of a scheduler of any plugin.
    #[must_use]
    pub fn is_one(value: &Value) -> bool {
        value["kind"] == KIND
    }

    /// The last entry of the journal that it has passed; ask the store for those after it.
    #[must_use]
    pub fn cursor(&self) -> JournalId {
        self.cursor
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.wake_at
    }

    /// What it says about itself; may be empty.
    #[must_use]
    pub fn status(&self) -> &str {
        &self.status
    }

    /// The plugin's own state.
    #[must_use]
    pub fn memory(&self) -> &Value {
        &self.memory
    }

    /// As it is stored.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({
            "kind": KIND,
            "version": VERSION,
            "use": self.scheduler_type,
            "cursor": self.cursor.0,
            "configured": self.configured,
            "wake_at_ms": self.wake_at.map(|at| at.0),
            "changes": self.interests.changes,
            "builds_of": self.interests.builds_of,
            "status": self.status,
            "memory": self.memory,
        })
    }

    /// From what was stored.
    ///
    /// # Errors
    /// When it was written by another version or is damaged.
    pub fn from_value(value: &Value) -> Result<Self, StateError> {
        let damaged = |field| StateError::Damaged { field };
        let text = |field| {
            let text = value[field].as_str().ok_or(damaged(field))?;
            Ok(text.to_owned())
        };
        if !Self::is_one(value) {
            return Err(damaged("kind"));
        }
        let version = value["version"].as_i64().ok_or(damaged("version"))?;
        if version != VERSION {
            return Err(StateError::Version { found: version });
        }
        let configured = match &value["configured"] {
            Value::Null => None,
            _ => Some(text("configured")?),
        };
        let wake_at = match &value["wake_at_ms"] {
            Value::Null => None,
            at => Some(Timestamp(at.as_i64().ok_or(damaged("wake_at_ms"))?)),
        };
        let builds_of = value["builds_of"].as_array().and_then(|names| {
            let names = names.iter().map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<_>>()
        });
        Ok(Self {
            scheduler_type: text("use")?,
            cursor: JournalId(value["cursor"].as_i64().ok_or(damaged("cursor"))?),
            configured,
            wake_at,
            interests: Interests {
                changes: value["changes"].as_bool().ok_or(damaged("changes"))?,
                builds_of: builds_of.ok_or(damaged("builds_of"))?,
            },
            status: text("status")?,
            memory: value.get("memory").ok_or(damaged("memory"))?.clone(),
        })
    }
}
