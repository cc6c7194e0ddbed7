//! The step types that builds get, and those that builds hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::StepType;
use crate::plugin::Pin;

/// Step types by name, as of one moment.
pub type Snapshot = Arc<BTreeMap<String, Arc<StepType>>>;

/// The step types that a build started with. While it is kept, their versions stay in memory and are shown as
/// used.
#[derive(Debug, Default)]
pub struct Pins {
    step_types: BTreeMap<String, Arc<StepType>>,
    /// One for each version.
    _held: Vec<Pin>,
}

impl Pins {
    pub(super) fn new<'a>(snapshot: &Snapshot, names: impl IntoIterator<Item = &'a str>) -> Self {
        let step_types: BTreeMap<String, Arc<StepType>> = names
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), snapshot.get(name)?.clone())))
            .collect();
        let versions: BTreeMap<&str, _> = step_types
            .values()
            .map(|step_type| (step_type.plugin().name(), step_type.plugin()))
            .collect();
        let held = versions.values().map(|version| version.pin()).collect();
        Self {
            step_types,
            _held: held,
        }
    }

    /// A step type, if it was pinned.
    #[must_use]
    pub fn step_type(&self, name: &str) -> Option<&Arc<StepType>> {
        self.step_types.get(name)
    }

    /// All that were pinned, by name.
    pub fn step_types(&self) -> impl Iterator<Item = &Arc<StepType>> {
        self.step_types.values()
    }
}
