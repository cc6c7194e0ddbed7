//! Names: what may be one, that none is given twice, and what they refer to.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::problem::Report;
use crate::raw::{RawChangeSource, RawConfig, RawScheduler, RawWorker};
use crate::sources::Span;
use crate::suggest;
use crate::tree::At;

/// Longer names are refused: they are columns of tables and parts of URLs.
const IDENTIFIER_CHARS_MAX: usize = 50;
/// Builders have long names at some sites.
const FREE_NAME_CHARS_MAX: usize = 200;

/// What a name is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    Worker,
    Builder,
    Lock,
    Scheduler,
    Reporter,
    ChangeSource,
    Project,
    Codebase,
}

impl Thing {
    fn singular(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Builder => "builder",
            Self::Lock => "lock",
            Self::Scheduler => "scheduler",
            Self::Reporter => "reporter",
            Self::ChangeSource => "change source",
            Self::Project => "project",
            Self::Codebase => "codebase",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Worker => "workers",
            Self::Builder => "builders",
            Self::Lock => "locks",
            Self::Scheduler => "schedulers",
            Self::Reporter => "reporters",
            Self::ChangeSource => "change sources",
            Self::Project => "projects",
            Self::Codebase => "codebases",
        }
    }
}

/// Where each name is given. Parts with other problems are in it too, so that a reference to one of
/// them is no problem of its own.
#[derive(Debug, Default)]
pub(super) struct Names {
    workers: BTreeMap<String, Span>,
    builders: BTreeMap<String, Span>,
    locks: BTreeMap<String, Span>,
    schedulers: BTreeMap<String, Span>,
    reporters: BTreeMap<String, Span>,
    projects: BTreeMap<String, Span>,
}

impl Names {
    pub(super) fn collect(raw: &RawConfig, report: &mut Report<'_>) -> Self {
        let workers = items(raw.worker.as_ref()).filter_map(|worker| match &worker.value {
            RawWorker::Local(worker) => worker.name.as_ref(),
            RawWorker::Remote(worker) => worker.name.as_ref(),
        });
        let builders = items(raw.builder.as_ref()).filter_map(|item| item.value.name.as_ref());
        let locks = items(raw.lock.as_ref()).filter_map(|item| item.value.name.as_ref());
        let schedulers =
            items(raw.scheduler.as_ref()).filter_map(|scheduler| match &scheduler.value {
                RawScheduler::SingleBranch(scheduler) => scheduler.name.as_ref(),
                RawScheduler::Force(scheduler) => scheduler.name.as_ref(),
                RawScheduler::Plugin(scheduler) => scheduler.name.as_ref(),
            });
        let sources = items(raw.changes.as_ref()).filter_map(|source| match &source.value {
            RawChangeSource::GitPoller(poller) => {
                poller.name.as_ref().or(poller.repository.as_ref())
            }
        });
        let reporters = items(raw.reporter.as_ref()).filter_map(|item| item.value.name.as_ref());
        let projects = items(raw.project.as_ref()).filter_map(|item| item.value.name.as_ref());
        register(Thing::ChangeSource, sources, report);
        Self {
            workers: register(Thing::Worker, workers, report),
            builders: register(Thing::Builder, builders, report),
            locks: register(Thing::Lock, locks, report),
            schedulers: register(Thing::Scheduler, schedulers, report),
            reporters: register(Thing::Reporter, reporters, report),
            projects: register(Thing::Project, projects, report),
        }
    }

    /// Where a worker is named.
    pub(super) fn worker(&self, name: &str) -> Option<Span> {
        self.workers.get(name).copied()
    }

    fn of(&self, thing: Thing) -> Option<&BTreeMap<String, Span>> {
        match thing {
            Thing::Worker => Some(&self.workers),
            Thing::Builder => Some(&self.builders),
            Thing::Lock => Some(&self.locks),
            Thing::Scheduler => Some(&self.schedulers),
            Thing::Reporter => Some(&self.reporters),
            Thing::Project => Some(&self.projects),
            Thing::ChangeSource | Thing::Codebase => None,
        }
    }
}

fn items<T>(list: Option<&At<Vec<T>>>) -> impl Iterator<Item = &T> {
    list.into_iter().flat_map(|list| list.value.iter())
}

/// Checks each name and that none is given twice.
pub(super) fn register<'a>(
    thing: Thing,
    names: impl Iterator<Item = &'a At<String>>,
    report: &mut Report<'_>,
) -> BTreeMap<String, Span> {
    let mut known = BTreeMap::new();
    for name in names {
        let fault = match thing {
            Thing::Worker
            | Thing::Lock
            | Thing::Scheduler
            | Thing::Reporter
            | Thing::Project
            | Thing::Codebase => identifier_fault(&name.value),
            Thing::Builder | Thing::ChangeSource => free_name_fault(&name.value),
        };
        let what = thing.singular();
        if let Some(fault) = fault {
            report.at(name.span, format!("the name of a {what} {fault}"));
        }
        if let Some(first) = known.get(&name.value) {
            let mut note = report.at(
                name.span,
                format!("two {} have the name `{}`", thing.plural(), name.value),
            );
            note.related(*first, "the first is here")
                .help("give one of them another name");
        } else {
            known.insert(name.value.clone(), name.span);
        }
    }
    known
}

/// Why a text is no identifier in Buildbot's sense: letters of any script, digits, `_` and `-`, not
/// starting with a digit.
pub(super) fn identifier_fault(name: &str) -> Option<String> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '-' || c >= '\u{a0}';
    let mut characters = name.chars();
    let first = characters.next();
    if first.is_none() {
        return Some("must not be empty".into());
    }
    if name.chars().count() > IDENTIFIER_CHARS_MAX {
        return Some(format!("has at most {IDENTIFIER_CHARS_MAX} characters"));
    }
    let good = first.is_some_and(letter) && characters.all(|c| letter(c) || c.is_ascii_digit());
    (!good)
        .then(|| "consists of letters, digits, `_` and `-`, and does not start with a digit".into())
}

/// Why a text cannot name a builder: people write almost anything, but an underscore in front is
/// reserved.
fn free_name_fault(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("must not be empty".into());
    }
    if name.starts_with('_') {
        return Some("must not start with an underscore".into());
    }
    if name.chars().any(char::is_control) || name.trim() != name {
        return Some("has no control characters, and no space at its ends".into());
    }
    (name.chars().count() > FREE_NAME_CHARS_MAX)
        .then(|| format!("has at most {FREE_NAME_CHARS_MAX} characters"))
}

impl Checker<'_, '_> {
    /// Whether there is such a thing; notes it if not.
    pub(super) fn is_known(&mut self, thing: Thing, name: &At<String>) -> bool {
        let Some(known) = self.names.of(thing) else {
            return true;
        };
        if known.contains_key(&name.value) {
            return true;
        }
        let mut note = self.report.at(
            name.span,
            format!("there is no {} `{}`", thing.singular(), name.value),
        );
        note.help_with(|| match known.is_empty() {
            true => Some(format!("add a [[{}]]", thing.singular())),
            false => suggest::help(
                &name.value,
                thing.plural(),
                known.keys().map(String::as_str),
            ),
        });
        false
    }

    /// A list of names that refer to things; at least one, none twice.
    pub(super) fn references(
        &mut self,
        thing: Thing,
        names: Option<At<Vec<At<String>>>>,
    ) -> Option<Vec<String>> {
        let names = names?;
        if names.value.is_empty() {
            let message = format!("at least one {} is needed", thing.singular());
            self.report.at(names.span, message);
        }
        self.no_repetition(&names.value);
        let mut known = Vec::with_capacity(names.value.len());
        for name in names.value {
            if self.is_known(thing, &name) {
                known.push(name.value);
            }
        }
        Some(known)
    }

    /// Notes what is twice in a list.
    pub(super) fn no_repetition(&mut self, list: &[At<String>]) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for item in list {
            if !seen.insert(&item.value) {
                self.report
                    .at(item.span, format!("`{}` is twice in this list", item.value));
            }
        }
    }
}
