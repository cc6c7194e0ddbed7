//! What of the journal a reporter tells.

use std::collections::BTreeSet;

use crate::Results;
use crate::journal::JournalKind;

/// Which facts a reporter tells: of the kinds in `events`, about something that fits all the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// Kinds of facts.
    pub events: BTreeSet<JournalKind>,
    /// Names of builders; `None` for all.
    pub builders: Option<BTreeSet<String>>,
    /// Tags of which a builder has one; `None` for all builders.
    pub tags: Option<BTreeSet<String>>,
    /// Names of schedulers that asked for it; `None` for all and for nobody.
    pub schedulers: Option<BTreeSet<String>>,
    /// Branches, of which a source stamp has one; `None` for all.
    pub branches: Option<BTreeSet<String>>,
    /// How it ended, where the fact is the end of something: one of these is enough.
    pub results: BTreeSet<ResultsMode>,
    /// Names of workers of which others tell that they are missing.
    pub silent_about: BTreeSet<String>,
}

/// Results that are told. The words are Buildbot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResultsMode {
    /// Every result.
    All,
    /// Another result than that of the build before.
    Change,
    /// `FAILURE`.
    Failing,
    /// `SUCCESS`.
    Passing,
    /// `FAILURE`, and the build before did not fail.
    Problem,
    /// `WARNINGS`.
    Warnings,
    /// `EXCEPTION`.
    Exception,
    /// `CANCELLED`.
    Cancelled,
}

/// What has to be known of a thing before it can be decided whether it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// How the build before ended.
    pub previous: bool,
    /// Who asked for it, and for which branches.
    pub origin: bool,
}

/// A build, a request or a worker's builder that a fact is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Name of the builder.
    pub builder: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Name of the scheduler that asked for it.
    pub scheduler: Option<String>,
    /// Branches of the source stamps.
    pub branches: Vec<String>,
    /// How it ended.
    pub results: Option<Results>,
    /// How the build of the builder before it ended.
    pub previous: Option<Results>,
}

impl ResultsMode {
    /// Every mode.
    pub const ALL: [Self; 8] = [
        Self::All,
        Self::Change,
        Self::Failing,
        Self::Passing,
        Self::Problem,
        Self::Warnings,
        Self::Exception,
        Self::Cancelled,
    ];

    /// The word in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Change => "change",
            Self::Failing => "failing",
            Self::Passing => "passing",
            Self::Problem => "problem",
            Self::Warnings => "warnings",
            Self::Exception => "exception",
            Self::Cancelled => "cancelled",
        }
    }

    fn fits(self, results: Results, previous: Option<Results>) -> bool {
        match self {
            Self::All => true,
            Self::Change => previous.is_some_and(|previous| previous != results),
            Self::Failing => results == Results::Failure,
            Self::Passing => results == Results::Success,
            Self::Problem => {
                results == Results::Failure
                    && previous.is_some_and(|previous| previous != Results::Failure)
            }
            Self::Warnings => results == Results::Warnings,
            Self::Exception => results == Results::Exception,
            Self::Cancelled => results == Results::Cancelled,
        }
    }
}

impl Wants {
    /// What has to be known to decide.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let modes = [ResultsMode::Change, ResultsMode::Problem];
        Needs {
            previous: modes.iter().any(|mode| self.results.contains(mode)),
            origin: self.schedulers.is_some() || self.branches.is_some(),
        }
    }

    /// Whether a fact of this kind is told: when one of the things that it is about fits. A fact that is about
    /// nothing, such as the end of a build set without builds, fits only who takes everything.
    #[must_use]
    pub fn take(&self, kind: JournalKind, about: &[About]) -> bool {
        if !self.events.contains(&kind) {
            return false;
        }
        match about {
            [] => self.takes_everything(),
            about => about.iter().any(|thing| self.fits(thing)),
        }
    }

    /// Whether it is for this reporter to tell a fact of this kind about this worker.
    #[must_use]
    pub fn take_worker(&self, kind: JournalKind, worker: &str) -> bool {
        let of_absence = matches!(kind, JournalKind::WorkerMissing | JournalKind::WorkerBack);
        !(of_absence && self.silent_about.contains(worker))
    }

    fn takes_everything(&self) -> bool {
        let Self {
            events: _,
            builders,
            tags,
            schedulers,
            branches,
            results,
            silent_about: _,
        } = self;
        [builders, tags, schedulers, branches]
            .iter()
            .all(|filter| filter.is_none())
            && results.contains(&ResultsMode::All)
    }

    fn fits(&self, thing: &About) -> bool {
        let one_of = |filter: &Option<BTreeSet<String>>, names: &[String]| {
            filter
                .as_ref()
                .is_none_or(|wanted| names.iter().any(|name| wanted.contains(name)))
        };
        one_of(&self.builders, std::slice::from_ref(&thing.builder))
            && one_of(&self.tags, &thing.tags)
            && one_of(&self.schedulers, thing.scheduler.as_slice())
            && one_of(&self.branches, &thing.branches)
            && thing.results.is_none_or(|results| {
                let mut modes = self.results.iter();
                modes.any(|mode| mode.fits(results, thing.previous))
            })
    }
}
