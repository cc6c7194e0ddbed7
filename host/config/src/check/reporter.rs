//! Reporters: what they tell, and the parameters of their types.

use std::collections::BTreeSet;

use toolpost_core::PluginKind;
use toolpost_core::journal::JournalKind;
use toolpost_core::report::{ResultsMode, RetryPolicy, Wants};

use super::names::Thing;
use super::{Checker, value};
use crate::config::ReporterConfig;
use crate::decode::OneOrMany;
use crate::raw::{RawReporter, RawRetry, ReportedResults, ReporterEvent};
use crate::tree::At;

/// Deliveries of one reporter at one time, when nothing else is said.
const PARALLEL_DEFAULT: u32 = 4;

/// More would only wait for the plugin threads.
const PARALLEL_MAX: u32 = 64;

impl Checker<'_, '_> {
    pub(super) fn reporter(&mut self, raw: At<RawReporter>) -> Option<ReporterConfig> {
        let mut raw = raw.value;
        let parameters = std::mem::take(&mut raw.parameters);
        let reporter_type = raw.r#use.take();
        let name = value(raw.name.take());
        let retry = self.retry(raw.retry.take());
        let parallel = self.parallel(raw.parallel.take());
        let mut wants = self.wants(raw);
        if let Some(name) = &name {
            wants.silent_about = self.told_by_others(name, &wants);
        }
        let reporter_type = reporter_type?;
        let parameters = self.type_parameters(
            PluginKind::Reporter,
            &reporter_type,
            parameters,
            RawReporter::KEYS,
        );
        Some(ReporterConfig {
            name: name?,
            reporter_type: reporter_type.value,
            wants,
            retry,
            parallel,
            parameters,
        })
    }

    fn wants(&mut self, raw: RawReporter) -> Wants {
        let events = self.words(raw.events, event);
        let results = self.words(raw.results, mode);
        let builders = raw
            .builders
            .and_then(|names| self.references(Thing::Builder, Some(names)));
        let schedulers = raw
            .schedulers
            .and_then(|names| self.references(Thing::Scheduler, Some(names)));
        Wants {
            events: events.unwrap_or_else(|| [JournalKind::BuildFinished].into()),
            builders: builders.map(BTreeSet::from_iter),
            tags: self.some_texts(raw.tags),
            schedulers: schedulers.map(BTreeSet::from_iter),
            branches: self.some_texts(raw.branches),
            results: results.unwrap_or_else(|| [ResultsMode::All].into()),
            silent_about: BTreeSet::new(),
        }
    }

    /// Workers whose absence is for others than this reporter to tell. Notes where it is asked for what it does not do.
    fn told_by_others(&mut self, name: &str, wants: &Wants) -> BTreeSet<String> {
        let mut others = BTreeSet::new();
        for (worker, told_by) in &self.absences {
            match told_by.get(name) {
                None => drop(others.insert(worker.clone())),
                Some(_) if wants.events.contains(&JournalKind::WorkerMissing) => {}
                Some(span) => {
                    self.report
                        .at(
                            *span,
                            format!("reporter `{name}` does not tell of missing workers"),
                        )
                        .help("add \"worker-missing\" to its `events`");
                }
            }
        }
        others
    }

    /// A list of words; one that is empty would let nothing through.
    fn words<W: Copy, T: Ord>(
        &mut self,
        raw: Option<At<OneOrMany<W>>>,
        meaning: impl Fn(W) -> T,
    ) -> Option<BTreeSet<T>> {
        let raw = raw?;
        if raw.value.0.is_empty() {
            self.report.at(raw.span, "at least one word is needed");
        }
        Some(raw.value.0.iter().map(|word| meaning(word.value)).collect())
    }

    fn some_texts(&mut self, raw: Option<At<Vec<At<String>>>>) -> Option<BTreeSet<String>> {
        let raw = raw?;
        if raw.value.is_empty() {
            self.report.at(raw.span, "at least one text is needed");
        }
        self.no_repetition(&raw.value);
        Some(raw.value.into_iter().map(|text| text.value).collect())
    }

    fn retry(&mut self, raw: Option<At<RawRetry>>) -> RetryPolicy {
        let default = RetryPolicy::default();
        let Some(raw) = raw else { return default };
        let waits = [&raw.value.first_wait, &raw.value.longest_wait];
        for wait in waits.into_iter().flatten() {
            if wait.value.0.is_zero() {
                self.report.at(wait.span, "must be more than nothing");
            }
        }
        let wait =
            |raw: &Option<At<crate::decode::HumanDuration>>| raw.as_ref().map(|wait| wait.value.0);
        RetryPolicy {
            attempts_max: self
                .at_least_one(raw.value.attempts)
                .unwrap_or(default.attempts_max),
            first_wait: wait(&raw.value.first_wait).unwrap_or(default.first_wait),
            longest_wait: wait(&raw.value.longest_wait).unwrap_or(default.longest_wait),
        }
    }

    fn parallel(&mut self, raw: Option<At<u32>>) -> u32 {
        let Some(parallel) = raw else {
            return PARALLEL_DEFAULT;
        };
        if !(1..=PARALLEL_MAX).contains(&parallel.value) {
            let message = format!("must be 1 to {PARALLEL_MAX}");
            self.report.at(parallel.span, message);
        }
        parallel.value
    }
}

fn event(word: ReporterEvent) -> JournalKind {
    match word {
        ReporterEvent::RequestAdded => JournalKind::RequestAdded,
        ReporterEvent::BuildStarted => JournalKind::BuildStarted,
        ReporterEvent::BuildFinished => JournalKind::BuildFinished,
        ReporterEvent::BuildsetComplete => JournalKind::BuildsetComplete,
        ReporterEvent::WorkerLost => JournalKind::WorkerLost,
        ReporterEvent::WorkerFound => JournalKind::WorkerFound,
        ReporterEvent::WorkerMissing => JournalKind::WorkerMissing,
        ReporterEvent::WorkerBack => JournalKind::WorkerBack,
    }
}

fn mode(word: ReportedResults) -> ResultsMode {
    match word {
        ReportedResults::All => ResultsMode::All,
        ReportedResults::Change => ResultsMode::Change,
        ReportedResults::Failing => ResultsMode::Failing,
        ReportedResults::Passing => ResultsMode::Passing,
        ReportedResults::Problem => ResultsMode::Problem,
        ReportedResults::Warnings => ResultsMode::Warnings,
        ReportedResults::Exception => ResultsMode::Exception,
        ReportedResults::Cancelled => ResultsMode::Cancelled,
    }
}
