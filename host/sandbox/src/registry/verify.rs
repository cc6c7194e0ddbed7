//! Whether a version may go live beside what runs.

use std::path::Path;

use crate::registry::{HeldVersion, Snapshot, UseCheck};
use crate::{PluginKind, PluginVersion};

/// Everything that a version is measured against, apart from the contract itself.
pub(super) struct Verifier<'a> {
    pub(super) live: &'a Snapshot,
    pub(super) native_types: &'a [(PluginKind, String)],
    pub(super) uses: &'a dyn UseCheck,
}

/// Why a version may not go live.
pub(super) struct Objection {
    pub(super) reason: String,
    /// Whether it can vanish without a change of the file: another plugin gives way, or the configuration
    /// changes.
    pub(super) may_vanish: bool,
    /// What the version waits for, when that is all.
    pub(super) held: Option<Box<HeldVersion>>,
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
                held: None,
            });
        }
        self.fits(new, old)?;
        self.grants(new)
    }

    /// Checks a version that was live before. Grants that it had and has no more do not keep it away: what runs goes on, and
    /// its calls for that are refused.
    pub(super) fn check_former(
        &self,
        new: &PluginVersion,
        old: Option<&PluginVersion>,
    ) -> Result<(), Objection> {
        self.fits(new, old)
    }

    fn fits(&self, new: &PluginVersion, old: Option<&PluginVersion>) -> Result<(), Objection> {
        self.names(new)
            .and_then(|()| self.parameters(new))
            .and_then(|()| self.leftovers(new, old))
            .map_err(|reason| Objection {
                reason,
                may_vanish: true,
                held: None,
            })
    }

    fn grants(&self, new: &PluginVersion) -> Result<(), Objection> {
        let missing = self.uses.not_granted(new.name(), new.wants());
        if missing.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Err(Objection {
            reason: format!(
                "asks for {}, which is not granted: it goes live when [plugin.{}] grants it",
                shown.join(", "),
                new.name()
            ),
            may_vanish: true,
            held: Some(Box::new(HeldVersion {
                version: new.version().to_owned(),
                digest: new.digest().to_owned(),
                wants: new.wants().to_vec(),
                missing,
            })),
        })
    }

    fn names(&self, new: &PluginVersion) -> Result<(), String> {
        for info in new.types() {
            let (kind, name) = (info.kind(), info.name());
            let mut natives = self.native_types.iter();
            if natives.any(|native| native.0 == kind && native.1 == name) {
                return Err(format!("has a {kind} type `{name}`, which is built in"));
            }
            let owner = self.live.get(kind, name).map(|(other, _)| other.name());
            if let Some(owner) = owner.filter(|owner| *owner != new.name()) {
                return Err(format!(
                    "has a {kind} type `{name}`, which the plugin `{owner}` has already"
                ));
            }
        }
        Ok(())
    }

    fn parameters(&self, new: &PluginVersion) -> Result<(), String> {
        for info in new.types() {
            for place in self.uses.uses_of(info.kind(), info.name()) {
                self.uses.check(info, &place).map_err(|reason| {
                    format!(
                        "does not take the parameters that {} has for `{}`: {reason}",
                        place.place,
                        info.name()
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Types that the old version had and the configuration uses.
    fn leftovers(&self, new: &PluginVersion, old: Option<&PluginVersion>) -> Result<(), String> {
        let is_kept = |kind, name: &str| new.types_of(kind).any(|info| info.name() == name);
        let had = old.into_iter().flat_map(PluginVersion::types);
        for gone in had.filter(|info| !is_kept(info.kind(), info.name())) {
            let (kind, name) = (gone.kind(), gone.name());
            if let Some(place) = self.uses.uses_of(kind, name).first() {
                return Err(format!(
                    "has no {kind} type `{name}` any more, which {} uses",
                    place.place
                ));
            }
        }
        Ok(())
    }

    /// Where a plugin is used, for people; `None` when it is not.
    pub(super) fn used_at(&self, version: &PluginVersion) -> Option<String> {
        version
            .types()
            .iter()
            .find_map(|info| {
                let mut places = self.uses.uses_of(info.kind(), info.name()).into_iter();
                places.next()
            })
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
