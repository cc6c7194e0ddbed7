//! A search among the changes of a branch, as builds. Pure.

use crate::history::Suspect;
use crate::search::{Next, Search, Verdict};
use serde::{Deserialize, Serialize};
use toolpost_sdk::scheduler::{Build, NewBuildset};
use toolpost_sdk::{Results, SourceStamp};

/// The property that all its builds have: the number of the build whose failure is looked into.
pub(crate) const BUILD_PROPERTY: &str = "bisect_build";
/// How many revisions a property lists.
const SUSPECTS_SHOWN_MAX: usize = 100;

/// A search for what broke a builder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hunt {
    pub(crate) builder: String,
    /// The number of the build that failed.
    build: u64,
    /// Its sources.
    stamps: Vec<SourceStamp>,
    codebase: String,
    suspects: Vec<Suspect>,
    search: Search,
    /// What is being built.
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Stage {
    /// This change, to find out about it.
    Probe(usize),
    /// The answer, to confirm it.
    Confirm,
}

/// What a hunt needs next.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// A build.
    Build(Box<NewBuildset>),
    /// Nothing: this is what people are told.
    Done(String),
}

impl Hunt {
    /// A hunt for what broke this build among these changes.
    pub(crate) fn new(build: &Build, codebase: &str, suspects: Vec<Suspect>) -> Self {
        Self {
            builder: build.builder.clone(),
            build: build.number,
            stamps: build.source_stamps.clone(),
            codebase: codebase.to_owned(),
            search: Search::among(suspects.len()),
            suspects,
            stage: Stage::Confirm,
        }
    }

    /// What to do next, without a build that would tell more.
    pub(crate) fn next(&mut self, confirm: bool) -> Step {
        match self.search.next() {
            Next::Test(index) => {
                self.stage = Stage::Probe(index);
                Step::Build(Box::new(self.probe(index)))
            }
            Next::Found { .. } if confirm && self.suspects.len() > 1 => {
                self.stage = Stage::Confirm;
                Step::Build(Box::new(self.confirmation()))
            }
            Next::Found { .. } => Step::Done(format!("{} broke {}", self.names(), self.builder)),
        }
    }

    /// What to do now that its build has ended.
    pub(crate) fn built(&mut self, results: Results, confirm: bool) -> Step {
        let verdict = match results {
            Results::Success | Results::Warnings => Verdict::Good,
            Results::Failure => Verdict::Bad,
            Results::Skipped | Results::Exception | Results::Retry | Results::Cancelled => {
                Verdict::Untestable
            }
        };
        match self.stage {
            Stage::Probe(index) => {
                self.search.tell(index, verdict);
                self.next(confirm)
            }
            Stage::Confirm if verdict == Verdict::Good => Step::Done(format!(
                "{} broke {}, but works when it is built again: the failure comes and goes",
                self.names(),
                self.builder
            )),
            Stage::Confirm => Step::Done(format!("{} broke {}", self.names(), self.builder)),
        }
    }

    /// What people can see of it on the way.
    pub(crate) fn progress(&self) -> String {
        let left = self.left().len();
        let changes = if left == 1 { "change" } else { "changes" };
        format!(
            "looking for what broke {} in build {}: {left} {changes} of {} left",
            self.builder,
            self.build,
            self.suspects.len()
        )
    }

    /// The changes that may still be it.
    fn left(&self) -> &[Suspect] {
        self.suspects
            .get(self.search.suspects())
            .unwrap_or_default()
    }

    fn probe(&self, index: usize) -> NewBuildset {
        let reason = format!(
            "looks for what broke build {} of {}",
            self.build, self.builder
        );
        self.buildset(reason, index)
    }

    /// The build of the answer, made for its change alone.
    fn confirmation(&self) -> NewBuildset {
        let reason = format!(
            "{} broke build {} of {}",
            self.names(),
            self.build,
            self.builder
        );
        let left = self.left();
        let buildset = self
            .buildset(reason, *self.search.suspects().end())
            .changes(
                left.iter()
                    .map(|suspect| suspect.id)
                    .take(SUSPECTS_SHOWN_MAX),
            );
        match left {
            [only] => buildset
                .property("bisect_first_bad_revision", only.revision.as_str())
                .property("bisect_first_bad_change", only.id),
            _ => buildset,
        }
    }

    fn buildset(&self, reason: String, index: usize) -> NewBuildset {
        let mut stamps = self.stamps.clone();
        for stamp in &mut stamps {
            if stamp.codebase == self.codebase {
                stamp.revision = self
                    .suspects
                    .get(index)
                    .map(|suspect| suspect.revision.clone());
            }
        }
        let revisions = self.left().iter().map(|suspect| suspect.revision.as_str());
        NewBuildset::new(reason)
            .builder(&self.builder)
            .source_stamps(stamps)
            .property(BUILD_PROPERTY, self.build)
            .property(
                "bisect_suspects",
                revisions.take(SUSPECTS_SHOWN_MAX).collect::<Vec<_>>(),
            )
    }

    /// The answer for people.
    fn names(&self) -> String {
        match self.left() {
            [] => "no change".to_owned(),
            [only] => format!("change {} ({})", only.id, only.revision),
            [first, .., last] => format!(
                "one of the changes {} ({}) to {} ({})",
                first.id, first.revision, last.id, last.revision
            ),
        }
    }
}
