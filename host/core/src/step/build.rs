//! A build from its first step to its last: which step is next, which are left out, how it ends.

use std::collections::VecDeque;
use std::ops::Range;

use super::options::{BuildSummaryPolicy, ResultFlags};
use crate::Results;

/// What a build needs to know about a step beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlannedStep {
    /// How its result counts.
    pub flags: ResultFlags,
    /// When its summary is part of the build's.
    pub summary_policy: BuildSummaryPolicy,
}

/// What comes next in a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start the step with this index (counted from 0 in the order of planning), then report its end
    /// through [`BuildProgress::step_finished`].
    Start(usize),
    /// Wait for the end of this step.
    Wait(usize),
    /// The build has ended so.
    Finish(Results),
}

/// Why a build is not to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// How it ends at least: cancelled, or retry for a master that shuts down.
    pub results: Results,
    /// Why, for people.
    pub reason: String,
}

/// The state machine of a build.
///
/// A build starts as a success and only gets worse. After a halt or a stop only steps that always run are
/// started, after the loss of the worker none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildProgress {
    steps: Vec<PlannedStep>,
    ahead: VecDeque<usize>,
    running: Option<usize>,
    left_out: Vec<usize>,
    results: Results,
    halted: bool,
    stop: Option<Stop>,
    worker_lost: bool,
    summaries: Vec<String>,
}

impl BuildProgress {
    /// A build with these steps, none of them started.
    #[must_use]
    pub fn new(steps: Vec<PlannedStep>) -> Self {
        Self {
            ahead: (0..steps.len()).collect(),
            steps,
            running: None,
            left_out: Vec::new(),
            results: Results::Success,
            halted: false,
            stop: None,
            worker_lost: false,
            summaries: Vec::new(),
        }
    }

    /// What comes next. Calling it again without reporting an end gives [`Next::Wait`].
    pub fn next_step(&mut self) -> Next {
        if let Some(index) = self.running {
            return Next::Wait(index);
        }
        while let Some(index) = self.ahead.pop_front() {
            let ending = self.halted || self.stop.is_some();
            if self.worker_lost || (ending && !self.steps[index].flags.always_run) {
                self.left_out.push(index);
            } else {
                self.running = Some(index);
                return Next::Start(index);
            }
        }
        Next::Finish(self.results)
    }

    /// The running step ended so; `summary` is its finished text. Without effect when no step runs.
    pub fn step_finished(&mut self, results: Results, summary: &str) {
        let Some(index) = self.running.take() else {
            return;
        };
        let step = &self.steps[index];
        let (build, halts) = step.flags.apply(self.results, results);
        self.results = build;
        self.halted |= halts;
        if !summary.is_empty() && step.summary_policy.includes(results, step.flags) {
            self.summaries.push(summary.to_owned());
        }
    }

    /// Stops the build. Returns the step that is to be interrupted.
    ///
    /// A later stop interrupts a step that always runs as well, and can only make the result worse.
    #[must_use]
    pub fn stop(&mut self, stop: Stop) -> Option<usize> {
        self.results = self.results.worst(stop.results);
        self.stop.get_or_insert(stop);
        self.running
    }

    /// The worker is gone: nothing more can run, and the build is to be tried again unless it was stopped.
    /// Returns the step that is to be interrupted.
    #[must_use]
    pub fn worker_lost(&mut self) -> Option<usize> {
        self.worker_lost = true;
        self.results = self.results.worst(Results::Retry);
        self.running
    }

    /// Something outside the steps went wrong (a step could not be recorded, for instance).
    pub fn fail(&mut self, results: Results) {
        self.results = self.results.worst(results);
        self.halted = true;
    }

    /// Plans further steps right after the one that runs. Returns their indices.
    pub fn add_after_current(&mut self, steps: Vec<PlannedStep>) -> Range<usize> {
        let added = self.add(steps);
        for index in added.clone().rev() {
            self.ahead.push_front(index);
        }
        added
    }

    /// Plans further steps after all others. Returns their indices.
    pub fn add_at_end(&mut self, steps: Vec<PlannedStep>) -> Range<usize> {
        let added = self.add(steps);
        self.ahead.extend(added.clone());
        added
    }

    fn add(&mut self, steps: Vec<PlannedStep>) -> Range<usize> {
        let first = self.steps.len();
        self.steps.extend(steps);
        first..self.steps.len()
    }

    /// How the build stands; final once [`Self::next_step`] says so.
    #[must_use]
    pub fn results(&self) -> Results {
        self.results
    }

    /// Why it was stopped, if it was.
    #[must_use]
    pub fn stop_reason(&self) -> Option<&str> {
        self.stop.as_ref().map(|stop| stop.reason.as_str())
    }

    /// Steps that were passed over after a halt, a stop or the loss of the worker.
    #[must_use]
    pub fn left_out(&self) -> &[usize] {
        &self.left_out
    }

    /// One line about the build while it runs.
    #[must_use]
    pub fn running_text(&self) -> String {
        if self.summaries.is_empty() {
            "building".to_owned()
        } else {
            self.summaries.join(" ")
        }
    }

    /// One line about the build when it has ended.
    #[must_use]
    pub fn finished_text(&self) -> String {
        let mut words = vec![match self.results {
            Results::Success | Results::Skipped => "build successful".to_owned(),
            Results::Failure => "failed".to_owned(),
            other => other.name().to_owned(),
        }];
        if let Some(reason) = self.stop_reason().filter(|reason| !reason.is_empty()) {
            words.push(format!("({reason})"));
        }
        if self.worker_lost {
            words.push("lost connection".to_owned());
        } else {
            words.extend(self.summaries.iter().cloned());
        }
        words.join(" ")
    }
}
