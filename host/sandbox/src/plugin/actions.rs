//! What a plugin wants, from the types of the contract to those of the core.

use serde_json::{Map, Value};
use toolpost_core::schedule::plugin::{Action, Interests, Reaction, WantedBuildset};
use toolpost_core::{ChangeId, Timestamp};

use super::scheduler as wire;
use crate::imports::convert;

/// The properties of a build set are the only part of an answer whose type the contract does not check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the properties of a build set are no JSON object: {0}")]
pub struct NoProperties(String);

impl TryFrom<wire::Reaction> for Reaction {
    type Error = NoProperties;

    fn try_from(answer: wire::Reaction) -> Result<Self, NoProperties> {
        let actions = answer.actions.into_iter().map(action);
        Ok(Self {
            memory: answer.state,
            actions: actions.collect::<Result<_, _>>()?,
        })
    }
}

fn action(action: wire::Action) -> Result<Action, NoProperties> {
    Ok(match action {
        wire::Action::AddBuildset(new) => Action::AddBuildset(buildset(new)?),
        wire::Action::WakeAt(at_ms) => {
            Action::WakeAt(Timestamp(i64::try_from(at_ms).unwrap_or(i64::MAX)))
        }
        wire::Action::NoWake => Action::NoWake,
        wire::Action::Listen(wanted) => Action::Listen(interests(wanted)),
        wire::Action::SetStatus(text) => Action::SetStatus(text),
    })
}

fn buildset(new: wire::NewBuildset) -> Result<WantedBuildset, NoProperties> {
    let properties: Map<String, Value> = match new.properties.trim() {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(|error| NoProperties(error.to_string()))?,
    };
    // An id that no change can have is that of an unknown one.
    let change = |id: u64| ChangeId(i64::try_from(id).unwrap_or(i64::MAX));
    Ok(WantedBuildset {
        label: new.label,
        builders: new.builders,
        reason: new.reason,
        source_stamps: new
            .source_stamps
            .into_iter()
            .map(convert::source_stamp)
            .collect(),
        changes: new.changes.into_iter().map(change).collect(),
        properties,
        priority: new.priority,
    })
}

fn interests(wanted: Vec<wire::Interest>) -> Interests {
    let mut interests = Interests {
        changes: false,
        builds_of: Default::default(),
    };
    for interest in wanted {
        match interest {
            wire::Interest::Changes => interests.changes = true,
            wire::Interest::BuildsOf(builder) => {
                interests.builds_of.insert(builder);
            }
        }
    }
    interests
}
