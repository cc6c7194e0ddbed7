//! What a scheduler hears.

use super::NotForced;
use crate::{Change, Properties, Results, SourceStamp};

/// What a scheduler hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<F = NotForced> {
    /// The first event of all, and the first after its parameters, its builders or the plugin changed.
    Configured(Configuration),
    /// A change arrived. Only while it listens to changes, as it does in the beginning.
    Change(Change),
    /// The time that was set with [`Reaction::wake_at_ms`](crate::Reaction::wake_at_ms) has come, or passed while
    /// the master was down.
    Timer,
    /// A build ended. Only of builders that it listens to.
    BuildFinished(Build),
    /// All builds of one of its own build sets have ended.
    BuildsetComplete(Buildset),
    /// A person asked for it in a form.
    Force(ForceRequest<F>),
}

/// What the configuration says beside the parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Whether this is the first event that this scheduler ever got.
    pub first: bool,
    /// The names of the builders that it may start.
    pub builders: Vec<String>,
}

/// A build that ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Build {
    /// Its number among all builds.
    pub id: u64,
    /// The name of the builder.
    pub builder: String,
    /// The number of the build, counted per builder from 1.
    pub number: u64,
    /// How it ended.
    pub results: Results,
    /// The build set that it was made for.
    pub buildset_id: u64,
    /// The sources, one stamp for each codebase.
    pub source_stamps: Vec<SourceStamp>,
    /// Its properties.
    pub properties: Properties,
}

/// A build set whose builds have all ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buildset {
    /// Its number.
    pub id: u64,
    /// The label that this scheduler gave it.
    pub label: String,
    /// The worst result of its builds.
    pub results: Results,
    /// Its builds; of a request that was tried again, the last one.
    pub builds: Vec<Build>,
}

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForceRequest<F> {
    /// Who it was.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// What was filled in.
    pub values: F,
}
