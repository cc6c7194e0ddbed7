//! Whether a version may go live beside what runs.

use std::path::Path;

use crate::PluginVersion;
use crate::registry::{Snapshot, UseCheck};

/// Everything that a version is measured against, apart from the contract itself.
pub(super) struct Verifier<'a> {
    pub(super) live: &'a Snapshot,
    pub(super) native_types: &'a [String],
    pub(super) uses: &'a dyn UseCheck,
}

/// Why a version may not go live.
pub(super) struct Objection {
    pub(super) reason: String,
    /// Whether it can vanish without a change of the file: another plugin gives way, or the configuration
    /// changes.
    pub(super) may_vanish: bool,
}

impl Verifier<'_> {
    /// Checks a new version of the plugin `name` against names, the other plugins, and the configuration.
    pub(super) fn check(
        &self,
        name: &str,
        new: &PluginVersion,
        old: Option<&PluginVersion>,
    ) -> Result<(), Objection> {
        if new.name() != name {
            let told = new.name();
            return Err(Objection {
                reason: format!("calls itself `{told}`: name the file `{told}.wasm`"),
                may_vanish: false,
            });
        }
        self.names(new)
            .and_then(|()| self.parameters(new))
            .and_then(|()| self.leftovers(new, old))
            .map_err(|reason| Objection {
                reason,
                may_vanish: true,
            })
    }

    fn names(&self, new: &PluginVersion) -> Result<(), String> {
        for step in new.steps() {
            let name = step.name();
            if self.native_types.iter().any(|native| native == name) {
                return Err(format!("has a step type `{name}`, which is built in"));
            }
            let owner = self.live.get(name).map(|other| other.plugin().name());
            if let Some(owner) = owner.filter(|owner| *owner != new.name()) {
                return Err(format!(
                    "has a step type `{name}`, which the plugin `{owner}` has already"
                ));
            }
        }
        Ok(())
    }

    fn parameters(&self, new: &PluginVersion) -> Result<(), String> {
        for step in new.steps() {
            for place in self.uses.uses_of(step.name()) {
                self.uses.check(step, &place).map_err(|reason| {
                    format!(
                        "does not take the parameters that {} has for `{}`: {reason}",
                        place.place,
                        step.name()
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Step types that the old version had and the configuration uses.
    fn leftovers(&self, new: &PluginVersion, old: Option<&PluginVersion>) -> Result<(), String> {
        let kept = |name: &str| new.steps().iter().any(|step| step.name() == name);
        let gone = old.into_iter().flat_map(PluginVersion::steps);
        for step in gone.filter(|step| !kept(step.name())) {
            if let Some(place) = self.uses.uses_of(step.name()).first() {
                return Err(format!(
                    "has no step type `{}` any more, which {} uses",
                    step.name(),
                    place.place
                ));
            }
        }
        Ok(())
    }

    /// Where a plugin is used, for people; `None` when it is not.
    pub(super) fn used_at(&self, version: &PluginVersion) -> Option<String> {
        version
            .steps()
            .iter()
            .find_map(|step| self.uses.uses_of(step.name()).into_iter().next())
            .map(|place| place.place)
    }
}

/// Says that the file of a plugin in use is gone.
pub(super) fn gone_but_used(file: &Path, place: &str) -> String {
    format!(
        "{} is gone, but {place} uses the plugin: its last good version goes on; put the file back, or take the step out of the configuration",
        file.display()
    )
}
