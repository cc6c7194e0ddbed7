//! The hostile set: plugins that each do one bad thing in one of their exports.
//!
//! Those of a kind are made here, from a [`Misdeed`] and the export that commits it: the types of the contract come
//! from `wit/`, so that only the misdeed itself is written by hand. Those that are odd as a whole (other contracts, missing
//! exports, handles of WASI) are texts beside this crate.

mod component;
mod lures;
mod misdeeds;
mod setting;

use std::path::PathBuf;

pub use lures::Lures;
pub use misdeeds::{MISDEEDS, Misdeed};
pub use setting::{REBOUND, Setting};

pub(crate) use misdeeds::Wish;

/// An export of a plugin, where a misdeed is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// `plugin.describe`
    Describe,
    /// `step.run`
    Run,
    /// `scheduler.handle`
    Handle,
    /// `reporter.report`
    Report,
}

impl Export {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Describe, Self::Run, Self::Handle, Self::Report];

    /// Its name in the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Run => "run",
            Self::Handle => "handle",
            Self::Report => "report",
        }
    }

    /// The interface of the contract that has it, apart from `plugin`. What describes itself badly is a step otherwise.
    fn interface(self) -> &'static str {
        match self {
            Self::Describe | Self::Run => "step",
            Self::Handle => "scheduler",
            Self::Report => "reporter",
        }
    }
}

impl Misdeed {
    /// The plugin that does it in this export, and its only type.
    #[must_use]
    pub fn plugin_name(&self, export: Export) -> String {
        format!("{}-{}", export.name(), self.word)
    }

    /// The exports in which it can be done.
    pub fn exports(&self) -> impl Iterator<Item = Export> + use<> {
        self.exports.iter().copied()
    }

    /// The plugin that does it in this export.
    ///
    /// # Panics
    /// When the misdeed does not fit the contract.
    #[must_use]
    pub fn component(&self, export: Export) -> Vec<u8> {
        component::build(self, export)
    }
}

/// The component of a name: a misdeed in an export (`handle-endless-loop`), or a text of this folder.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn component(name: &str) -> Vec<u8> {
    let mut all = MISDEEDS
        .iter()
        .flat_map(|misdeed| misdeed.exports().map(move |export| (misdeed, export)));
    match all.find(|(misdeed, export)| misdeed.plugin_name(*export) == name) {
        Some((misdeed, export)) => misdeed.component(export),
        None => {
            let path = root().join(format!("tests/hostile/{name}.wat"));
            wat::parse_file(path).unwrap_or_else(|error| panic!("{name}: {error}"))
        }
    }
}

/// A good plugin that does nothing, under a name of six letters; the version of five letters changes its digest and nothing
/// else.
///
/// # Panics
/// When name or version have another length.
#[must_use]
pub fn empty_plugin(name: &str, version: &str) -> Vec<u8> {
    let path = root().join("tests/plugins/empty.wat");
    let text = std::fs::read_to_string(path).expect("the text of the empty plugin");
    let fits = name.len() == "empty0".len() && version.len() == "0.0.0".len();
    assert!(fits, "the text has no room for {name} {version}");
    let text = text.replace("empty0", name).replace("0.0.0", version);
    wat::parse_str(&text).expect("the empty plugin is a component")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_misdeed_is_a_component() {
        for misdeed in MISDEEDS {
            for export in misdeed.exports() {
                let bytes = component(&misdeed.plugin_name(export));
                assert!(bytes.starts_with(b"\0asm"));
            }
        }
    }
}
