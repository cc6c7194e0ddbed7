//! What is done fifty times at once.

use toolpost_hostile::{Export, MISDEEDS, Misdeed};

/// Offenders that are texts of their own.
const TEXTS: [&str; 5] = [
    "zero-timeout-polling",
    "handle-hoard",
    "command-flood",
    "step-log-flood",
    "sleeper",
];

/// A misdeed, and what commits it.
#[derive(Clone)]
pub(super) enum Offence {
    /// Steps of builds.
    Steps(&'static Misdeed),
    /// Steps of builds, by a text.
    Text(&'static str),
    /// Files in the plugin directory that describe themselves.
    Files(&'static Misdeed),
    /// Schedulers that hear of every build.
    Schedulers(&'static Misdeed),
    /// Reporters that hear of every build.
    Reporters(&'static Misdeed),
}

impl Offence {
    pub(super) fn all() -> Vec<Self> {
        let can = |export: Export| {
            MISDEEDS
                .iter()
                .filter(move |misdeed| misdeed.exports().any(|it| it == export))
        };
        let mut all: Vec<Self> = can(Export::Run).map(Self::Steps).collect();
        all.extend(TEXTS.map(Self::Text));
        all.extend(can(Export::Describe).map(Self::Files));
        all.extend(can(Export::Handle).map(Self::Schedulers));
        all.extend(can(Export::Report).map(Self::Reporters));
        all
    }

    /// The name of the plugin, and of its only type.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Text(name) => (*name).to_owned(),
            Self::Steps(misdeed) => misdeed.plugin_name(Export::Run),
            Self::Files(misdeed) => misdeed.plugin_name(Export::Describe),
            Self::Schedulers(misdeed) => misdeed.plugin_name(Export::Handle),
            Self::Reporters(misdeed) => misdeed.plugin_name(Export::Report),
        }
    }

    pub(super) fn component(&self) -> Vec<u8> {
        toolpost_hostile::component(&self.name())
    }

    /// Whether it is in the plugin directory from the beginning.
    pub(super) fn is_installed(&self) -> bool {
        !matches!(self, Self::Files(_))
    }

    pub(super) fn misdeed(&self) -> Option<&'static Misdeed> {
        match self {
            Self::Text(_) => None,
            Self::Steps(misdeed)
            | Self::Files(misdeed)
            | Self::Schedulers(misdeed)
            | Self::Reporters(misdeed) => Some(misdeed),
        }
    }
}
